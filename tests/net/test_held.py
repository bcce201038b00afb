"""A data connection that waits for its other side."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from uzel.errors import Reason
from uzel.net.held import HeldData


def play(scene: Callable[[socket.socket, socket.socket], Awaitable[None]]) -> None:
    far, near = socket.socketpair()
    far.setblocking(False)
    near.setblocking(False)
    with far, near:
        asyncio.run(asyncio.wait_for(scene(far, near), 10))


async def turns() -> None:
    """Let the loop look at its sockets: bytes sent over a socketpair are there at once."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_early_bytes_are_kept_and_handed_over() -> None:
    async def scene(far: socket.socket, near: socket.socket) -> None:
        lost: list[Reason | None] = []
        held = HeldData(asyncio.get_running_loop(), near, on_lost=lost.append, early=b"with the hello, ")
        far.send(b"later, ")
        await turns()
        sock, early = held.release()
        assert sock is near
        assert early == b"with the hello, later, "
        far.send(b"not ours any more")
        far.close()
        await turns()
        assert near.recv(100) == b"not ours any more"
        assert lost == []
        held.close()
        assert near.fileno() >= 0
        with pytest.raises(RuntimeError):
            held.release()

    play(scene)


def test_beyond_the_bound_nothing_is_read() -> None:
    async def scene(far: socket.socket, near: socket.socket) -> None:
        lost: list[Reason | None] = []
        held = HeldData(asyncio.get_running_loop(), near, on_lost=lost.append, bound=10)
        far.send(b"0123456789abc")
        await turns()
        sock, early = held.release()
        assert early == b"0123456789"
        assert sock.recv(100) == b"abc"

    play(scene)


def test_the_end_is_reported_once_and_closes() -> None:
    async def scene(far: socket.socket, near: socket.socket) -> None:
        lost: list[Reason | None] = []
        held = HeldData(asyncio.get_running_loop(), near, on_lost=lost.append)
        far.send(b"hello")
        far.close()
        await turns()
        assert lost == [None]
        assert near.fileno() == -1
        held.close()

    play(scene)


def test_a_reset_is_reported_with_its_reason() -> None:
    async def scene(far: socket.socket, near: socket.socket) -> None:
        lost: list[Reason | None] = []
        near.send(b"never read")
        HeldData(asyncio.get_running_loop(), near, on_lost=lost.append)
        far.close()
        await turns()
        assert lost == [Reason.CONNECTION_LOST]
        assert near.fileno() == -1

    play(scene)


def test_close_says_nothing() -> None:
    async def scene(far: socket.socket, near: socket.socket) -> None:
        lost: list[Reason | None] = []
        held = HeldData(asyncio.get_running_loop(), near, on_lost=lost.append)
        far.close()
        held.close()
        held.close()
        await turns()
        assert lost == []
        assert near.fileno() == -1

    play(scene)
