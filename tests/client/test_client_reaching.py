"""Opening the control connection: names, addresses that answer nothing, ranges, and a resolver that hangs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from client.client_world import ALICE, run, world
from client.test_client_staying_online import free_port
from uzel.client.reaching import ANYWHERE, _first, reach
from uzel.errors import NodeUnreachableError, Reason, TimedOutError
from uzel.names import NodeAddress, NodeReference, Range


@contextlib.contextmanager
def black_hole(host: str) -> Iterator[int]:
    """A port at which connecting takes for ever: its queue is full. The port is free at 127.0.0.1, too."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with socket.socket() as deaf, contextlib.ExitStack() as stack:
        deaf.bind((host, port))
        deaf.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((host, port))
        yield port


def test_a_node_given_by_name() -> None:
    async def story() -> None:
        async with world() as w:
            by_name = NodeReference(NodeAddress("localhost", w.reference.address.port))
            async with w.client(ALICE, nodes=[by_name]) as alice:
                assert (await alice.wait_online()).node == by_name.address

    run(story)


def test_a_dead_address_of_a_name_costs_a_moment_only() -> None:
    async def story() -> None:
        with black_hole("127.0.0.2") as port, socket.create_server(("127.0.0.1", port)):
            loop = asyncio.get_running_loop()
            address = NodeAddress("node.example", port)
            async with asyncio.timeout(5):
                found = await _first(address, ["127.0.0.2", "127.0.0.1"], ANYWHERE, loop.time() + 600)
            with found:
                assert found.getpeername() == ("127.0.0.1", port)

    run(story)


def test_what_cannot_be_reached() -> None:
    async def story() -> None:
        with pytest.raises(NodeUnreachableError, match=r"failed|refused"):
            await reach(NodeAddress("127.0.0.1", free_port()), ANYWHERE, 5)
        with pytest.raises(NodeUnreachableError, match="may not be"):
            await reach(NodeAddress("127.0.0.1", free_port()), {Range.PUBLIC, Range.PRIVATE}, 5)
        with pytest.raises(NodeUnreachableError, match="may not be"):
            await reach(NodeAddress("localhost", free_port()), {Range.PUBLIC}, 5)
        with black_hole("127.0.0.1") as port, pytest.raises(TimedOutError) as late:
            await reach(NodeAddress("127.0.0.1", port), ANYWHERE, 0.1)
        assert late.value.reason == Reason.HANDSHAKE_TIMEOUT

    run(story)


def test_a_resolver_that_hangs_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()
    asked: list[object] = []

    def look_up(*arguments: object, **_: object) -> list[object]:
        asked.append(arguments[0])
        hangs.wait()
        return []

    async def story() -> None:
        with pytest.raises(TimedOutError, match="looked up"):
            await reach(NodeAddress("slow.example", 8935), ANYWHERE, 0.05)

    monkeypatch.setattr("uzel.client.reaching.socket.getaddrinfo", look_up)
    run(story)  # … whose loop is closed by now
    assert asked == ["slow.example"]
    hangs.set()


def test_giving_up_at_whatever_moment_leaves_no_socket() -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = NodeAddress("127.0.0.1", server.getsockname()[1])
            for moment in range(12):
                reaching = asyncio.create_task(reach(address, ANYWHERE, 5))
                for _ in range(moment):
                    await asyncio.sleep(0)
                reaching.cancel()
                await asyncio.wait([reaching])
                if not reaching.cancelled():
                    reaching.result().close()
                with contextlib.suppress(BlockingIOError):
                    server.setblocking(False)
                    server.accept()[0].close()

    run(story)
