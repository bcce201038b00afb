"""Delays grow, jitter, start again after a stable time; a contested number is dialled slowly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from uzel.session.redial import Redial, RedialTimes

TIMES = RedialTimes(first=1, last=300, jitter=0.5, short=60, stable=300, contested_after=3)


def live(redial: Redial, seconds: float) -> None:
    redial.online(0)
    redial.closed(seconds)


def test_delays_double_up_to_the_last() -> None:
    redial = Redial(TIMES)
    assert [redial.delay(0.5) for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


@given(st.floats(0, 1), st.integers(0, 2000))
def test_every_delay_is_within_its_jitter(fraction: float, attempts: int) -> None:
    redial = Redial(TIMES)
    for _ in range(attempts):
        redial.delay(0.5)
    base = min(300.0, 2.0 ** min(attempts, 60))
    assert base * 0.5 <= redial.delay(fraction) <= base * 1.5


def test_only_a_stable_connection_sets_the_delay_back() -> None:
    redial = Redial(TIMES)
    for _ in range(5):
        redial.delay(0.5)
    live(redial, 299)
    assert redial.delay(0.5) == 32
    live(redial, 300)
    assert redial.delay(0.5) == 1


def test_three_short_lives_running_mean_another_program() -> None:
    redial = Redial(TIMES)
    contested = []
    for seconds in (59, 59, 59, 100, 300):
        live(redial, seconds)
        contested.append((redial.contested, redial.delay(0.5)))
    assert contested == [(False, 1), (False, 2), (True, 300), (True, 300), (False, 1)]


def test_a_longer_life_breaks_the_run() -> None:
    redial = Redial(TIMES)
    for seconds in (10, 10, 61, 10, 10):
        live(redial, seconds)
    assert not redial.contested


def test_an_attempt_that_failed_is_no_short_life() -> None:
    redial = Redial(TIMES)
    for _ in range(5):
        redial.closed(0)
    assert not redial.contested


def test_soon_is_the_first_delay_and_is_not_counted() -> None:
    redial = Redial(TIMES)
    for _ in range(3):
        redial.delay(0.5)
    assert [redial.soon(fraction) for fraction in (0, 0.5, 1)] == [0.5, 1, 1.5]
    assert redial.delay(0.5) == 8
