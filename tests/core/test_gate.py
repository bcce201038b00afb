"""Who is let in."""

from __future__ import annotations

import itertools

import pytest

from uzel.core.gate import CallRates, Gate, Standing, Strangers, judge
from uzel.core.settings import GateBounds
from uzel.names import Uin
from uzel.node.limits import Rate


@pytest.mark.parametrize(("strangers", "invited"), list(itertools.product(Strangers, [False, True])))
def test_contacts_are_let_in_whatever_becomes_of_strangers(strangers: Strangers, invited: bool) -> None:
    assert judge(Standing(contact=True), strangers, invited=invited) is Gate.OPEN


@pytest.mark.parametrize(("strangers", "invited"), list(itertools.product(Strangers, [False, True])))
def test_who_is_blocked_or_shows_another_key_is_not_even_with_an_invite(strangers: Strangers, invited: bool) -> None:
    for contact in (False, True):
        assert judge(Standing(contact=contact, blocked=True), strangers, invited=invited) is Gate.REFUSED
        assert judge(Standing(contact=contact, stopped=True), strangers, invited=invited) is Gate.REFUSED


def test_strangers() -> None:
    assert judge(Standing(), Strangers.REFUSE) is Gate.REFUSED
    assert judge(Standing(), Strangers.ASK) is Gate.ASKED
    assert judge(Standing(), Strangers.REFUSE, invited=True) is Gate.OPEN
    assert judge(Standing(), Strangers.ASK, invited=True) is Gate.OPEN


def test_nobody_may_call_too_often() -> None:
    rates = CallRates(GateBounds(calls=Rate(60, 3)))
    assert [rates.allows(Uin(1), 0.0, contact=True) for _ in range(4)] == [True, True, True, False]
    assert rates.allows(Uin(2), 0.0, contact=True)
    assert rates.allows(Uin(1), 1.0, contact=True)


def test_strangers_have_a_bound_together_that_contacts_do_not_feel() -> None:
    rates = CallRates(GateBounds(strangers=Rate(60, 5)))
    assert sum(rates.allows(Uin(number), 0.0, contact=False) for number in range(1, 100)) == 5
    assert rates.allows(Uin(1000), 0.0, contact=True)
