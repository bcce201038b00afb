"""One data connection that stands alone: the callee's, while the caller's is still to come.

Bytes that arrive early belong to the conversation (D12): they are kept, up to a bound, after which nothing is read
any more and TCP itself holds the sender back. The end of the connection is reported, so that the call can end at
once. Counterpart: `uzel.net.relay`, to which the socket and the bytes go when the other side has come.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from uzel.errors import Reason

HELD_BOUND = 64 * 1024
"""Early bytes kept, in bytes. A callee has nothing to say before the caller's TLS hello; this is ample."""
_READ = 16 * 1024


class HeldData:
    """Watches one connected, non-blocking socket, which it owns until `release`.

    `on_lost` is called at most once, when the connection ended (None) or failed (the reason); the socket is closed
    by then. It is never called after `release` or `close`, nor once `bound` bytes have come and reading has stopped.
    """

    __slots__ = ("_bound", "_early", "_loop", "_on_lost", "_socket")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        *,
        on_lost: Callable[[Reason | None], None],
        bound: int = HELD_BOUND,
        early: bytes = b"",
    ) -> None:
        self._loop = loop
        self._socket: socket.socket | None = sock
        self._on_lost = on_lost
        self._bound = bound
        self._early = early
        if len(early) < bound:
            loop.add_reader(sock.fileno(), self._read)

    def release(self) -> tuple[socket.socket, bytes]:
        """Hand over the socket and what it has brought so far. Raises `RuntimeError` when it is gone already."""
        if self._socket is None:
            raise RuntimeError("this connection is closed or was handed over")
        sock, early = self._socket, self._early
        self._loop.remove_reader(sock.fileno())
        self._socket, self._early = None, b""
        return sock, early

    def close(self) -> None:
        """Close the socket, if it is still here."""
        if self._socket is not None:
            self.release()[0].close()

    def _read(self) -> None:
        sock = self._socket
        if sock is None:
            return
        try:
            data = sock.recv(min(_READ, self._bound - len(self._early)))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            self._on_lost(Reason.CONNECTION_LOST)
            return
        if not data:
            self.close()
            self._on_lost(None)
            return
        self._early += data
        if len(self._early) >= self._bound:
            self._loop.remove_reader(sock.fileno())
