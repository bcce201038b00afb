"""The load: logins, idle clients, texts between library clients, and bytes through the relay.

Logins and data connections are driven by blocking sockets around the library's own machines, so that the load costs
little beside what is measured. No load runs without an end: every measure is bounded in count or seconds.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node_process import NodeProcess
from uzel.client import Client
from uzel.identity import Identity, MemoryPins, Pin
from uzel.names import NodeAddress, NodeReference, Uin
from uzel.session.control import CallArrived, CallReady, ClientControl, PeerEvent, Step
from uzel.session.hello import HelloOfferer
from uzel.session.keepalive import KeepaliveTimes
from uzel.tls import Side, TlsContext, TlsEngine, make_context
from uzel.wire import DataHello, encode

Figures = dict[str, float]
BULK = memoryview(bytes(256 * 1024))
SMALL = b"x" * 64
SETTLE = 2.0


def make_people(count: int) -> list[Identity]:
    """Identities whose UINs are not those of their keys: the node under measurement has been told to know them."""
    return [Identity(Ed25519PrivateKey.generate(), Uin(1000 + index)) for index in range(count)]


def context_of(person: Identity) -> TlsContext:
    return make_context(private_key=person.private_key, certificate=person.certificate, side=Side.SERVER)


class RawLogin:
    """One logged-in client around a blocking socket."""

    def __init__(self, node: NodeProcess, person: Identity, context: TlsContext | None = None) -> None:
        self.node, self.uin = node, int(person.uin)
        self.socket = socket.create_connection((node.host, node.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hello = HelloOfferer()
        self.socket.sendall(hello.data_to_send())
        while not hello.receive(self.socket.recv(4096), 0.0):
            pass
        self.engine = TlsEngine(context or context_of(person))
        self.receive_tls(hello.rest())
        while not self.engine.handshake_done:
            self.receive_tls(self.socket.recv(65536))
        self.machine = ClientControl(KeepaliveTimes(), lambda: os.urandom(2), 0.0)
        self.flush()
        while not self.machine.online:
            self.events()

    def receive_tls(self, data: bytes) -> bytes:
        plaintext = self.engine.receive(data)
        self.socket.sendall(self.engine.data_to_send())
        if self.engine.fault:
            raise RuntimeError(f"{self.engine.fault}: {self.engine.fault_detail}")
        return plaintext

    def flush(self) -> None:
        self.engine.send(self.machine.data_to_send())
        self.socket.sendall(self.engine.data_to_send())

    def events(self) -> list[object]:
        data = self.socket.recv(65536)
        if not data:
            raise RuntimeError("the node closed the connection")
        events = self.machine.receive(self.receive_tls(data), 0.0)
        self.flush()
        return list(events)

    def step(self, peer: int, step: Step) -> None:
        self.machine.step(peer, step)
        self.flush()

    def wait_for(self, kind: type[PeerEvent]) -> None:
        while not any(isinstance(event, kind) for event in self.events()):
            pass

    def data(self, caller: int, callee: int) -> socket.socket:
        connection = socket.create_connection((self.node.host, self.node.port + 1))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(encode(DataHello(caller, callee)))
        return connection

    def close(self) -> None:
        self.socket.close()


def open_pair(caller: RawLogin, callee: RawLogin) -> tuple[socket.socket, socket.socket]:
    """A conversation's two data connections, joined."""
    caller.step(callee.uin, Step.CALL)
    callee.wait_for(CallArrived)
    callee.step(caller.uin, Step.ACCEPT)
    theirs = callee.data(caller.uin, callee.uin)
    caller.wait_for(CallReady)
    return caller.data(caller.uin, callee.uin), theirs


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


def close_ends(ends: list[tuple[socket.socket, socket.socket]]) -> None:
    for near, far in ends:
        near.close()
        far.close()


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


def bulk(ends: list[tuple[socket.socket, socket.socket]], seconds: float) -> int:
    """Push as much as goes through for so long; returns the bytes that arrived. The sink drops them uncopied."""
    over = threading.Event()
    senders = [threading.Thread(target=_push, args=(near, over), daemon=True) for near, _ in ends]
    moved, waiting = 0, {far.fileno(): far for _, far in ends}
    poll = select.epoll()
    for descriptor in waiting:
        poll.register(descriptor, select.EPOLLIN)
    for sender in senders:
        sender.start()
    until, last = time.perf_counter() + seconds, 0.0
    while not over.is_set() or time.perf_counter() - last < 0.3:
        for descriptor, _ in poll.poll(0.1):
            moved += waiting[descriptor].recv_into(BULK_SINK, len(BULK_SINK), socket.MSG_TRUNC)
            last = time.perf_counter()
        if time.perf_counter() > until:
            over.set()
    for sender in senders:
        sender.join()
    poll.close()
    return moved


BULK_SINK = bytearray(1 << 20)


def _push(near: socket.socket, over: threading.Event) -> None:
    while not over.is_set():
        near.sendall(BULK)


def round_trips(ends: list[tuple[socket.socket, socket.socket]], seconds: float) -> int:
    """64 bytes there and back; returns how many came back."""
    partner = {far.fileno(): (far, True) for _, far in ends} | {near.fileno(): (near, False) for near, _ in ends}
    poll = select.epoll()
    for descriptor in partner:
        poll.register(descriptor, select.EPOLLIN)
    for near, _ in ends:
        near.sendall(SMALL)
    trips, until = 0, time.perf_counter() + seconds
    in_flight = len(ends)
    while in_flight:
        again = time.perf_counter() < until
        for descriptor, _ in poll.poll(1):
            end, is_far = partner[descriptor]
            data = end.recv(4096)
            if is_far:
                end.sendall(data)
                continue
            trips += 1
            if again:
                end.sendall(SMALL)
            else:
                in_flight -= 1
    poll.close()
    return trips
