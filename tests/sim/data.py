"""Data connections: plain bytes between a client and its node, with the buffers that TCP has.

A `Stream` is one direction. What its writer has not yet got rid of is `unsent`; what flies, or lies unread at the
reader, is at most the window. So a slow reader slows its writer, and at the node the unsent bytes grow. Counterparts:
`shell.SimNode`, which has the node's end of a `DataLine`, and `talk.Talk`, which has the client's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sim.clock import Clock
from uzel.wire import DataHello

MOST_READ = 65_524
"""Bytes handed over at a time, at most: what one D0 carries."""

WINDOW = 16384
"""Bytes that fly, or lie unread, on a client's data connection, at most."""


class Stream:
    """One direction. on_data, on_end: at the reader. on_drained: at the writer, when nothing is unsent any more.

    on_peeked_end: the end has come, and the reader is not reading.
    """

    __slots__ = (
        "_arrived", "_broken", "_clock", "_delay", "_end_arrived", "_end_sent", "_finishing", "_flying", "_pending",
        "_window", "is_dead", "on_data", "on_drained", "on_end", "on_peeked_end", "paused", "unsent", "written",
    )  # fmt: skip

    def __init__(self, clock: Clock, delay: float, window: int) -> None:
        self._clock = clock
        self._delay = delay
        self._window = window
        self._pending: deque[bytes] = deque()
        self._arrived: deque[bytes] = deque()
        self._flying = 0
        self._finishing = self._end_sent = self._end_arrived = self._broken = False
        self.unsent = 0
        self.written = 0
        self.paused = False
        self.is_dead = False
        self.on_data: Callable[[bytes], None] = _ignore
        self.on_end: Callable[[], None] = _nothing
        self.on_drained: Callable[[], None] = _nothing
        self.on_peeked_end: Callable[[], None] = _nothing

    def write(self, data: bytes) -> None:
        """Send it as the window allows; look at `unsent` behind it, `on_drained` is for later."""
        if not data or self.is_dead or self._finishing:
            return
        self.written += len(data)
        self.unsent += len(data)
        self._pending.append(data)
        self._pump()

    def finish(self) -> None:
        """End behind what was written."""
        if not self.is_dead:
            self._finishing = True
            self._pump()

    def give_up(self) -> None:
        """What is unsent is dropped; then it ends."""
        self._pending.clear()
        self.unsent = 0
        self.finish()

    def kill(self) -> None:
        """Nothing arrives any more, no end either."""
        self.is_dead = True
        self._pending.clear()
        self._arrived.clear()
        self.unsent = 0

    def break_off(self, notice: float) -> None:
        """The connection broke: the reader finds an end so many seconds later, and nothing before it."""
        if self.is_dead:
            return
        self._pending.clear()
        self._arrived.clear()
        self.unsent = 0
        self._broken = self._finishing = self._end_sent = True
        self._clock.after(notice, self._end)

    def read_on(self) -> None:
        """Read again."""
        if self.paused:
            self.paused = False
            self._clock.after(0.0, self._read)

    def _pump(self) -> None:
        pending = self._pending
        while pending and self._flying < self._window:
            data = pending.popleft()
            room = min(self._window - self._flying, MOST_READ)
            if len(data) > room:
                pending.appendleft(data[room:])
                data = data[:room]
            self._flying += len(data)
            self.unsent -= len(data)
            self._clock.after(self._delay, self._arrive, data)
        if self._finishing and not pending and not self._end_sent:
            self._end_sent = True
            self._clock.after(self._delay, self._end)

    def _arrive(self, data: bytes) -> None:
        if not self.is_dead and not self._broken:
            self._arrived.append(data)
            if not self.paused:
                self._read()

    def _read(self) -> None:
        was_unsent = self.unsent
        while self._arrived and not self.paused:
            data = self._arrived.popleft()
            self._flying -= len(data)
            self.on_data(data)
        if self.is_dead or self.paused:
            return
        if self._end_arrived:
            self._tell_end()
            return
        self._pump()
        if was_unsent and not self.unsent:
            self.on_drained()

    def _end(self) -> None:
        if self.is_dead or self._end_arrived:
            return
        self._end_arrived = True
        if self.paused:
            self.on_peeked_end()
        elif not self._arrived:
            self._tell_end()

    def _tell_end(self) -> None:
        if not self.is_dead:
            self.is_dead = True
            self.on_end()


class DataLine:
    """One data connection. `up` goes to the node, `down` to the client; `id` is the node's name for it."""

    __slots__ = ("_clock", "down", "hello", "id", "network", "node_open", "up", "was_cut_short", "was_reset")

    def __init__(self, clock: Clock, hello: DataHello, network: str, delay: float, window: int) -> None:
        self._clock = clock
        self.hello = hello
        self.network = network
        self.id = 0
        self.up = Stream(clock, delay, window)
        self.down = Stream(clock, delay, window)
        self.node_open = True
        self.was_reset = False
        self.was_cut_short = False

    def client_close(self) -> None:
        """The client ends it in order: what it wrote goes up first; it reads no more."""
        self.down.kill()
        self.up.finish()

    def client_abort(self) -> None:
        """The client resets it."""
        self.was_reset = True
        self.down.kill()
        self.up.give_up()

    def node_close(self) -> None:
        """The node closes it now; what is unsent is dropped."""
        self.node_open = False
        self.up.kill()
        self.down.give_up()

    def node_end(self, drain: float) -> None:
        """The node passes on what is unsent for so many seconds, then ends it; it reads no more."""
        if self.node_open:
            self.node_open = False
            self.up.kill()
            self.down.finish()
            self._clock.after(drain, self._drain_over)

    def _drain_over(self) -> None:
        if self.down.unsent:
            self.was_cut_short = True
            self.down.give_up()

    def break_apart(self, node: float, client: float) -> None:
        """The connection is gone; each end learns of it so many seconds later."""
        self.was_reset = True
        self.up.break_off(node)
        self.down.break_off(client)


def _ignore(data: bytes) -> None:
    """Nobody reads."""


def _nothing() -> None:
    """Nobody listens."""
