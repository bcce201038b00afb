"""The load of a measurement: people who log in to a node over blocking sockets, call one another and push bytes.

Around the library's own machines, so that the load costs little beside what is measured. No load runs without an end:
each is bounded in count or seconds. Every wait has a time limit; a node that does not answer raises `OSError`.
Counterparts: `bench_node`, which tells an operator, and bench/, which compares.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from uzel.identity import Identity
from uzel.names import Uin
from uzel.session.control import CallArrived, CallReady, ClientControl, PeerEvent, Step
from uzel.session.hello import HelloOfferer
from uzel.session.keepalive import KeepaliveTimes
from uzel.tls import Side, TlsContext, TlsEngine, make_context
from uzel.wire import DataHello, encode

Ends = tuple[socket.socket, socket.socket]
"""The caller's data connection and the callee's."""
PATIENCE = 30.0
"""Seconds that anything of the node may take."""
_BULK = memoryview(bytes(256 * 1024))
_SMALL = b"x" * 64
_SINK = bytearray(1 << 20)


class Place(Protocol):
    """Where the node is: its control port, with the data port above it."""

    host: str
    port: int


def make_people(count: int) -> list[Identity]:
    """Identities whose UINs are not those of their keys: the node under measurement must be told to know them."""
    return [Identity(Ed25519PrivateKey.generate(), Uin(1000 + index)) for index in range(count)]


def context_of(person: Identity) -> TlsContext:
    """What this person shows a node."""
    return make_context(private_key=person.private_key, certificate=person.certificate, side=Side.SERVER)


class RawLogin:
    """One logged-in client around a blocking socket. Raises `OSError` when the node does not play its part."""

    def __init__(self, node: Place, person: Identity, context: TlsContext | None = None) -> None:
        self.node, self.uin = node, int(person.uin)
        self.socket = _connect(node.host, node.port)
        self.engine = TlsEngine(context or context_of(person))
        self.machine = ClientControl(KeepaliveTimes(), lambda: os.urandom(2), 0.0)
        try:
            self._log_in()
        except OSError:
            self.socket.close()
            raise

    def _log_in(self) -> None:
        hello = HelloOfferer()
        self.socket.sendall(hello.data_to_send())
        while not hello.receive(self._receive(), 0.0):
            pass
        self.receive_tls(hello.rest())
        while not self.engine.handshake_done:
            self.receive_tls(self._receive())
        self.flush()
        while not self.machine.online:
            self.events()

    def _receive(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the node closed the connection")
        return data

    def receive_tls(self, data: bytes) -> bytes:
        """Bytes from the node; returns what they say."""
        plaintext = self.engine.receive(data)
        self.socket.sendall(self.engine.data_to_send())
        if self.engine.fault:
            raise ConnectionError(f"{self.engine.fault}: {self.engine.fault_detail}")
        return plaintext

    def flush(self) -> None:
        """Send what the machine wants to say."""
        self.engine.send(self.machine.data_to_send())
        self.socket.sendall(self.engine.data_to_send())

    def events(self) -> list[object]:
        """Wait for the next bytes; returns what they mean."""
        events = self.machine.receive(self.receive_tls(self._receive()), 0.0)
        self.flush()
        return list(events)

    def step(self, peer: int, step: Step) -> None:
        """Call, accept and the like."""
        self.machine.step(peer, step)
        self.flush()

    def wait_for(self, kind: type[PeerEvent]) -> None:
        """Until it has come; what comes before it is dropped."""
        while not any(isinstance(event, kind) for event in self.events()):
            pass

    def data(self, caller: int, callee: int) -> socket.socket:
        """A data connection with its 20 sent."""
        connection = _connect(self.node.host, self.node.port + 1)
        connection.sendall(encode(DataHello(caller, callee)))
        return connection

    def close(self) -> None:
        """Go without a word."""
        self.socket.close()


def _connect(host: str, port: int) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def open_pair(caller: RawLogin, callee: RawLogin) -> Ends:
    """A conversation's two data connections, joined."""
    caller.step(callee.uin, Step.CALL)
    callee.wait_for(CallArrived)
    callee.step(caller.uin, Step.ACCEPT)
    theirs = callee.data(caller.uin, callee.uin)
    caller.wait_for(CallReady)
    return caller.data(caller.uin, callee.uin), theirs


def close_ends(ends: list[Ends]) -> None:
    """Close both sides of each."""
    for near, far in ends:
        near.close()
        far.close()


def bulk(ends: list[Ends], seconds: float) -> int:
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
            moved += waiting[descriptor].recv_into(_SINK, len(_SINK), socket.MSG_TRUNC)
            last = time.perf_counter()
        if time.perf_counter() > until:
            over.set()
    for sender in senders:
        sender.join()
    poll.close()
    return moved


def _push(near: socket.socket, over: threading.Event) -> None:
    while not over.is_set():
        near.sendall(_BULK)


def round_trips(ends: list[Ends], seconds: float) -> int:
    """64 bytes there and back, one in flight in each; returns how many came back."""
    partner = {far.fileno(): (far, True) for _, far in ends} | {near.fileno(): (near, False) for near, _ in ends}
    poll = select.epoll()
    for descriptor in partner:
        poll.register(descriptor, select.EPOLLIN)
    for near, _ in ends:
        near.sendall(_SMALL)
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
                end.sendall(_SMALL)
            else:
                in_flight -= 1
    poll.close()
    return trips
