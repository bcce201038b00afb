"""Where users were last known to be: the location cache (D24, D20). Pure.

A location says that a node, told by its fingerprint, has or had the user. At most three for each UIN; a hint never
displaces one that led to a conversation. Bounded: the UIN whose locations were used longest ago goes first, hints fill
a share only, and of one node only so many are kept. Entries expire. A location that failed (D20) is marked for some
minutes: it ranks last and is told to nobody, even when it is learned anew. Counterpart: other nodes' caches, which
ask with A5 and tell with A9.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from enum import IntEnum

from uzel.names import Fingerprint

PER_UIN = 3
SLOT = 60.0
"""Expired locations are looked for so many seconds at a time; a look-up never gives one."""
MARKS = 20_000
"""Failed locations that are remembered; the longest-marked goes first."""


class Source(IntEnum):
    """How a location came to be known; the more it is worth, the higher."""

    REQUEST = 0
    """The user called from there: for our own use only."""
    HINT = 1
    ANSWER = 2
    """The node said A8 when asked."""
    LED = 3
    """It led to AB."""


@dataclass(slots=True)
class Location:
    """One node that has, or had, the user. `expires` is in the cache's own time."""

    node: Fingerprint
    source: Source
    expires: float


@dataclass(frozen=True, slots=True)
class CacheBounds:
    """Counts, a share, and seconds."""

    uins: int = 100_000
    hint_share: float = 0.5
    hints_per_node: int = 10_000
    cached: float = 600.0
    hinted: float = 3600.0
    bad: float = 600.0


class Locations:
    """See the module's text."""

    def __init__(self, bounds: CacheBounds) -> None:
        self._bounds = bounds
        self._by_uin: OrderedDict[int, list[Location]] = OrderedDict()
        self._hints = 0
        self._hints_of: dict[Fingerprint, int] = {}
        self._due: dict[int, set[int]] = {}
        """The UINs of which something expires, by the slot of time that is over when it has."""
        self._marks: OrderedDict[tuple[int, Fingerprint], tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_uin)

    @property
    def hints(self) -> int:
        """How many of the locations are hints."""
        return self._hints

    def learn(self, uin: int, node: Fingerprint, source: Source, now: float) -> bool:
        """Remember it, or that it still holds. False when a bound forbids it."""
        known = self._fresh(uin, now)
        lasts = self._bounds.hinted if source is Source.HINT else self._bounds.cached
        for location in known:
            if location.node == node:
                if source is Source.HINT and location.source < source and not self._room_for_hint(node):
                    return False
                self._raise(location, source)
                location.expires = max(location.expires, now + lasts)
                self._note_due(uin, location.expires)
                self._by_uin.move_to_end(uin)
                return True
        if source is Source.HINT and not self._room_for_hint(node):
            return False
        if len(known) >= PER_UIN and not self._displace(uin, known, source, now):
            return False
        known.append(Location(node, source, now + lasts))
        self._note_due(uin, now + lasts)
        if source is Source.HINT:
            self._count_hint(node, 1)
        self._by_uin[uin] = known
        self._by_uin.move_to_end(uin)
        while len(self._by_uin) > self._bounds.uins:
            for location in self._by_uin.popitem(last=False)[1]:
                self._gone(location)
        return True

    def candidates(self, uin: int, now: float) -> list[Location]:
        """What is known of this user, the best first, the marked last."""
        known = self._fresh(uin, now)
        if known:
            self._by_uin.move_to_end(uin)
        return sorted(known, key=lambda each: (self.is_bad(uin, each.node, now), -each.source, -each.expires))

    def to_tell(self, uin: int, now: float) -> list[Fingerprint]:
        """The nodes that may be named in an A9 for this user, the best first."""
        return [
            location.node
            for location in self.candidates(uin, now)
            if location.source is not Source.REQUEST and not self.is_bad(uin, location.node, now)
        ]

    def drop(self, uin: int, node: Fingerprint) -> None:
        """It does not hold (D20)."""
        known = self._by_uin.get(uin, [])
        for location in known:
            if location.node == node:
                known.remove(location)
                self._gone(location)
                break
        if not known:
            self._by_uin.pop(uin, None)

    def mark_bad(self, uin: int, node: Fingerprint, now: float) -> None:
        """Its conversation ended too soon, or its call timed out (D20)."""
        self._marks[uin, node] = (now + self._bounds.bad, self.marks(uin, node, now) + 1)
        self._marks.move_to_end((uin, node))
        while len(self._marks) > MARKS:
            self._marks.popitem(last=False)

    def vindicate(self, uin: int, node: Fingerprint, now: float) -> None:
        """Marked, but nobody else claims to have the user: it counts as marked once only."""
        if self.marks(uin, node, now) > 1:
            self._marks[uin, node] = (self._marks[uin, node][0], 1)

    def marks(self, uin: int, node: Fingerprint, now: float) -> int:
        """How often it failed of late."""
        until, times = self._marks.get((uin, node), (now, 0))
        return times if until > now else 0

    def marked_until(self, uin: int, node: Fingerprint, now: float) -> float:
        """When its last failure is forgotten; the smaller, the longer ago it failed. 0 when it did not."""
        until, _ = self._marks.get((uin, node), (0.0, 0))
        return until if until > now else 0.0

    def is_bad(self, uin: int, node: Fingerprint, now: float) -> bool:
        """It is marked."""
        return self.marks(uin, node, now) > 0

    def expire(self, now: float, *, at_most: int = 1000) -> None:
        """Forget what has expired, of so many users; call it now and then."""
        while at_most > 0 and self._due and (slot := min(self._due)) * SLOT <= now:
            uins = self._due[slot]
            while uins and at_most > 0:
                self._fresh(uins.pop(), now)
                at_most -= 1
            if not uins:
                del self._due[slot]
        while self._marks and next(iter(self._marks.values()))[0] <= now:
            self._marks.popitem(last=False)

    def _note_due(self, uin: int, expires: float) -> None:
        self._due.setdefault(math.ceil(expires / SLOT), set()).add(uin)

    def _fresh(self, uin: int, now: float) -> list[Location]:
        known = self._by_uin.get(uin)
        if known is None:
            return []
        if any(location.expires <= now for location in known):
            for location in [each for each in known if each.expires <= now]:
                known.remove(location)
                self._gone(location)
            if not known:
                del self._by_uin[uin]
        return known

    def _raise(self, location: Location, source: Source) -> None:
        if source > location.source:
            if location.source is Source.HINT:
                self._count_hint(location.node, -1)
            if source is Source.HINT:
                self._count_hint(location.node, 1)
            location.source = source

    def _room_for_hint(self, node: Fingerprint) -> bool:
        bounds = self._bounds
        return self._hints < bounds.uins * bounds.hint_share and self._hints_of.get(node, 0) < bounds.hints_per_node

    def _displace(self, uin: int, known: list[Location], source: Source, now: float) -> bool:
        """Take out the least of three for a newcomer; False when the newcomer is the least."""
        others = [each for each in known if source is not Source.HINT or each.source is not Source.LED]
        if not others:
            return False
        least = min(others, key=lambda each: (not self.is_bad(uin, each.node, now), each.source, each.expires))
        known.remove(least)
        self._gone(least)
        return True

    def _gone(self, location: Location) -> None:
        if location.source is Source.HINT:
            self._count_hint(location.node, -1)

    def _count_hint(self, node: Fingerprint, change: int) -> None:
        self._hints += change
        count = self._hints_of.get(node, 0) + change
        if count:
            self._hints_of[node] = count
        else:
            del self._hints_of[node]
