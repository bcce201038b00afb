"""The tables: what is asked often is answered by an index without sorting, and nonsense is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlcipher3 import dbapi2

from store.message_tables import ANN, BOB, KEY_A, NOW, Database, an_id, plans, texts_of
from uzel.store.journal import Journal
from uzel.store.people import People
from uzel.store.texts import Texts

Ask = Callable[[Database, Texts], object]

HOT: dict[str, Ask] = {
    "waiting": lambda db, texts: texts.waiting(ANN, 9, after=1),
    "chats_waiting": lambda db, texts: texts.chats_waiting(),
    "requeue": lambda db, texts: texts.requeue(ANN, NOW),
    "sending": lambda db, texts: texts.sending(1, 0x31, NOW),
    "delivered": lambda db, texts: texts.delivered(1, NOW),
    "queue": lambda db, texts: texts.queue(ANN, an_id(99), "x", None, NOW, NOW),
    "receive": lambda db, texts: texts.receive(ANN, KEY_A, an_id(98), "x", None, NOW, NOW),
    "has_seen": lambda db, texts: texts.has_seen(KEY_A, an_id(1)),
    "forget_seen": lambda db, texts: texts.forget_seen(NOW),
    "unhandled": lambda db, texts: texts.unhandled(9, after=1),
    "the last page": lambda db, texts: texts.page(ANN, limit=9),
    "a page before": lambda db, texts: texts.page(ANN, before=9, limit=9),
    "a page after": lambda db, texts: texts.page(ANN, after=9, limit=9),
    "by_id": lambda db, texts: texts.by_id(ANN, an_id(1)),
    "unread": lambda db, texts: texts.unread(ANN),
    "mark_read": lambda db, texts: texts.mark_read(ANN, 9),
    "expire": lambda db, texts: texts.expire(NOW * 2, 9),
    "delete": lambda db, texts: texts.delete(2, NOW),
    "delete_chat": lambda db, texts: texts.delete_chat(ANN, NOW),
    "is_blocked": lambda db, texts: People(db).is_blocked(ANN),
    "contact": lambda db, texts: People(db).get(ANN),
    "journal": lambda db, texts: Journal(db).since(5, 9),
    "trim": lambda db, texts: Journal(db).trim(1),
}


SHORT = {
    "SCAN chats USING INDEX chats_waiting",
    "SCAN contacts USING INDEX contacts_with_retention",
    "SCAN sqlite_sequence",
    "SCAN text_index VIRTUAL TABLE INDEX 0:=",
}
"""What may be walked: few rows, or by its number after all."""


def fill(db: Database) -> Texts:
    people, texts, journal = People(db), texts_of(db), Journal(db)
    people.add(ANN, NOW)
    people.set_retention(ANN, 10)
    for n in range(10):
        texts.queue(ANN, an_id(n), "x", None, NOW, NOW)
        texts.receive(BOB, KEY_A, an_id(n), "x", None, NOW, NOW)
        journal.append("n", {}, NOW)
    return texts


@pytest.mark.parametrize("name", HOT)
def test_what_is_asked_often_reads_no_table_and_sorts_nothing(db: Database, name: str) -> None:
    texts = fill(db)
    steps = plans(db, lambda: HOT[name](db, texts))
    assert steps or name == "queue"
    for step in steps:
        assert "TEMP B-TREE" not in step, step
        assert not step.startswith("SCAN") or step in SHORT, step


def test_the_list_of_chats_walks_its_index_and_looks_up_the_rest(db: Database) -> None:
    texts = fill(db)
    chats, *others = plans(db, lambda: texts.chats(9))
    assert chats == "SCAN chats USING INDEX chats_by_last"
    assert others
    assert all(step.startswith("SEARCH") and "INTEGER PRIMARY KEY" in step for step in others)


def test_waiting_texts_are_found_without_reading_the_chat(db: Database) -> None:
    texts = fill(db)
    assert plans(db, lambda: texts.waiting(ANN, 9)) == ["SEARCH texts USING INDEX texts_waiting (chat=? AND rowid>?)"]
    assert any("texts_waiting" in step for step in plans(db, lambda: texts.requeue(ANN, NOW)))
    assert any("texts_unread" in step for step in plans(db, lambda: texts.mark_read(BOB, 9)))
    assert any("texts_unhandled" in step for step in plans(db, lambda: texts.unhandled(9)))
    assert any("texts_by_time" in step for step in plans(db, lambda: texts.expire(NOW * 2, 9)))
    assert any("seen_to_forget" in step for step in plans(db, lambda: texts.forget_seen(NOW)))


NONSENSE = {
    "a received text that is delivered": "UPDATE texts SET state = 'delivered', sent_as = 0x31 WHERE outgoing = 0",
    "a text of ours that was received": "UPDATE texts SET state = 'received' WHERE outgoing = 1",
    "delivered and never sent": "UPDATE texts SET state = 'delivered' WHERE outgoing = 1",
    "sending and never sent": "UPDATE texts SET state = 'sending' WHERE outgoing = 1",
    "no state": "UPDATE texts SET state = 'lost' WHERE outgoing = 1",
    "no code": "UPDATE texts SET sent_as = 0x40",
    "an id of another length": "UPDATE texts SET id = x'00'",
    "a reply of another length": "UPDATE texts SET reply = x'00'",
    "an id seen from nobody": "INSERT INTO seen VALUES (77, zeroblob(16), NULL)",
    "no number": "INSERT INTO contacts (uin, added_at) VALUES (0, 1)",
    "a number out of range": "INSERT INTO blocks VALUES (4294967296, 1)",
    "half a fingerprint": "INSERT INTO senders (fingerprint) VALUES (zeroblob(16))",
    "fewer uses than none": "INSERT INTO invites VALUES (zeroblob(32), '', 1, NULL, -1, 0)",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused(db: Database, name: str) -> None:
    fill(db)
    with pytest.raises(dbapi2.IntegrityError):
        db.execute(NONSENSE[name])


def test_a_long_text_is_not_read_for_what_stands_before_it(db: Database) -> None:
    columns = [row[1] for row in db.execute("PRAGMA table_info(texts)").fetchall()]
    assert columns[-1] == "text"
    assert [row[1] for row in db.execute("PRAGMA table_info(contacts)").fetchall()][-1] == "draft"
