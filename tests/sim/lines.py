"""Connections between places, as their two ends see them: links and control connections carry whole messages.

A `Lane` is one direction: in order, with the path's delay and rate; while the path is cut, or the receiver does not
read, what is sent waits, and beyond the lane's buffer the sender is asked to wait as well. A connection ends in order,
behind what was sent, or breaks: then each end learns of it in its own time, or never. Counterparts: `world.World.dial`
makes links, `shell` and `people` use them; `data` has the connections that carry plain bytes.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from sim.clock import Clock
from uzel.errors import Reason
from uzel.session.machine import Event, MessageMachine
from uzel.wire import Message

Item = TypeVar("Item")


class Path:
    """The way between two places. `delay` in seconds, `rate` in bytes a second, `spike` the share of slow passages."""

    __slots__ = ("_chance", "blocked", "delay", "jitter", "rate", "spike", "stuck")

    def __init__(
        self, chance: random.Random, *, delay: float, jitter: float = 0.5, rate: float = 1e6, spike: float = 0.0
    ) -> None:
        self._chance = chance.random
        self.delay = delay
        self.jitter = jitter
        self.rate = rate
        self.spike = spike
        self.blocked = False
        self.stuck: list[Callable[[], None]] = []

    def latency(self) -> float:
        """How long the next thing sent takes."""
        drawn = self._chance()
        delay = self.delay * (1 + self.jitter * drawn)
        return delay * 8 if drawn < self.spike else delay

    def heal(self) -> None:
        """It is not cut any longer: what waited goes on its way."""
        self.blocked = False
        stuck, self.stuck = self.stuck, []
        for go_on in stuck:
            go_on()


class Lane(Generic[Item]):
    """One direction of a connection. `buffer`: bytes that the sender's transport takes; `stalled`: nobody reads."""

    __slots__ = (
        "_clock", "_deliver", "_flying", "_free_at", "_held", "_missed", "_on_room", "buffer", "is_open", "last",
        "path", "stalled",
    )  # fmt: skip

    def __init__(self, clock: Clock, path: Path, deliver: Callable[[Item], None], buffer: int = 16384) -> None:
        self._clock = clock
        self._deliver = deliver
        self._flying: deque[Item] = deque()
        self._free_at = 0.0
        self._held = 0
        self._missed = 0
        self._on_room: Callable[[], None] | None = None
        self.path = path
        self.buffer = buffer
        self.last = 0.0
        self.stalled = False
        self.is_open = True

    @property
    def is_full(self) -> bool:
        """The transport takes no more for now."""
        return self._held + (self._free_at - self._clock.now) * self.path.rate >= self.buffer

    def send(self, item: Item, size: int = 0) -> None:
        """It arrives, if anything does."""
        path = self.path
        if not self.is_open:
            self._held += size
            return
        self._flying.append(item)
        if path.blocked or self.stalled:
            self._held += size
            self._miss()
            return
        now = self._clock.now
        self._free_at = max(self._free_at, now) + size / path.rate
        self.last = max(self.last, self._free_at + path.latency())
        self._clock.at(self.last, self._arrive)

    def when_room(self, action: Callable[[], None]) -> None:
        """Do it once the transport has drained by half."""
        if self._on_room is not None:
            return
        self._on_room = action
        if not self._held:
            drained = self._free_at - self.buffer / 2 / self.path.rate
            self._clock.at(max(drained, self._clock.now), self._room)

    def cut(self) -> None:
        """Nothing arrives any more, neither what is on its way."""
        self.is_open = False
        self._flying.clear()

    def go_on(self) -> None:
        """What missed its time arrives after all."""
        missed, self._missed, self._held = self._missed, 0, 0
        self.last = max(self.last, self._clock.now + self.path.latency())
        for _ in range(missed):
            self._clock.at(self.last, self._arrive)
        self._room()

    def _room(self) -> None:
        action, self._on_room = self._on_room, None
        if action is not None:
            action()

    def _miss(self) -> None:
        self._missed += 1
        if self._missed == 1 and not self.stalled:
            self.path.stuck.append(self.go_on)

    def _arrive(self) -> None:
        if not self._flying:
            return
        if self.path.blocked or self.stalled:
            self._miss()
            return
        self._deliver(self._flying.popleft())


class LinkOwner(Protocol):
    """Whose link it is."""

    def link_arrived(self, end: LinkEnd, message: Message) -> None:
        """A message came."""

    def link_gone(self, end: LinkEnd, reason: Reason | None) -> None:
        """It ended, and not by us."""


class LinkEnd:
    """One end of a connection between two nodes, after TLS. `id` is its owner's name for it."""

    __slots__ = ("_clock", "id", "is_open", "other", "out", "owner", "peer", "waits")

    peer: LinkEnd

    def __init__(self, clock: Clock, path: Path, buffer: int) -> None:
        self._clock = clock
        self.owner: LinkOwner | None = None
        self.id = 0
        self.other = ""
        self.is_open = True
        self.out: Lane[Message | None] = Lane(clock, path, self._deliver, buffer)
        self.waits: dict[tuple[int, int], int] = {}
        """For the checkers: how many frames of others may still go before each waiting pair's next."""

    @staticmethod
    def pair(clock: Clock, path: Path, buffer: int, names: tuple[str, str]) -> tuple[LinkEnd, LinkEnd]:
        """Both ends of a new link; `names` are those of the two nodes, the first end's owner first."""
        one, two = LinkEnd(clock, path, buffer), LinkEnd(clock, path, buffer)
        one.peer, two.peer = two, one
        two.other, one.other = names
        return one, two

    def close(self) -> None:
        """End it in order: the other end learns of it behind what was sent."""
        if self.is_open:
            self.is_open = False
            self.out.send(None)

    def vanish(self, notice: float | None) -> None:
        """This end is no more. The other learns of it so many seconds later, or by itself."""
        self.is_open = False
        self.out.cut()
        self.peer.out.cut()
        if notice is not None:
            self._clock.after(notice, self.peer.lose)

    def lose(self) -> None:
        """This end finds out that the connection is gone."""
        if self.is_open:
            self.is_open = False
            self.out.cut()
            if self.owner is not None:
                self.owner.link_gone(self, Reason.CONNECTION_LOST)

    def break_apart(self, here: float | None, there: float | None) -> None:
        """The connection is gone; each end learns of it so many seconds later, or by itself."""
        for end, notice in ((self, here), (self.peer, there)):
            end.out.cut()
            if notice is not None:
                self._clock.after(notice, end.lose)

    def _deliver(self, message: Message | None) -> None:
        peer = self.peer
        owner = peer.owner
        if not peer.is_open or owner is None:
            return
        if message is None:
            peer.is_open = False
            owner.link_gone(peer, None)
        else:
            owner.link_arrived(peer, message)


class MachineEnd:
    """One end of a control connection: runs its machine, as `uzel.net.runner` does over a socket.

    on_events: what the machine reports. on_gone: it ended, and not by `close`.
    """

    __slots__ = ("_armed", "_clock", "_on_events", "_on_gone", "is_open", "machine", "out", "peer")

    peer: MachineEnd

    def __init__(
        self,
        clock: Clock,
        path: Path,
        machine: MessageMachine,
        on_events: Callable[[list[Event]], None],
        on_gone: Callable[[], None],
    ) -> None:
        self._clock = clock
        self.machine = machine
        self._on_events = on_events
        self._on_gone = on_gone
        self._armed = False
        self.is_open = True
        self.out: Lane[bytes | None] = Lane(clock, path, self._deliver)

    def flush(self) -> None:
        """Send what the machine has to send, and look when it wants to be called."""
        if not self.is_open:
            return
        data = self.machine.data_to_send()
        if data:
            self.out.send(data)
        if self.machine.closed:
            self._end()
        elif not self._armed:
            deadline = self.machine.deadline()
            if deadline is not None:
                self._armed = True
                self._clock.at(deadline, self._tick)

    def close(self) -> None:
        """End it in order."""
        if self.is_open:
            data = self.machine.data_to_send()
            if data:
                self.out.send(data)
            self.is_open = False
            self.out.send(None)

    def vanish(self, notice: float | None) -> None:
        """This end is no more; the other learns of it so many seconds later, or by itself."""
        self.is_open = False
        self.out.cut()
        self.peer.out.cut()
        if notice is not None:
            self._clock.after(notice, self.peer.lose)

    def lose(self) -> None:
        """This end finds out that the connection is gone."""
        if self.is_open:
            self.out.cut()
            self._end()

    def _end(self) -> None:
        self.is_open = False
        self.out.send(None)
        self._on_gone()

    def _tick(self) -> None:
        self._armed = False
        if not self.is_open:
            return
        deadline = self.machine.deadline()
        if deadline is not None and deadline <= self._clock.now:
            self._on_events(self.machine.on_timeout(self._clock.now))
        self.flush()

    def _deliver(self, data: bytes | None) -> None:
        peer = self.peer
        if not peer.is_open:
            return
        if data is None:
            peer._end()
            return
        events = peer.machine.receive(data, self._clock.now)
        if events:
            peer._on_events(events)
        peer.flush()
