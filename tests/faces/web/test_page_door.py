"""Connections to the page: who says nothing is sent away, and there are only so many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.core_world import run
from faces.api.api_world import good
from faces.web.page_world import paged
from faces.web.test_page_share import handshakes_may_fail, make
from uzel.faces.web import PageSettings
from uzel.faces.web.share import Share

SOON = PageSettings(first_request=0.3)
FEW = PageSettings(connections=4, connections_each=3)
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(port: int, count: int = 1, host: str = "127.0.0.1") -> AsyncIterator[list[Streams]]:
    """So many connections, one after the other, from an address of this machine."""
    opened = [await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0)) for _ in range(count)]
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What came before the end."""
    async with asyncio.timeout(20):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def answered(streams: Streams, port: int) -> None:
    """It asks for the page and gets it."""
    reader, writer = streams
    writer.write(GET % port + b"\r\n")
    async with asyncio.timeout(20):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await reader.readuntil(b"</html>")


@pytest.mark.parametrize("begun", [b"", GET % 1])
def test_who_does_not_finish_a_first_request_is_sent_away(tmp_path: Path, begun: bytes) -> None:
    async def story() -> None:
        async with paged(tmp_path, SOON) as page, connected(page.port) as [(reader, writer)]:
            writer.write(begun)
            assert await ended(reader) == b""
            assert page.sessions.refused() == {"silence": 1}

    run(story)


def test_who_does_not_finish_a_further_request_is_sent_away(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path, SOON) as page, connected(page.port) as [(reader, writer)]:
            await answered((reader, writer), page.port)
            writer.write(b"GET /")
            assert (await ended(reader)).strip() == b""

    run(story)


def test_a_handshake_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    cert, key = make(tmp_path)

    async def story() -> None:
        async with paged(tmp_path, SOON, share=Share.read("127.0.0.1:0", cert, key)) as page:
            handshakes_may_fail()
            port = int(page.sessions.shared.rstrip("/").rpartition(":")[2])
            async with connected(port) as [(reader, _)]:
                assert await ended(reader) == b""
            assert page.sessions.refused() == {"handshake_timeout": 1}

    run(story)


def test_what_is_no_http_is_refused_by_name(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path) as page, connected(page.port) as [(reader, writer)]:
            writer.write(b"\x16\x03\x01 is how TLS begins\r\n\r\n")
            assert (await ended(reader)).startswith(b"HTTP/1.1 400")
            assert page.sessions.refused() == {"request_malformed": 1}

    run(story)


def test_of_too_many_connections_the_oldest_that_is_quiet_goes(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path, FEW) as page, connected(page.port, 3) as (first, second, third):
            await answered(third, page.port)
            async with connected(page.port) as [fourth]:  # of one address: three
                assert await ended(first[0]) == b""
                await answered(fourth, page.port)
                await answered(second, page.port)
            async with connected(page.port, 3, "127.0.0.2") as others:  # in all: four
                for each in others:
                    await answered(each, page.port)
                async with page.signed_in() as browser:
                    refusals = good(await browser.get("/v1/status"))["refusals"]
            assert set(refusals) == {"connections_address_full", "connections_full"}

    run(story)


def test_while_all_are_busy_a_newcomer_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path, FEW) as page, connected(page.port, 3) as busy:
            for _, writer in busy:
                writer.write(GET % page.port + b"Content-Length: 1\r\n\r\n")
            await until_taken(page.port)
            async with connected(page.port) as [(reader, _)]:
                assert await ended(reader) == b""
            assert page.sessions.refused() == {"connections_address_full": 1}
            for streams in busy:
                streams[1].write(b"x")
                assert (await streams[0].readline()).startswith(b"HTTP/1.1 ")

    run(story)


async def until_taken(port: int) -> None:
    """The server has read what was sent before: it answers what is asked behind it."""
    async with connected(port, 1, "127.0.0.2") as [streams]:
        await answered(streams, port)
