"""The journal: who follows it misses nothing, hears nothing twice, and is told when neither can be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.message_tables import NOW, Database, in_memory
from uzel.store.journal import MANY, MOST_FRESH, Fresh, Journal
from uzel.store.records import JournalEntry


@pytest.fixture
def journal(db: Database) -> Journal:
    return Journal(db)


def test_entries_come_back_in_order(journal: Journal) -> None:
    data = {"text": "привет\0", "n": [1, None, {"deep": True}]}
    assert journal.last() == 0
    assert journal.append("text", data, NOW) == 1
    assert journal.append("state", {}, NOW - 5) == 2
    first, second = JournalEntry(1, NOW, "text", data), JournalEntry(2, NOW - 5, "state", {})
    assert journal.last() == 2
    assert journal.since(0, 9) == ([first, second], False)
    assert journal.since(0, 1) == ([first], False)
    assert journal.since(1, 9) == ([second], False)
    assert journal.since(2, 9) == ([], False)


def test_who_was_away_for_too_long_is_told(journal: Journal) -> None:
    for n in range(1, 11):
        journal.append("n", {"n": n}, NOW)
    assert journal.trim(20) == 0
    assert journal.trim(4) == 6
    entries, missed = journal.since(5, 9)
    assert ([entry.number for entry in entries], missed) == ([7, 8, 9, 10], True)
    entries, missed = journal.since(6, 9)
    assert ([entry.number for entry in entries], missed) == ([7, 8, 9, 10], False)
    assert journal.trim(0) == 4
    assert journal.since(9, 9) == ([], True)
    assert journal.since(10, 9) == ([], False)
    assert journal.trim(-1) == 0
    assert journal.append("n", {}, NOW) == 11, "a number never comes twice"


def test_a_number_that_never_was_is_of_another_journal(journal: Journal) -> None:
    assert journal.since(1, 9) == ([], True)
    journal.append("n", {}, NOW)
    assert journal.since(1, 9) == ([], False)
    assert journal.since(2, 9) == ([], True)


def test_what_is_fresh_is_at_hand_once_and_bounded(journal: Journal) -> None:
    journal.append("first", {"n": 1}, NOW)
    mark = journal.mark()
    journal.append("taken back", {}, NOW)
    journal.back_to(mark)
    assert journal.take() == [Fresh("first", {"n": 1})]
    assert journal.take() == []
    for n in range(MOST_FRESH + 2):
        journal.append("n", {"n": n}, NOW)
    fresh = journal.take()
    assert (len(fresh), fresh[-1]) == (MOST_FRESH, MANY)


def test_what_was_rolled_back_did_not_happen(db: Database, journal: Journal) -> None:
    journal.append("n", {}, NOW)
    db.execute("COMMIT")
    db.execute("BEGIN")
    journal.append("n", {"lost": True}, NOW)
    db.execute("ROLLBACK")
    db.execute("BEGIN")
    assert journal.append("n", {"kept": True}, NOW) == 2
    assert journal.since(1, 9) == ([JournalEntry(2, NOW, "n", {"kept": True})], False)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.just("append"), st.integers(0, 5), st.tuples(st.just("read"), st.integers(1, 3)))))
def test_a_follower_misses_nothing_unless_it_is_told(steps: list[object]) -> None:
    db = in_memory()
    db.execute("BEGIN")
    journal, heard, at, appended = Journal(db), list[int](), 0, 0
    for step in steps:
        match step:
            case "append":
                appended = journal.append("n", {}, NOW)
            case int(keep):
                journal.trim(keep)
            case ("read", int(limit)):
                entries, missed = journal.since(at, limit)
                if missed:
                    heard, at = list(range(1, appended + 1)), appended  # it asked for everything anew
                else:
                    heard += [entry.number for entry in entries]
                    at = heard[-1] if heard else 0
                assert heard == list(range(1, at + 1))
    db.close()
