"""A long way: `netns_forwarder.py HOST:PORT TO_HOST:TO_PORT SECONDS` passes TCP connections on, late.

Bytes keep their order and their distance; whatever was read is written so many seconds later. The connection itself
is made at once. Prints a line once it listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from uzel.names import split_host_port

MOST_ON_THE_WAY = 256
"""Chunks (of at most 64 KiB) that are on the way in one direction; the sender waits beyond it."""


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """One direction, to its end."""
    loop = asyncio.get_running_loop()
    way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MOST_ON_THE_WAY)

    async def arrive() -> None:
        while True:
            due, data = await way.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                return
            writer.write(data)
            await writer.drain()

    async def depart() -> None:
        data = b"begun"
        while data:
            data = b""
            with contextlib.suppress(OSError):
                data = await reader.read(65536)
            await way.put((loop.time() + delay, data))

    with contextlib.suppress(OSError):
        await asyncio.gather(depart(), arrive())
    writer.close()


async def serve(listen: str, to: str, delay: float) -> None:
    there, here = split_host_port(to), split_host_port(listen)

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(*there)
            await asyncio.gather(carry(reader, far_writer, delay), carry(far_reader, writer, delay))

    server = await asyncio.start_server(passed, *here)
    print('{"event":"listening"}', flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], float(sys.argv[3])))
