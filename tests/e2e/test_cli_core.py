"""The core and the commands that go through it, as people and programs meet them: real processes at a real node."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.cli_harness import Running, RunningNode, uzel
from uzel.identity import Identity
from uzel.names import ContactLink, Uin
from uzel.store.profile import Profile

pytestmark = pytest.mark.timeout(240)  # dozens of processes each, on a busy machine


class Person:
    """A profile, and commands on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with Profile.peek(folder) as profile:
            self.uin, key = profile.identity.uin, profile.identity.fingerprint
        self.link = ContactLink(self.uin, key)

    def run(self, *arguments: object, code: int = 0, **others: Any) -> str:
        done = uzel(*arguments, "--profile", self.folder, **others)
        assert done.returncode == code, done
        return done.stdout

    def said(self, *arguments: object, code: int = 0) -> str:
        """What a failing command says."""
        done = uzel(*arguments, "--profile", self.folder)
        assert (done.returncode, done.stdout) == (code, ""), done
        return done.stderr

    def asks(self, *arguments: object, code: int = 0, **others: Any) -> Any:
        """The one object that a command prints with --json."""
        return json.loads(self.run(*arguments, "--json", code=code, **others))

    def lists(self, *arguments: object) -> list[Any]:
        return [json.loads(line) for line in self.run(*arguments, "--json").splitlines()]

    def start(self, *arguments: object) -> Core:
        return Core(self, *arguments)


class Core(Running):
    """`uzel start`, once it is ready."""

    def __init__(self, person: Person, *arguments: object) -> None:
        super().__init__("start", "--profile", person.folder, *arguments)
        try:
            self.ready = self.event()
        except BaseException:
            self.__exit__()
            raise


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
def node(tmp_path_factory: pytest.TempPathFactory, known_identities: Path) -> Iterator[str]:
    state = shutil.copytree(known_identities, tmp_path_factory.mktemp("node") / "state")
    with RunningNode(state) as running:
        yield running.written


def test_a_core_starts_says_where_and_is_stopped(node: str, alice: Person) -> None:
    with alice.start("--node", node, "--api-port", 0) as core:
        assert list(core.ready) == ["event", "uin", "socket", "api", "page"]
        assert (core.ready["event"], core.ready["uin"]) == ("ready", alice.uin)
        path = Path(core.ready["socket"])
        assert path == alice.folder / "api.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        token = (alice.folder / "api.token").read_text().strip()
        answer = httpx.get(f"{core.ready['api']}/v1/status", headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["uin"] == alice.uin
        assert httpx.get(f"{core.ready['api']}/v1/status").status_code == 401
        assert alice.asks("status")["uin"] == alice.uin
        assert f"UIN              {alice.uin}\n" in alice.run("status")
        assert "Another program is using this profile" in alice.said("start", code=1)
        assert alice.run("stop") == ""
        assert core.wait() == 0
        assert {json.loads(line)["event"] for line in core.talk} <= {"online"}  # it may have ended before
    assert sorted(os.listdir(alice.folder)) == ["profile.db", "profile.key", "profile.lock"]
    with alice.start() as core:  # the node is remembered
        assert core.ready["api"] is None
        assert core.end(signal.SIGTERM) == 0
    with alice.start() as core:
        assert core.end(signal.SIGINT) == 130


def test_without_a_core_the_commands_say_so(alice: Person) -> None:
    for command in (
        ("status",), ("stop",), ("chats",), ("history", 5), ("search", "x"), ("contact", "list"), ("request", "list"),
        ("invite", "list"),
    ):  # fmt: skip
        said = alice.said(*command, code=1)
        assert "No core runs on this profile. Start one with uzel start." in said
    assert "give one with --node" in alice.said("start", code=1)
    assert alice.asks("me") == {"uin": alice.uin, "fingerprint": str(alice.link.fingerprint), "link": str(alice.link)}


def test_a_socket_that_a_crash_left_is_no_core(node: str, alice: Person) -> None:
    with alice.start("--node", node) as core:
        core.tell(signal.SIGKILL)
        core.process.wait()
    assert (alice.folder / "api.sock").exists()
    assert "No core runs" in alice.said("status", code=1)
    with alice.start() as core:
        assert alice.asks("status")["uin"] == alice.uin
        assert core.end() == 0


def test_two_people_talk_through_their_cores(node: str, alice: Person, bob: Person) -> None:
    with alice.start("--node", node), bob.start("--node", node):
        added = bob.asks("contact", "add", alice.link, "--name", "Алиса")
        assert (added["verified"], added["name"]) == (True, "Алиса")
        sent = alice.asks("send", bob.link, "новое сообщение\x1b[31m", "--timeout", 20)
        assert (list(sent), sent["event"], sent["to"]) == (["event", "to", "at", "ms", "reason"], "delivered", bob.uin)
        sent = alice.asks("send", bob.uin, "-", "--timeout", 20, stdin=("я" * 300_000).encode())
        assert (sent["event"], sent["reason"]) == ("delivered", None)
        with Running("listen", "--profile", bob.folder, "--json", "--echo") as listening:
            first = listening.until("text")
            assert list(first) == ["event", "from", "text", "at"]
            assert (first["from"], first["text"]) == (alice.uin, "новое сообщение\x1b[31m")
            assert [len(listening.until("text")["text"]) for _ in range(2)] == [262_144, 37_856]
            assert alice.asks("send", bob.uin, "live", "--timeout", 20)["event"] == "delivered"
            assert listening.until("text")["text"] == "live"
            assert listening.end() == 0
        with Running("listen", "--profile", bob.folder) as listening:
            assert listening.line() == f"online at {node} as {bob.uin}\n"  # nothing is given twice
            assert alice.asks("send", bob.uin, "by name", "--timeout", 20)["event"] == "delivered"
            assert listening.line() == f"Алиса ({alice.uin}): by name\n"
            assert listening.end(signal.SIGINT) == 130
        assert [hit["spans"] for hit in bob.lists("search", "сообщения", "--chat", alice.uin)] == [[[6, 15]]] * 2
        assert "\\x1b" in bob.run("search", "сообщения")
        (chat,) = bob.lists("chats")
        assert (chat["uin"], chat["name"], chat["unread"]) == (alice.uin, "Алиса", 5)
        shown = bob.lists("history", alice.uin, "--all", "--read")
        assert [text["text"][:4] for text in shown if not text["outgoing"]] == ["ново", "яяяя", "яяяя", "live", "by n"]
        assert bob.lists("chats")[0]["unread"] == 0
        assert "Алиса" in bob.run("chats")
        assert "Алиса: by name" in bob.run("history", alice.uin, "--limit", 1)
        assert "Алиса: by name" in bob.run("search", "name")
        assert "you" in alice.run("history", bob.uin, "--limit", 2)


def test_who_comes_with_an_older_program_waits_until_the_person_agrees(node: str, alice: Person, bob: Person) -> None:
    with alice.start("--node", node):
        with bob.start("--node", node) as core:
            bob.asks("contact", "add", alice.link)
            alice.asks("contact", "add", bob.link, "--name", "Bob")
            assert alice.asks("send", bob.uin, "as always", "--timeout", 20)["event"] == "delivered"
            assert core.end() == 0
        with Running("listen", "--profile", bob.folder, "--node", node, "--json") as older:
            older.until("online")
            assert uzel("send", "--profile", alice.folder, bob.uin, "are you there?", "--timeout", 0.2).returncode == 6
            while not alice.asks("contact", "show", bob.uin)["downgraded"]:
                pass
            done = uzel("send", "--profile", alice.folder, bob.uin, "hello?", "--timeout", 0.2)
            assert (done.returncode, "offers less than before. The text waits" in done.stderr) == (6, True)
            done = uzel("history", bob.uin, "--profile", alice.folder)
            assert "offers less than before. The text waits" in done.stderr
            shown = uzel("contact", "show", bob.uin, "--profile", alice.folder)
            assert "older program" in shown.stdout
            assert "Nothing goes either way until you agree." in shown.stderr
            assert shown.stderr.endswith(f"uzel contact agree {bob.uin}\n")
            (told,) = [each for each in alice.lists("doctor") if each["check"] == "contacts"]
            assert told["detail"] == f"less than before is offered by {bob.uin}: nothing goes either way"
            assert told["mend"].endswith(f"uzel contact show {bob.uin}")
            assert not alice.asks("contact", "agree", bob.uin)["downgraded"]
            assert older.until("text")["text"] == "are you there?"


def test_what_is_not_delivered_in_time_is_queued_and_goes_out_later(node: str, alice: Person, bob: Person) -> None:
    with alice.start("--node", node):
        done = uzel("send", "--profile", alice.folder, bob.link, "later", "--timeout", 0.2, "--json")
        assert done.returncode == 6
        assert json.loads(done.stdout).items() >= {"event": "queued", "to": bob.uin, "reason": "queued"}.items()
        assert "It is queued" in done.stderr
        with Running("send", "--profile", alice.folder, bob.uin, "--json", "--timeout", 600, "soon") as sending:
            while not any(text["text"] == "soon" for text in alice.lists("history", bob.uin)):
                pass
            assert sending.end(signal.SIGINT) == 130
            assert sending.event().items() >= {"event": "queued", "reason": "interrupted"}.items()
        with bob.start("--node", node):
            bob.asks("contact", "add", alice.link)
            assert alice.asks("send", bob.uin, "now", "--timeout", 20)["event"] == "delivered"
            assert [text["text"] for text in bob.lists("history", alice.uin)] == ["later", "soon", "now"]


def test_people_are_added_compared_blocked_and_removed(node: str, alice: Person, bob: Person) -> None:
    with alice.start("--node", node), bob.start("--node", node):
        assert alice.asks("me")["link"] == str(ContactLink.parse(alice.asks("me")["link"]))
        assert f"node={node}" in alice.asks("me")["link"]
        assert "█" in alice.run("me")
        alice.asks("contact", "add", bob.uin)
        alice.asks("contact", "add", 5)
        assert "was never met" in alice.said("contact", "verify", 5, code=1)
        alice.run("contact", "remove", 5)
        done = uzel("send", "--profile", alice.folder, bob.uin, "let me in", "--timeout", 0.2)
        assert done.returncode == 6
        while not bob.lists("request", "list"):
            pass
        while alice.asks("contact", "show", bob.uin)["gate"] != "asked":
            pass
        done = uzel("send", "--profile", alice.folder, bob.uin, "please", "--timeout", 0.2)
        assert (done.returncode, "has not let you in yet" in done.stderr) == (6, True)
        done = uzel("history", bob.uin, "--profile", alice.folder)
        assert ("please" in done.stdout, "has not let you in yet" in done.stderr) == (True, True)
        assert str(int(alice.uin)) in bob.run("request", "list")
        assert bob.asks("request", "accept", alice.uin, "--name", "Alice")["verified"] is False
        assert "Nobody with that number" in bob.said("request", "refuse", alice.uin, code=1)
        while (number := bob.asks("contact", "show", alice.uin)["safety_number"]) is None:
            pass
        while alice.asks("contact", "show", bob.uin)["safety_number"] != number:
            pass
        assert "█" in alice.run("contact", "show", bob.uin)
        assert "--safety-number NUMBER" in alice.said("contact", "verify", bob.uin, code=1)
        assert alice.asks("contact", "verify", bob.uin, "--safety-number", number)["verified"] is True
        assert alice.asks("contact", "rename", bob.uin, "Боб")["name"] == "Боб"
        alice.run("contact", "block", bob.uin)
        assert "blocked" in alice.run("contact", "list")
        alice.run("contact", "unblock", bob.uin)
        alice.run("contact", "remove", bob.uin)
        assert alice.lists("contact", "list") == []
        assert "no contact of yours" in alice.said("contact", "show", bob.uin, code=1)


def test_invites_are_made_listed_and_revoked(node: str, alice: Person) -> None:
    with alice.start("--node", node):
        made = alice.asks("invite", "new", "--label", "for Bob", "--hours", 48)
        assert ContactLink.parse(made["link"]).invite
        (listed,) = alice.lists("invite", "list")
        assert (listed["id"], listed["label"], listed["uses_left"], listed["revoked"]) == (
            made["id"], "for Bob", 1, False,
        )  # fmt: skip
        assert "for Bob" in alice.run("invite", "list")
        alice.run("invite", "revoke", made["id"][:8])
        assert "no such invite" in alice.said("invite", "revoke", "", code=1)
        assert "no invite has that id" in alice.said("invite", "revoke", "zz", code=1)
        assert alice.lists("invite", "list")[0]["revoked"] is True


def test_what_goes_wrong_has_the_exit_code_of_its_kind(node: str, alice: Person) -> None:
    with alice.start("--node", node):
        assert alice.asks("send", alice.link, "to myself", code=1)["reason"] == "self_contact"
        assert alice.asks("send", "0", "x", code=1)["reason"] == "invalid_name"
        assert "not a valid UIN" in alice.said("contact", "add", "uzel:x", code=1)
        first = ContactLink(Uin(5), alice.link.fingerprint)
        alice.asks("contact", "add", first)
        other = ContactLink(Uin(5), type(alice.link.fingerprint)(bytes(32)))  # type: ignore[misc]
        assert alice.asks("send", other, "x", code=4)["reason"] == "peer_key_changed"


def test_texts_and_chats_are_looked_after(node: str, alice: Person, bob: Person) -> None:
    with alice.start("--node", node):
        alice.asks("contact", "add", bob.link)
        assert uzel("send", "--profile", alice.folder, bob.uin, "waits", "--timeout", 2).returncode == 6
        (text,) = alice.lists("history", bob.uin)
        number = text["number"]
        assert "it is queued; only one that failed" in alice.said("retry", number, code=1)
        assert alice.asks("cancel", number)["state"] == "cancelled"
        assert "cancelled" in alice.run("history", bob.uin)
        again = alice.asks("retry", number)
        assert (again["state"], again["number"] > number) == ("queued", True)
        assert "no such text" in alice.said("cancel", number, code=1)
        assert alice.asks("draft", bob.uin, "-", stdin="чер\x1bновик\n".encode()) == {
            "uin": bob.uin,
            "draft": "чер\x1bновик",
        }
        assert alice.run("draft", bob.uin) == "чер\\x1bновик\n"
        assert alice.asks("draft", bob.uin, "")["draft"] == ""
        assert alice.run("retention", bob.uin) == "never\n"
        assert alice.asks("retention", bob.uin, "0.5") == {"uin": bob.uin, "retention_ms": 43_200_000}
        assert alice.run("retention", bob.uin, 7) == "7 days\n"
        assert alice.asks("retention", bob.uin, "never")["retention_ms"] is None
        for days in ("0", "-1", "nan", "inf", "1e9", "often"):
            assert "number of days" in uzel("retention", "--profile", alice.folder, bob.uin, "--", days).stderr
        assert alice.run("strangers") == "ask\n"
        assert alice.asks("strangers", "contacts-only") == {"mode": "contacts-only"}
        assert alice.asks("contact", "agree", bob.uin)["uin"] == bob.uin
        with bob.start("--node", node):
            bob.asks("contact", "add", alice.link)
            while not bob.lists("history", alice.uin):
                pass
            assert bob.asks("read", alice.uin, "--up-to", 1)["count"] == 1
            assert bob.run("read", alice.uin) == "0 texts were unread\n"
            assert [each["text"] for each in map(json.loads, bob.run("export", alice.uin).splitlines())] == ["waits"]
