"""Beside a bulk sender another's small text waits for a few frames at most (D25): counted in bytes, not in time."""

from __future__ import annotations

import fcntl
import termios

from e2e.cases_calls import fill
from e2e.linked import ALICE, BOB, CAROL, DAVE, Linked, called_out
from e2e.node_harness import until
from e2e.raw_client import RawClient, Tcp, u32
from e2e.raw_link import RawLink, relayed
from uzel.net.runner import MOST_DRAWN

MARK = 64 * 1024
"""The setting `link_buffer`: what may wait in the node, and what may wait unsent in the kernel."""
FRAME = 65_536
READ = 2 * FRAME
"""What the raw node may have taken out of its socket without looking at it."""
SMALL = b"a small text"


def talking(caller: RawClient, callee: int, link: RawLink) -> Tcp:
    """A call to somebody behind this link; its D0s stay with the other messages there."""
    called_out(caller, callee, link)
    link.call_ready(caller.uin, callee)
    caller.expect(0x07, u32(callee))
    return caller.data(caller.uin, callee)


def relayed_bytes(link: RawLink, caller: int) -> int:
    return sum(len(tail) - 10 for code, tail in link.heard if code == 0xD0 and tail[2:6] == u32(caller))


def in_socket(link: RawLink) -> int:
    return int.from_bytes(fcntl.ioctl(link.tcp.socket.fileno(), termios.FIONREAD, b"\0\0\0\0"), "little")


def test_a_small_text_waits_for_a_few_frames_of_a_bulk_sender(linked: Linked) -> None:
    linked.start(link_buffer=MARK)
    link = linked.dial(1)
    bulk = talking(linked.login(ALICE), BOB.uin, link)
    quiet = talking(linked.login(CAROL), DAVE.uin, link)

    def drawn() -> int:
        """What the node has put on its way on this link since it began."""
        (connection,) = linked.node.service._links._links.values()
        return connection.bytes_out

    before = linked.node.ask(drawn)
    with link.unread():
        sent = fill(bulk)
        on_its_way = linked.node.ask(drawn) - before
        assert on_its_way < sent
        assert on_its_way - in_socket(link) <= 2 * MARK + MOST_DRAWN + READ
        quiet.send(SMALL)
        until("it waits for its turn", lambda: linked.counts()["flows"] == 2)
    expected = (0xD0, relayed(CAROL.uin, DAVE.uin, SMALL))
    until("it came", lambda: expected in link.heard)
    came_before = [tail for code, tail in link.heard[: link.heard.index(expected)] if code == 0xD0]
    assert sum(map(len, came_before)) <= on_its_way + FRAME
    until("nothing was lost", lambda: relayed_bytes(link, ALICE.uin) == sent)
