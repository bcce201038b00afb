"""Unix sockets for httpcore, on asyncio's own streams.

Why not the ones that come with it: when they are cancelled in the moment in which something comes, their event loop
complains of an `InvalidStateError`, and a bot that ends would print it. Counterpart: `async_client`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import httpcore


class UnixSockets(httpcore.AsyncNetworkBackend):
    """Connects to Unix sockets, and to nothing else."""

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Raises `ConnectTimeout`, `ConnectError`."""
        del socket_options
        try:
            async with asyncio.timeout(timeout):
                return _Stream(*await asyncio.open_unix_connection(path))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                return await self._reader.read(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            async with asyncio.timeout(timeout):
                self._writer.write(buffer)
                await self._writer.drain()
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    def get_extra_info(self, info: str) -> object:
        """`is_readable`: an idle connection on which something comes, the end, is of no use any more."""
        return self._reader.at_eof() if info == "is_readable" else None
