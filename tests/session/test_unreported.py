"""The queue of unreported texts against a list of (name, pieces left): long texts, a narrow window, withdrawals."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from uzel.session.unreported import FRAME, MAX_PIECE, OutgoingText, Unreported, pieces_of

WINDOW = 3 * MAX_PIECE


@dataclass(eq=False)
class Entry:
    """A text as the model sees it: the pieces not yet reported, and how many of them are out."""

    text: OutgoingText
    left: list[bytes]
    out: int = 0
    delivered: list[int] = field(default_factory=list)


class UnreportedModel(RuleBasedStateMachine):
    """Every step on the queue and on a plain list; they may never differ."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = Unreported()
        self.entries: list[Entry] = []
        self.flying: list[tuple[Entry, int]] = []
        self.count = 0

    @rule(letters=st.sampled_from(["a", "й", "😀"]), size=st.sampled_from([0, 1, 40_000, 65_535, 65_536, 150_000]))
    def add(self, letters: str, size: int) -> None:
        self.count += 1
        called: list[int] = []
        whole = letters * (size // len(letters.encode()))
        text = OutgoingText(whole, lambda: called.append(1))
        self.entries.append(Entry(text, list(pieces_of(whole)), delivered=called))
        self.queue.add(text)

    @rule()
    def send(self) -> None:
        entry = next((entry for entry in self.entries if entry.out < len(entry.left)), None)
        expected = None
        if entry is not None:
            size = len(entry.left[entry.out]) + FRAME
            if not self.flying or self.flying_bytes + size <= WINDOW:
                expected = entry.left[entry.out]
                entry.out += 1
                self.flying.append((entry, size))
        assert self.queue.next_piece(WINDOW) == expected

    @rule()
    def report(self) -> None:
        assert self.queue.reported() == bool(self.flying)
        if not self.flying:
            return
        entry, _ = self.flying.pop(0)
        assert entry is self.entries[0]
        entry.left.pop(0)
        entry.out -= 1
        assert entry.delivered == ([] if entry.left else [1])
        if not entry.left:
            self.entries.pop(0)

    @rule()
    def a_new_conversation(self) -> None:
        self.queue.rewind()
        self.flying.clear()
        self.entries = [entry for entry in self.entries if not entry.text.withdrawn]
        for entry in self.entries:
            entry.out = 0

    @precondition(lambda self: self.entries)
    @rule(which=st.integers(0, 5))
    def withdraw(self, which: int) -> None:
        entry = self.entries[which % len(self.entries)]
        self.queue.withdraw(entry.text)
        if not entry.out:
            self.entries.remove(entry)

    @property
    def flying_bytes(self) -> int:
        return sum(size for _, size in self.flying)

    @invariant()
    def they_agree(self) -> None:
        assert len(self.queue) == len(self.entries)
        assert self.queue.in_flight_bytes == self.flying_bytes
        assert self.queue.waiting_bytes == sum(len(piece) + FRAME for entry in self.entries for piece in entry.left)


UnreportedModel.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestUnreported = UnreportedModel.TestCase


def ignore() -> None:
    """For texts whose delivery does not matter."""


def test_a_text_larger_than_the_window_goes_alone() -> None:
    queue = Unreported()
    for text in ("x" * 5000, "y" * 5000):
        queue.add(OutgoingText(text, ignore))
    assert queue.next_piece(100) == b"x" * 5000
    assert queue.next_piece(100) is None
    assert queue.reported()
    assert queue.next_piece(100) == b"y" * 5000


def test_withdrawing_twice_or_after_delivery_does_nothing() -> None:
    queue, text = Unreported(), OutgoingText("x", ignore)
    queue.add(text)
    queue.withdraw(text)
    queue.withdraw(text)
    assert (len(queue), queue.waiting_bytes, queue.next_piece(1000)) == (0, 0, None)


def test_a_half_sent_text_that_is_withdrawn_goes_to_its_end() -> None:
    """Its first pieces are out; to stop in the middle would leave the peer half a text (it cannot tell)."""
    queue, text = Unreported(), OutgoingText("x" * 150_000, ignore)
    queue.add(text)
    queue.next_piece(10)
    queue.withdraw(text)
    assert len(queue) == 1
    queue.rewind()
    assert (len(queue), queue.waiting_bytes) == (0, 0)


def test_utf8_cannot_carry_half_a_surrogate_pair() -> None:
    with pytest.raises(UnicodeEncodeError):
        OutgoingText("\ud83d", ignore)
