"""The node answers its operator on a Unix socket in its state folder, which only its own user can open.

One line of JSON asks, `{"command":"status"}` or `{"command":"peers"}`; one line answers, `{"answer":…}` or
`{"error":"…"}`, and the connection ends. Size, number and time of connections are bounded, so that whatever connects
there can do the node no harm. It decides nothing: a provider knows the answers. Counterpart:
`uzel.faces.cli.node_status`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Protocol

from uzel.errors import UzelError
from uzel.store.admin_socket import ADMIN_SOCKET, bind_private

MOST_REQUEST = 4096
"""Bytes of a request, its line end among them."""
MOST_CONNECTIONS = 8
REQUEST_TIME = 5.0
"""Seconds for a request to come whole."""
ANSWER_TIME = 30.0
"""Seconds for an answer to be taken."""
PIECE = 200
"""Objects of a long answer that are encoded in one go, before the node's other work has its turn."""


class AdminProvider(Protocol):
    """Who knows the answers. A `UzelError` is answered as it is."""

    def status(self) -> Mapping[str, object]:
        """The node's state, ready for JSON."""

    def peers(self) -> Iterable[Mapping[str, object]]:
        """The known nodes, ready for JSON."""


class AdminServer:
    """`start`, then `stop`, both on one loop. The caller holds the lock of the folder."""

    def __init__(self, folder: Path, provider: AdminProvider) -> None:
        self._path = folder / ADMIN_SOCKET
        self._provider = provider
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.WriteTransport] = {}

    async def start(self) -> None:
        """Listen. What a crashed node left is replaced.

        Raises `ConfigError` when something else has the socket's name, `StorageError` when the folder refuses.
        """
        sock = bind_private(self._path)
        self._server = await asyncio.start_unix_server(
            self._connected, sock=sock, limit=MOST_REQUEST, backlog=MOST_CONNECTIONS
        )

    async def stop(self) -> None:
        """Listen no more, end what is open, remove the socket. May be called twice, and without `start`."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for transport in self._open.values():
            transport.abort()
        await asyncio.gather(*self._open)
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Not a coroutine: `stop` must know of each connection from its first moment."""
        if self._server is None:  # it was on its way while we stopped
            writer.transport.abort()
            return
        crowded = len(self._open) >= MOST_CONNECTIONS
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, crowded=crowded))
        self._open[task] = writer.transport
        task.add_done_callback(self._open.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, crowded: bool) -> None:
        writer.transport.set_write_buffer_limits(high=0)  # drained means taken: nothing lingers behind a close
        try:
            with contextlib.suppress(ConnectionError):
                await self._talk(reader, writer, crowded=crowded)
        finally:
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, crowded: bool) -> None:
        if crowded:
            pieces: Iterable[str] = (_error("too many are asking"),)
        else:
            pieces = await self._reply(reader)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_TIME):
                for piece in pieces:
                    if writer.is_closing():  # by `stop`
                        return
                    writer.write(piece.encode())
                    await writer.drain()
                    await asyncio.sleep(0)  # draining does not wait when the reader is quick

    async def _reply(self, reader: asyncio.StreamReader) -> Iterable[str]:
        try:
            async with asyncio.timeout(REQUEST_TIME):
                line = await reader.readuntil(b"\n")
        except TimeoutError:
            return (_error("the request did not come in time"),)
        except asyncio.LimitOverrunError:
            return (_error(f"a request has at most {MOST_REQUEST} bytes"),)
        except asyncio.IncompleteReadError:
            return (_error("a request is a whole line"),)
        try:
            return self._answer(_command(line))
        except UzelError as error:
            return (_error(str(error)),)

    def _answer(self, command: str | None) -> Iterable[str]:
        match command:
            case "status":
                return (_line({"answer": self._provider.status()}),)
            case "peers":
                return _long_answer(self._provider.peers())
            case None:
                return (_error('a request is an object like {"command":"status"}'),)
            case _:
                return (_error("there is no such command; there are status and peers"),)


def _command(line: bytes) -> str | None:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(request, dict) or set(request) != {"command"} or not isinstance(request["command"], str):
        return None
    return request["command"]


def _line(values: Mapping[str, object]) -> str:
    return json.dumps(values, separators=(",", ":")) + "\n"


def _error(text: str) -> str:
    return _line({"error": text})


def _long_answer(values: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """One line in pieces, so that a long list is never in memory as a whole."""
    rest = iter(values)
    before = '{"answer":['
    while some := list(islice(rest, PIECE)):
        yield before + ",".join(json.dumps(value, separators=(",", ":")) for value in some)
        before = ","
    yield ("" if before == "," else before) + "]}\n"
