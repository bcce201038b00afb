"""A thousand repeats of bad input leave no memory behind."""

from __future__ import annotations

import contextlib
import gc
import tracemalloc
from collections.abc import Callable

import pytest

from e2e.cases_hello import HTTP, first_bytes
from e2e.raw_client import Tcp, context, frame, pair, u32
from e2e.raw_identity import identity, lying, node_identity
from e2e.raw_link import RawLink
from e2e.stage import Scene, Stage, ended

REPEATS = 1000
MOST_BYTES = 64 * 1024
WARM_UP = 100


def control(data: bytes) -> Callable[[Scene], None]:
    return first_bytes(data, on_data=False)


def misplaced_inside_tls(scene: Scene) -> None:
    client = scene.client(2)
    client.tls_context = CONTEXT
    client.login().send(0x30, b"\x02\x00hi")
    client.ended()


def a_second_key(scene: Scene) -> None:
    client = scene.client(TAKER)
    client.tls_context = TAKERS_CONTEXT
    client.connect()
    client.hello()
    client.handshake()
    client.ended()


def garbage_instead_of_tls(scene: Scene) -> None:
    client = scene.client(2)
    client.connect()
    client.hello()
    client.tcp.send(bytes(64))
    ended(client.tcp)


def other_version(scene: Scene) -> None:
    tcp = scene.tcp()
    tcp.send(frame(0xCA, b"\x02\x00"))
    assert ended(tcp) == frame(0x02, b"\x01\x00")


def no_such_call(scene: Scene) -> None:
    tcp = scene.tcp(data=True)
    tcp.send(frame(0x20, pair(7, 8)))
    ended(tcp)


def calls_that_cannot_be(scene: Scene) -> None:
    client = scene.client(2)
    client.tls_context = CONTEXT
    client.login()
    for code, uin in ((0x03, 7), (0x03, 0), (0x06, 7), (0x08, 7)):
        client.send(code, u32(uin))
    client.sync()
    client.tcp.reset()


def linked_with(scene: Scene) -> RawLink:
    link = RawLink(Tcp(scene.node.address), node_identity(1), dialled=True, tls_context=NODES_CONTEXT)
    scene.keep(link)
    link.hello()
    link.handshake()
    link.start()
    return link


def nonsense_on_a_link(scene: Scene) -> None:
    link = linked_with(scene)
    link.sync()
    link.send(0x03, u32(7))
    link.ended()


def calls_of_nobody_on_a_link(scene: Scene) -> None:
    link = linked_with(scene)
    for code in (0xAA, 0xAB, 0xB8):
        link.send(code, pair(7, 8))
    link.relayed(7, 8, b"x")
    link.search(7)
    link.found_here(8)
    link.send(0xA4, b"\x01\x00\xa0\x00\x00\x00\x00\x22\xe7")
    link.sync()
    link.reset()


CONTEXT = context(identity(2), server=True)
NODES_CONTEXT = context(node_identity(1), server=True)
TAKER = lying(identity(3).uin)
TAKERS_CONTEXT = context(TAKER, server=True)
BAD_INPUTS: list[Callable[[Scene], None]] = [
    control(HTTP),
    control(frame(0x77)),
    control(frame(0x03, u32(7))),
    other_version,
    no_such_call,
    garbage_instead_of_tls,
    misplaced_inside_tls,
    a_second_key,
    calls_that_cannot_be,
    nonsense_on_a_link,
    calls_of_nobody_on_a_link,
]


@pytest.mark.timeout(120)
def test_a_thousand_repeats_leave_no_memory(stage: Stage) -> None:
    with stage.scene() as scene, scene.node.nobody_else_listening():
        bystanders, canary = scene.node.footprint(), stage.canary
        assert canary is not None

        def once(bad: Callable[[Scene], None]) -> None:
            inner = Scene(scene.node)
            with contextlib.closing(inner):
                bad(inner)

        def settled() -> int:
            Stage.settle(scene.node, bystanders)
            with canary.still:  # its buffers are no part of this
                gc.collect()
                return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            for number in range(WARM_UP):
                once(BAD_INPUTS[number % len(BAD_INPUTS)])
            before = settled()
            for number in range(REPEATS):
                once(BAD_INPUTS[number % len(BAD_INPUTS)])
            grown = settled() - before
        finally:
            tracemalloc.stop()
    assert grown < MOST_BYTES
