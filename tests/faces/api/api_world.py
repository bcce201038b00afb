"""A core with its interface: asked in this process, or over its real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from client.client_world import ALICE, BOB, DEADLINE, World, world
from core.core_world import Core, cores
from uzel.faces.api import ApiServer, make_app

TOKEN = "the token of the tests"


def asking(core: Core, token: str | None = None, **headers: str) -> httpx.AsyncClient:
    """A client of the interface of this core, without a socket."""
    transport = httpx.ASGITransport(make_app(core.messenger, token), raise_app_exceptions=True)
    given = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:80/v1", headers={**given, **headers})


@asynccontextmanager
async def faced(
    tmp_path: Path, *numbers: int, acquainted: bool = True
) -> AsyncIterator[tuple[World, list[Core], list[httpx.AsyncClient]]]:
    """Cores of these people, and a client of the interface of each."""
    async with world() as w, cores(tmp_path, *(numbers or (ALICE, BOB)), at=w, acquainted=acquainted) as people:
        clients = [asking(core) for core in people]
        yield w, people, clients
        for client in clients:
            await client.aclose()


def good(answer: httpx.Response, status: int = 200) -> Any:
    """The answer's JSON, which is there and as asked for."""
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that was answered."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    said = answer.json()
    assert (answer.status_code, said["status"], said["code"]) == (status, status, code), said
    assert set(said) == {"type", "title", "status", "code", "detail"}
    assert said["title"].endswith((".", "here."))
    assert "Traceback" not in answer.text
    return dict(said)


@asynccontextmanager
async def served(core: Core, port: int | None = None) -> AsyncIterator[ApiServer]:
    """The interface of this core on its real sockets."""
    server = ApiServer(core.messenger, core.folder, port=port)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
        await server.stop()


class Stream:
    """The events, read by hand from the Unix socket: nothing hides what is sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.head = ""

    @classmethod
    async def open(cls, path: Path, query: str = "", *headers: str, limit: int = 1 << 16) -> Self:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=limit)
        lines = (f"GET /v1/events{query} HTTP/1.1", "Host: core", *headers, "", "")
        writer.write("\r\n".join(lines).encode())
        self = cls(reader, writer)
        self.head = (await self._line_until_blank()).decode()
        return self

    async def _line_until_blank(self) -> bytes:
        return await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), DEADLINE / 2)

    async def block(self) -> str:
        """One chunk, which is one event or a comment. Empty at the end."""
        async with asyncio.timeout(DEADLINE / 2):
            size = int(await self._reader.readline(), 16)
            data = await self._reader.readexactly(size + 2)
        return data[:-2].decode()

    async def event(self) -> tuple[int | None, str, Any]:
        """Id, kind and data of the next event; comments are passed over."""
        while (block := await self.block()).startswith(":"):
            pass
        assert block.endswith("\n\n")
        fields = dict(line.split(": ", 1) for line in block.strip().split("\n"))
        number = fields.get("id")
        return (int(number) if number else None, fields["event"], json.loads(fields["data"]))

    async def kept(self) -> tuple[int, str, Any]:
        """The next event with an id."""
        while True:
            number, kind, data = await self.event()
            if number is not None:
                return number, kind, data

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


@asynccontextmanager
async def following(path: Path, query: str = "", *headers: str) -> AsyncIterator[Stream]:
    stream = await Stream.open(path, query, *headers)
    try:
        yield stream
    finally:
        await stream.close()
