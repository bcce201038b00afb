"""A runner that draws what it sends: in order, as fast as the peer takes it, with little on the way (D25)."""

import asyncio
import itertools
import socket
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from uzel.errors import Reason
from uzel.identity import Identity
from uzel.net.runner import MOST_DRAWN, Runner
from uzel.session.link import LinkFraming
from uzel.session.machine import Event
from uzel.tls import Side, TlsEngine, make_context

MARK = 32 * 1024
PIECE = 20_000


@pytest.fixture(params=["asyncio", "uvloop"])
def loops(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def play(scene: Callable[[], Awaitable[None]], loops: str) -> None:
    async def timed() -> None:
        await asyncio.wait_for(scene(), 30)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loops == "uvloop" else None) as runner:
        runner.run(timed())


async def until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(0.001)


class Source:
    """Owner of a runner and maker of its output: numbered pieces, `left` of them."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.drawn = bytearray()
        self.numbers = itertools.count()
        self.closed: list[Reason | None] = []
        self.most = 0
        self.secured = False

    async def connect(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as server:
            far = socket.create_connection(server.getsockname())
            near, _ = server.accept()
        for each in (far, near):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            each.setblocking(False)
        self.runner = Runner(loop, self)
        await loop.create_connection(lambda: self.runner, sock=near)
        return far

    def draw(self) -> bytes:
        self.most = max(self.most, self.runner.transport.get_write_buffer_size())
        if not self.left:
            return b""
        self.left -= 1
        piece = next(self.numbers).to_bytes(4, "big") * (PIECE // 4)
        self.drawn += piece
        return piece

    def on_events(self, runner: Runner, events: list[Event]) -> None:
        raise AssertionError(events)

    def on_secured(self, runner: Runner) -> None:
        self.secured = True

    def on_closed(self, runner: Runner) -> None:
        self.closed.append(runner.reason)


async def receive(sock: socket.socket, count: int) -> bytes:
    got = bytearray()
    while len(got) < count:
        piece = await asyncio.get_running_loop().sock_recv(sock, 100_000)
        assert piece
        got += piece
    return bytes(got)


def test_all_of_it_arrives_in_order_and_little_is_ever_on_its_way(loops: str) -> None:
    async def scene() -> None:
        source = Source(500)
        with await source.connect() as far:
            source.runner.draw_from(source.draw, MARK)
            source.runner.pull()
            source.runner.pull()
            assert await receive(far, 500 * PIECE) == source.drawn
            await until(lambda: source.runner.transport.get_write_buffer_size() == 0)
            assert source.most <= MARK
            source.left = 1
            source.runner.pull()
            assert await receive(far, PIECE) == source.drawn[-PIECE:]
            source.runner.close()
            await until(lambda: bool(source.closed))

    play(scene, loops)


def test_a_peer_that_does_not_read_is_waited_for(loops: str) -> None:
    async def scene() -> None:
        source, other = Source(10_000), Source(50)
        with await source.connect() as far, await other.connect() as there:
            source.runner.draw_from(source.draw, MARK)
            source.runner.pull()
            before = -1
            while before != len(source.drawn):
                before = len(source.drawn)
                other.left = 50
                other.runner.draw_from(other.draw, MARK)
                other.runner.pull()
                await receive(there, 50 * PIECE)  # the others are not held up
            assert source.left > 9_000
            assert source.closed == []
            assert source.runner.transport.get_write_buffer_size() <= MARK + MOST_DRAWN
            left = source.left
            source.runner.pull()
            assert source.left == left
            source.left = 0
            assert await receive(far, len(source.drawn)) == source.drawn
            for each in (source, other):
                each.runner.close()
                await until(lambda each=each: bool(each.closed))  # type: ignore[misc] # a lambda's default has no type

    play(scene, loops)


def test_other_connections_have_their_turn_while_much_is_drawn(loops: str) -> None:
    async def scene() -> None:
        source = Source(1_000_000)
        with await source.connect() as far:
            source.runner.draw_from(source.draw, 1 << 30)  # never full
            source.runner.pull()
            assert source.left > 999_900
            source.left = 0
            assert await receive(far, len(source.drawn)) == source.drawn
            source.runner.abort()
            await until(lambda: bool(source.closed))

    play(scene, loops)


def test_without_drawing_such_a_peer_is_cut_off(loops: str) -> None:
    async def scene() -> None:
        source = Source(0)
        with await source.connect():
            source.runner.write(bytes(8 << 20))
            await until(lambda: bool(source.closed))
            assert source.closed == [Reason.SEND_QUEUE_FULL]

    play(scene, loops)


def test_a_peer_that_makes_tls_answer_and_does_not_read_is_cut_off(loops: str) -> None:
    """What TLS answers by itself is not drawn, so nothing else bounds it."""

    async def scene() -> None:
        source = Source(10_000)
        near = Identity.generate()
        with await source.connect() as far:
            loop = asyncio.get_running_loop()
            peer = TlsEngine(make_context(private_key=near.private_key, certificate=near.certificate, side=Side.SERVER))
            source.runner.start_tls(
                make_context(private_key=near.private_key, certificate=near.certificate, side=Side.CLIENT)
            )
            peer.start()
            while not peer.handshake_done:
                peer.receive(await loop.sock_recv(far, 65_536))
                await loop.sock_sendall(far, peer.data_to_send())
            await until(lambda: source.secured)
            source.runner.run(LinkFraming())
            source.runner._send_queue = 0
            source.runner.draw_from(source.draw, MARK)
            source.runner.pull()
            await until(lambda: source.runner._full)
            source.runner._write(bytes(MARK + 2 * MOST_DRAWN))  # as if TLS had answered so much
            assert source.closed == []
            peer.send(b"x")
            await loop.sock_sendall(far, peer.data_to_send())
            await until(lambda: bool(source.closed))
            assert source.closed == [Reason.SEND_QUEUE_FULL]

    play(scene, loops)
