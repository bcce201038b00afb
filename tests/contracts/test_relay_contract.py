"""What a relay promises, on both event loops, by copying and by splicing, over both kinds of socket."""

import asyncio
import errno
import os
import socket
import struct

import pytest

from relay_rig import (
    BIG,
    QUICK,
    SETTINGS,
    STREAM,
    CountedPool,
    Pair,
    World,
    receive,
    receive_all,
    send,
    send_in_pieces,
    stall,
    stuff,
    stuff_hands,
    until,
)
from uzel.errors import Reason
from uzel.net.pipes import Pipe
from uzel.net.relay import RelayEnd


@pytest.fixture(params=["unix", "tcp"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["asyncio", "uvloop"])
def loops(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["portable", "splice"])
def world(request: pytest.FixtureRequest, kind: str, loops: str) -> World:
    return World(kind, loops, str(request.param))


def test_bytes_arrive_in_order_and_whole_in_both_directions_at_once(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world)
        back = BIG[::-1]
        _, _, at_b, at_a = await asyncio.gather(
            send_in_pieces(pair.a, BIG, 2),
            send_in_pieces(pair.b, back, 3),
            receive(pair.b, len(BIG), 4),
            receive(pair.a, len(back), 5),
        )
        assert at_b == BIG
        assert at_a == back
        assert pair.relay.copied == (len(BIG), len(back))
        if world.pool is not None:
            assert world.pool.lent > 2
            assert world.pool.out == 0, "an idle pair holds a pipe"
        assert not pair.relay._ways[0].held
        pair.relay.abort()

    world.run(scene)


def test_small_messages_pass_at_once_and_need_no_pipe(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world)
        for i in range(20):
            await send(pair.a, b"ping %d" % i)
            assert await receive(pair.b, len(b"ping %d" % i)) == b"ping %d" % i
            await send(pair.b, b"pong")
            assert await receive(pair.a, 4) == b"pong"
        assert world.pool is None or world.pool.lent == 0
        pair.relay.abort()

    world.run(scene)


def test_a_last_big_text_and_a_close_arrive_whole(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world)
        sending = asyncio.create_task(send(pair.a, BIG))
        sending.add_done_callback(lambda _: pair.a.close())
        assert await receive_all(pair.b) == BIG
        pair.b.close()
        assert await pair.done() is None
        assert pair.ended == [RelayEnd(pair.ended[0].a_to_b, 0, "a", None)]
        assert pair.relay.copied == (len(BIG), 0)
        await sending

    world.run(scene)


def test_one_side_s_end_ends_both_and_passes_on_what_the_other_had_sent(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world)
        await send(pair.a, b"from a")
        pair.b.send(b"from b, in flight")
        pair.a.shutdown(socket.SHUT_WR)
        assert await receive_all(pair.b) == b"from a"
        assert await receive_all(pair.a) == b"from b, in flight"
        pair.a.close()
        pair.b.close()
        assert await pair.done() is None
        assert pair.ended[0].first == "a"

    world.run(scene)


def test_what_is_sent_after_the_end_is_not_passed_on(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world)
        pair.a.shutdown(socket.SHUT_WR)
        await asyncio.wait_for(pair.over.wait(), 10)
        timer = pair.relay._timer
        pair.relay.end()
        assert pair.relay._timer is timer, "it began to end a second time"
        await send(pair.b, b"too late")
        assert await receive_all(pair.a) == b""
        pair.b.close()
        assert await pair.done() is None

    world.run(scene)


def test_a_reset_ends_the_other_side(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world)
        await send(pair.b, b"never read by a")
        await until(lambda: pair.relay.copied[1] > 0)
        pair.a.close()  # with unread bytes: that is a reset
        assert await receive_all(pair.b) == b""
        pair.b.close()
        assert await pair.done() is None
        assert pair.ended == [RelayEnd(0, 15, "a", Reason.CONNECTION_LOST)]

    world.run(scene)


def test_a_side_that_is_gone_while_it_is_sent_to(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world)
        await stuff(pair)
        pair.b.close()
        await asyncio.wait_for(pair.over.wait(), 10)
        assert (pair.ended[0].first, pair.ended[0].reason) == ("b", Reason.CONNECTION_LOST)
        pair.a.close()
        assert await pair.done() is None

    world.run(scene)


@pytest.mark.parametrize("way", ["portable", "splice"])
def test_a_side_that_takes_no_more_but_still_sends(loops: str, way: str) -> None:
    world = World("unix", loops, way)  # TCP does not tell its peer

    async def scene() -> None:
        pair = Pair(world)
        await stuff(pair)
        await send(pair.b, b"last words")
        pair.b.shutdown(socket.SHUT_RD)
        await receive_all(pair.b)  # what had reached it; only then is the relay told that there is room, and fails
        assert await receive_all(pair.a) == b"last words"
        assert (pair.ended[0].first, pair.ended[0].reason) == ("b", Reason.CONNECTION_LOST)
        pair.a.close()
        pair.b.close()
        assert await pair.done() is None

    world.run(scene)


def test_a_reader_that_stops_holds_little_and_hinders_nobody(world: World) -> None:
    async def scene() -> None:
        pair, other = Pair(world), Pair(world)
        sent = await stuff(pair)
        way = pair.relay._ways[0]
        assert len(way.held or b"") <= SETTINGS.buffer
        assert way.in_pipe <= (way.pipe.size if way.pipe else 0)
        _, got = await asyncio.gather(send(other.a, BIG), receive(other.b, len(BIG)))
        assert got == BIG
        assert await receive(pair.b, sent, 6) == STREAM[:sent]
        await send(pair.a, b"goes on")
        assert await receive(pair.b, 7) == b"goes on"
        pair.relay.abort()
        other.relay.abort()

    world.run(scene)


def test_the_end_is_seen_behind_a_reader_that_stops_and_the_drain_time_closes(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world, QUICK)
        await stuff_hands(pair)
        if world.kind == "tcp":  # a FIN would wait behind bytes that the closed window keeps back; a reset does not
            pair.a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        pair.a.close()
        assert await pair.done() is Reason.DRAIN_TIMEOUT
        assert pair.ended[0].first == "a"

    world.run(scene)


def test_a_reader_that_goes_on_within_the_drain_time_gets_everything(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world)
        sent = await stall(pair)
        pair.a.close()
        await asyncio.wait_for(pair.over.wait(), 10)
        assert await receive_all(pair.b) == STREAM[:sent]
        assert pair.relay.copied == (sent, 0)
        pair.b.close()
        assert await pair.done() is None

    world.run(scene)


def test_a_peer_that_never_closes_is_left_after_the_drain_time(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world, QUICK)
        await send(pair.a, b"farewell")
        pair.a.close()
        assert await receive_all(pair.b) == b"farewell"
        assert await pair.done() is Reason.DRAIN_TIMEOUT

    world.run(scene)


def test_bytes_that_came_before_the_relay_go_first(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world, pending_a=b"early a, ", pending_b=b"early b, ")
        await send(pair.a, b"later a")
        await send(pair.b, b"later b")
        pair.a.shutdown(socket.SHUT_WR)
        assert await receive_all(pair.b) == b"early a, later a"
        assert await receive_all(pair.a) == b"early b, later b"
        pair.b.close()
        assert await pair.done() is None
        assert pair.relay.copied == (16, 16)

    world.run(scene)


def test_pending_bytes_larger_than_the_socket_takes(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world, pending_a=BIG)
        sending = asyncio.create_task(send(pair.a, b"behind them"))
        assert await receive(pair.b, len(BIG), 7) == BIG
        assert await receive(pair.b, 11) == b"behind them"
        await sending
        pair.relay.abort()

    world.run(scene)


def test_abort_closes_now_and_reports_once(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world)
        await stuff(pair)
        pair.relay.abort()
        assert pair.closed.is_set()
        pair.relay.abort()
        pair.relay.end()
        assert await pair.done() is None
        assert pair.ended == []

    world.run(scene)


def test_abort_from_within_the_report_of_the_end(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world)
        pair.also = pair.relay.abort
        await send(pair.a, b"x")
        pair.a.close()
        assert await pair.done() is None
        assert len(pair.ended) == 1

    world.run(scene)


def test_end_passes_on_what_was_received_and_tells_both(world: World) -> None:
    async def scene() -> None:
        pair = Pair(world)
        sent = await stuff(pair)
        await send(pair.b, b"from b")
        pair.relay.end()
        pair.relay.end()
        got = await receive_all(pair.b)
        assert 0 < len(got) <= sent
        assert got == STREAM[: len(got)]
        assert await receive_all(pair.a) == b"from b"
        pair.a.close()
        pair.b.close()
        assert await pair.done() is None
        assert pair.ended == []

    world.run(scene)


def test_an_exhausted_pool_means_copying(kind: str, loops: str) -> None:
    world = World(kind, loops, "splice")
    world.pool = CountedPool(limit=0)

    async def scene() -> None:
        pair = Pair(world)
        _, got = await asyncio.gather(send(pair.a, BIG), receive(pair.b, len(BIG)))
        assert got == BIG
        pair.relay.abort()

    world.run(scene)
    assert world.pool.lent == 0


@pytest.mark.parametrize("broken", ["into the pipe", "out of the pipe"])
def test_a_socket_that_cannot_be_spliced_is_copied(
    kind: str, loops: str, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(kind, loops, "splice")
    splice, pipes = os.splice, set[int]()
    refused = 0

    def picky(src: int, dst: int, count: int, *, flags: int) -> int:
        nonlocal refused
        if broken == "into the pipe" or src in pipes:
            refused += 1
            raise OSError(errno.EINVAL, "not this one")
        return splice(src, dst, count, flags=flags)

    class Marked(CountedPool):
        def take(self) -> Pipe | None:
            pipe = super().take()
            if pipe is not None:
                pipes.add(pipe.exit)
            return pipe

    world.pool = Marked()
    monkeypatch.setattr(os, "splice", picky)

    async def scene() -> None:
        pair = Pair(world)
        _, got = await asyncio.gather(send(pair.a, BIG), receive(pair.b, len(BIG), 8))
        assert got == BIG
        assert refused > 0
        pair.relay.abort()

    world.run(scene)
