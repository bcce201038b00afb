"""The relay: two data connections of a conversation, whose bytes are copied both ways and never looked at.

Step 5 of PROTOCOL.md section 4. Rules:

- D17: the end of one side ends both. What was received before that, in our hands or still in the socket, is passed
  on for at most the drain time; after it both sides are told the end (FIN) and read until they end as well, because
  closing a socket with unread bytes would reset the connection and take away what its peer has not read yet.
- Back-pressure: while one side does not take bytes, nothing is read from the other. Each direction holds at most one
  buffer or one pipe.
- Small traffic goes through one buffer that all pairs share. A direction that brings large reads in a row is moved
  with splice(2) through a borrowed pipe, until a read is small again. Without pipes the buffer does it all.
- An idle pair is two sockets and three small objects: no pipe, no buffer, no timer.

A direction waits for one thing at a time: its source to become readable or its sink to become writable. While the
sink is the slower one it keeps waiting for the sink and reads as soon as that takes bytes, so that a busy direction
seldom changes what it waits for, which costs system calls. The process must ignore SIGPIPE, as Python does by
default: splice(2) cannot be told to. Counterparts: `uzel.net.pipes`, `uzel.net.held`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import select
import socket
import sys
import termios
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from uzel.errors import Reason
from uzel.net.pipes import Pipe, PipePool

Side = Literal["a", "b"]

_WOULD_BLOCK = (BlockingIOError, InterruptedError)
_NO_SPLICE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_SPLICE_FLAGS = getattr(os, "SPLICE_F_MOVE", 0) | getattr(os, "SPLICE_F_NONBLOCK", 0)
_PEER_ENDED = getattr(select, "POLLRDHUP", 0)
RESET_ON_CLOSE = b"\1\0\0\0\0\0\0\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """Sizes and times of a relay; one object serves all pairs."""

    drain: float = 10.0
    """Seconds after the end in which received bytes are still passed on (D17)."""
    buffer: int = 64 * 1024
    """Bytes of the shared buffer, and the most that a blocked direction holds: four TLS records. Larger ones are
    hardly faster, since bulk is spliced, and would let stalled pairs hold more."""
    bulk_read: int = 32 * 1024
    """A read of at least this many bytes is a large one. Below it two splices cost more than a copy."""
    bulk_after: int = 4
    """So many large reads in a row make a direction bulk: a text of up to 128 KiB or so is over before that."""
    stall_check: float = 5.0
    """Seconds between looks at a source that is not being read, to learn of its end all the same."""


@dataclass(frozen=True, slots=True)
class RelayEnd:
    """How a pair ended: bytes received for the other side until then, who ended first, and why.

    `reason` is None for a plain end of file.
    """

    a_to_b: int
    b_to_a: int
    first: Side
    reason: Reason | None


class _Buffers(threading.local):
    """One buffer a thread, hence a loop: it is filled and emptied within one event."""

    def __init__(self) -> None:
        self.by_size: dict[int, memoryview] = {}

    def get(self, size: int) -> memoryview:
        if size not in self.by_size:
            self.by_size[size] = memoryview(bytearray(size))
        return self.by_size[size]


_buffers = _Buffers()


class _Way:
    """One direction: from `source` to `sink`.

    Until the end `blocked` says what it waits for: the sink (True, callback `write`) or the source (False, `read`).
    After the end it passes on `left` bytes more (`finish`), shuts the sink (`shut`) and reads the source to its end
    (`discard`, `source_done`). With both of the latter true it has nothing left to do.
    """

    __slots__ = (
        "blocked", "buffer", "copied", "held", "in_pipe", "left", "loop", "pair", "pipe", "pool", "settings",
        "shut", "side", "sink", "source", "source_done", "stall", "streak",
    )  # fmt: skip

    def __init__(self, pair: Relay, side: Side, source: socket.socket, sink: socket.socket, pending: bytes) -> None:
        self.pair = pair
        self.loop = pair.loop
        self.settings = pair.settings
        self.side: Side = side
        self.source = source
        self.sink = sink
        self.pool = pair.pool
        self.buffer = _buffers.get(self.settings.buffer)
        self.held: memoryview | None = memoryview(pending) if pending else None
        self.pipe: Pipe | None = None
        self.in_pipe = 0
        self.copied = len(pending)
        self.streak = 0
        self.left = 0
        self.shut = self.source_done = self.blocked = False
        self.stall: asyncio.TimerHandle | None = None
        if pending:
            self._await_sink()
        else:
            self.loop.add_reader(source.fileno(), self.read)

    # Copying

    def read(self) -> None:
        """The source has something: pass it on, as much as one read brings."""
        if self.streak >= self.settings.bulk_after and self._splice():
            return
        try:
            count = self.source.recv_into(self.buffer)
        except _WOULD_BLOCK:
            self._await_source()
            return
        except OSError:
            self.pair.source_ended(self, Reason.CONNECTION_LOST)
            return
        if not count:
            self.pair.source_ended(self, None)
            return
        self.copied += count
        self.streak = self.streak + 1 if count >= self.settings.bulk_read else 0
        try:
            sent = self.sink.send(self.buffer[:count])
        except _WOULD_BLOCK:
            sent = 0
        except OSError:
            self.pair.sink_failed(self)
            return
        if sent < count:
            self.held = memoryview(bytes(self.buffer[sent:count]))
            self._await_sink()

    def write(self) -> None:
        """The sink takes bytes again: give it what is held, then go on reading."""
        try:
            if not self._flush():
                return
        except OSError:
            self.pair.sink_failed(self)
            return
        self.read()

    def _splice(self) -> bool:
        """Do what `read` does, through a pipe; False when that cannot be and nothing was done."""
        pool = self.pool
        pipe = pool.take() if pool is not None else None
        if pool is None or pipe is None:
            self.streak = 0  # ask again after some more large reads, not at each
            return False
        try:
            count = os.splice(self.source.fileno(), pipe.entry, pipe.size, flags=_SPLICE_FLAGS)
        except _WOULD_BLOCK:
            pool.give(pipe)
            self._await_source()
            return True
        except OSError as error:
            pool.give(pipe)
            if error.errno in _NO_SPLICE:
                self.pool = None
                return False
            self.pair.source_ended(self, Reason.CONNECTION_LOST)
            return True
        if not count:
            pool.give(pipe)
            self.pair.source_ended(self, None)
            return True
        self.copied += count
        if count < self.settings.bulk_read:
            self.streak = 0
        self.pipe, self.in_pipe = pipe, count
        try:
            if not self._flush():
                self._await_sink()
        except OSError:
            self.pair.sink_failed(self)
        return True

    def _flush(self) -> bool:
        """Offer the sink what is held; True when nothing is held any more. Raises `OSError` when the sink is gone."""
        try:
            if self.pipe is not None and not self._empty_pipe():
                return False
            if self.held is not None:
                rest = self.held[self.sink.send(self.held) :]
                self.held = rest if len(rest) else None
        except _WOULD_BLOCK:
            return False
        return self.held is None

    def _empty_pipe(self) -> bool:
        """The same for what the pipe holds; an empty pipe goes back to the pool."""
        pipe = self.pipe
        if pipe is None or self.pair.pool is None:
            return True
        try:
            self.in_pipe -= os.splice(pipe.exit, self.sink.fileno(), self.in_pipe, flags=_SPLICE_FLAGS)
        except OSError as error:
            if error.errno not in _NO_SPLICE:
                raise
            # This source can be spliced and this sink cannot: take the bytes out again, and never come back.
            self.held = memoryview(os.read(pipe.exit, self.in_pipe))
            self.in_pipe -= len(self.held)
            self.pool = None
        if self.in_pipe:
            return False
        self.pipe = None
        self.pair.pool.give(pipe)
        return True

    # Waiting

    def _await_sink(self) -> None:
        if self.blocked:
            return
        self.blocked = True
        self.loop.remove_reader(self.source.fileno())
        self.loop.add_writer(self.sink.fileno(), self.write)
        if self.stall is None:
            self.stall = self.loop.call_later(self.settings.stall_check, self._look_at_source)

    def _await_source(self) -> None:
        if not self.blocked:
            return
        self.blocked = False
        self.loop.remove_writer(self.sink.fileno())
        self.loop.add_reader(self.source.fileno(), self.read)

    def _look_at_source(self) -> None:
        """While nothing is read its end would go unseen, and a reader that never reads would keep the pair for ever."""
        self.stall = None
        if not self.blocked:
            return
        poll = select.poll()
        poll.register(self.source.fileno(), _PEER_ENDED)
        found = poll.poll(0)
        if found:
            self.pair.over(self.side, Reason.CONNECTION_LOST if found[0][1] & select.POLLERR else None)
        else:
            self.stall = self.loop.call_later(self.settings.stall_check, self._look_at_source)

    # After the end

    def start_finish(self) -> None:
        """Stop copying; from here on only what was received until now is passed on."""
        self.cancel()
        self.left = 0 if self.source_done else unread(self.source)

    def finish(self) -> None:
        """Pass on what is left; when all is gone or the sink is, shut the sink and wait for the source's end."""
        try:
            while not self.shut and self._flush() and self.left:
                self._take_left()
        except OSError:
            self.drop_held()
        if self.held is not None or self.pipe is not None:
            self.loop.add_writer(self.sink.fileno(), self.finish)
            return
        self.loop.remove_writer(self.sink.fileno())
        self.shut = True
        with contextlib.suppress(OSError):  # gone already
            self.sink.shutdown(socket.SHUT_WR)
        if self.source_done:
            self.pair.check_closed()
        else:
            self.loop.add_reader(self.source.fileno(), self.discard)

    def _take_left(self) -> None:
        try:
            count = self.source.recv_into(self.buffer, min(self.left, len(self.buffer)))
        except OSError:
            count = 0  # there are fewer after all; `discard` learns why
        self.left = self.left - count if count else 0
        self.copied += count
        self.held = memoryview(bytes(self.buffer[:count])) if count else None

    def discard(self) -> None:
        """Read the source and drop it, until it ends."""
        try:
            if self.source.recv_into(self.buffer):
                return
        except _WOULD_BLOCK:
            return
        except OSError:
            pass  # a reset is an end too
        self.source_done = True
        self.loop.remove_reader(self.source.fileno())
        self.pair.check_closed()

    def drop_held(self) -> None:
        """Forget what cannot be delivered any more."""
        self.held = None
        self.left = 0
        if self.pipe is not None and self.pair.pool is not None:
            self.pair.pool.discard(self.pipe)
            self.pipe = None

    def cancel(self) -> None:
        """Wait for nothing."""
        self.loop.remove_reader(self.source.fileno())
        self.loop.remove_writer(self.sink.fileno())
        if self.stall is not None:
            self.stall.cancel()
            self.stall = None


class Relay:
    """Joins two connected, non-blocking stream sockets, which it owns from now on and closes in the end.

    `pending_a` and `pending_b` are bytes already received from that side: they go first. `on_ended` is called at
    most once, when a side ended by itself (not after `end` or `abort`). `on_closed` is called exactly once, when both
    sockets are closed, with `Reason.DRAIN_TIMEOUT` if the drain time ran out before both sides had ended. Neither is
    called while the relay is being made.
    """

    __slots__ = ("_on_closed", "_on_ended", "_passed", "_sockets", "_timer", "_ways", "loop", "pool", "settings")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        a: socket.socket,
        b: socket.socket,
        *,
        on_ended: Callable[[RelayEnd], None],
        on_closed: Callable[[Reason | None], None],
        pending_a: bytes = b"",
        pending_b: bytes = b"",
        settings: RelaySettings,
        pipes: PipePool | None,
    ) -> None:
        self.loop = loop
        self.settings = settings
        self.pool = pipes
        self._sockets = (a, b)
        self._on_ended: Callable[[RelayEnd], None] | None = on_ended
        self._on_closed: Callable[[Reason | None], None] | None = on_closed
        self._timer: asyncio.TimerHandle | None = None
        self._passed = (0, 0)
        self._ways: tuple[_Way, ...] = (
            _Way(self, "a", a, b, pending_a),
            _Way(self, "b", b, a, pending_b),
        )

    @property
    def copied(self) -> tuple[int, int]:
        """Bytes received from a for b, and from b for a, so far."""
        return (self._ways[0].copied, self._ways[1].copied) if self._ways else self._passed

    def end(self) -> None:
        """End both sides in good order: received bytes are passed on for at most the drain time. Repeats do nothing."""
        if self._on_ended is not None and self._ways:
            self._on_ended = None
            self._wind_up()

    def abort(self) -> None:
        """Close both sides now; `on_closed` is called before this returns. Repeats do nothing."""
        self._close(None)

    # What the two directions report

    def source_ended(self, way: _Way, reason: Reason | None) -> None:
        way.source_done = True
        self.over(way.side, reason)

    def sink_failed(self, way: _Way) -> None:
        way.drop_held()
        way.shut = True
        self.over("b" if way.side == "a" else "a", Reason.CONNECTION_LOST)

    def over(self, first: Side, reason: Reason | None) -> None:
        """The conversation is over, because of side `first`."""
        report, self._on_ended = self._on_ended, None
        if report is not None:
            report(RelayEnd(*self.copied, first, reason))
        if self._ways:  # else the owner has aborted
            self._wind_up()

    def check_closed(self) -> None:
        """Close once both directions have nothing left to do."""
        if self._ways and all(way.shut and way.source_done for way in self._ways):
            self._close(None)

    def _wind_up(self) -> None:
        self._timer = self.loop.call_later(self.settings.drain, self._time_out)
        ways = self._ways
        for way in ways:
            way.start_finish()
        for way in ways:
            if self._ways:
                way.finish()

    def _time_out(self) -> None:
        for way in self._ways:
            if not way.shut:  # say that bytes are missing, and leave none to the kernel
                way.sink.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._close(Reason.DRAIN_TIMEOUT)

    def _close(self, reason: Reason | None) -> None:
        if not self._ways:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._passed = self.copied
        for way in self._ways:
            way.cancel()
            way.drop_held()
        self._ways = ()  # also breaks the cycle, so that memory is free at once
        for each in self._sockets:
            each.close()
        report, self._on_closed, self._on_ended = self._on_closed, None, None
        if report is not None:
            report(reason)


def unread(source: socket.socket) -> int:
    """How many received bytes wait in the socket."""
    try:
        answer = fcntl.ioctl(source.fileno(), termios.FIONREAD, b"\0\0\0\0")
    except OSError:
        return 0
    return int.from_bytes(answer, sys.byteorder)
