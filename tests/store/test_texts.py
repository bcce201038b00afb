"""The outbox and the inbox: order, states that are true, ids that are shown once."""

from __future__ import annotations

import pytest

from store.message_tables import ANN, BOB, DAY, KEY_A, KEY_B, NOW, Database, an_id, texts_of
from uzel.names import Uin
from uzel.store.history import SEEN_MS
from uzel.store.records import TextRecord, TextState
from uzel.store.texts import LATEST, Texts

E = 0x31
BASE = 0x30


@pytest.fixture
def texts(db: Database) -> Texts:
    return texts_of(db)


def queued(texts: Texts, *numbers: int, chat: Uin = ANN) -> list[int]:
    return [texts.queue(chat, an_id(n), f"text {n}", None, NOW, NOW).number for n in numbers]


def state(texts: Texts, number: int) -> TextState:
    text = texts.get(number)
    assert text is not None
    return text.state


def waiting(texts: Texts, chat: Uin = ANN) -> list[int]:
    return [text.number for text in texts.waiting(chat, 1000)]


def test_a_queued_text_is_kept_as_it_was_given(texts: Texts) -> None:
    text = texts.queue(ANN, an_id(7), "при\0вет", an_id(3), NOW - 5, NOW)
    expected = TextRecord(
        text.number, ANN, True, an_id(7), "при\0вет", an_id(3), NOW - 5, NOW, TextState.QUEUED, "", NOW, 0, False, True
    )
    assert text == expected
    assert texts.get(text.number) == expected
    assert texts.waiting(ANN, 10) == [expected]


def test_a_received_text_is_kept_as_it_was_given(texts: Texts) -> None:
    text = texts.receive(ANN, KEY_A, an_id(7), "", None, NOW - 5, NOW)
    assert text is not None
    expected = TextRecord(
        text.number, ANN, False, an_id(7), "", None, NOW - 5, NOW, TextState.RECEIVED, "", NOW, 0, True, False
    )
    assert text == expected == texts.get(text.number)
    quiet = texts.receive(ANN, KEY_A, an_id(8), "x", an_id(7), NOW, NOW, unread=False, handled=True)
    assert quiet is not None
    assert texts.get(quiet.number) == quiet
    assert (quiet.unread, quiet.handled, quiet.reply) == (False, True, an_id(7))


def test_the_outbox_is_in_the_order_of_queueing_for_each_chat(texts: Texts) -> None:
    first, second = queued(texts, 5, 4)
    (other,) = queued(texts, 9, chat=BOB)
    assert waiting(texts) == [first, second]
    assert waiting(texts, BOB) == [other]
    assert texts.chats_waiting() == [ANN, BOB]
    assert [text.number for text in texts.waiting(ANN, 1)] == [first]
    assert [text.number for text in texts.waiting(ANN, 9, after=first)] == [second]
    assert [texts.is_waiting(ANN, after) for after in (0, first, second)] == [True, True, False]


def test_texts_are_taken_up_to_a_size_and_a_larger_one_alone(texts: Texts) -> None:
    sizes = (5, 1, 2, 1)
    numbers = [texts.queue(ANN, an_id(n), "ё" * size, None, NOW, NOW).number for n, size in enumerate(sizes)]
    assert [text.number for text in texts.waiting(ANN, 9, most_bytes=1)] == numbers[:1]
    assert [text.number for text in texts.waiting(ANN, 9, most_bytes=11)] == numbers[:1]
    assert [text.number for text in texts.waiting(ANN, 9, most_bytes=12)] == numbers[:2]
    assert [text.number for text in texts.waiting(ANN, 2, after=numbers[0], most_bytes=99)] == numbers[1:3]


def test_a_text_is_sent_and_delivered_once(texts: Texts) -> None:
    (number,) = queued(texts, 1)
    assert not texts.delivered(number, NOW + 1), "it was never sent"
    assert texts.sending(number, E, NOW + 2)
    sent = texts.get(number)
    assert sent is not None
    assert (sent.state, sent.sent_as, sent.changed_at) == (TextState.SENDING, E, NOW + 2)
    assert waiting(texts) == [number]
    assert texts.delivered(number, NOW + 3)
    done = texts.get(number)
    assert done is not None
    assert (done.state, done.changed_at) == (TextState.DELIVERED, NOW + 3)
    assert waiting(texts) == []
    assert texts.chats_waiting() == []


def test_what_is_delivered_stays_so(texts: Texts) -> None:
    (number,) = queued(texts, 1)
    texts.sending(number, BASE, NOW)
    texts.delivered(number, NOW)
    before = texts.get(number)
    assert not texts.delivered(number, NOW + 1)
    assert not texts.sending(number, E, NOW + 1)
    assert not texts.failed(number, "late", NOW + 1)
    assert not texts.cancel(number, NOW + 1, force=True)
    assert texts.retry(number, NOW + 1) is None
    assert texts.requeue(ANN, NOW + 1) == []
    assert texts.get(number) == before


def test_verbs_about_what_is_not_there_or_not_ours_change_nothing(texts: Texts) -> None:
    received = texts.receive_base(ANN, an_id(1), "theirs", NOW, NOW)
    for number in (received.number, 99):
        assert not texts.sending(number, E, NOW)
        assert not texts.delivered(number, NOW)
        assert not texts.failed(number, "no", NOW)
        assert not texts.cancel(number, NOW, force=True)
        assert texts.retry(number, NOW) is None
    assert texts.get(received.number) == received
    assert texts.get(99) is None
    assert not texts.delete(99, NOW)


def test_what_a_conversation_left_waits_again_in_its_place(texts: Texts) -> None:
    first, second, third = queued(texts, 1, 2, 3)
    (other,) = queued(texts, 4, chat=BOB)
    for number in (first, second, other):
        texts.sending(number, E, NOW)
    texts.delivered(first, NOW)
    assert texts.requeue(ANN, NOW + 9) == [second]
    again = texts.get(second)
    assert again is not None
    assert (again.state, again.changed_at, again.sent_as) == (TextState.QUEUED, NOW + 9, E)
    assert waiting(texts) == [second, third]
    assert state(texts, other) is TextState.SENDING
    assert texts.delivered(second, NOW), "a report that was settled after the end"


@pytest.mark.parametrize("code", [0, 0x32, 0x40])
def test_texts_are_sent_under_their_own_codes_alone(texts: Texts, code: int) -> None:
    (number,) = queued(texts, 1)
    with pytest.raises(ValueError, match="0x30 or 0x31"):
        texts.sending(number, code, NOW)


def test_once_in_an_envelope_always_in_one(texts: Texts) -> None:
    (number,) = queued(texts, 1)
    assert texts.sending(number, BASE, NOW)
    assert texts.sending(number, E, NOW)
    with pytest.raises(ValueError, match="envelope"):
        texts.sending(number, BASE, NOW)
    texts.requeue(ANN, NOW)
    with pytest.raises(ValueError, match="envelope"):
        texts.sending(number, BASE, NOW)
    texts.failed(number, "x", NOW)
    again = texts.retry(number, NOW)
    assert again is not None
    with pytest.raises(ValueError, match="envelope"):
        texts.sending(again.number, BASE, NOW)
    assert texts.sending(again.number, E, NOW)


def test_a_failed_text_says_why_and_can_be_tried_again_at_the_end(texts: Texts) -> None:
    first, second = queued(texts, 1, 2)
    assert texts.failed(first, "too_large", NOW + 1)
    assert not texts.failed(first, "again", NOW + 2)
    failed = texts.get(first)
    assert failed is not None
    assert (failed.state, failed.reason, failed.changed_at) == (TextState.FAILED, "too_large", NOW + 1)
    assert not texts.sending(first, E, NOW)
    again = texts.retry(first, NOW + 3)
    assert again is not None
    assert again.number > second
    assert texts.get(again.number) == again
    assert (again.id, again.state, again.reason, again.changed_at) == (an_id(1), TextState.QUEUED, "", NOW + 3)
    assert (again.at, again.stored_at) == (failed.at, failed.stored_at)
    assert texts.get(first) is None
    assert waiting(texts) == [second, again.number]
    assert texts.retry(second, NOW) is None


def test_a_report_that_comes_late_tells_the_truth(texts: Texts) -> None:
    first, second = queued(texts, 1, 2)
    for number in (first, second):
        texts.sending(number, E, NOW)
    assert texts.failed(first, "expired", NOW)
    assert texts.cancel(second, NOW, force=True)
    assert texts.delivered(first, NOW)
    assert texts.delivered(second, NOW)
    delivered = texts.get(first)
    assert delivered is not None
    assert (delivered.state, delivered.reason) == (TextState.DELIVERED, "")


def test_a_text_is_cancelled_before_it_is_on_its_way(texts: Texts) -> None:
    first, second = queued(texts, 1, 2)
    assert texts.cancel(first, NOW + 1)
    assert not texts.cancel(first, NOW + 2)
    texts.sending(second, E, NOW)
    assert not texts.cancel(second, NOW)
    assert state(texts, second) is TextState.SENDING
    assert texts.cancel(second, NOW, force=True)
    assert waiting(texts) == []
    cancelled = texts.get(first)
    assert cancelled is not None
    assert (cancelled.state, cancelled.changed_at) == (TextState.CANCELLED, NOW + 1)
    assert not texts.delivered(first, NOW)
    assert texts.retry(first, NOW)


def test_an_id_of_ours_comes_once_in_a_chat(texts: Texts) -> None:
    queued(texts, 1)
    with pytest.raises(ValueError, match="this id"):
        queued(texts, 1)
    queued(texts, 1, chat=BOB)
    assert len(waiting(texts)) == len(waiting(texts, BOB)) == 1


def test_no_unicode_is_refused_before_anything_is_kept(texts: Texts) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        texts.queue(ANN, an_id(1), "\ud800", None, NOW, NOW)
    assert waiting(texts) == []
    assert texts.page(ANN, limit=9) == []
    assert texts.last_id() is None


def test_the_last_id_is_the_greatest_that_ever_was(texts: Texts) -> None:
    assert texts.last_id() is None
    numbers = queued(texts, 1, 700, 3)
    assert texts.last_id() == an_id(700)
    texts.receive(ANN, KEY_A, an_id(900), "theirs", None, NOW, NOW)
    texts.delete(numbers[1], NOW)
    assert texts.last_id() == an_id(700)


def test_numbers_never_come_twice(texts: Texts) -> None:
    (first,) = queued(texts, 1)
    texts.delete(first, NOW)
    (second,) = queued(texts, 2)
    texts.delete_chat(ANN, NOW)
    (third,) = queued(texts, 3)
    assert first < second < third


def test_an_id_is_shown_once_for_each_key(texts: Texts) -> None:
    assert not texts.has_seen(KEY_A, an_id(1))
    assert texts.receive(ANN, KEY_A, an_id(1), "once", None, NOW, NOW)
    assert texts.has_seen(KEY_A, an_id(1))
    assert texts.receive(ANN, KEY_A, an_id(1), "twice", None, NOW, NOW) is None
    assert texts.receive(BOB, KEY_A, an_id(1), "twice", None, NOW, NOW) is None
    assert not texts.has_seen(KEY_B, an_id(1))
    assert texts.receive(ANN, KEY_B, an_id(1), "another's", None, NOW, NOW)
    assert [text.text for text in texts.page(ANN, limit=9)] == ["once", "another's"]


def test_an_id_outlives_its_text_by_ninety_days(texts: Texts) -> None:
    kept, gone = (texts.receive(ANN, KEY_A, an_id(n), "x", None, NOW, NOW) for n in (1, 2))
    assert kept is not None
    assert gone is not None
    texts.delete(gone.number, NOW + 5)
    assert SEEN_MS == 90 * DAY
    assert texts.forget_seen(NOW + 5 + SEEN_MS) == 0
    assert texts.receive(ANN, KEY_A, an_id(2), "again", None, NOW, NOW) is None
    assert texts.forget_seen(NOW + 6 + SEEN_MS) == 1
    assert texts.forget_seen(NOW + 1000 * SEEN_MS) == 0, "a text that is kept keeps its id"
    assert texts.has_seen(KEY_A, an_id(1))
    assert texts.receive(ANN, KEY_A, an_id(2), "again", None, NOW, NOW)


def test_ids_are_forgotten_a_few_at_a_time(texts: Texts) -> None:
    for n in range(5):
        texts.receive(ANN, KEY_A, an_id(n), "x", None, NOW, NOW)
    assert texts.delete_chat(ANN, NOW) == 5
    later = NOW + SEEN_MS + 1
    assert [texts.forget_seen(later, 2) for _ in range(4)] == [2, 2, 1, 0]


def test_a_base_peer_s_repeat_is_a_new_text(texts: Texts) -> None:
    first = texts.receive_base(ANN, an_id(1), "same", NOW, NOW)
    second = texts.receive_base(ANN, an_id(2), "same", NOW, NOW, unread=False, handled=True)
    assert texts.page(ANN, limit=9) == [first, second]
    assert (first.unread, first.handled, second.unread, second.handled) == (True, False, False, True)
    texts.delete(first.number, NOW)
    assert texts.forget_seen(NOW + 1000 * SEEN_MS) == 0


@pytest.mark.parametrize(("said", "kept"), [(-1, 0), (0, 0), (LATEST, LATEST), (LATEST + 1, LATEST), (2**64, LATEST)])
def test_a_sender_s_clock_may_say_anything(texts: Texts, said: int, kept: int) -> None:
    text = texts.receive(ANN, KEY_A, an_id(1), "x", None, said, NOW)
    assert text is not None
    assert text.at == kept == texts.page(ANN, limit=1)[0].at


def test_what_no_program_acknowledged_is_given_again(texts: Texts) -> None:
    queued(texts, 1)
    numbers = [texts.receive_base(chat, an_id(n), "x", NOW, NOW).number for n, chat in enumerate((ANN, BOB, ANN))]
    texts.receive_base(ANN, an_id(9), "seen by a person", NOW, NOW, handled=True)
    assert [text.number for text in texts.unhandled(9)] == numbers
    assert [text.number for text in texts.unhandled(1, after=numbers[0])] == numbers[1:2]
    assert texts.handled(numbers[1])
    assert not texts.handled(numbers[1])
    assert not texts.handled(12345)
    assert [text.number for text in texts.unhandled(9)] == [numbers[0], numbers[2]]
