"""`uzel listen` when its number is contested, and when its peer sends what a terminal would obey."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from e2e.cli_harness import Running
from e2e.raw_identity import identity
from e2e.raw_node import RawNode, Session
from uzel.names import NodeAddress
from uzel.store.profile import Profile

CONTESTED = "another program is using this number"


class HangingUp(RawNode):
    """Hangs up on everyone after the first pong, as a node does when another program takes the number."""

    def online(self, session: Session) -> None:
        super().online(session)
        send = session.send

        def once(code: int, tail: bytes = b"") -> None:
            send(code, tail)
            session.tcp.socket.shutdown(socket.SHUT_RDWR)

        vars(session)["send"] = once


@pytest.fixture(scope="module")
def bob(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bob") / "profile"
    Profile.create(folder).close()
    return folder


def uin_of(folder: Path) -> int:
    with Profile.peek(folder) as profile:
        return int(profile.identity.uin)


def test_a_contested_number_is_said_once(bob: Path) -> None:
    with HangingUp() as raw:
        node = "{}:{}".format(*raw.address)
        with Running("listen", "--profile", bob, "--node", node, "--json") as listening:
            for _ in range(2):
                assert listening.event()["event"] == "online"
                early = listening.event()
                assert list(early) == ["event", "reason", "retry_in"]
                assert early["reason"] != CONTESTED
            assert listening.event()["event"] == "online"
            contested = listening.event()
            assert contested["reason"] == CONTESTED
            assert contested["retry_in"] >= 60
            assert listening.end() == 0
            assert [CONTESTED in line for line in listening.talk] == [True]


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["person", "program"])
def test_nothing_that_a_terminal_obeys_is_printed(bob: Path, flags: tuple[str, ...]) -> None:
    with RawNode() as raw:
        node = "{}:{}".format(*raw.address)
        with Running("listen", "--profile", bob, "--node", node, *flags) as listening:
            listening.line()
            conversation = raw.ring(uin_of(bob), identity(5))
            conversation.text("\x1b]0;owned\x07\x9b2J\r\u202e\u2028!\n1234: fake")
            conversation.reported()
            assert listening.end() == 0
            said = "".join(listening.rest())
    assert "owned" in said
    assert not set("\x1b\x07\x9b\r\u202e\u2028") & set(said)
    assert not any(line.startswith("1234") for line in said.splitlines())


class Telling(RawNode):
    """A node that tells of another one when it is asked; it counts that."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(self._answer)
        self.asked = 0
        self._told = b"\x01\x00\xa0" + socket.inet_aton(host) + port.to_bytes(2, "big")

    def _answer(self, session: Session, code: int, _: bytes) -> None:
        if code == 0x90:
            self.asked += 1
            session.send(0xA4, self._told)
            session.send(0x68, b"pp")  # its answer says that the list was read


def test_with_roaming_a_learned_node_is_used_when_the_others_are_gone(bob: Path) -> None:
    uin = uin_of(bob)
    with RawNode() as other, Telling(*other.address) as home:
        node = "{}:{}".format(*home.address)
        with Running("listen", "--profile", bob, "--node", node, "--json", "--roaming") as listening:
            assert listening.event()["node"] == node
            home.session(uin).next(0x69)
            home.close()
            learned = listening.until("online")["node"]
            assert learned == "{}:{}".format(*other.address)
            assert listening.end() == 0
        assert home.asked == 1
        with Profile.open(bob) as profile:
            assert profile.pins.node(NodeAddress.parse(learned)) is None
            assert profile.pins.node(NodeAddress.parse(node)) is not None


def test_without_roaming_nothing_is_asked_and_the_next_named_node_is_used(bob: Path) -> None:
    uin = uin_of(bob)
    with RawNode() as trap, RawNode() as second, Telling(*trap.address) as first:
        nodes = ["{}:{}".format(*node.address) for node in (first, second)]
        with Running("listen", "--profile", bob, "--node", nodes[0], "--node", nodes[1], "--json") as listening:
            assert listening.event()["node"] == nodes[0]
            first.session(uin).send(0xA4, first._told)
            first.session(uin).send(0x68, b"pp")
            first.session(uin).next(0x69)
            first.close()
            assert listening.event()["event"] == "offline"
            assert listening.event()["node"] == nodes[1]
            assert listening.end() == 0
        assert first.asked == 0
        assert trap.sessions == {}
