"""A line between two people: two streams of bytes that are slow, arrive in pieces, and break at any byte.

What one end writes arrives at the other in order, cut into pieces at chance; a broken line loses what is under way, and
its ends learn of it soon, late, or never. A real `Runner` sits at each end and takes `End` for its transport. TLS is
left out: `Plain` stands in its place. Counterpart: `exchange`, which lays lines.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import cast

from sim_core.loop import TICK
from uzel.net.runner import Runner
from uzel.tls import TlsEngine, TlsSummary

Piece = bytes | None
"""What arrives: bytes, or None for the end of the stream."""


class Plain:
    """An engine that encrypts nothing. `summary` says which protocol was agreed."""

    handshake_done = closed = False
    fault = None

    def __init__(self, alpn: str) -> None:
        self.summary = TlsSummary("none", "none", "none", alpn)
        self._output: list[bytes] = []

    def receive(self, data: bytes) -> bytes:
        return data

    def send(self, data: bytes) -> None:
        self._output.append(data)

    def data_to_send(self) -> bytes:
        output, self._output = self._output, []
        return b"".join(output)

    def close(self) -> None:
        """The end of the stream says the same."""


class Line:
    """Both directions. `delay`: seconds that most pieces take."""

    def __init__(self, chance: random.Random, delay: float) -> None:
        self.chance = chance
        self.delay = delay
        self.is_cut = False
        self.ends = (End(self), End(self))
        self.ends[0].other, self.ends[1].other = self.ends[1], self.ends[0]

    @property
    def is_over(self) -> bool:
        return self.is_cut or all(end.lost for end in self.ends)

    def cut(self) -> None:
        """What is under way is lost. Each end learns of it soon or never: then its keepalive finds out."""
        self.is_cut = True
        for end in self.ends:
            if self.chance.random() < 0.6:
                end.loop.call_later(self.chance.random() * 2, end.lose)


class End(asyncio.Transport):
    """One end, as a transport."""

    other: End

    def __init__(self, line: Line) -> None:
        super().__init__()
        self.line = line
        self.loop = asyncio.get_running_loop()
        self.runner: Runner | None = None
        self.lost = self._closing = self._paused = False
        self._arrived: deque[Piece] = deque()
        self._last_at = 0.0
        self._reset = 0
        """Counts how often what this end had under way was dropped."""

    def join(self, runner: Runner, alpn: str) -> None:
        """From now on this runner is at this end."""
        self.runner = runner
        runner.engine = cast("TlsEngine", Plain(alpn))
        runner.connection_made(self)
        self._deliver()
        if self.lost:
            self.loop.call_soon(self._tell_lost, ConnectionResetError())

    # -- What the runner does ---------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or self.lost:
            return
        left, chance = bytes(data), self.line.chance
        while len(left) > 1 and chance.random() < 0.3:
            at = chance.randrange(1, len(left))
            self._send(left[:at])
            left = left[at:]
        self._send(left)

    def close(self) -> None:
        if self._closing or self.lost:
            return
        self._send(None)
        self._closing = True
        slow = self.line.chance.random() < 0.1  # the peer does not take it: the runner's patience decides
        self.loop.call_later(self.line.chance.random() * 5 if slow else 0.0, self.lose)

    def abort(self) -> None:
        if not self.lost:
            self.sever()
            self.loop.call_soon(self._tell_lost, None)

    def sever(self) -> None:
        """This end is gone, and what it had sent perhaps with it; nobody here is told."""
        if self.lost:
            return
        self.lost = True
        if self.line.chance.random() < 0.5:
            self._reset += 1
        if not self.line.is_cut:
            self.loop.call_at(self._next_at(), self.other.lose)

    def lose(self) -> None:
        """The connection is gone, and the runner is told."""
        if not self.lost:
            self.lost = True
            self._tell_lost(None if self._closing else ConnectionResetError())
            if not self._closing and not self.line.is_cut:
                self.loop.call_at(self._next_at(), self.other.lose)

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self.loop.call_soon(self._deliver)

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """It takes everything."""

    # -- Inside -----------------------------------------------------------------------------------------------

    def _next_at(self) -> float:
        delay = self.line.delay * (0.5 + self.line.chance.random())
        self._last_at = max(self._last_at + TICK, self.loop.time() + delay)
        return self._last_at

    def _send(self, piece: Piece) -> None:
        self.loop.call_at(self._next_at(), self.other.arrive, piece, self._reset)

    def arrive(self, piece: Piece, reset: int) -> None:
        if not (self.line.is_cut or self.lost or reset != self.other._reset):
            self._arrived.append(piece)
            self._deliver()

    def _deliver(self) -> None:
        while self._arrived and self.runner is not None and not (self._paused or self.lost):
            piece = self._arrived.popleft()
            if piece is None:
                self.runner.eof_received()
            else:
                self.runner.data_received(piece)

    def _tell_lost(self, error: Exception | None) -> None:
        if self.runner is not None:
            self.runner.connection_lost(error)
