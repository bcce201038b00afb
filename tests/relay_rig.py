"""The stage for a relay's contract: a real pair in every combination of loop, way and kind of socket."""

import asyncio
import random
import select
import socket
from collections.abc import Awaitable, Callable

import uvloop

from uzel.errors import Reason
from uzel.net.descriptors import open_descriptors
from uzel.net.pipes import Pipe, PipePool
from uzel.net.relay import Relay, RelayEnd, RelaySettings

BIG = random.Random(1).randbytes(3 << 20)
STREAM = memoryview(BIG * 16)
SETTINGS = RelaySettings(drain=20, bulk_read=4096, bulk_after=2, stall_check=0.01)
QUICK = RelaySettings(drain=0.05, bulk_read=4096, bulk_after=2, stall_check=0.01)


class CountedPool(PipePool):
    """A real pool that knows how often it lent a pipe."""

    def __init__(self, *, limit: int = 8) -> None:
        super().__init__(limit=limit)
        self.lent = 0

    def take(self) -> Pipe | None:
        pipe = super().take()
        self.lent += pipe is not None
        return pipe


class Pair:
    """A relay between two sockets whose far ends, `a` and `b`, are the test's."""

    def __init__(
        self,
        world: "World",
        settings: RelaySettings = SETTINGS,
        *,
        pending_a: bytes = b"",
        pending_b: bytes = b"",
    ) -> None:
        loop = asyncio.get_running_loop()
        self.a, near_a = world.connect()
        self.b, near_b = world.connect()
        self.ended: list[RelayEnd] = []
        self.reasons: list[Reason | None] = []
        self.closed = asyncio.Event()
        self.over = asyncio.Event()
        self.also: Callable[[], None] = lambda: None
        self.relay = Relay(
            loop, near_a, near_b, on_ended=self._ended, on_closed=self._closed,
            pending_a=pending_a, pending_b=pending_b, settings=settings, pipes=world.pool,
        )  # fmt: skip

    def _ended(self, end: RelayEnd) -> None:
        assert not self.reasons, "ended after closed"
        self.ended.append(end)
        self.over.set()
        self.also()

    def _closed(self, reason: Reason | None) -> None:
        self.reasons.append(reason)
        self.closed.set()

    async def done(self) -> Reason | None:
        """Wait for the close and check that all was reported once."""
        await asyncio.wait_for(self.closed.wait(), 10)
        await asyncio.sleep(0)
        assert len(self.reasons) == 1
        assert len(self.ended) <= 1
        timer = self.relay._timer
        assert timer is None or timer.cancelled(), "a timer stays behind"
        return self.reasons[0]


class World:
    """One combination under which the contract must hold."""

    def __init__(self, kind: str, loops: str, way: str) -> None:
        self.kind = kind
        self.loops = loops
        self.pool: CountedPool | None = CountedPool() if way == "splice" else None
        self.sockets: list[socket.socket] = []

    def connect(self) -> tuple[socket.socket, socket.socket]:
        if self.kind == "unix":
            far, near = socket.socketpair()
        else:
            with socket.create_server(("127.0.0.1", 0)) as server:
                far = socket.create_connection(server.getsockname())
                near = server.accept()[0]
            for each in (far, near):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.setblocking(False)
        near.setblocking(False)
        self.sockets.append(far)
        return far, near

    def run(self, scene: Callable[[], Awaitable[None]]) -> None:
        """Play the scene; afterwards no descriptor may be left and no pipe be out."""

        async def play() -> None:
            await asyncio.wait_for(scene(), 50)

        factory = uvloop.new_event_loop if self.loops == "uvloop" else asyncio.new_event_loop
        factory().close()  # the first uvloop opens descriptors that the process keeps
        before = open_descriptors()
        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(play())
        finally:
            for each in self.sockets:
                each.close()
        if self.pool is not None:
            assert self.pool.out == 0
            self.pool.close()
        assert open_descriptors() == before


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):  # a lost window update on a loaded machine takes its time
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


async def send(sock: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(sock, data)


async def send_in_pieces(sock: socket.socket, data: bytes, seed: int) -> None:
    chance = random.Random(seed)
    while data:
        size = chance.choice((1, 64, 1000, 20_000, 300_000))
        await send(sock, data[:size])
        data = data[size:]


async def receive(sock: socket.socket, count: int, seed: int | None = None) -> bytes:
    """Exactly so many bytes; with a seed in small random pieces, giving way in between."""
    chance = random.Random(seed)
    got = bytearray()
    while len(got) < count:
        size = chance.choice((7, 5000, 70_000)) if seed is not None else 1 << 20
        piece = await asyncio.get_running_loop().sock_recv(sock, min(size, count - len(got)))
        assert piece, f"the end after {len(got)} of {count} bytes"
        got += piece
    return bytes(got)


async def receive_all(sock: socket.socket) -> bytes:
    got = bytearray()
    while piece := await asyncio.get_running_loop().sock_recv(sock, 1 << 20):
        got += piece
    return bytes(got)


def stalled(pair: Pair) -> bool:
    """The relay waits for b's room and there is none. It may hold nothing: the last bytes it had just fitted in."""
    way = pair.relay._ways[0]
    if not way.blocked:
        return False
    poll = select.poll()
    poll.register(way.sink.fileno(), select.POLLOUT)
    return not poll.poll(0)


async def stuff(pair: Pair) -> int:
    """Let a send the endless stream until nothing moves any more; returns how many bytes went in."""
    sent = 0

    def stuck() -> bool:
        nonlocal sent
        try:
            while True:
                sent += pair.a.send(STREAM[sent:])
        except BlockingIOError:
            return stalled(pair)

    await until(stuck)
    return sent


async def stuff_hands(pair: Pair) -> None:
    """The same, until the relay also holds something that it could not pass on."""
    way = pair.relay._ways[0]
    await stuff(pair)
    while not (way.held or way.in_pipe):
        await receive(pair.b, 300_000)
        await stuff(pair)


async def stall(pair: Pair) -> int:
    """Let a send until the relay is stalled, with all of it received by the relay's side: the end can get there too."""
    sent = 0

    def arrived() -> bool:
        return pair.relay.copied[0] == sent or stalled(pair)

    while not stalled(pair):
        sent += pair.a.send(STREAM[sent : sent + 65536])
        await until(arrived)
    return sent
