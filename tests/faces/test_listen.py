"""`uzel listen` when its number is contested, and when its peer sends what a terminal would obey."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from e2e.cli_harness import Running
from e2e.raw_identity import identity
from e2e.raw_node import RawNode, Session
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
    Profile.create(folder)
    return folder


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
            conversation = raw.ring(int(Profile.open(bob).identity.uin), identity(5))
            conversation.text("\x1b]0;owned\x07\x9b2J\r\u202e\u2028!\n1234: fake")
            conversation.reported()
            assert listening.end() == 0
            said = "".join(listening.rest())
    assert "owned" in said
    assert not set("\x1b\x07\x9b\r\u202e\u2028") & set(said)
    assert not any(line.startswith("1234") for line in said.splitlines())
