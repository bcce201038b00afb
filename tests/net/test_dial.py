"""Dialling a node: only where it may go, in turn, in time."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

from uzel.errors import Reason
from uzel.names import NodeAddress, Range
from uzel.net.descriptors import open_descriptors
from uzel.net.dial import MOST_TRIED, DialError, bound_unsent, dial

ANY = frozenset({Range.LOOPBACK, Range.PRIVATE, Range.PUBLIC})
LOCAL = frozenset({Range.LOOPBACK})


@pytest.fixture(params=["asyncio", "uvloop"])
def loops(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def play(scene: Callable[[], Awaitable[None]], loops: str) -> None:
    async def timed() -> None:
        await asyncio.wait_for(scene(), 20)

    factory = uvloop.new_event_loop if loops == "uvloop" else asyncio.new_event_loop
    factory().close()  # the first uvloop opens descriptors that the process keeps
    before = open_descriptors()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(timed())
    assert open_descriptors() == before


@contextmanager
def door(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
        yield server.getsockname()[1]


def stage_names(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Whatever name is asked for stands for these addresses."""

    async def answer(self: Any, name: str, port: int, **_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", answer)


async def until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(0.001)


async def fails(address: NodeAddress, ranges: frozenset[Range], seconds: float = 10) -> Reason:
    with pytest.raises(DialError) as caught:
        await dial(address, ranges, seconds)
    return caught.value.reason


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_connection_comes_ready_to_use(loops: str, host: str) -> None:
    async def scene() -> None:
        with door(host) as port:
            sock, went_to = await dial(NodeAddress(host, port), LOCAL, 10)
            with sock:
                assert went_to == host
                assert not sock.getblocking()
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                bound_unsent(sock, 65_536)
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 65_536

    play(scene, loops)


def test_a_name_is_looked_up(loops: str) -> None:
    async def scene() -> None:
        with door() as port:
            sock, went_to = await dial(NodeAddress("localhost", port), LOCAL, 10)
            sock.close()
            assert went_to == "127.0.0.1"

    play(scene, loops)


def test_what_lies_in_no_allowed_range_is_never_knocked_at(loops: str) -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setblocking(False)
            port = server.getsockname()[1]
            for name in ("127.0.0.1", "localhost"):
                assert await fails(NodeAddress(name, port), frozenset({Range.PUBLIC})) is Reason.RANGE_REFUSED
            assert await fails(NodeAddress("0.0.0.0", port), ANY) is Reason.RANGE_REFUSED
            with pytest.raises(BlockingIOError):
                server.accept()

    play(scene, loops)


def test_of_a_name_s_addresses_only_the_allowed_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    stage_names(monkeypatch, "192.0.2.1", "10.0.0.1", "::ffff:127.0.0.1")

    async def scene() -> None:
        with door() as port:
            sock, went_to = await dial(NodeAddress("node.example", port), LOCAL, 10)
            sock.close()
            assert went_to == "127.0.0.1"

    play(scene, "asyncio")


def test_the_next_address_is_tried_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    stage_names(monkeypatch, "127.0.0.2", "127.0.0.3", "127.0.0.1")

    async def scene() -> None:
        with door() as port:
            sock, went_to = await dial(NodeAddress("node.example", port), LOCAL, 10)
            sock.close()
            assert went_to == "127.0.0.1"

    play(scene, "asyncio")


def test_a_name_with_many_addresses_is_not_followed_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    stage_names(monkeypatch, *(f"127.0.0.{number}" for number in range(2, 40)))
    tried: list[str] = []

    async def refuse(self: Any, sock: socket.socket, address: tuple[str, int]) -> None:
        tried.append(address[0])
        raise OSError(errno.ECONNREFUSED, "no")

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", refuse)

    async def scene() -> None:
        assert await fails(NodeAddress("node.example", 1), LOCAL) is Reason.NODE_UNREACHABLE

    play(scene, "asyncio")
    assert tried == ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"][:MOST_TRIED]


def test_an_address_that_does_not_answer_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    stage_names(monkeypatch, "127.0.0.2", "127.0.0.1")
    connect = asyncio.SelectorEventLoop.sock_connect

    async def drop(self: Any, sock: socket.socket, address: Any) -> None:
        if address[0] == "127.0.0.2":
            await asyncio.Event().wait()
        await connect(self, sock, address)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", drop)

    async def scene() -> None:
        with door() as port:
            sock, went_to = await dial(NodeAddress("node.example", port), LOCAL, 1)
            sock.close()
            assert went_to == "127.0.0.1"

    play(scene, "asyncio")


def test_a_port_that_nobody_listens_on(loops: str) -> None:
    async def scene() -> None:
        with door() as port:
            pass
        assert await fails(NodeAddress("127.0.0.1", port), LOCAL) is Reason.NODE_UNREACHABLE

    play(scene, loops)


def test_a_name_that_does_not_exist(loops: str) -> None:
    async def scene() -> None:
        assert await fails(NodeAddress("no-such-name.invalid", 1), ANY) is Reason.NAME_UNKNOWN

    play(scene, loops)


def test_a_name_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(self: Any, *_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", never)

    async def scene() -> None:
        assert await fails(NodeAddress("node.example", 1), ANY, 0.01) is Reason.HANDSHAKE_TIMEOUT

    play(scene, "asyncio")


def test_an_address_that_never_answers(loops: str) -> None:
    """A listening socket whose queue is full drops what comes: as silent as a firewall."""

    async def scene() -> None:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen(0)
            address = server.getsockname()
            fillers = [socket.socket() for _ in range(3)]
            for each in fillers:
                each.setblocking(False)
                each.connect_ex(address)
            assert await fails(NodeAddress(*address), LOCAL, 0.05) is Reason.HANDSHAKE_TIMEOUT
            for each in fillers:
                each.close()

    play(scene, loops)


def test_giving_up_leaves_nothing_behind(loops: str) -> None:
    async def scene() -> None:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen(0)
            address = server.getsockname()
            fillers = [socket.socket() for _ in range(3)]
            for each in fillers:
                each.setblocking(False)
                each.connect_ex(address)
            before = open_descriptors()
            dialling = asyncio.create_task(dial(NodeAddress(*address), LOCAL, 10))
            await until(lambda: open_descriptors() > before)
            dialling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dialling
            assert open_descriptors() == before
            for each in fillers:
                each.close()

    play(scene, loops)
