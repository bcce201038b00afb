"""One data connection of a conversation that runs over a link: bytes in pieces on one side, a socket on the other.

Where both clients are at one node a relay joins their sockets; here the other half is a node away, and what this
client's connection brings goes up as pieces that fit a D0 (PROTOCOL.md section 5, step 6). Rules:

- What the owner writes is sent at once as far as the socket takes it; the rest is kept, without a bound of its own:
  the owner is told how much is unsent, and ends the conversation when that is too much (D25).
- While the owner has paused it nothing is read, and TCP itself holds the client back.
- D17: the client's end is reported and begins the good order in which `end` also ends: what is kept is passed on for
  at most the drain time, then comes our end (FIN), and what the client still sends is read and dropped until it ends
  as well, because closing a socket with unread bytes would take away what its peer has not read yet.

Counterparts: `uzel.net.held`, from which the socket and its early bytes come; `uzel.net.relay`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from typing import Protocol

from uzel.errors import Reason
from uzel.net.relay import RESET_ON_CLOSE, unread

MOST_READ = 65_524
"""Bytes handed up at a time, at most: what one D0 carries."""
_CHUNK = 64 * 1024
"""Small pieces that are kept are put together up to this size: one object for each byte would cost fifty."""
_MOST_PARTS = 16
"""Chunks offered to the socket at once."""
_WOULD_BLOCK = (BlockingIOError, InterruptedError)


class BridgeOwner(Protocol):
    """Who is told what happens on a bridged connection. `data_ended` comes at most once, `bridge_closed` once."""

    def data_came(self, bridge: BridgedData, data: bytes) -> None:
        """The client sent this, 1 … 65,524 bytes."""

    def data_ended(self, bridge: BridgedData, reason: Reason | None) -> None:
        """Nothing more comes from the client: its end of file (None), or a failure. Not after `end` or `close`."""

    def backlog_changed(self, bridge: BridgedData, unsent: int) -> None:
        """So many bytes of what was written are unsent, after a write that left some, and when none is left."""

    def bridge_closed(self, bridge: BridgedData, reason: Reason | None) -> None:
        """The socket is closed; DRAIN_TIMEOUT when the drain time ran out before both sides had ended."""


class BridgedData:
    """Owns one connected, non-blocking stream socket, and closes it in the end.

    `name` is the owner's name for it. `early` are bytes already received: they go first. Nothing is reported while
    it is being made. `received` and `sent` count bytes; `unsent` is what is kept.
    """

    __slots__ = (
        "_backlog", "_broken", "_drain", "_early", "_ending", "_left", "_loop", "_offset", "_owner", "_paused", "_shut",
        "_socket", "_source_done", "_timer", "_watching", "name", "received", "sent", "unsent",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        owner: BridgeOwner,
        *,
        name: int,
        early: bytes = b"",
        drain: float = 10.0,
    ) -> None:
        self._loop = loop
        self._socket: socket.socket | None = sock
        self._owner = owner
        self.name = name
        self._drain = drain
        self._early = early
        self._backlog: deque[bytearray] = deque()
        self._offset = 0
        self._left = 0
        self._paused = self._watching = self._broken = self._ending = self._shut = self._source_done = False
        self._timer: asyncio.TimerHandle | None = None
        self.received = self.sent = self.unsent = 0
        if early:
            loop.call_soon(self._deliver_early)
        else:
            self._watch()

    # What the owner does

    def write(self, data: bytes) -> None:
        """Send to the client; what it does not take now is kept. Does nothing once the conversation has ended."""
        sock = self._socket
        if sock is None or self._ending or self._broken or not data:
            return
        if not self.unsent:
            try:
                sent = sock.send(data)
            except _WOULD_BLOCK:
                sent = 0
            except OSError:
                self._break()
                return
            self.sent += sent
            if sent == len(data):
                return
            self._loop.add_writer(sock.fileno(), self._writable)
        else:
            sent = 0
        self._keep(memoryview(data)[sent:])
        self._owner.backlog_changed(self, self.unsent)

    def pause(self) -> None:
        """Read nothing for now."""
        self._paused = True
        self._watch()

    def resume(self) -> None:
        """Read again."""
        if self._paused:
            self._paused = False
            if self._early:
                self._loop.call_soon(self._deliver_early)
            self._watch()

    def end(self) -> None:
        """End in good order, within the drain time: nothing more goes up. Repeats do nothing."""
        if self._socket is None or self._ending:
            return
        if self._broken:
            self._close(None)
            return
        self._ending = True
        self._early = b""
        self._timer = self._loop.call_later(self._drain, self._time_out)
        if not self.unsent:
            self._shut_down()
        self._watch()

    def close(self) -> None:
        """Discard what is kept and close now; `bridge_closed` is called before this returns. Repeats do nothing."""
        self._close(None)

    # Reading

    def _watch(self) -> None:
        """Wait for the socket to become readable, or not, as things stand."""
        sock = self._socket
        wanted = not self._source_done and (self._ending or not (self._paused or self._early))
        if sock is not None and wanted != self._watching:
            self._watching = wanted
            if wanted:
                self._loop.add_reader(sock.fileno(), self._readable)
            else:
                self._loop.remove_reader(sock.fileno())

    def _deliver_early(self) -> None:
        while self._early and self._socket is not None and not self._paused:
            data, self._early = self._early[:MOST_READ], self._early[MOST_READ:]
            self.received += len(data)
            self._owner.data_came(self, data)
        if self._broken and not self._early and not self._left:
            self._source_ended(Reason.CONNECTION_LOST)
        self._watch()

    def _readable(self) -> None:
        sock = self._socket
        if sock is None:
            return
        try:
            data = sock.recv(min(MOST_READ, self._left) if self._broken else MOST_READ)
        except _WOULD_BLOCK:
            return
        except OSError:
            self._source_ended(Reason.CONNECTION_LOST)
            return
        if not data:
            self._source_ended(Reason.CONNECTION_LOST if self._broken else None)
        elif not self._ending:
            self.received += len(data)
            self._left -= len(data)
            self._owner.data_came(self, data)
            if self._broken and self._left <= 0:
                self._source_ended(Reason.CONNECTION_LOST)

    def _source_ended(self, reason: Reason | None) -> None:
        """Nothing more comes. After an end of file the client still gets what is kept; after a failure it cannot."""
        if self._socket is None or self._source_done:
            return
        self._source_done = True
        self._watch()
        if not self._ending:
            self._owner.data_ended(self, reason)
        if reason is not None:
            self._close(None)
        else:
            self.end()
            self._check_closed()

    # Writing

    def _keep(self, data: memoryview) -> None:
        self.unsent += len(data)
        if self._backlog and len(self._backlog[-1]) + len(data) <= _CHUNK:
            self._backlog[-1] += data
        else:
            self._backlog.append(bytearray(data))

    def _writable(self) -> None:
        sock = self._socket
        if sock is None:
            return
        try:
            self._sent(sock.sendmsg(self._parts()))
        except _WOULD_BLOCK:
            return
        except OSError:
            self._break()
            return
        if self.unsent:
            return
        self._loop.remove_writer(sock.fileno())
        if self._ending:
            self._shut_down()
        else:
            self._owner.backlog_changed(self, 0)

    def _parts(self) -> list[memoryview]:
        parts = [memoryview(self._backlog[index]) for index in range(min(_MOST_PARTS, len(self._backlog)))]
        parts[0] = parts[0][self._offset :]
        return parts

    def _sent(self, count: int) -> None:
        self.sent += count
        self.unsent -= count
        count += self._offset
        while self._backlog and count >= len(self._backlog[0]):
            count -= len(self._backlog.popleft())
        self._offset = count

    def _break(self) -> None:
        """The client takes no more. What it had sent before that is still read, at the owner's pace."""
        sock = self._socket
        if sock is None:
            return
        self._drop_backlog(sock)
        if self._ending:
            self._close(None)
            return
        self._broken = True
        self._left = unread(sock)
        if not self._left and not self._early:
            self._source_ended(Reason.CONNECTION_LOST)

    def _drop_backlog(self, sock: socket.socket) -> None:
        self._loop.remove_writer(sock.fileno())
        self._backlog.clear()
        self._offset = self.unsent = 0

    # The end

    def _shut_down(self) -> None:
        sock = self._socket
        if sock is not None and not self._shut:
            self._shut = True
            with contextlib.suppress(OSError):  # it is gone already, which reading will show
                sock.shutdown(socket.SHUT_WR)
            self._check_closed()

    def _check_closed(self) -> None:
        if self._shut and self._source_done:
            self._close(None)

    def _time_out(self) -> None:
        self._close(Reason.DRAIN_TIMEOUT)

    def _close(self, reason: Reason | None) -> None:
        sock = self._socket
        if sock is None:
            return
        self._socket = None
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(sock.fileno())
        if self.unsent:  # say that bytes are missing, and leave none to the kernel
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._drop_backlog(sock)
        self._early = b""
        sock.close()
        self._owner.bridge_closed(self, reason)
