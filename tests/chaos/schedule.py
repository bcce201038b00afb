"""What goes wrong, and when: drawn from a seed before anything runs, so that a seed replays its script.

Rules: every kind of fault comes once before any comes again; some come two at a time. The script decides nothing about
what is said meanwhile (`speaking`), nor how a fault is made (`faults`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

MOST_BUSY = 7.0
"""Seconds: longer than a connection waits for another's lock, so that some writes are refused."""
MOST_JUMP = 10 * 86_400
"""Seconds, forwards or backwards."""
SIDES = 2


class Kind(StrEnum):
    """One way to break something; the value is how the report calls it."""

    CORE_KILLED = "kill -9 of a core"
    CORE_STOPPED = "SIGTERM to a core"
    CORE_FROZEN = "a core frozen"
    NODE_KILLED = "kill -9 of a node"
    CABLE_OUT = "a core's cable out"
    NODES_PARTED = "the nodes parted"
    DISK_FULL = "a full disk"
    CLOCK_JUMPED = "a jump of the clock"
    WRITER_BUSY = "another writer in the profile"
    READER_BUSY = "a long reader in the profile"


_LONGEST = {Kind.WRITER_BUSY: MOST_BUSY, Kind.READER_BUSY: MOST_BUSY, Kind.CLOCK_JUMPED: 0.0}
"""Seconds; the others last as long as the script says."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`side` is 0 or 1; it lasts so many seconds. `jump` is for the clock: seconds."""

    kind: Kind
    side: int
    seconds: float
    jump: int = 0


@dataclass(frozen=True, slots=True)
class Act:
    """After so many seconds of peace these faults begin together."""

    after: float
    faults: tuple[Fault, ...]

    @property
    def seconds(self) -> float:
        """How long it takes, the peace before it included."""
        return self.after + max(fault.seconds for fault in self.faults)


def draw(seed: int, seconds: float, longest: float) -> list[Act]:
    """Acts for at least so many seconds, and until every kind has come; `longest` is how long a fault may last."""
    chance = random.Random(f"chaos {seed}")
    kinds = _decks(chance)
    acts: list[Act] = []
    while sum(act.seconds for act in acts) < seconds or {f.kind for act in acts for f in act.faults} != set(Kind):
        faults = [_fault(chance, next(kinds), longest)]
        if chance.random() < 0.4:
            other = _fault(chance, next(kinds), longest)
            if other.kind is not faults[0].kind:
                faults.append(other)
        acts.append(Act(chance.uniform(0.1, longest / 2), tuple(faults)))
    return acts


def _decks(chance: random.Random) -> Iterator[Kind]:
    while True:
        yield from chance.sample(list(Kind), len(Kind))


def _fault(chance: random.Random, kind: Kind, longest: float) -> Fault:
    side = chance.randrange(SIDES)
    jump = chance.choice((-1, 1)) * chance.randint(1, MOST_JUMP) if kind is Kind.CLOCK_JUMPED else 0
    return Fault(kind, side, chance.uniform(0.1, 1.0) * _LONGEST.get(kind, longest), jump)
