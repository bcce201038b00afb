"""Bad input between nodes: floods, readers that stop, and links that come and go."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from e2e.linked import ALICE, CAROL, called_in, called_out, connected_out, meet
from e2e.raw_client import (
    Closed,
    Tcp,
    frame,
    pair,
    u32,
)
from e2e.raw_identity import node_identity
from e2e.raw_link import RawLink, home, relayed
from e2e.stage import CaseTable, Scene, ended
from uzel.errors import Reason

CASES = CaseTable()


# -- Floods -------------------------------------------------------------------------------------------------------


@CASES.case(Reason.SEARCH_RATE, node="link searches")
def a_flood_of_searches(scene: Scene) -> None:
    """Beyond the rate they are ignored; other nodes are answered."""
    scene.login(ALICE)
    flood, other = scene.link(1), scene.link(2)
    flood.tls.send(frame(0xA5, u32(ALICE.uin)) * 20_000)
    answers = flood.sync(frozenset())
    assert answers.count((0xA8, u32(ALICE.uin))) == 5
    assert other.asked(ALICE.uin) == [(0xA8, u32(ALICE.uin))]


@CASES.case(node="links")
def a_flood_of_searches_for_nobody(scene: Scene) -> None:
    link = scene.link(1)
    link.tls.send(b"".join(frame(0xA5, u32(uin)) for uin in range(1, 20_000)))
    assert link.sync() == []


@CASES.case(Reason.LINK_CALL_RATE, node="link calls")
def a_flood_of_calls(scene: Scene) -> None:
    """B8 for each beyond the rate; another node's call rings."""
    alice = scene.login(ALICE)
    flood, other = scene.link(1), scene.link(2)
    for caller in range(1000, 2000):
        flood.call_request(caller, 7)
    for caller in range(1000, 2000):
        flood.expect(0xB8, pair(caller, 7))
    flood.call_request(scene.bob, ALICE.uin)
    flood.expect(0xB8, pair(scene.bob, ALICE.uin))
    called_in(other, scene.bob, alice)


@CASES.case(Reason.CALLEE_UNANSWERED_FULL, node="link unanswered")
def a_flood_of_calls_to_one_callee(scene: Scene) -> None:
    """Few of one node ring at a time: people behind others still come through."""
    alice = scene.login(ALICE)
    flood, other = scene.link(1), scene.link(2)
    for caller in range(1000, 1100):
        flood.call_request(caller, ALICE.uin)
    assert len([code for code, _ in flood.sync() if code == 0xB8]) == 97
    assert len(alice.sync()) == 3
    called_in(other, scene.bob, alice)


@CASES.case(node="hints")
def a_flood_of_hints(scene: Scene) -> None:
    """Bounded for each node; another node's hint is taken."""
    flood, other, alice = scene.link(1), scene.link(2), scene.login(ALICE)
    before = scene.node.footprint()["locations"]
    flood.tls.send(b"".join(frame(0xA8, u32(uin)) for uin in range(10_000, 40_000)))
    assert flood.sync() == []
    assert scene.node.footprint()["locations"] <= before + 100
    called_out(alice, scene.bob, other)


@CASES.case(Reason.NO_CONVERSATION, node="links")
def a_flood_of_data_for_nobody(scene: Scene) -> None:
    """B8 for each, and nothing is kept."""
    link = scene.link(1)
    for number in range(300):
        link.relayed(7, 8, bytes(number))
    assert link.sync() == [(0xB8, pair(7, 8))] * 300


def unread_flood(data: bytes) -> Callable[[Scene], None]:
    """Answers that nobody takes are bounded: the link ends."""

    def run(scene: Scene) -> None:
        alice, other = scene.login(ALICE), scene.link(2)
        standing = scene.node.footprint()["links"]
        flood = unreading(scene, 1)

        def pour_in() -> None:
            with contextlib.suppress(Closed, OSError):
                while True:
                    flood.tls.send(data)

        flood.introduce(None)
        scene.until("links", standing + 1)
        pouring = threading.Thread(target=pour_in)
        pouring.start()
        scene.until("links", standing)
        flood.reset()
        pouring.join()
        assert other.sync() == alice.sync() == []

    return run


def unreading(scene: Scene, number: int) -> RawLink:
    """A link whose other end reads nothing and whose buffers are small."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.bind((home(number), 0))
    small.connect(scene.node.address)
    link = scene.keep(RawLink(Tcp.over(small), node_identity(number), dialled=True))
    link.hello()
    link.handshake()
    return link


for _code, _tail in (
    (0x68, b"rr"), (0x90, b"rr"), (0xA5, u32(ALICE.uin)), (0xAA, pair(7, 8)), (0xAB, pair(7, 8)),
    (0xD0, relayed(7, 8, b"")),
):  # fmt: skip
    CASES.add(
        f"a flood of {_code:02X} from a node that reads nothing", unread_flood(frame(_code, _tail) * 1000),
        Reason.LINK_QUEUE_FULL, node="link queue",
    )  # fmt: skip


# -- Readers that stop --------------------------------------------------------------------------------------------


@CASES.case(Reason.HELD_FULL, node="held")
def a_client_that_does_not_read_its_conversation(scene: Scene) -> None:
    """It loses that conversation; the link and all others on it go on."""
    alice, carol, link = scene.login(ALICE), scene.login(CAROL), scene.link(1)
    _, stream = connected_out(alice, scene.bob, link)
    data, lives = connected_out(carol, scene.dave, link)
    pour(stream.send)
    link.expect(0xB8)
    meet(data, lives)


@CASES.case(Reason.HELD_ALL_FULL, node="held in all")
def clients_that_do_not_read(scene: Scene) -> None:
    """The one for whom most is held loses its conversation."""
    alice, carol, link = scene.login(ALICE), scene.login(CAROL), scene.link(1)
    _, stream = connected_out(alice, scene.bob, link)
    data, lives = connected_out(carol, scene.dave, link)
    pour(stream.send)
    link.expect(0xB8)
    meet(data, lives)


def pour(send: Callable[[bytes], None]) -> None:
    with contextlib.suppress(Closed):
        while True:
            send(bytes(65524))


# -- Links that come and go ---------------------------------------------------------------------------------------


@CASES.case(Reason.LINK_RATE, node="link rate")
def a_link_that_closes_and_opens_in_a_loop(scene: Scene) -> None:
    """The rate is that node's: others are let in."""
    for turn in range(8):
        link = scene.keep(RawLink.prepared(scene.node.address, node_identity(1), home(1)))
        link.start()
        with contextlib.suppress(Closed):
            link.introduce(None)
            if turn < 3:
                link.sync()
            else:
                assert link.ended() == []
                assert link.heard == []
        link.reset()
    assert scene.link(2).sync() == []


@CASES.case(node="links")
def a_link_that_opens_in_a_loop_with_calls_on_it(scene: Scene) -> None:
    """Each time its calls end with it: the callee is told, no call is left."""
    alice = scene.login(ALICE)
    for turn in range(30):
        link = scene.link(1)
        called_in(link, 1000 + turn, alice)
        if turn % 2:
            link.reset()
        else:
            link.end()
        alice.expect(0x05, u32(1000 + turn))


@CASES.case(Reason.LINKS_FULL, node="links full")
def too_many_links(scene: Scene) -> None:
    """Those that stand are not disturbed."""
    links = [scene.link(number) for number in range(1, 5)]
    refused_link(scene, 5)
    assert all(link.sync() == [] for link in links)
    links[0].close()
    scene.until("links", 4)
    scene.link(5)


@CASES.case(Reason.LINKS_ADDRESS_FULL, node="links an address")
def too_many_links_from_one_address(scene: Scene) -> None:
    for number in (1, 2, 3):
        scene.keep(RawLink.dial(scene.node.address, node_identity(number), home(9))).sync()
    refused_link(scene, 4, home(9))
    scene.link(5)


def refused_link(scene: Scene, number: int, source: str = "") -> None:
    link = scene.keep(RawLink.prepared(scene.node.address, node_identity(number), source or home(number)))
    link.start()
    with contextlib.suppress(Closed):
        link.introduce(None)
    assert link.ended() == []
    assert link.heard == []


@CASES.case(Reason.LINK_UNUSED, node="links quick")
def connections_that_never_become_links(scene: Scene) -> None:
    for number in range(20):
        link = scene.keep(RawLink.prepared(scene.node.address, node_identity(number), home(number)))
        link.start()
    for number in range(20):
        assert scene.opened(RawLink)[number].ended() == []


@CASES.case(Reason.LINK_REPLACED, node="links silent")
def a_dead_link_is_replaced_by_a_newer(scene: Scene) -> None:
    alice, dead = scene.login(ALICE), scene.link(1)
    data, _ = connected_out(alice, scene.bob, dead)
    dead.pongs = dead.lists = False
    newer = scene.link(1)
    assert dead.ended() == []
    assert ended(data) == b""
    assert newer.sync() == []
