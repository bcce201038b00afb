"""Any order of operations on texts, against a simple model: order is kept, nothing is lost, no id is shown twice."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from store.message_tables import ANN, BOB, KEY_A, KEY_B, NOW, an_id, in_memory
from uzel.names import Fingerprint, Uin
from uzel.store.history import SEEN_MS
from uzel.store.people import People
from uzel.store.records import TextRecord, TextState
from uzel.store.search import Search
from uzel.store.texts import Texts

CHATS = st.sampled_from([ANN, BOB])
KEYS = st.sampled_from([KEY_A, KEY_B])
WAITING = {TextState.QUEUED, TextState.SENDING}
RETENTION = 50


@dataclass
class Model:
    """What ought to be: texts by number, ids by key with the time from which they may be forgotten."""

    texts: dict[int, TextRecord] = field(default_factory=dict)
    senders: dict[int, tuple[Fingerprint, bytes]] = field(default_factory=dict)
    seen: dict[tuple[Fingerprint, bytes], int | None] = field(default_factory=dict)
    shown: list[tuple[Fingerprint, bytes]] = field(default_factory=list)
    forgotten: list[tuple[Fingerprint, bytes]] = field(default_factory=list)
    greatest: int = 0

    def delete(self, number: int, now: int) -> None:
        del self.texts[number]
        if number in self.senders:
            self.seen[self.senders.pop(number)] = now + SEEN_MS

    def of(self, chat: Uin) -> list[TextRecord]:
        return [text for _, text in sorted(self.texts.items()) if text.chat == chat]


class TextStories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.db = in_memory()
        self.search = Search(self.db)
        self.texts = Texts(self.db, self.search)
        People(self.db).add(ANN, NOW)
        People(self.db).set_retention(ANN, RETENTION)
        self.db.execute("BEGIN")
        self.model = Model()
        self.committed = copy.deepcopy(self.model)
        self.now = NOW
        self.ids = 0

    def teardown(self) -> None:
        self.db.close()

    def tick(self) -> int:
        self.now += 1
        return self.now

    def any_text(self, data: st.DataObject) -> TextRecord:
        return self.model.texts[data.draw(st.sampled_from(sorted(self.model.texts)))]

    def moved(self, text: TextRecord, state: TextState, *, reason: str = "", sent_as: int | None = None) -> None:
        code = text.sent_as if sent_as is None else sent_as
        self.model.texts[text.number] = replace(text, state=state, reason=reason, sent_as=code, changed_at=self.now)

    def came(self, text: TextRecord) -> None:
        assert text.number > self.model.greatest, "a number came twice"
        self.model.greatest = text.number
        self.model.texts[text.number] = text

    @rule(chat=CHATS)
    def queue(self, chat: Uin) -> None:
        self.ids += 1
        text = self.texts.queue(chat, an_id(self.ids), f"общее слово{self.ids}", None, self.now, self.tick())
        assert text.state is TextState.QUEUED
        self.came(text)

    @rule(chat=CHATS, key=KEYS, number=st.integers(1, 6))
    def receive(self, chat: Uin, key: Fingerprint, number: int) -> None:
        was_seen = (key, an_id(number)) in self.model.seen
        assert self.texts.has_seen(key, an_id(number)) == was_seen
        text = self.texts.receive(chat, key, an_id(number), f"общее {number}", None, self.now, self.tick())
        assert (text is None) == was_seen
        if text is not None:
            self.came(text)
            self.model.senders[text.number] = (key, an_id(number))
            self.model.seen[key, an_id(number)] = None
            self.model.shown.append((key, an_id(number)))

    @rule(chat=CHATS)
    def receive_base(self, chat: Uin) -> None:
        self.came(self.texts.receive_base(chat, an_id(0), "общее", self.now, self.tick()))

    @rule(chat=CHATS, limit=st.integers(1, 3), code=st.sampled_from([0x30, 0x31]))
    def take_and_send(self, chat: Uin, limit: int, code: int) -> None:
        for text in self.texts.waiting(chat, limit):
            now = self.tick()
            if text.sent_as == 0x31 != code:
                try:
                    self.texts.sending(text.number, code, now)
                except ValueError:
                    continue
                raise AssertionError("what went in an envelope went without")
            assert self.texts.sending(text.number, code, now)
            self.moved(text, TextState.SENDING, sent_as=code)

    @rule(chat=CHATS)
    def conversation_ends(self, chat: Uin) -> None:
        now = self.tick()
        sending = [text for text in self.model.of(chat) if text.state is TextState.SENDING]
        assert self.texts.requeue(chat, now) == sorted(text.number for text in sending)
        for text in sending:
            self.moved(text, TextState.QUEUED)

    @precondition(lambda self: self.model.texts)
    @rule(data=st.data())
    def delivered(self, data: st.DataObject) -> None:
        text = self.any_text(data)
        may = text.sent_as != 0 and text.state is not TextState.DELIVERED
        assert self.texts.delivered(text.number, self.tick()) == may
        if may:
            self.moved(text, TextState.DELIVERED)

    @precondition(lambda self: self.model.texts)
    @rule(data=st.data())
    def failed(self, data: st.DataObject) -> None:
        text = self.any_text(data)
        assert self.texts.failed(text.number, "why", self.tick()) == (text.state in WAITING)
        if text.state in WAITING:
            self.moved(text, TextState.FAILED, reason="why")

    @precondition(lambda self: self.model.texts)
    @rule(data=st.data(), force=st.booleans())
    def cancel(self, data: st.DataObject, force: bool) -> None:
        text = self.any_text(data)
        may = text.state is TextState.QUEUED or (force and text.state is TextState.SENDING)
        assert self.texts.cancel(text.number, self.tick(), force=force) == may
        if may:
            self.moved(text, TextState.CANCELLED)

    @precondition(lambda self: self.model.texts)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        text = self.any_text(data)
        again = self.texts.retry(text.number, self.tick())
        assert (again is not None) == (text.state in {TextState.FAILED, TextState.CANCELLED})
        if again is not None:
            expected = replace(text, number=again.number, state=TextState.QUEUED, reason="", changed_at=self.now)
            assert again == expected
            self.model.delete(text.number, self.now)
            self.came(again)

    @precondition(lambda self: self.model.texts)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        text = self.any_text(data)
        assert self.texts.delete(text.number, self.tick())
        self.model.delete(text.number, self.now)

    @rule(chat=CHATS)
    def delete_chat(self, chat: Uin) -> None:
        gone = self.model.of(chat)
        assert self.texts.delete_chat(chat, self.tick()) == len(gone)
        for text in gone:
            self.model.delete(text.number, self.now)

    @rule(limit=st.integers(1, 3), passed=st.sampled_from([0, 20, RETENTION]))
    def expire(self, limit: int, passed: int) -> None:
        self.now += passed
        gone = self.texts.expire(self.now, limit)
        old = [
            text for text in self.model.of(ANN) if text.stored_at < self.now - RETENTION and text.state not in WAITING
        ]
        assert len(gone) == min(limit, len(old))
        assert set(gone) <= {text.number for text in old}
        for number in gone:
            self.model.delete(number, self.now)

    @rule(passed=st.sampled_from([0, SEEN_MS]))
    def forget_seen(self, passed: int) -> None:
        self.now += passed
        old = [key for key, at in self.model.seen.items() if at is not None and at < self.now]
        assert self.texts.forget_seen(self.now) == len(old)
        for key in old:
            del self.model.seen[key]
            self.model.forgotten.append(key)

    @precondition(lambda self: self.model.texts)
    @rule(data=st.data())
    def read_up_to(self, data: st.DataObject) -> None:
        last = self.any_text(data)
        unread = [text for text in self.model.of(last.chat) if text.unread and text.number <= last.number]
        assert self.texts.mark_read(last.chat, last.number) == len(unread)
        for text in unread:
            self.model.texts[text.number] = replace(text, unread=False)

    @precondition(lambda self: self.model.texts)
    @rule(data=st.data())
    def handled(self, data: st.DataObject) -> None:
        text = self.any_text(data)
        assert self.texts.handled(text.number) == (not text.handled)
        self.model.texts[text.number] = replace(text, handled=True)

    @rule()
    def commit(self) -> None:
        self.db.execute("COMMIT")
        self.db.execute("BEGIN")
        self.committed = copy.deepcopy(self.model)

    @rule()
    def crash(self) -> None:
        self.db.execute("ROLLBACK")
        self.db.execute("BEGIN")
        self.model = copy.deepcopy(self.committed)

    @invariant()
    def chats_are_those_of_the_model(self) -> None:
        summaries = {chat.uin: chat for chat in self.texts.chats(9)}
        for chat in (ANN, BOB):
            texts = self.model.of(chat)
            assert self.texts.page(chat, limit=1000) == texts
            assert self.texts.waiting(chat, 1000) == [text for text in texts if text.state in WAITING]
            assert (chat in summaries) == (bool(texts) or chat == ANN)
            if chat in summaries:
                summary = summaries[chat]
                assert summary.last == (texts[-1] if texts else None)
                assert summary.unread == sum(text.unread for text in texts) == self.texts.unread(chat)
                assert summary.waiting == sum(text.state in WAITING for text in texts)
            assert (chat in self.texts.chats_waiting()) == any(text.state in WAITING for text in texts)

    @invariant()
    def everything_there_is_found_and_given_to_bots(self) -> None:
        texts = sorted(self.model.texts.values(), key=lambda text: text.number)
        assert [hit.record for hit in self.search.find("общее", limit=1000)] == texts[::-1]
        assert self.texts.unhandled(1000) == [text for text in texts if not text.handled]

    @invariant()
    def no_id_is_shown_twice_while_it_is_remembered(self) -> None:
        for key in set(self.model.shown):
            assert self.model.shown.count(key) <= 1 + self.model.forgotten.count(key)


TestTextStories = TextStories.TestCase
TestTextStories.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
