"""The history: pages, counts, deletion and what each chat keeps."""

from __future__ import annotations

import pytest

from store.message_tables import ANN, BOB, DAY, EVE, KEY_A, NOW, Database, an_id, texts_of
from uzel.store.history import SEEN_MS
from uzel.store.people import People
from uzel.store.records import TextRecord
from uzel.store.texts import Texts


@pytest.fixture
def texts(db: Database) -> Texts:
    return texts_of(db)


@pytest.fixture
def people(db: Database) -> People:
    return People(db)


def fill(texts: Texts, count: int) -> list[int]:
    """As many texts for Ann, each followed by one for Bob; the numbers of Ann's."""
    numbers = []
    for n in range(count):
        numbers.append(texts.queue(ANN, an_id(n), f"ann {n}", None, NOW, NOW + n).number)
        texts.receive(BOB, KEY_A, an_id(n), f"bob {n}", None, NOW, NOW + n)
    return numbers


def numbers_of(page: list[TextRecord]) -> list[int]:
    return [text.number for text in page]


def test_pages_are_in_order_whichever_way_they_are_turned(texts: Texts) -> None:
    all_of_them = fill(texts, 10)
    assert numbers_of(texts.page(ANN, limit=4)) == all_of_them[6:]
    assert numbers_of(texts.page(ANN, before=all_of_them[6], limit=4)) == all_of_them[2:6]
    assert numbers_of(texts.page(ANN, before=all_of_them[2], limit=4)) == all_of_them[:2]
    assert numbers_of(texts.page(ANN, after=all_of_them[1], limit=4)) == all_of_them[2:6]
    assert numbers_of(texts.page(ANN, before=all_of_them[9], after=all_of_them[7], limit=4)) == all_of_them[8:9]
    assert texts.page(ANN, after=all_of_them[9], limit=4) == []
    assert texts.page(EVE, limit=4) == []
    assert texts.page(ANN, limit=0) == []


def test_a_text_is_shown_among_its_neighbours(texts: Texts) -> None:
    all_of_them = fill(texts, 10)
    assert numbers_of(texts.around(all_of_them[4], 5)) == all_of_them[2:7]
    assert numbers_of(texts.around(all_of_them[4], 4)) == all_of_them[3:7]
    assert numbers_of(texts.around(all_of_them[0], 4)) == all_of_them[:4]
    assert numbers_of(texts.around(all_of_them[9], 5)) == all_of_them[7:]
    assert numbers_of(texts.around(all_of_them[9], 1)) == all_of_them[9:]
    assert texts.around(all_of_them[9], 0) == []
    assert texts.around(12345, 5) == []


def test_a_reply_finds_what_it_answers_in_its_chat(texts: Texts) -> None:
    all_of_them = fill(texts, 3)
    found = texts.by_id(ANN, an_id(1))
    assert found is not None
    assert found.number == all_of_them[1]
    stolen = texts.receive(ANN, KEY_A, an_id(77), "x", None, NOW, NOW)
    assert stolen is not None
    assert texts.by_id(ANN, an_id(77)) == stolen
    assert texts.by_id(BOB, an_id(77)) is None


def test_chats_come_with_their_last_text_and_counts_the_latest_first(texts: Texts, people: People) -> None:
    people.add(ANN, NOW, name="Аня")
    people.add(EVE, NOW, name="Eve")
    all_of_them = fill(texts, 3)
    texts.cancel(all_of_them[0], NOW)
    bob, ann, eve = texts.chats(10)
    assert (bob.uin, bob.name, bob.unread, bob.waiting) == (BOB, "", 3, 0)
    assert bob.last == texts.page(BOB, limit=1)[0]
    assert (ann.uin, ann.name, ann.unread, ann.waiting) == (ANN, "Аня", 0, 2)
    assert ann.last == texts.get(all_of_them[2])
    assert (eve.uin, eve.name, eve.last, eve.unread, eve.waiting) == (EVE, "Eve", None, 0, 0)
    assert texts.chats(1) == [bob]
    people.remove(EVE)
    people.remove(ANN)
    assert [(chat.uin, chat.name) for chat in texts.chats(10)] == [(BOB, ""), (ANN, "")]


def test_the_list_of_chats_follows_what_is_deleted(texts: Texts, people: People) -> None:
    people.add(ANN, NOW)
    first, second = fill(texts, 2)
    texts.delete(second, NOW)
    ann = texts.chats(10)[1]
    assert (ann.uin, ann.last, ann.waiting) == (ANN, texts.get(first), 1)
    texts.delete_chat(ANN, NOW)
    texts.delete_chat(BOB, NOW)
    assert [(chat.uin, chat.last, chat.waiting, chat.unread) for chat in texts.chats(10)] == [(ANN, None, 0, 0)]


def test_texts_are_read_up_to_a_number(texts: Texts) -> None:
    fill(texts, 4)
    bob = numbers_of(texts.page(BOB, limit=9))
    assert texts.unread(BOB) == 4
    assert texts.mark_read(BOB, bob[1]) == 2
    assert texts.mark_read(BOB, bob[1]) == 0
    assert texts.unread(BOB) == 2
    assert [text.unread for text in texts.page(BOB, limit=9)] == [False, False, True, True]
    texts.delete(bob[3], NOW)
    assert texts.unread(BOB) == 1
    assert texts.unread(ANN) == texts.unread(EVE) == 0


def test_an_export_is_the_whole_chat_in_order(texts: Texts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uzel.store.history._BATCH", 3)
    all_of_them = fill(texts, 7)
    assert [text.number for text in texts.export(ANN)] == all_of_them
    export = texts.export(ANN)
    assert next(export).number == all_of_them[0]
    texts.delete(all_of_them[4], NOW)
    assert [text.number for text in export] == [n for n in all_of_them[1:] if n != all_of_them[4]]
    assert list(texts.export(EVE)) == []


def test_a_chat_is_deleted_whole_and_alone(texts: Texts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uzel.store.history._BATCH", 3)
    all_of_them = fill(texts, 7)
    assert texts.delete_chat(ANN, NOW) == 7
    assert texts.delete_chat(ANN, NOW) == 0
    assert texts.waiting(ANN, 9) == []
    assert texts.get(all_of_them[0]) is None
    assert len(texts.page(BOB, limit=99)) == 7


def test_texts_are_kept_as_long_as_their_chat_keeps_them(texts: Texts, people: People) -> None:
    people.add(ANN, NOW)
    people.add(BOB, NOW)
    people.set_retention(BOB, 10)
    fill(texts, 4)
    bob = numbers_of(texts.page(BOB, limit=9))
    assert texts.expire(NOW + 10, 99) == []
    assert texts.expire(NOW + 12, 99) == bob[:2]
    assert texts.expire(NOW + DAY, 1) == bob[2:3]
    assert texts.expire(NOW + DAY, 99) == bob[3:]
    assert len(texts.page(ANN, limit=9)) == 4
    assert texts.has_seen(KEY_A, an_id(0))
    assert texts.forget_seen(NOW + 12 + SEEN_MS + 1) == 2


def test_no_more_is_deleted_at_a_time_than_asked(texts: Texts, people: People) -> None:
    for uin in (ANN, BOB):
        people.add(uin, NOW)
        people.set_retention(uin, 10)
        for n in range(2):
            texts.receive_base(uin, an_id(n), "x", NOW, NOW)
    assert [len(texts.expire(NOW + DAY, 3)) for _ in range(3)] == [3, 1, 0]


def test_what_waits_is_not_lost_to_time(texts: Texts, people: People) -> None:
    people.add(ANN, NOW)
    people.set_retention(ANN, 10)
    first, second, third = fill(texts, 3)
    texts.sending(second, 0x31, NOW)
    texts.failed(third, "x", NOW)
    assert texts.expire(NOW + DAY, 99) == [third]
    texts.delivered(second, NOW)
    assert texts.expire(NOW + DAY, 99) == [second]
    assert numbers_of(texts.page(ANN, limit=9)) == [first]


def test_a_clock_that_jumped_hides_no_text_from_its_end(texts: Texts, people: People) -> None:
    people.add(BOB, NOW)
    people.set_retention(BOB, 10)
    far = texts.receive(BOB, KEY_A, an_id(1), "x", None, NOW, NOW + 1000 * DAY)
    near = texts.receive(BOB, KEY_A, an_id(2), "x", None, NOW, NOW)
    assert far is not None
    assert near is not None
    assert texts.expire(NOW + 11, 99) == [near.number]
