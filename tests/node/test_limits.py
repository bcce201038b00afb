"""Rates, counts and timers, beside naive models (section 8)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from uzel.node.limits import Counts, Deadlines, PerMinute, Rate, RateLimiter, Timers

times = st.integers(0, 50).map(float)
keys = st.sampled_from("abcdef")


class TimersModel(RuleBasedStateMachine):
    """Beside the heap a plain dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: Timers[str] = Timers()
        self.naive: dict[str, float] = {}

    @rule(key=keys, when=times)
    def set(self, key: str, when: float) -> None:
        self.timers.set(key, when)
        self.naive[key] = when

    @rule(key=keys, when=times, often=st.integers(1, 100))
    def set_often(self, key: str, when: float, often: int) -> None:
        for number in range(often):
            self.timers.set(key, when + number)
        self.naive[key] = when + often - 1

    @rule(key=keys)
    def clear(self, key: str) -> None:
        assert self.timers.clear(key) == (self.naive.pop(key, None) is not None)

    @rule(now=times)
    def take_due(self, now: float) -> None:
        due = self.timers.take_due(now)
        assert sorted(due) == sorted(key for key, when in self.naive.items() if when <= now)
        assert [self.naive[key] for key in due] == sorted(self.naive[key] for key in due), "the earliest first"
        for key in due:
            del self.naive[key]

    @invariant()
    def they_agree(self) -> None:
        assert len(self.timers) == len(self.naive)
        assert all((key in self.timers) == (key in self.naive) for key in "abcdef")
        assert self.timers.next() == min(self.naive.values(), default=None)

    @invariant()
    def its_memory_is_bounded(self) -> None:
        assert len(self.timers._heap) <= 65 + 2 * len(self.naive) + 2 * 6


TestTimersModel = TimersModel.TestCase
TestTimersModel.settings = settings(max_examples=50, stateful_step_count=40)


def test_timers_of_one_time_come_in_the_order_they_were_set() -> None:
    timers: Timers[str] = Timers()
    for key in "cab":
        timers.set(key, 5.0)
    timers.set("c", 5.0)
    assert timers.take_due(4.9) == []
    assert timers.take_due(5.0) == ["a", "b", "c"]
    assert timers.next() is None


def test_a_timer_that_is_set_again_while_due_ones_are_taken_waits_for_the_next_time() -> None:
    timers: Timers[str] = Timers()
    timers.set("a", 1.0)
    assert timers.take_due(1.0) == ["a"]
    timers.set("a", 1.0)
    assert timers.take_due(1.0) == ["a"]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["set", "clear", "due"]), keys, st.integers(0, 5)), max_size=60))
def test_deadlines_are_timers_of_one_length(steps: list[tuple[str, str, int]]) -> None:
    deadlines: Deadlines[str] = Deadlines(10.0)
    timers: Timers[str] = Timers()
    now = 0.0
    for what, key, seconds in steps:
        now += seconds
        if what == "set":
            deadlines.set(key, now)
            timers.set(key, now + 10)
        elif what == "clear":
            assert deadlines.clear(key) == timers.clear(key)
        else:
            assert deadlines.take_due(now) == timers.take_due(now)
        assert (deadlines.next(), len(deadlines), key in deadlines) == (timers.next(), len(timers), key in timers)


@settings(max_examples=60)
@given(
    st.integers(1, 120),
    st.integers(1, 20),
    st.lists(st.tuples(keys, st.floats(0, 30)), max_size=80),
)
def test_nobody_gets_more_than_the_rate_and_the_burst(
    per_minute: int, burst: int, asked: list[tuple[str, float]]
) -> None:
    limiter: RateLimiter[str] = RateLimiter(Rate(per_minute, burst))
    now = 0.0
    given_to: dict[str, list[float]] = {}
    for key, seconds in asked:
        now += seconds
        may = limiter.has(key, now)
        assert limiter.take(key, now) == may
        if may:
            given_to.setdefault(key, []).append(now)
    for moments in given_to.values():
        for first, start in enumerate(moments):
            for last, end in enumerate(moments[first:], first):
                assert last - first + 1 <= burst + (end - start) * per_minute / 60 + 1e-6


def test_full_buckets_are_forgotten_and_the_longest_unused_go_first() -> None:
    limiter: RateLimiter[int] = RateLimiter(Rate(60, 2), bound=3)
    for key in range(4):
        limiter.take(key, float(key) / 10)
    assert len(limiter) == 3
    limiter.forget_full(2.25)
    assert len(limiter) == 1
    limiter.forget_full(2.31)
    assert len(limiter) == 0


@given(st.integers(1, 6), st.lists(st.tuples(keys, st.integers(0, 40)), max_size=200))
def test_never_more_than_so_many_in_any_minute_and_never_less_than_it_may(
    most: int, asked: list[tuple[str, int]]
) -> None:
    limiter: PerMinute[str] = PerMinute(most)
    now = 0.0
    given_to: dict[str, list[float]] = {}
    for key, seconds in asked:
        now += seconds
        lately = [moment for moment in given_to.get(key, []) if now - moment < 60]
        assert limiter.has(key, now) == (len(lately) < most)
        if limiter.take(key, now):
            given_to.setdefault(key, []).append(now)
            assert len(limiter) == sum(now - moments[-1] < 60 for moments in given_to.values())


def test_the_longest_unused_of_too_many_goes_first() -> None:
    limiter: PerMinute[int] = PerMinute(1, bound=3)
    for key in range(4):
        assert limiter.take(key, float(key))
    assert [limiter.has(key, 4.0) for key in range(4)] == [True, False, False, False]
    assert limiter.take(9, 100.0)
    assert len(limiter) == 1


@given(st.lists(st.tuples(st.booleans(), keys), max_size=50))
def test_counts(steps: list[tuple[bool, str]]) -> None:
    counts: Counts[str] = Counts()
    naive = dict.fromkeys("abcdef", 0)
    for add, key in steps:
        if add:
            naive[key] += 1
            assert counts.add(key) == naive[key]
        elif naive[key]:
            naive[key] -= 1
            counts.remove(key)
        assert counts[key] == naive[key]
    assert len(counts) == sum(value > 0 for value in naive.values())


def test_nothing_can_be_taken_from_a_count_of_none() -> None:
    counts: Counts[str] = Counts()
    with pytest.raises(KeyError):
        counts.remove("a")
