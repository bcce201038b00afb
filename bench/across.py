"""What one more node costs: the same texts and streams through one node and across two, and calls across several.

Every measure is paired: both ways are taken in turns within one run, by the same clients' program, so that what else
the machine does falls on both. Calls are timed from 03 to 07; which way the callee was found, the caller's node tells.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

from load import Figures
from node_process import NodeProcess, federation
from uzel.app.bench_load import RawLogin, open_pair
from uzel.client import Client, Conversation
from uzel.identity import Identity, MemoryPins, Pin

PIECE = "x" * 60_000
AT_ONCE = 8
"""Texts of a stream that wait for their report at the same time: more than the window lets out."""
WARM = 20
AGAIN = 3
"""Calls to each callee after the first."""
CACHE = "in the cache"


@asynccontextmanager
async def talking(
    people: list[Identity], near: NodeProcess, far: NodeProcess, taken: list[int]
) -> AsyncIterator[Conversation]:
    """A conversation between two people at these nodes; the lengths of what arrives are put into `taken`."""
    known = MemoryPins({person.uin: Pin(person.fingerprint, verified=True) for person in people})
    caller, callee = (Client(person, known, [node.reference]) for person, node in zip(people, (near, far), strict=True))

    async def take(_: object, text: object) -> None:
        taken.append(len(getattr(text, "text", "")))

    async with caller, callee:
        await caller.wait_online(20)
        await callee.wait_online(20)
        serving = asyncio.create_task(callee.serve(take))
        try:
            yield await caller.call(callee.link, timeout=20)
        finally:
            serving.cancel()


def texts_and_streams(folder: Path, people: list[Identity], seconds: float) -> dict[str, Figures]:
    """One text in flight: one through one node, one across two, and so on. Then as much as the library sends with its
    window (D28), through one node and across two. All nodes share a processor.
    """
    with federation(folder / "one", people, 1) as one, federation(folder / "two", people, 2) as two:
        texts = asyncio.run(_texts(people, one[0], two, seconds))
        within = asyncio.run(_stream(people[:2], one, seconds))
        across = asyncio.run(_stream(people[2:4], two, seconds))
    streams = {f"one node, {name}": value for name, value in within.items()}
    streams |= {f"two nodes, {name}": value for name, value in across.items()}
    streams["two nodes : one node, MB/s"] = across["MB/s"] / within["MB/s"]
    return {"texts, one node and two": texts, "library stream, one node and two": streams}


async def _texts(people: list[Identity], one: NodeProcess, two: list[NodeProcess], seconds: float) -> Figures:
    async with talking(people[:2], one, one, []) as within, talking(people[2:4], two[0], two[1], []) as across:
        for _ in range(WARM):
            await within.send("x" * 64)
            await across.send("x" * 64)
        near: list[float] = []
        far: list[float] = []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            near.append(await within.send("x" * 64))
            far.append(await across.send("x" * 64))
    near.sort()
    far.sort()
    return {
        "one node, p50 ms": median(near),
        "two nodes, p50 ms": median(far),
        "two nodes, p99 ms": far[int(len(far) * 0.99)],
        "one more node adds at the median, ms": median(far) - median(near),
        "two nodes : one node": median(far) / median(near),
    }


async def _stream(people: list[Identity], nodes: list[NodeProcess], seconds: float) -> Figures:
    taken: list[int] = []
    async with talking(people, nodes[0], nodes[-1], taken) as conversation:
        await conversation.send(PIECE)
        taken.clear()
        busy, own, began = sum(node.cpu_seconds() for node in nodes), time.process_time(), time.perf_counter()

        async def push() -> None:
            while time.perf_counter() - began < seconds:
                await conversation.send(PIECE)

        await asyncio.gather(*(push() for _ in range(AT_ONCE)))
        took, moved = time.perf_counter() - began, sum(taken)
        used = sum(node.cpu_seconds() for node in nodes) - busy
        both_ends = time.process_time() - own
    return {
        "MB/s": moved / took / 1e6,
        "node CPU s/GB": used / moved * 1e9,
        "CPU s/GB of both clients": both_ends / moved * 1e9,
    }


def calls_across(folder: Path, people: list[Identity], nodes: int) -> Figures:
    """03 → 07 of calls from one node to people at the others: found by a hint, by everyone, in the cache.

    For the calls by everyone the nodes keep no hints: as if the callee's node were written from the source alone.
    """
    found: dict[str, list[float]] = {}
    for name, limits in (("hints", {}), ("no hints", {"hint_share": 0.0})):
        with federation(folder / name, people, nodes, limits=limits) as each:
            _calls(each, people, found)
    return {f"{way}, ms": median(times) for way, times in sorted(found.items())}


def _calls(nodes: list[NodeProcess], people: list[Identity], found: dict[str, list[float]]) -> None:
    """The last node is the caller's: it has dialled all the others."""
    home, others = nodes[-1], nodes[:-1]
    caller = RawLogin(home, people[0])
    callees = [RawLogin(others[at % len(others)], person) for at, person in enumerate(people[1:])]
    for callee in callees:
        for turn in range(1 + AGAIN):
            before = home.ask("status")
            began = time.perf_counter()
            ends = open_pair(caller, callee)
            took = (time.perf_counter() - began) * 1000
            way = _way(before, home.ask("status"))
            if way == CACHE and not turn:
                way = "by a hint kept at the caller's node"
            found.setdefault(way, []).append(took)
            _end(ends, home)
    for login in (caller, *callees):
        login.close()


def _way(before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]) -> str:
    for name, way in (("answered_by_everyone", "by everyone"), ("answered_by_hint", "by a hint")):
        if after["searches"].get(name, 0) > before["searches"].get(name, 0):
            return way
    return CACHE


def _end(ends: tuple[socket.socket, socket.socket], home: NodeProcess) -> None:
    """End the conversation, and wait until the caller's node has done with it."""
    for end in ends:
        end.close()
    while home.ask("status")["conversations"]:
        time.sleep(0.005)
