"""`uzel listen` and `uzel send` as people and programs meet them: JSON, exit codes, signals.

Real processes, against a real node, the raw client and the raw node. The other commands: `test_cli_node.py`.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from e2e.cli_harness import Running, RunningNode, uzel
from e2e.raw_client import Conversation, RawClient, Tcp, frame, u32
from e2e.raw_identity import RawIdentity, identity, lying
from e2e.raw_node import RawNode, Session, playing
from uzel.identity import Identity
from uzel.names import ContactLink, Fingerprint, NodeAddress, Uin
from uzel.store.people import People
from uzel.store.profile import Profile

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
RUSSIAN = 'Привет! «Ёлка» "в кавычках"\nи вторая строка 😀'
DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
AT_ONCE = 8.0
"""Seconds, on a busy machine; less than any time-out that would end the same wait otherwise."""
STRANGER = Fingerprint(bytes(range(32)))


class Person:
    """A profile folder, and what is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with Profile.peek(folder) as profile:
            identity = profile.identity
        self.uin = identity.uin
        self.link = ContactLink(self.uin, identity.fingerprint)

    def flags(self, node: str) -> tuple[str, ...]:
        return ("--profile", str(self.folder), "--node", node)

    def send(
        self, node: str, to: object, text: str = "hello", *flags: object, stdin: bytes = b""
    ) -> tuple[int, dict[str, Any], str]:
        """`uzel send --json`: exit code, the one object it prints, and what it says."""
        done = uzel("send", *self.flags(node), to, text, "--wait", "delivered", "--json", *flags, stdin=stdin)
        assert done.stdout.count("\n") == 1, done
        shown = json.loads(done.stdout)
        assert list(shown) == ["event", "to", "at", "ms", "reason"]
        assert TIME.fullmatch(shown["at"])
        assert shown["event"] == ("delivered" if done.returncode == 0 else "failed")
        assert (shown["reason"] is None) == (done.returncode == 0)
        return done.returncode, shown, done.stderr

    def listen(self, node: str, *flags: object, stdout: int | None = None) -> Running:
        return Running("listen", *self.flags(node), "--json", *flags, stdout=stdout)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    for name in ("alice", "bob"):
        Profile.create(folder / name, Identity.generate()).close()
    return folder


@pytest.fixture
def alice(made: Path, tmp_path: Path) -> Person:
    return Person(shutil.copytree(made / "alice", tmp_path / "alice"))


@pytest.fixture
def bob(made: Path, tmp_path: Path) -> Person:
    return Person(shutil.copytree(made / "bob", tmp_path / "bob"))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, known_identities: Path) -> Iterator[RunningNode]:
    state = shutil.copytree(known_identities, tmp_path_factory.mktemp("node") / "state")
    with RunningNode(state) as running:
        yield running
        assert running.end() == 0
        for line in running.talk:
            json.loads(line)


def raw(node: RunningNode, index: int) -> RawClient:
    return RawClient(identity(index), node.address).login()


def call(caller: RawClient, uin: Uin) -> Conversation:
    """Call a real client, all the way."""
    caller.call(uin)
    caller.expect(0x07, u32(uin))
    conversation = Conversation(caller.data(caller.uin, uin), caller.identity, caller=True)
    conversation.tls.handshake()
    return conversation


# -- Talking ----------------------------------------------------------------------------------------------------


def documented_keys() -> dict[str, list[str]]:
    """The table of events in docs/cli.md."""
    rows = re.findall(r"^\| `([a-z]+)` \| (.*) \|$", DOCUMENTED.read_text(encoding="utf-8"), re.MULTILINE)
    return {event: ["event", *re.findall(r"`([a-z_]+)`", keys)] for event, keys in rows}


def check_event(event: dict[str, Any], /, **values: object) -> None:
    assert list(event) == documented_keys()[event["event"]]
    assert {name: event[name] for name in values} == values
    if "at" in event:
        assert TIME.fullmatch(event["at"])


def test_a_text_is_sent_heard_and_reported(node: RunningNode, alice: Person, bob: Person) -> None:
    with bob.listen(node.written) as listening:
        check_event(listening.event(), event="online", node=node.written, uin=int(bob.uin))
        for to, text, stdin in (
            (bob.uin, RUSSIAN, ""),
            (bob.link, "-", "from standard input\n"),
            (bob.uin, "-", "x" * 200_000),
        ):
            code, shown, said = alice.send(node.written, to, text, stdin=stdin.encode())
            assert (code, shown["to"], said) == (0, int(bob.uin), "")
            assert 0 < shown["ms"] < 10_000
            check_event(listening.event(), event="incoming", **{"from": int(alice.uin)})
            heard = ""
            while (event := listening.event())["event"] == "text":
                check_event(event, **{"from": int(alice.uin)})
                heard += event["text"]
            assert heard == (stdin or text)
            check_event(event, event="closed", **{"from": int(alice.uin)}, reason="")
        assert listening.end() == 0
        assert listening.talk == []


def test_without_json_a_person_reads_it(node: RunningNode, alice: Person, bob: Person) -> None:
    with Profile.open(bob.folder) as profile:
        People(profile.connection).add(alice.uin, 0, name="Алиса")
    with Running("listen", *bob.flags(node.written)) as listening:
        assert listening.line() == f"online at {node.written} as {int(bob.uin)}\n"
        done = uzel("send", *alice.flags(node.written), bob.link, "-", stdin=b"one\n\x1b[31mtwo\n")
        assert re.fullmatch(r"delivered in \d+ ms\n", done.stdout)
        assert (done.returncode, done.stderr) == (0, "")
        assert listening.line() == f"{int(alice.uin)} calls\n"
        assert listening.line() == f"Алиса ({int(alice.uin)}): one\n"
        assert listening.line() == "    \\x1b[31mtwo\n"
        assert listening.end() == 0


def test_echo_answers_every_text_with_itself(node: RunningNode, bob: Person) -> None:
    with bob.listen(node.written, "--echo") as listening, raw(node, 3) as caller:
        listening.until("online")
        conversation = call(caller, bob.uin)
        for text in (RUSSIAN, "", "x" * 65_535):
            conversation.text(text)
            said = [conversation.message(), conversation.message()]
            assert sorted(code for code, _ in said) == [0x30, 0x40]
            assert dict(said)[0x30][2:].decode() == text
            conversation.tls.send(frame(0x40, b"rr"))
            check_event(listening.until("text"), text=text, **{"from": caller.uin})
        assert listening.end() == 0
        assert conversation.inbox.end() == []


def test_only_contacts_are_let_in(node: RunningNode, alice: Person, bob: Person) -> None:
    with Profile.open(bob.folder) as profile:
        profile.pins.pin_peer(Uin(identity(4).uin), Fingerprint(identity(4).fingerprint), verified=True)
        profile.pins.pin_peer(Uin(identity(5).uin), STRANGER, verified=True)
    with bob.listen(node.written, "--accept", "contacts") as listening:
        listening.until("online")
        started = time.monotonic()
        code, shown, _ = alice.send(node.written, bob.link)
        assert (code, shown["reason"]) == (3, "unavailable")
        assert time.monotonic() - started < AT_ONCE  # refused, not left to ring
        with raw(node, 5) as changed:
            conversation = call(changed, bob.uin)
            conversation.text("I have another key than your contact")
            assert conversation.inbox.end() == []
            check_event(listening.event(), event="incoming", **{"from": changed.uin})
            check_event(listening.event(), event="closed", reason="peer_key_changed", **{"from": changed.uin})
        with raw(node, 4) as contact:
            conversation = call(contact, bob.uin)
            conversation.text("let me in")
            conversation.reported()
        check_event(listening.event(), event="incoming", **{"from": identity(4).uin})
        check_event(listening.event(), event="text", text="let me in")


# -- Nothing is faked -------------------------------------------------------------------------------------------


def small_pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    return reading, writing


def read_until(descriptor: int, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        part = os.read(descriptor, 65_536)
        assert part, "the pipe ended"
        data += part
    return data


@pytest.mark.parametrize("outcome", ["killed", "read at last"])
def test_a_text_is_not_reported_before_its_line_has_left(node: RunningNode, bob: Person, outcome: str) -> None:
    reading, writing = small_pipe()
    with bob.listen(node.written, stdout=writing) as listening, raw(node, 6) as caller:
        os.close(writing)
        read_until(reading, b"\n")  # online
        conversation = call(caller, bob.uin)
        read_until(reading, b"\n")  # incoming
        conversation.text("y" * 20_000)  # more than the pipe takes
        for token in (b"he", b"ar", b"d?"):  # … but the conversation lives; the first pong may overtake a report
            conversation.tls.send(frame(0x68, token))
            assert conversation.inbox.message() == (0x69, token)
        if outcome == "killed":
            listening.tell(signal.SIGKILL)
            assert conversation.inbox.end() == []
            assert listening.wait() == -signal.SIGKILL
        else:
            assert json.loads(read_until(reading, b"\n"))["text"] == "y" * 20_000
            conversation.reported()
            conversation.text("z" * 20_000)
            assert os.read(reading, 10)
            assert listening.end() == 0  # a reader who stalls does not hold up the end
        os.close(reading)


def test_when_nobody_reads_any_more_listen_ends_quietly(node: RunningNode, bob: Person) -> None:
    reading, writing = os.pipe()
    with bob.listen(node.written, stdout=writing) as listening, raw(node, 7) as caller:
        os.close(writing)
        read_until(reading, b"\n")
        os.close(reading)
        caller.call(bob.uin)
        assert listening.wait() == 0
        assert listening.talk == []


def test_a_full_disk_is_said(node: RunningNode, bob: Person) -> None:
    with open("/dev/full", "wb") as full, bob.listen(node.written, stdout=full.fileno()) as listening:
        assert listening.wait() == 1
        assert "standard output" in listening.talk[0]


# -- What can go wrong, by exit code ----------------------------------------------------------------------------


def test_what_the_user_can_fix_exits_1(node: RunningNode, alice: Person, tmp_path: Path) -> None:
    for to, text, stdin, reason in (
        ("0", "hi", b"", "invalid_name"),
        ("uzel:12?key=short", "hi", b"", "invalid_name"),
        ("12", "-", b"\xff\xfe", "text_not_utf8"),
        ("12", "", b"", "text_empty"),
        ("12", "-", b"x" * (16 * 1024 * 1024 + 1), "text_too_long"),
    ):
        code, shown, said = alice.send(node.written, to, text, stdin=stdin)
        assert (code, shown["reason"]) == (1, reason)
        assert len(said.splitlines()) in {1, 2}
    for flags, reason in (
        (("--profile", tmp_path / "none", "--node", node.written), "profile"),
        (("--profile", alice.folder), "config"),
        (("--profile", alice.folder, "--node", "::1"), "invalid_name"),
    ):
        done = uzel("send", *flags, "12", "hi", "--json")
        assert (done.returncode, json.loads(done.stdout)["reason"]) == (1, reason)
    listening = uzel("listen", *flags, "--json")
    assert (listening.returncode, listening.stdout, listening.stderr) == (1, "", done.stderr)


def test_offline_and_unknown_exit_3_at_once(node: RunningNode, alice: Person, bob: Person) -> None:
    for to in (bob.link, 4_294_967_295, alice.uin):
        started = time.monotonic()
        code, shown, said = alice.send(node.written, to)
        assert (code, shown["reason"]) == (3, "unavailable")
        assert said.count("\n") == 1
        assert time.monotonic() - started < AT_ONCE


def silent(conversation: Conversation) -> None:
    """Take every text and report none."""
    conversation.inbox.end()


Silence = Callable[[], RawNode]
NOT_IN_TIME: dict[str, tuple[Silence, float, str]] = {
    "no login": (RawNode, 0.5, "timed_out"),
    "no answer to the call": (RawNode, 1.0, "timed_out"),
    "no report": (lambda: RawNode(playing(identity(8), silent)), 3.0, "delivery_timeout"),
}


@pytest.mark.parametrize("case", NOT_IN_TIME)
def test_the_time_out_is_for_everything_and_exits_3(alice: Person, case: str) -> None:
    make, timeout, reason = NOT_IN_TIME[case]
    with make() as silent_node:
        silent_node.pongs = case != "no login"
        host, port = silent_node.address
        started = time.monotonic()
        code, shown, _ = alice.send(f"{host}:{port}", identity(8).uin, "hello", "--timeout", timeout)
        assert (code, shown["reason"]) == (3, reason)
        assert timeout * 1000 <= shown["ms"] < (timeout + 2) * 1000
        assert time.monotonic() - started < timeout + 5


def test_no_node_exits_3(alice: Person) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    code, shown, said = alice.send(f"127.0.0.1:{free}", 12, "hello", "--timeout", 0.3)
    assert (code, shown["reason"]) == (3, "node_unreachable")
    assert f"127.0.0.1:{free}" in said


def test_a_second_node_is_used_when_the_first_is_dead(node: RunningNode, alice: Person, bob: Person) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = f"127.0.0.1:{taken.getsockname()[1]}"
    with bob.listen(node.written) as listening:
        listening.until("online")
        code, _, _ = alice.send(dead, bob.link, "hello", "--node", node.written)
        assert code == 0
        done = uzel(  # several nodes in the environment are told apart by spaces
            "send", bob.link, "hello", "--profile", alice.folder, env={"UZEL_NODE": f"{dead} {node.written}"}
        )
        assert done.returncode == 0
        with_node = f"{bob.link}&node={node.written},{node.fingerprint}"
        assert uzel("send", with_node, "hello", "--profile", alice.folder).returncode == 0


def test_keys_that_are_not_trusted_exit_4_and_nothing_is_sent(alice: Person, node: RunningNode, bob: Person) -> None:
    other = replace(bob.link, fingerprint=STRANGER)
    with bob.listen(node.written) as listening:
        listening.until("online")
        code, shown, _ = alice.send(node.written, other)
        assert (code, shown["reason"]) == (4, "peer_key_changed")
        while (event := listening.event())["event"] != "closed":
            assert event["event"] != "text"


# -- Someone else answers (D20) ---------------------------------------------------------------------------------


class Answering(RawNode):
    """A node that answers each call of `uin` in its own way, the last one again and again."""

    def __init__(self, uin: int, *ways: Callable[[Tcp], None]) -> None:
        super().__init__(self._answer)
        self._callee, self._ways = uin, ways
        self.calls = 0

    def _answer(self, session: Session, code: int, tail: bytes) -> None:
        if code == 0x03:
            assert tail == u32(self._callee)
            turn, self.calls = self.calls, self.calls + 1
            way = self._ways[min(turn, len(self._ways) - 1)]
            self.go(lambda: way(self.taken(session.uin, self._callee, turn)))
            session.send(0x07, tail)


def shows(who: RawIdentity, heard: list[str]) -> Callable[[Tcp], None]:
    """Shows this certificate, and takes texts from whoever goes on after that."""

    def way(data: Tcp) -> None:
        conversation = Conversation(data, who, caller=False)
        conversation.tls.handshake()
        while True:
            heard.append(conversation.read())

    return way


def hangs_up(data: Tcp) -> None:
    data.socket.shutdown(socket.SHUT_RDWR)


def speaks_no_tls(data: Tcp) -> None:
    data.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize(
    ("uin", "who", "reason"),
    [
        (77, replace(identity(9), uin=78), "peer_wrong_uin"),
        (identity(10).uin, identity(9), "peer_wrong_uin"),
        (78, lying(78), "uin_not_of_key"),
    ],
)
def test_someone_else_answers(alice: Person, uin: int, who: RawIdentity, reason: str) -> None:
    """The caller calls again at once, three times at most, and its user is told."""
    heard: list[str] = []
    with Answering(uin, shows(who, heard)) as wrong:
        started = time.monotonic()
        code, shown, said = alice.send("{}:{}".format(*wrong.address), uin, "hello", "--timeout", 60)
        assert time.monotonic() - started < AT_ONCE
        assert (code, shown["reason"]) == (4, reason)
        assert "someone else answered" in said.lower()
        assert wrong.calls == 3
    assert heard == []


@pytest.mark.parametrize("wrong", [1, 2])
def test_the_right_one_answers_at_last(alice: Person, wrong: int) -> None:
    heard: list[str] = []
    lies: list[str] = []
    ways = [shows(identity(9), lies)] * wrong
    with Answering(identity(10).uin, *ways, shows(identity(10), heard)) as node:
        code, _, _ = alice.send("{}:{}".format(*node.address), identity(10).uin, "for you alone")
        assert code == 0
        assert node.calls == wrong + 1
    assert (heard, lies) == (["for you alone"], [])


@pytest.mark.parametrize("way", [hangs_up, speaks_no_tls])
def test_who_answers_and_breaks_off_is_called_again(alice: Person, way: Callable[[Tcp], None]) -> None:
    heard: list[str] = []
    uin = identity(10).uin
    with Answering(uin, way, shows(identity(10), heard)) as node:
        assert alice.send("{}:{}".format(*node.address), uin, "the second time")[0] == 0
    assert heard == ["the second time"]
    with Answering(uin, way) as node:
        code, shown, _ = alice.send("{}:{}".format(*node.address), uin)
        assert (code, node.calls) == (3, 3)
        assert shown["reason"] in {"conversation_ended", "tls_failed", "tls_version"}


def test_a_liar_that_goes_away_leaves_the_lie_told(alice: Person) -> None:
    """What the last call came to does not hide that someone else answered the one before."""
    uin = identity(10).uin
    with Answering(uin, shows(identity(9), []), hangs_up) as node:
        code, shown, _ = alice.send("{}:{}".format(*node.address), uin)
        assert (code, shown["reason"]) == (4, "peer_wrong_uin")


# -- The keys of nodes ------------------------------------------------------------------------------------------


def test_a_changed_node_key_exits_4_and_says_what_to_do(node: RunningNode, alice: Person, bob: Person) -> None:
    for person in (alice, bob):
        with Profile.open(person.folder) as profile:
            profile.pins.pin_node(NodeAddress.parse(node.written), STRANGER)
    started = time.monotonic()
    code, shown, said = alice.send(node.written, bob.link)
    assert (code, shown["reason"]) == (4, "node_key_changed")
    assert time.monotonic() - started < AT_ONCE  # there is nothing to wait for
    assert "HOST:PORT,FINGERPRINT" in said
    assert node.fingerprint in said
    with bob.listen(node.written) as listening:
        assert listening.wait() == 4
        assert "HOST:PORT,FINGERPRINT" in listening.talk[-1]
    with bob.listen(f"{node.written},{node.fingerprint}") as listening:  # once, to accept it
        listening.until("online")
    with bob.listen(node.written) as listening:
        listening.until("online")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_send_says_so(alice: Person, number: signal.Signals, code: int) -> None:
    with RawNode() as silent_node:
        node = "{}:{}".format(*silent_node.address)
        with Running("send", *alice.flags(node), identity(8).uin, "hello", "--json") as sending:
            silent_node.session(alice.uin).next(0x03)
            started = time.monotonic()
            assert sending.end(number) == code
            assert time.monotonic() - started < AT_ONCE
            assert json.loads(sending.line())["reason"] == "interrupted"
            assert sending.rest() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_listen_ends_when_told_also_without_a_node(bob: Person, number: signal.Signals, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = f"127.0.0.1:{taken.getsockname()[1]}"
    with bob.listen(dead) as listening:
        offline = listening.event()
        check_event(offline, event="offline", reason="node_unreachable")
        assert offline["retry_in"] > 0
        assert listening.end(number) == code
        assert listening.talk == []


def test_listen_goes_on_by_itself_when_its_node_comes_back(tmp_path: Path, bob: Person) -> None:
    with RunningNode(tmp_path / "state") as node, bob.listen(node.written) as listening:
        listening.until("online")
        node.end(signal.SIGKILL)
        check_event(listening.event(), event="offline")
        with RunningNode(tmp_path / "state", listen=(node.written,)) as again:
            check_event(listening.until("online"), node=node.written)
            assert listening.end() == 0
            assert again.end() == 0
