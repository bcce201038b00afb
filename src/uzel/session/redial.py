"""When to dial again after a connection ended (section 8, "redial").

Delays grow from `first` to `last` seconds, doubling, each varied by ±`jitter`. They start again after a connection
that stood for `stable` seconds. A connection that is closed again within `short` seconds of coming online, three
times running, means that another program uses the same key and each replaces the other (D10): then only the
slowest delay is used until one stays up for `stable`. Pure: randomness is a number in 0 … 1 given by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RedialTimes:
    """Seconds, but for a share and a count.

    first: the first delay.
    last: the longest.
    jitter: the share by which each delay varies, up and down.
    short: a connection that ends sooner after coming online counts as short.
    stable: a connection that lasts longer sets the delays back.
    contested_after: so many short ones running mean that another program uses the key.
    """

    first: float = 1.0
    last: float = 300.0
    jitter: float = 0.5
    short: float = 60.0
    stable: float = 300.0
    contested_after: int = 3


class Redial:
    """The delays of one client."""

    def __init__(self, times: RedialTimes) -> None:
        self._times = times
        self._attempts = 0
        self._short_lives = 0
        self._online_at: float | None = None

    @property
    def contested(self) -> bool:
        """Another program seems to use this number."""
        return self._short_lives >= self._times.contested_after

    def online(self, now: float) -> None:
        """The login held."""
        self._online_at = now

    def closed(self, now: float) -> None:
        """The connection, or the attempt at one, ended."""
        online_at, self._online_at = self._online_at, None
        if online_at is None:
            return
        lived = now - online_at
        if lived < self._times.short:
            self._short_lives += 1
        elif lived >= self._times.stable:
            self._short_lives = self._attempts = 0
        elif not self.contested:
            self._short_lives = 0

    def delay(self, fraction: float) -> float:
        """Seconds until the next attempt, which it counts; `fraction` is random in 0 … 1."""
        base = min(self._times.last, self._times.first * 2.0 ** min(self._attempts, 60))
        if self.contested:
            base = self._times.last
        self._attempts += 1
        return self._varied(base, fraction)

    def soon(self, fraction: float) -> float:
        """The first delay, whatever went before: for another node than the one that failed. It is not counted."""
        return self._varied(self._times.first, fraction)

    def _varied(self, base: float, fraction: float) -> float:
        return base * (1 - self._times.jitter + 2 * self._times.jitter * fraction)
