"""Listening sockets, in pairs, and the accept loop.

The data port is the control port + 1, always (D7), so both are bound together or not at all. The accept loop takes a
few connections at a time, so that those already there go on during a flood. When descriptors run out a newcomer is
let in on the spare one and closed; when even that fails the loop rests for a moment instead of spinning.
Counterparts: `uzel.net.descriptors`; the tasks that say hello on what was accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Sequence
from typing import Any

from uzel.errors import ConfigError, Reason
from uzel.names import MAX_PORT, ip_address
from uzel.net.descriptors import SpareDescriptor

BACKLOG = 4096
"""Connections that the kernel completes ahead of us; it cuts this to net.core.somaxconn."""
BATCH = 16
"""Accepts per wake-up: about a millisecond of work, after which other connections have their turn."""
REST = 0.1
"""Seconds without accepting when there is no descriptor at all."""
FREE_PAIR_TRIES = 64
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES = 60, 15, 4
"""Seconds of quiet before the first TCP keepalive, between them, and how many: a vanished peer is noticed in 2 min."""

_WOULD_BLOCK = (BlockingIOError, InterruptedError)
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_NO_MEMORY = frozenset({errno.ENOBUFS, errno.ENOMEM})
_NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class Listener:
    """Accepts connections on one listening, non-blocking socket, which it owns, and passes them to `accept`.

    They come non-blocking, with TCP_NODELAY set and, if asked for, TCP keepalive (D11). `on_refused` is called with
    `Reason.DESCRIPTORS_EXHAUSTED` for each connection that was closed, or each rest that was taken, for want of one.
    """

    __slots__ = ("_accept", "_batch", "_keepalive", "_loop", "_on_refused", "_rest", "_socket", "_spare")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        accept: Callable[[socket.socket, Any], None],
        *,
        on_refused: Callable[[Reason], None],
        spare: SpareDescriptor,
        batch: int = BATCH,
        keepalive: bool = False,
    ) -> None:
        self._loop = loop
        self._socket = sock
        self._accept = accept
        self._on_refused = on_refused
        self._spare = spare
        self._batch = batch
        self._keepalive = keepalive
        self._rest: asyncio.TimerHandle | None = None
        sock.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Accept no more and close the socket. Repeats do nothing."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket.fileno())
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._socket.close()

    def _listen(self) -> None:
        self._rest = None
        self._spare.take()
        self._loop.add_reader(self._socket.fileno(), self._accept_some)

    def _accept_some(self) -> None:
        for _ in range(self._batch):
            try:
                connection, address = self._socket.accept()
            except _WOULD_BLOCK:
                return
            except OSError as error:
                if error.errno in _NO_DESCRIPTORS:
                    if not self._refuse():
                        return
                elif error.errno in _NO_MEMORY:
                    self._take_rest()
                    return
                continue  # else this one ended, or was forbidden, before we came to it
            try:
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._keepalive:
                    set_keepalive(connection)
            except OSError:
                connection.close()  # it ended already
                continue
            self._accept(connection, address)
            if self._socket.fileno() < 0:  # closed by what was just called
                return

    def _refuse(self) -> bool:
        """Close the next newcomer on the spare descriptor; False when there is none, or nothing to take it with."""
        if self._spare.held:
            self._spare.release()
            try:
                self._socket.accept()[0].close()
            except _WOULD_BLOCK:  # without a descriptor accept does not even look whether someone is there
                self._spare.take()
                return False
            except OSError:
                pass  # another thread, or process, was quicker
            else:
                self._on_refused(Reason.DESCRIPTORS_EXHAUSTED)
                self._spare.take()
                return True
        self._on_refused(Reason.DESCRIPTORS_EXHAUSTED)
        self._take_rest()
        return False

    def _take_rest(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._rest = self._loop.call_later(REST, self._listen)


def set_keepalive(connection: socket.socket) -> None:
    """Let TCP notice a peer that vanished (D11: data connections have no other sign of life)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
    ):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def bind_pair(host: str, port: int, *, backlog: int = BACKLOG) -> list[tuple[socket.socket, socket.socket]]:
    """Listen on a control port and the data port above it, on every address that `host` stands for.

    Returns (control, data) sockets, non-blocking. Port 0 picks a free pair, the same on all addresses. Of several
    addresses those that this machine does not have are left out, unless that is all of them. It looks names up and
    so may take seconds. Raises `ConfigError`.
    """
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if not 0 <= port <= MAX_PORT:
        raise ConfigError(f"cannot listen on {shown}: a control port lies between 0 and {MAX_PORT}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"cannot listen on {shown}: the name cannot be resolved: {error}") from None
    addresses = list(dict.fromkeys((family, sockaddr) for family, _, _, _, sockaddr in found))
    for left in reversed(range(FREE_PAIR_TRIES if port == 0 else 1)):
        try:
            return _bind_all(addresses, backlog)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or left == 0:
                raise ConfigError(f"cannot listen on {shown}: {_why(error)}") from None
    raise AssertionError("the last try returns or raises")


def _why(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "the port, or the data port above it, is in use by another program"
        case errno.EACCES | errno.EPERM:
            return "not permitted; ports below 1024 belong to the administrator"
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return "this machine does not have that address"
        case _:
            return str(error)


def _bind_all(addresses: Sequence[tuple[int, Any]], backlog: int) -> list[tuple[socket.socket, socket.socket]]:
    """Bind every address's pair, or none. A first port of 0 decides the port for the others."""
    port = addresses[0][1][1]
    missing: OSError | None = None
    pairs: list[tuple[socket.socket, socket.socket]] = []
    with contextlib.ExitStack() as undo:
        for family, sockaddr in addresses:
            try:
                control = undo.enter_context(_bind(family, sockaddr, port, backlog))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
                continue
            port = control.getsockname()[1]
            if port > MAX_PORT:
                raise OSError(errno.EADDRINUSE, "there is no port above this one")
            pairs.append((control, undo.enter_context(_bind(family, sockaddr, port + 1, backlog))))
        if missing is not None and not pairs:
            raise missing
        undo.pop_all()
    return pairs


def _bind(family: int, sockaddr: Any, port: int, backlog: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind((sockaddr[0], port, *sockaddr[2:]))
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def peer_host(address: Any) -> str:
    """The IP address in what `accept` gave, in its canonical form; IPv4-mapped IPv6 is IPv4 (D12)."""
    host: str = address[0]
    return str(ip_address(host)) if ":" in host else host
