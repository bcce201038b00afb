"""How much a node lets anyone have: rates and counts, pure (section 8).

Each bound refuses by name; none of them crashes or blocks. Counterpart: `config.Limits`, where the numbers live.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_minute` on average, `burst` at once."""

    per_minute: float
    burst: int


class RateLimiter(Generic[Key]):
    """A token bucket for each key. Only keys that lack tokens are remembered, at most `bound` of them.

    Beyond the bound the longest-unused key is forgotten: it gets a full bucket back, the others keep theirs.
    """

    def __init__(self, rate: Rate, *, bound: int = 100_000) -> None:
        self._rate = rate
        self._bound = bound
        self._buckets: OrderedDict[Key, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Key, now: float) -> bool:
        """Take one token; False when there is none."""
        burst = float(self._rate.burst)
        tokens, since = self._buckets.pop(key, (burst, now))
        tokens = min(burst, tokens + (now - since) * self._rate.per_minute / 60)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        while len(self._buckets) > self._bound:
            self._buckets.popitem(last=False)
        return allowed

    def has(self, key: Key, now: float) -> bool:
        """Whether `take` would give one."""
        tokens, since = self._buckets.get(key, (float(self._rate.burst), now))
        return tokens + (now - since) * self._rate.per_minute / 60 >= 1

    def forget_full(self, now: float) -> None:
        """Forget the keys whose buckets have filled up again; call it now and then."""
        full_after = self._rate.burst * 60 / self._rate.per_minute
        while self._buckets:
            key, (_, since) = next(iter(self._buckets.items()))
            if now - since < full_after:
                return
            del self._buckets[key]


class PerMinute(Generic[Key]):
    """At most so many in any minute, for each key, however they come. Keys of the last minute are remembered, at most
    `bound` of them; beyond it the longest-unused is forgotten.
    """

    def __init__(self, most: int, *, bound: int = 10_000) -> None:
        self._most = most
        self._bound = bound
        self._taken: OrderedDict[Key, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, key: Key, now: float) -> bool:
        """Take one; False when the last minute had as many as it may."""
        if not self.has(key, now):
            return False
        self._taken.setdefault(key, deque(maxlen=self._most)).append(now)
        self._taken.move_to_end(key)
        self._forget_old(now)
        return True

    def has(self, key: Key, now: float) -> bool:
        """Whether `take` would give one."""
        taken = self._taken.get(key)
        return taken is None or len(taken) < self._most or now - taken[0] >= 60

    def _forget_old(self, now: float) -> None:
        while now - next(iter(self._taken.values()))[-1] >= 60 or len(self._taken) > self._bound:
            self._taken.popitem(last=False)


class Deadlines(Generic[Key]):
    """Deadlines of one fixed length: set, cleared and found due in constant time. A key has at most one."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: OrderedDict[Key, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: Key) -> bool:
        return key in self._due

    def set(self, key: Key, now: float) -> None:
        """Start the time of this key anew."""
        self._due.pop(key, None)
        self._due[key] = now + self._seconds

    def clear(self, key: Key) -> bool:
        """Forget it; False when it was not there."""
        return self._due.pop(key, None) is not None

    def next(self) -> float | None:
        """The earliest deadline."""
        for due in self._due.values():
            return due
        return None

    def items(self) -> Iterator[tuple[Key, float]]:
        """Every key with its deadline, the earliest first."""
        return iter(self._due.items())

    def oldest(self) -> Key | None:
        """The key that was set first."""
        return next(iter(self._due), None)

    def take_due(self, now: float) -> list[Key]:
        """The keys whose time has passed; they are forgotten."""
        due: list[Key] = []
        for key, when in self._due.items():
            if when > now:
                break
            due.append(key)
        for key in due:
            del self._due[key]
        return due


class Timers(Generic[Key]):
    """Deadlines of any length: a heap. A key has at most one; setting it again moves it."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Key]] = []
        self._current: dict[Key, tuple[float, int]] = {}
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._current)

    def __contains__(self, key: Key) -> bool:
        return key in self._current

    def set(self, key: Key, when: float) -> None:
        """Let this key be due at `when`, and at no other time."""
        self._numbers += 1
        self._current[key] = (when, self._numbers)
        heapq.heappush(self._heap, (when, self._numbers, key))
        if len(self._heap) > 64 + 2 * len(self._current):
            self._heap = [(at, number, each) for each, (at, number) in self._current.items()]
            heapq.heapify(self._heap)

    def clear(self, key: Key) -> bool:
        """Forget it; False when it was not there."""
        return self._current.pop(key, None) is not None

    def next(self) -> float | None:
        """The earliest deadline."""
        while self._heap:
            when, number, key = self._heap[0]
            if self._current.get(key) == (when, number):
                return when
            heapq.heappop(self._heap)
        return None

    def take_due(self, now: float) -> list[Key]:
        """The keys whose time has passed, the earliest first; they are forgotten."""
        due: list[Key] = []
        while (when := self.next()) is not None and when <= now:
            key = heapq.heappop(self._heap)[2]
            del self._current[key]
            due.append(key)
        return due


class Counts(Generic[Key]):
    """How many of something each key has; a key with none takes no memory."""

    def __init__(self) -> None:
        self._counts: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def __getitem__(self, key: Key) -> int:
        return self._counts.get(key, 0)

    def largest(self) -> Key | None:
        """The key that has most."""
        return max(self._counts, key=self._counts.__getitem__, default=None)

    def add(self, key: Key) -> int:
        """One more; returns the new count."""
        count = self._counts.get(key, 0) + 1
        self._counts[key] = count
        return count

    def remove(self, key: Key) -> None:
        """One less."""
        count = self._counts[key] - 1
        if count:
            self._counts[key] = count
        else:
            del self._counts[key]
