"""What must be true of two histories, whatever happened in between (promise 1, between two Uzels). Pure.

Each function returns what it found, in words; nothing found is an empty list. Counterparts: `speaking`, which knows
what was said and what the core answered; `stage`, which reads the histories.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise

from uzel.store.records import TextState

SHOWN = 5
"""Of the findings of one kind: the first tell the most."""


class Answer(Enum):
    """What the core said to a text."""

    ACCEPTED = auto()
    """It is queued: it must arrive."""
    REFUSED = auto()
    """It is not: it must not arrive."""
    NOTHING = auto()
    """It ended, or was silent: both may be."""


@dataclass(frozen=True, slots=True)
class Said:
    """One text that somebody tried to say, in the order of trying. No two texts are the same."""

    text: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Kept:
    """One text of a history; `id` in hexadecimal, `state` by its name."""

    number: int
    outgoing: bool
    id: str
    text: str
    state: str


def of_one_way(said: Sequence[Said], senders: Iterable[Kept], receivers: Iterable[Kept]) -> list[str]:
    """Everything that is wrong once nothing waits any more, with the texts of one direction."""
    ours = [text for text in senders if text.outgoing]
    theirs = [text for text in receivers if not text.outgoing]
    return [
        *_of_answers(said, ours, "the sender's"),
        *_of_answers(said, theirs, "the receiver's"),
        *_of_order(said, ours, "the sender's"),
        *_of_order(said, theirs, "the receiver's"),
        *_of_states(ours, {text.id for text in theirs}),
    ]


def of_a_look(delivered: Iterable[str], received: Iterable[str]) -> list[str]:
    """In the middle of it: the ids that the sender had marked delivered, and those the receiver has a moment later."""
    missing = set(delivered) - set(received)
    return _shown("marked delivered, and not with the receiver", sorted(missing))


def delivered_ids(texts: Iterable[Kept]) -> list[str]:
    """Ids of the own texts that are marked delivered."""
    return [text.id for text in texts if text.outgoing and text.state == TextState.DELIVERED]


def received_ids(texts: Iterable[Kept]) -> list[str]:
    """Ids of the peer's texts."""
    return [text.id for text in texts if not text.outgoing]


def _of_answers(said: Sequence[Said], kept: Sequence[Kept], whose: str) -> list[str]:
    times = Counter(text.text for text in kept)
    known = {each.text for each in said}
    accepted = [each.text for each in said if each.answer is Answer.ACCEPTED]
    refused = [each.text for each in said if each.answer is Answer.REFUSED]
    return [
        *_shown(f"accepted, and not in {whose} history", (text for text in accepted if not times[text])),
        *_shown(f"refused, and in {whose} history", (text for text in refused if times[text])),
        *_shown(f"more than once in {whose} history", (text for text, count in times.items() if count > 1)),
        *_shown(f"never said, and in {whose} history", (text for text in times if text not in known)),
    ]


def _of_order(said: Sequence[Said], kept: Sequence[Kept], whose: str) -> list[str]:
    """As the numbers of the history go, so was it said."""
    place = {each.text: number for number, each in enumerate(said)}
    known = [text.text for text in sorted(kept, key=lambda text: text.number) if text.text in place]
    wrong = (f"{late} before {early}" for late, early in pairwise(known) if place[late] > place[early])
    return _shown(f"out of order in {whose} history", wrong)


def _of_states(ours: Sequence[Kept], arrived: set[str]) -> list[str]:
    delivered = {text.id for text in ours if text.state == TextState.DELIVERED}
    missing = (text.text for text in ours if text.id in delivered and text.id not in arrived)
    unmarked = (f"{text.text} is {text.state}" for text in ours if text.id in arrived and text.id not in delivered)
    waiting = (f"{text.text} is {text.state}" for text in ours if text.id not in delivered and text.id not in arrived)
    return [
        *_shown("marked delivered, and not with the receiver", missing),
        *_shown("with the receiver, and not marked delivered", unmarked),
        *_shown("in the sender's history, and never delivered", waiting),
    ]


def _shown(what: str, which: Iterable[str]) -> list[str]:
    found = list(which)
    return [f"{len(found)} {what}: {', '.join(each[:40] for each in found[:SHOWN])}"] if found else []
