"""What the core does to the tables, where no conversation shows it: the start after a crash."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store.message_tables import NOW, in_memory
from uzel.core import works
from uzel.core.conversation import Take
from uzel.names import Uin
from uzel.store.tables import Tables

ANN, BOB = Uin(1), Uin(2)


@pytest.fixture
def tables() -> Iterator[Tables]:
    """Three texts on their way to Ann and one to Bob, and one behind each that waits; as a crash leaves them."""
    db = in_memory()
    tables = Tables(db)
    for chat, taken in ((ANN, 3), (BOB, 1)):
        tables.people.add(chat, NOW)
        for number in range(taken + 1):
            works.queue(tables, chat, bytes(15) + bytes((16 * chat + number,)), "said", None, NOW)
        assert works.take(tables, chat, Take(0, taken, 1000), 0x31, NOW).more
    yield tables
    db.close()


def states(tables: Tables, after: int) -> tuple[list[tuple[int, str]], bool]:
    entries, missed = tables.journal.since(after, 100)
    return [(entry.data["number"], entry.data["state"]) for entry in entries], missed


def test_at_the_start_whoever_follows_is_told_what_waits_again(tables: Tables) -> None:
    last = tables.journal.last()
    assert works.requeue_all(tables, NOW + 1) == [ANN, BOB]
    assert states(tables, last) == ([(number, "queued") for number in (1, 2, 3, 5)], False)
    assert {text.state for chat in (ANN, BOB) for text in tables.texts.waiting(chat, 9)} == {"queued"}
    last = tables.journal.last()
    assert works.requeue_all(tables, NOW + 2) == [ANN, BOB]
    assert states(tables, last) == ([], False)


def test_of_too_many_it_is_told_that_they_were_missed(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(works, "MOST_TOLD", 2)
    last = tables.journal.last()
    works.requeue_all(tables, NOW + 1)
    assert states(tables, last) == ([], True)
    assert tables.journal.last() == last + 2, "no more than this was written"
