"""Requests of strangers: one a number, the first key's and its first text, in a bounded list."""

from __future__ import annotations

import pytest

from store.message_tables import ANN, BOB, EVE, KEY_A, KEY_B, NOW, Database, an_id
from uzel.names import Uin
from uzel.store.knocks import MOST_KNOCK, Knocks
from uzel.store.records import KnockRequest


@pytest.fixture
def knocks(db: Database) -> Knocks:
    return Knocks(db)


def who(knocks: Knocks) -> list[Uin]:
    return [request.uin for request in knocks.all()]


def test_a_request_is_kept_and_counted(knocks: Knocks) -> None:
    first = knocks.knock(ANN, KEY_A, NOW, limit=9, text="Пустите", text_id=an_id(1))
    assert first == KnockRequest(ANN, KEY_A, NOW, NOW, "Пустите", an_id(1), 1)
    again = knocks.knock(ANN, KEY_A, NOW + 5, limit=9, text="Эй", text_id=an_id(2))
    assert again == KnockRequest(ANN, KEY_A, NOW, NOW + 5, "Пустите", an_id(1), 2)
    assert knocks.get(ANN) == again
    assert knocks.all() == [again]
    assert knocks.get(BOB) is None


def test_a_text_may_come_with_a_later_knock(knocks: Knocks) -> None:
    assert knocks.knock(ANN, KEY_A, NOW, limit=9, text_id=an_id(1)) == KnockRequest(ANN, KEY_A, NOW, NOW, "", None, 1)
    later = knocks.knock(ANN, KEY_A, NOW, limit=9, text="Пустите", text_id=an_id(1))
    assert later == KnockRequest(ANN, KEY_A, NOW, NOW, "Пустите", an_id(1), 2)
    base = knocks.knock(BOB, KEY_B, NOW, limit=9, text="x")
    assert base == KnockRequest(BOB, KEY_B, NOW, NOW, "x", None, 1)


def test_another_key_does_not_take_a_request_over(knocks: Knocks) -> None:
    first = knocks.knock(ANN, KEY_A, NOW, limit=9)
    assert knocks.knock(ANN, KEY_B, NOW + 1, limit=9, text="я Аня") is None
    assert knocks.all() == [first]
    assert knocks.remove(ANN)
    assert not knocks.remove(ANN)
    assert knocks.knock(ANN, KEY_B, NOW + 1, limit=9)


def test_who_has_not_knocked_for_longest_goes(knocks: Knocks) -> None:
    for at, uin in enumerate((ANN, BOB)):
        knocks.knock(uin, KEY_A, NOW + at, limit=2)
    knocks.knock(ANN, KEY_A, NOW + 5, limit=2)
    assert who(knocks) == [ANN, BOB]
    assert knocks.knock(EVE, KEY_A, NOW + 6, limit=2)
    assert who(knocks) == [EVE, ANN]


def test_the_one_who_knocks_has_a_place_whatever_the_clock_says(knocks: Knocks) -> None:
    for uin in range(1, 6):
        assert knocks.knock(Uin(uin), KEY_A, NOW - uin, limit=3)
    assert who(knocks) == [1, 2, 5]
    assert knocks.knock(Uin(9), KEY_A, NOW, limit=0)
    assert who(knocks) == [9]


def test_a_text_is_bounded(knocks: Knocks) -> None:
    assert knocks.knock(ANN, KEY_A, NOW, limit=9, text="ё" * MOST_KNOCK)
    with pytest.raises(ValueError, match="1000"):
        knocks.knock(BOB, KEY_A, NOW, limit=9, text="ё" * (MOST_KNOCK + 1))
    assert who(knocks) == [ANN]
