"""The load: logins, idle clients, texts between library clients, and bytes through the relay.

Logins and data connections are those of `uzel.app.bench_load`, which cost little beside what is measured. No load
runs without an end: every measure is bounded in count or seconds.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

from node_process import LOAD, NodeProcess, pin
from uzel.app.bench_load import RawLogin, bulk, close_ends, context_of, open_pair, round_trips
from uzel.client import Client
from uzel.identity import Identity, MemoryPins, Pin
from uzel.names import NodeAddress, NodeReference

Figures = dict[str, float]
SETTLE = 2.0


def logins(node: NodeProcess, people: list[Identity]) -> Figures:
    contexts = [context_of(person) for person in people]
    RawLogin(node, people[0], contexts[0]).close()
    busy, began = node.cpu_seconds(), time.perf_counter()
    clients = [RawLogin(node, person, context) for person, context in zip(people, contexts, strict=True)]
    took, used = time.perf_counter() - began, node.cpu_seconds() - busy
    for client in clients:
        client.close()
    return {
        "node CPU ms a login": used * 1e3 / len(people),
        "logins a second": len(people) / took,
        "node busy": used / took,
    }


def idle_clients(node: NodeProcess, people: list[Identity]) -> Figures:
    time.sleep(SETTLE)
    baseline = node.pss_kib()
    contexts = [context_of(person) for person in people]
    RawLogin(node, people[0], contexts[0]).close()
    warm = node.pss_kib()
    clients = [RawLogin(node, person, context) for person, context in zip(people, contexts, strict=True)]
    time.sleep(SETTLE)
    full = node.pss_kib()
    for client in clients:
        client.close()
    return {
        "node without clients, MiB": baseline / 1024,
        "KiB a client": (full - baseline) / len(people),
        "KiB a client, after the first": (full - warm) / len(people),
    }


async def texts(node: NodeProcess, people: list[Identity], pairs: int, seconds: float) -> Figures:
    """Text → delivered between library clients, end to end encrypted; one text in flight in each pair."""
    reference = NodeReference(NodeAddress.of(node.host, node.port))
    known = MemoryPins({person.uin: Pin(person.fingerprint, verified=True) for person in people})
    clients = [Client(person, known, [reference]) for person in people[: 2 * pairs]]
    taken: list[float] = []
    serving: list[asyncio.Task[None]] = []
    try:
        for client in clients:
            await client.__aenter__()
        for client in clients:
            await client.wait_online(20)
        serving.extend(asyncio.create_task(callee.serve(_take)) for callee in clients[1::2])
        conversations = [
            await caller.call(callee.link, timeout=20)
            for caller, callee in zip(clients[::2], clients[1::2], strict=True)
        ]
        until = time.perf_counter() + seconds
        busy, began = node.cpu_seconds(), time.perf_counter()

        async def talk(index: int) -> None:
            while time.perf_counter() < until:
                taken.append(await conversations[index].send("x" * 64))

        await asyncio.gather(*(talk(index) for index in range(pairs)))
        took, used = time.perf_counter() - began, node.cpu_seconds() - busy
    finally:
        for task in serving:
            task.cancel()
        for client in clients:
            await client.close()
    taken.sort()
    return {
        "p50 ms": taken[len(taken) // 2],
        "p99 ms": taken[int(len(taken) * 0.99)],
        "texts a second": len(taken) / took,
        "node CPU us a text and report": used * 1e6 / len(taken),
    }


async def texts_on_one(node: NodeProcess, people: list[Identity], seconds: float) -> Figures:
    """The same for one pair without the wake-ups between processors, which are most of what one text waits for."""
    pin(LOAD, node.pid)
    return await texts(node, people, 1, seconds)


async def _take(*_: object) -> None:
    """Taking a text is enough to report it."""


def relay_through_node(node: NodeProcess, people: list[Identity], seconds: float, pairs: int) -> Figures:
    clients = [RawLogin(node, person) for person in people[: 2 * max(pairs, 8)]]
    ends = [open_pair(caller, callee) for caller, callee in zip(clients[::2], clients[1::2], strict=True)]
    figures = relay_figures(ends, seconds, pairs, node.cpu_seconds)
    close_ends(ends)
    for client in clients:
        client.close()
    return figures


def relay_direct(seconds: float, pairs: int) -> Figures:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ends = [(socket.create_connection(server.getsockname()), server.accept()[0]) for _ in range(max(pairs, 8))]
    figures = relay_figures(ends, seconds, pairs, lambda: 0.0)
    close_ends(ends)
    return {name: value for name, value in figures.items() if "CPU" not in name and "busy" not in name}


def relay_figures(
    ends: list[tuple[socket.socket, socket.socket]], seconds: float, pairs: int, cpu_seconds: Callable[[], float]
) -> Figures:
    """Bulk through 1 and 8 streams, then 64-byte round trips through `pairs`, one in flight in each."""
    figures: Figures = {}
    for streams in (1, 8):
        busy, began = cpu_seconds(), time.perf_counter()
        moved = bulk(ends[:streams], seconds)
        took, used = time.perf_counter() - began, cpu_seconds() - busy
        figures[f"{streams} streams, MB/s"] = moved / took / 1e6
        figures[f"{streams} streams, relay CPU s/GB"] = used / moved * 1e9
        figures[f"{streams} streams, relay busy"] = used / took
    busy, began = cpu_seconds(), time.perf_counter()
    trips = round_trips(ends[:pairs], seconds)
    took, used = time.perf_counter() - began, cpu_seconds() - busy
    figures["64-byte round trips a second"] = trips / took
    figures["relay CPU us a round trip"] = used * 1e6 / trips
    return figures
