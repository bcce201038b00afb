"""What a bridged data connection promises, on both event loops and over both kinds of socket."""

import asyncio
import socket
import struct
from collections.abc import Callable

import pytest

from relay_rig import BIG, STREAM, World, receive, receive_all, send, send_in_pieces, until
from uzel.errors import Reason
from uzel.net.bridge import MOST_READ, BridgedData

RESET = struct.pack("ii", 1, 0)


@pytest.fixture(params=["unix", "tcp"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["asyncio", "uvloop"])
def world(request: pytest.FixtureRequest, kind: str) -> World:
    return World(kind, str(request.param), "portable")


class Desk:
    """An owner that writes down what it is told; `client` is the far end of the bridged socket."""

    def __init__(self, world: World, *, early: bytes = b"", drain: float = 20.0) -> None:
        self.client, near = world.connect()
        self.got = bytearray()
        self.pieces: list[int] = []
        self.ended: list[Reason | None] = []
        self.backlogs: list[int] = []
        self.closed: list[Reason | None] = []
        self.also: Callable[[], None] = lambda: None
        self.bridge = BridgedData(asyncio.get_running_loop(), near, self, name=7, early=early, drain=drain)
        assert not self.got

    def data_came(self, bridge: BridgedData, data: bytes) -> None:
        assert not self.ended
        assert not self.closed
        self.got += data
        self.pieces.append(len(data))
        self.also()

    def data_ended(self, bridge: BridgedData, reason: Reason | None) -> None:
        assert not self.closed
        self.ended.append(reason)
        self.also()

    def backlog_changed(self, bridge: BridgedData, unsent: int) -> None:
        assert bridge.unsent == unsent
        self.backlogs.append(unsent)

    def bridge_closed(self, bridge: BridgedData, reason: Reason | None) -> None:
        self.closed.append(reason)

    async def has(self, count: int) -> bytes:
        await until(lambda: len(self.got) >= count)
        return bytes(self.got)

    async def has_pieces(self, count: int) -> None:
        await until(lambda: len(self.pieces) >= count)
        assert len(self.pieces) == count

    async def done(self) -> Reason | None:
        """Wait for the close and check that everything was said once."""
        await until(lambda: bool(self.closed))
        await asyncio.sleep(0)
        assert len(self.closed) == 1
        assert len(self.ended) <= 1
        timer = self.bridge._timer
        assert timer is None or timer.cancelled() or self.closed == [Reason.DRAIN_TIMEOUT]
        return self.closed[0]

    def fill(self) -> int:
        """Write until something is kept; returns how much was written in all."""
        written = 0
        while not self.bridge.unsent:
            self.bridge.write(STREAM[written : written + MOST_READ].tobytes())
            written += MOST_READ
        return written


def test_bytes_go_up_in_order_whole_and_in_pieces_that_fit(world: World) -> None:
    async def scene() -> None:
        desk = Desk(world)
        await send_in_pieces(desk.client, BIG, 2)
        assert await desk.has(len(BIG)) == BIG
        assert max(desk.pieces) <= MOST_READ
        assert desk.bridge.received == len(BIG)
        desk.bridge.close()

    world.run(scene)


def test_what_is_written_arrives_in_order_and_whole_whatever_its_pieces(world: World) -> None:
    async def scene() -> None:
        desk = Desk(world)
        receiving = asyncio.create_task(receive(desk.client, len(BIG), 3))
        at = 0
        while at < len(BIG):
            for size in (1, 3, 0, 900, MOST_READ, 20_000):
                desk.bridge.write(BIG[at : at + size])
                at += size
            await asyncio.sleep(0)
        assert await receiving == BIG
        assert desk.bridge.sent == len(BIG)
        assert desk.bridge.unsent == 0
        assert desk.backlogs == [] or desk.backlogs[-1] == 0
        desk.bridge.close()

    world.run(scene)


def test_what_is_kept_is_told_and_told_again_when_nothing_is(world: World) -> None:
    async def scene() -> None:
        desk = Desk(world)
        desk.bridge.write(b"taken at once")
        assert desk.backlogs == []
        written = desk.fill()
        assert desk.backlogs == [desk.bridge.unsent]
        desk.bridge.write(b"1")
        desk.bridge.write(b"22")
        assert desk.backlogs[1:] == [desk.backlogs[0] + 1, desk.backlogs[0] + 3]
        got = await receive(desk.client, 13 + written + 3, 5)
        assert got == b"taken at once" + STREAM[:written].tobytes() + b"122"
        await until(lambda: desk.backlogs[-1] == 0)
        assert desk.backlogs.count(0) == 1
        desk.bridge.write(b"goes on")
        assert await receive(desk.client, 7) == b"goes on"
        desk.bridge.close()

    world.run(scene)


def test_a_million_single_bytes_are_kept_in_few_objects(world: World) -> None:
    async def scene() -> None:
        desk = Desk(world)
        written = desk.fill()
        for _ in range(100_000):
            desk.bridge.write(b"x")
        assert len(desk.bridge._backlog) < 10
        assert await receive(desk.client, written + 100_000) == STREAM[:written].tobytes() + b"x" * 100_000
        desk.bridge.close()

    world.run(scene)


def test_while_paused_nothing_is_read_and_the_client_is_held_back(world: World) -> None:
    async def scene() -> None:
        desk, other = Desk(world), Desk(world)
        desk.bridge.pause()
        desk.bridge.pause()
        sending = asyncio.create_task(send(desk.client, BIG * 4))
        await send(other.client, b"undisturbed")
        assert await other.has(11) == b"undisturbed"
        assert not sending.done()
        assert not desk.got
        desk.bridge.resume()
        desk.bridge.resume()
        assert await desk.has(len(BIG) * 4) == BIG * 4
        await sending
        desk.bridge.close()
        other.bridge.close()

    world.run(scene)


def test_a_pause_from_within_holds_from_the_next_piece_on(world: World) -> None:
    async def scene() -> None:
        desk = Desk(world)
        desk.also = desk.bridge.pause
        sending = asyncio.create_task(send(desk.client, BIG))
        while len(desk.got) < len(BIG):
            count = len(desk.pieces)
            desk.bridge.resume()
            await desk.has_pieces(count + 1)
        assert desk.got == BIG
        await sending
        desk.bridge.close()

    world.run(scene)


def test_early_bytes_go_first_and_obey_a_pause(world: World) -> None:
    async def scene() -> None:
        early = BIG[: 3 * MOST_READ + 5]
        desk = Desk(world, early=early)
        desk.also = desk.bridge.pause
        await send(desk.client, b"later")
        for count in (1, 2, 3, 4):
            await desk.has_pieces(count)
            desk.bridge.resume()
        assert await desk.has(len(early) + 5) == early + b"later"
        assert desk.pieces == [MOST_READ, MOST_READ, MOST_READ, 5, 5]
        desk.bridge.close()

    world.run(scene)


def test_the_client_s_end_is_told_and_what_is_kept_for_it_arrives(world: World) -> None:
    async def scene() -> None:
        desk = Desk(world)
        written = desk.fill()
        await send(desk.client, b"last words")
        desk.client.shutdown(socket.SHUT_WR)
        await until(lambda: desk.ended == [None])
        assert desk.got == b"last words"
        desk.bridge.write(b"too late")
        desk.bridge.end()
        assert await receive_all(desk.client) == STREAM[:written].tobytes()
        assert await desk.done() is None

    world.run(scene)


def test_end_passes_on_what_is_kept_and_drops_what_still_comes(world: World) -> None:
    async def scene() -> None:
        desk = Desk(world)
        written = desk.fill()
        await send(desk.client, b"unread")
        desk.bridge.end()
        timer = desk.bridge._timer
        desk.bridge.end()
        assert desk.bridge._timer is timer, "it began to end a second time"
        await send(desk.client, b"too late")
        assert await receive_all(desk.client) == STREAM[:written].tobytes()
        assert not desk.closed
        desk.client.close()
        assert await desk.done() is None
        assert not desk.got
        assert desk.ended == []

    world.run(scene)


def test_end_without_a_backlog_says_so_at_once(world: World) -> None:
    async def scene() -> None:
        desk = Desk(world, early=b"never delivered")
        desk.bridge.write(b"farewell")
        desk.bridge.end()
        assert await receive_all(desk.client) == b"farewell"
        desk.client.close()
        assert await desk.done() is None
        assert not desk.got

    world.run(scene)


def test_end_while_paused_reads_to_the_end(world: World) -> None:
    async def scene() -> None:
        desk = Desk(world)
        desk.bridge.pause()
        await send(desk.client, b"waits")
        desk.bridge.end()
        desk.client.close()
        assert await desk.done() is None
        assert not desk.got

    world.run(scene)


def test_a_client_that_never_ends_is_left_after_the_drain_time(world: World) -> None:
    async def scene() -> None:
        desk = Desk(world, drain=0.05)
        desk.bridge.end()
        assert await receive_all(desk.client) == b""
        assert await desk.done() is Reason.DRAIN_TIMEOUT

    world.run(scene)


def test_a_client_that_never_reads_is_left_after_the_drain_time(world: World) -> None:
    async def scene() -> None:
        desk = Desk(world, drain=0.05)
        desk.fill()
        desk.client.shutdown(socket.SHUT_WR)
        assert await desk.done() is Reason.DRAIN_TIMEOUT
        assert desk.ended == [None]
        if world.kind == "tcp":
            with pytest.raises(ConnectionResetError):  # so it knows that bytes are missing
                await receive_all(desk.client)

    world.run(scene)


def test_a_reset_is_told_once_by_its_name(world: World) -> None:
    async def scene() -> None:
        desk = Desk(world)
        desk.bridge.write(b"never read")
        if world.kind == "tcp":
            desk.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        desk.client.close()
        assert await desk.done() is None
        assert desk.ended == [Reason.CONNECTION_LOST]

    world.run(scene)


def test_a_client_that_goes_away_while_it_is_written_to(world: World) -> None:
    async def scene() -> None:
        desk = Desk(world)
        desk.fill()
        desk.client.close()
        await until(lambda: bool(desk.ended))
        assert desk.ended == [Reason.CONNECTION_LOST]
        assert await desk.done() is None
        desk.bridge.write(b"into the void")
        desk.bridge.pause()
        desk.bridge.resume()
        desk.bridge.end()
        assert desk.bridge.unsent == 0

    world.run(scene)


@pytest.mark.parametrize("loops", ["asyncio", "uvloop"])
def test_last_words_of_a_client_that_takes_no_more_are_read_at_the_owner_s_pace(loops: str) -> None:
    world = World("unix", loops, "portable")  # TCP does not tell its peer

    async def scene() -> None:
        desk = Desk(world)
        desk.bridge.pause()
        await send(desk.client, b"last words")
        desk.client.shutdown(socket.SHUT_RD)
        desk.bridge.write(b"refused")
        assert not desk.ended
        assert not desk.got
        desk.bridge.write(b"ignored")
        desk.bridge.resume()
        assert await desk.has(10) == b"last words"
        assert desk.ended == [Reason.CONNECTION_LOST]
        assert await desk.done() is None

    world.run(scene)


@pytest.mark.parametrize("loops", ["asyncio", "uvloop"])
def test_a_refused_write_behind_early_bytes_leaves_them_to_be_read(loops: str) -> None:
    world = World("unix", loops, "portable")

    async def scene() -> None:
        desk = Desk(world, early=b"early")
        desk.client.shutdown(socket.SHUT_RD)
        desk.bridge.write(b"refused")
        assert not desk.ended
        assert await desk.done() is None
        assert desk.got == b"early"
        assert desk.ended == [Reason.CONNECTION_LOST]

    world.run(scene)


@pytest.mark.parametrize("loops", ["asyncio", "uvloop"])
def test_a_client_that_takes_no_more_ends_the_end(loops: str) -> None:
    world = World("unix", loops, "portable")

    async def scene() -> None:
        desk = Desk(world)
        desk.fill()
        desk.bridge.end()
        desk.client.shutdown(socket.SHUT_RD)
        await receive_all(desk.client)
        assert await desk.done() is None
        assert desk.ended == []
        other = Desk(world)
        await send(other.client, b"x")
        other.bridge.pause()
        other.client.shutdown(socket.SHUT_RD)
        other.bridge.write(b"refused")
        other.bridge.end()
        assert other.closed == [None]

    world.run(scene)


def test_close_is_at_once_and_said_once(world: World) -> None:
    async def scene() -> None:
        desk = Desk(world)
        desk.fill()
        desk.bridge.close()
        assert desk.closed == [None]
        desk.bridge.close()
        desk.bridge.end()
        desk.bridge.write(b"x")
        if world.kind == "tcp":
            with pytest.raises(ConnectionResetError):
                await receive_all(desk.client)
        assert await desk.done() is None
        assert desk.ended == []

    world.run(scene)


def test_close_from_within_a_report(world: World) -> None:
    async def scene() -> None:
        desk, other = Desk(world), Desk(world, early=BIG[: 2 * MOST_READ])
        for each in (desk, other):
            each.also = each.bridge.close
        await send(desk.client, b"x")
        assert await desk.done() is None
        assert await other.done() is None
        assert other.pieces == [MOST_READ]
        ended = Desk(world)
        ended.also = ended.bridge.close
        ended.client.close()
        assert await ended.done() is None
        assert ended.ended == [None]

    world.run(scene)
