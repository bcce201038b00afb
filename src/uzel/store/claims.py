"""A node's memory of who owns a UIN: the first key that came with it (section 7).

A claim stands until it was unused for some days, across restarts. There is a bound: when it is reached, claims
that were never used since they were made go first, then the least recently used. What counts as use is the
caller's decision. Time is an argument: seconds since 1970, UTC. Here are the port and its twin in memory;
`uzel.store.sqlite_claims` is the one on disk, and one contract suite runs on both.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from uzel.names import Fingerprint

CLAIMS_BOUND = 100_000
CLAIMS_DAYS = 90.0
SECONDS_A_DAY = 86_400.0


class Claims(Protocol):
    """Who owns which UIN. For use from one thread only."""

    def owner(self, uin: int) -> Fingerprint | None:
        """The key that owns the UIN; microseconds. An outlived claim still counts until `expire`."""

    def claim(self, uin: int, fingerprint: Fingerprint, now: float) -> bool:
        """Give the UIN to this key if it has no owner. False when another key owns it.

        The claim is durable when this returns. At the bound another claim goes for it.
        """

    def used(self, uin: int, now: float) -> None:
        """Note that the owner used its UIN. Cheap: kept in memory until `flush`, lost in a crash before it."""

    def expire(self, now: float) -> int:
        """Forget claims that were unused for longer than the limit. Returns how many."""

    def flush(self) -> None:
        """Make what `used` noted durable."""

    def close(self) -> None:
        """Flush and let go. May be called twice."""

    def __len__(self) -> int:
        """How many UINs have an owner."""


class MemoryClaims:
    """`Claims` in memory, for tests and simulations."""

    def __init__(self, *, bound: int = CLAIMS_BOUND, days: float = CLAIMS_DAYS) -> None:
        self._bound = bound
        self._seconds = days * SECONDS_A_DAY
        self._owners: dict[int, Fingerprint] = {}
        # When each was last touched, the longest ago first.
        self._never_used: OrderedDict[int, float] = OrderedDict()
        self._used: OrderedDict[int, float] = OrderedDict()

    def owner(self, uin: int) -> Fingerprint | None:
        return self._owners.get(uin)

    def claim(self, uin: int, fingerprint: Fingerprint, now: float) -> bool:
        owner = self._owners.get(uin)
        if owner is not None:
            return owner == fingerprint
        if len(self._owners) >= self._bound:
            last, _ = (self._never_used or self._used).popitem(last=False)
            del self._owners[last]
        self._owners[uin] = fingerprint
        self._never_used[uin] = now
        return True

    def used(self, uin: int, now: float) -> None:
        if uin in self._owners:
            before = self._never_used.pop(uin, now)
            self._used[uin] = max(before, now, self._used.get(uin, now))
            self._used.move_to_end(uin)

    def expire(self, now: float) -> int:
        gone = [
            uin for times in (self._never_used, self._used) for uin, at in times.items() if at < now - self._seconds
        ]
        for uin in gone:
            del self._owners[uin]
            self._never_used.pop(uin, None)
            self._used.pop(uin, None)
        return len(gone)

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def __len__(self) -> int:
        return len(self._owners)
