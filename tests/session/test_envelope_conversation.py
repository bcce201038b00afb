"""Two ends of a conversation with `uzel/2` against each other, and one end against whatever bytes there are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uzel.errors import Reason
from uzel.session.conversation import (
    MAX_UNACKNOWLEDGED_BYTES,
    MAX_UNACKNOWLEDGED_TEXTS,
    IncomingText,
    Ponged,
    ReportIgnored,
)
from uzel.session.envelope_conversation import (
    ARRIVALS,
    ENVELOPE_FRAME,
    MAX_ANSWERED,
    MAX_IN_FLIGHT,
    WINDOW_UZEL,
    AnswerIgnored,
    Arrival,
    EnvelopeArrived,
    EnvelopeMachine,
    EnvelopeRejected,
    EnvelopeReported,
    PeerHello,
    PeerRefused,
    PeerState,
)
from uzel.session.envelopes import (
    MAX_ENVELOPE_TEXT,
    Gate,
    Hello,
    OtherEnvelope,
    Refusal,
    TextEnvelope,
    encode_hello,
    encode_other,
    encode_text,
)
from uzel.session.keepalive import KeepaliveTimes
from uzel.session.machine import Ended, Event, Failed
from uzel.wire import (
    MAX_ENVELOPE,
    Channel,
    Delivered,
    Envelope,
    EnvelopeDelivered,
    EnvelopeRefused,
    Framer,
    Message,
    Ping,
    Pong,
    Text,
    encode,
)

TIMES = KeepaliveTimes(30, 90)
OURS = Hello(bytes(15) + b"\x01", 1, ("text",), "us")
THEIRS = Hello(bytes(15) + b"\x02", 2, ("avatar", "text"), "them", gate=Gate.ASKED)
HELLO = encode(Envelope(encode_hello(THEIRS)))
WHOLE = 1 << 22
"""A piece as long as everything that is said at once."""
SMALL = encode_text(TextEnvelope(bytes(16), 0, "x"))


def number(value: int) -> bytes:
    return value.to_bytes(16, "big")


def text(value: int, what: str = "x") -> TextEnvelope:
    return TextEnvelope(number(value), value, what)


def frame(envelope: TextEnvelope) -> bytes:
    return encode(Envelope(encode_text(envelope)))


def machine(hello: Hello = OURS, window: int = WINDOW_UZEL) -> EnvelopeMachine:
    return EnvelopeMachine(encode_hello(hello), TIMES, lambda: b"tk", 0, window=window)


def met(window: int = WINDOW_UZEL) -> EnvelopeMachine:
    """One end that has said and heard hello."""
    one = machine(window=window)
    assert one.receive(HELLO, 0) == [PeerHello(THEIRS)]
    assert said(one) == [Envelope(encode_hello(OURS))]
    return one


def said(one: EnvelopeMachine) -> list[Message]:
    return Framer(Channel.CONVERSATION_2).feed(one.data_to_send())


def pair(piece: int = WHOLE) -> tuple[EnvelopeMachine, EnvelopeMachine]:
    one, other = machine(OURS), machine(THEIRS)
    assert carry(one, other, piece) == ([PeerHello(THEIRS)], [PeerHello(OURS)])
    return one, other


def carry(one: EnvelopeMachine, other: EnvelopeMachine, piece: int = WHOLE) -> tuple[list[Event], list[Event]]:
    """Carry bytes, whole or in pieces, until both are silent; returns what each reported."""
    reported: tuple[list[Event], list[Event]] = ([], [])
    while True:
        forth, back = one.data_to_send(), other.data_to_send()
        if not forth and not back:
            return reported
        for at in range(0, len(forth), piece):
            reported[1].extend(other.receive(forth[at : at + piece], 0))
        for at in range(0, len(back), piece):
            reported[0].extend(one.receive(back[at : at + piece], 0))


class TestHello:
    def test_ours_goes_out_at_once_and_texts_wait_for_theirs(self) -> None:
        one = machine()
        assert not one.room(1)
        with pytest.raises(RuntimeError):
            one.send(number(5), SMALL)
        assert said(one) == [Envelope(encode_hello(OURS))]
        one.receive(HELLO, 0)
        assert one.room(1)

    @pytest.mark.parametrize("piece", [WHOLE, 1, 7])
    def test_each_meets_the_other(self, piece: int) -> None:
        pair(piece)

    def test_a_later_hello_takes_its_place_and_is_never_answered(self) -> None:
        one, other = pair()
        later = Hello(number(9), 9, ("text",), gate=Gate.OPEN)
        other.say_hello(encode_hello(later))
        assert carry(one, other) == ([PeerHello(later)], [])

    def test_only_a_hello_is_said_as_one(self) -> None:
        one = machine()
        for body in (SMALL, b"\xa0", b""):
            with pytest.raises(ValueError, match=r"\w"):
                one.say_hello(body)
        with pytest.raises(ValueError, match=r"\w"):
            EnvelopeMachine(SMALL, TIMES, lambda: b"tk", 0)

    def test_what_needs_no_hello_comes_before_it(self) -> None:
        one = machine()
        said(one)
        first = b"".join(map(encode, (Ping(b"ab"), Pong(b"cd"), Delivered(b"ef"), EnvelopeDelivered(number(5)))))
        assert one.receive(first + HELLO, 0) == [
            Ponged(b"cd"),
            ReportIgnored(),
            AnswerIgnored(number(5)),
            PeerHello(THEIRS),
        ]
        assert said(one) == [Pong(b"ab")]

    def test_a_peer_that_lives_and_says_no_hello_is_given_up(self) -> None:
        one = machine()
        for now in (25, 50, 75, 89):
            one.receive(encode(Ping(b"ab")), now)
            assert one.on_timeout(now) == []
        assert one.deadline() == 90
        assert one.on_timeout(90) == [Failed(Reason.HELLO_MISSING, "none came in time")]
        assert one.deadline() is None
        assert one.on_timeout(91) == []

    def test_once_met_that_time_means_nothing(self) -> None:
        one = met()
        one.receive(encode(Ping(b"ab")), 89)
        assert one.deadline() == 119
        assert one.on_timeout(100) == []


# What arrives, for each arrival of the table, and the event that is reported
REFUSABLE = encode(Envelope(cbor2.dumps({"id": number(5), "t": "text", "at": 0})))
CAME: dict[Arrival, tuple[bytes, Callable[[], Event] | None]] = {
    Arrival.HELLO: (HELLO, lambda: PeerHello(THEIRS)),
    Arrival.ENVELOPE: (frame(text(5)), lambda: EnvelopeArrived(text(5), len(frame(text(5))))),
    Arrival.TEXT: (encode(Text("x")), None),
    Arrival.REFUSABLE: (REFUSABLE, lambda: EnvelopeRejected(number(5), Refusal.MALFORMED)),
    Arrival.UNREADABLE: (encode(Envelope(b"\xa0")), None),
}


@pytest.mark.parametrize(("state", "came"), [key for key in ARRIVALS if key[1] is not Arrival.LATE])
def test_the_table_is_walked(state: PeerState, came: Arrival) -> None:
    row = ARRIVALS[state, came]
    data, event = CAME[came]
    one = machine() if state is PeerState.AWAITED else met()
    said(one)
    events = one.receive(data + encode(Ping(b"ab")), 0)
    failed = events.pop() if row.reason else None
    assert isinstance(failed, Failed) == one.closed == bool(row.reason)
    assert not isinstance(failed, Failed) or (failed.reason is row.reason and failed.detail)
    assert [type(each) for each in events] == ([row.reports] if row.reports else [])
    assert event is None or not events or events == [event()]
    answers = [] if one.closed else [Pong(b"ab")]
    assert said(one) == ([EnvelopeRefused(number(5), Refusal.MALFORMED)] if row.refuses else []) + answers
    assert one.receive(HELLO, 0) == ([] if one.closed else [PeerHello(THEIRS)])
    assert one.room(1) is not one.closed


class TestReports:
    @pytest.mark.parametrize("piece", [WHOLE, 1, 1000])
    def test_an_envelope_is_reported_when_the_program_says_so_and_not_before(self, piece: int) -> None:
        one, other = pair(piece)
        sent = [text(5, "hello"), text(6, "привет")]
        for each in sent:
            one.send(each.id, encode_text(each))
        mine, theirs = carry(one, other, piece)
        assert mine == []
        assert theirs == [EnvelopeArrived(each, len(frame(each))) for each in sent]
        other.report(number(5))
        assert carry(one, other, piece) == ([EnvelopeReported(number(5))], [])

    def test_answers_go_in_the_order_of_the_program(self) -> None:
        one, other = pair()
        for each in (5, 6, 7):
            one.send(number(each), encode_text(text(each)))
        carry(one, other)
        other.refuse(number(7), Refusal.NOT_ALLOWED)
        other.report(number(6))
        other.report(number(5))
        assert carry(one, other)[0] == [
            PeerRefused(number(7), Refusal.NOT_ALLOWED),
            EnvelopeReported(number(6)),
            EnvelopeReported(number(5)),
        ]
        assert one.in_flight_bytes == 0

    def test_another_type_arrives_too(self) -> None:
        one, other = pair()
        poll = OtherEnvelope(number(5), 1, "poll", "tea?")
        one.send(poll.id, encode_other(poll))
        (arrived,) = carry(one, other)[1]
        assert isinstance(arrived, EnvelopeArrived)
        assert arrived.envelope == poll

    def test_answering_twice_is_once_and_the_first_counts(self) -> None:
        one, other = pair()
        one.send(number(5), SMALL.replace(bytes(16), number(5)))
        carry(one, other)
        other.report(number(5))
        other.report(number(5))
        other.refuse(number(5), Refusal.NOT_ALLOWED)
        assert carry(one, other)[0] == [EnvelopeReported(number(5))]

    def test_only_what_arrived_is_answered(self) -> None:
        one = met()
        one.receive(REFUSABLE, 0)
        for wrong in (number(5), number(6), THEIRS.id):
            with pytest.raises(ValueError, match="arrived"):
                one.report(wrong)
            with pytest.raises(ValueError, match="arrived"):
                one.refuse(wrong, Refusal.NOT_ALLOWED)

    def test_after_the_end_nothing_is_said(self) -> None:
        one = met()
        one.receive(frame(text(5)), 0)
        assert one.eof(0) == [Ended()]
        one.report(number(5))
        one.say_hello(encode_hello(OURS))
        assert one.data_to_send() == b""
        assert not one.room(1)
        with pytest.raises(RuntimeError):
            one.send(number(6), SMALL)

    def test_an_answer_to_nothing_in_flight_is_ignored(self) -> None:
        one = met()
        one.send(number(5), SMALL)
        answers = (EnvelopeDelivered(number(6)), EnvelopeRefused(OURS.id, 1), EnvelopeDelivered(number(5)))
        assert one.receive(b"".join(map(encode, answers)) + encode(EnvelopeRefused(number(5), 1)), 0) == [
            AnswerIgnored(number(6)),
            AnswerIgnored(OURS.id),
            EnvelopeReported(number(5)),
            AnswerIgnored(number(5)),
        ]
        assert one.in_flight_bytes == 0

    def test_a_refusal_of_tomorrow_is_taken(self) -> None:
        one = met()
        one.send(number(5), SMALL)
        assert one.receive(encode(EnvelopeRefused(number(5), 200)), 0) == [PeerRefused(number(5), 200)]

    def test_an_id_that_comes_again_is_told_again_and_answered_once_while_it_waits(self) -> None:
        one = met()
        again = [EnvelopeArrived(text(5), len(frame(text(5))))]
        assert one.receive(frame(text(5)) * 2, 0) == again * 2
        one.report(number(5))
        one.report(number(5))
        assert said(one) == [EnvelopeDelivered(number(5))]
        assert one.receive(frame(text(5)), 0) == again
        one.report(number(5))
        assert said(one) == [EnvelopeDelivered(number(5))]

    def test_what_is_remembered_of_answers_is_bounded(self) -> None:
        one = met()
        for value in range(MAX_ANSWERED + 1):
            one.receive(frame(text(value)), 0)
            one.report(number(value))
        one.report(number(1))
        with pytest.raises(ValueError, match="arrived"):
            one.report(number(0))
        one.receive(frame(text(1)), 0)
        for value in (1, 2):  # answered again, the first is the latest
            one.receive(frame(text(value)), 0)
            one.report(number(value))
        one.receive(frame(text(9999)), 0)
        one.report(number(9999))
        one.report(number(1))


class TestWindow:
    def test_it_holds_a_sender_back_until_answers_come(self) -> None:
        one, other = pair()
        ids = map(number, count(5))
        body = encode_text(text(5, "x" * 60_000))
        sent = []
        while one.room(len(body)):
            sent.append(next(ids))
            one.send(sent[-1], body.replace(number(5), sent[-1]))
        assert len(sent) == 8
        assert one.in_flight_bytes == 8 * (len(body) + ENVELOPE_FRAME) <= WINDOW_UZEL
        with pytest.raises(RuntimeError):
            one.send(next(ids), body)
        carry(one, other)
        other.report(sent[3])
        carry(one, other)
        assert one.room(len(body))

    def test_it_counts_frames_to_the_byte(self) -> None:
        one = met(window=2 * (len(SMALL) + ENVELOPE_FRAME))
        one.send(number(5), SMALL)
        assert one.room(len(SMALL))
        assert not one.room(len(SMALL) + 1)

    def test_a_larger_one_goes_alone(self) -> None:
        one, other = pair()
        long = text(5, "x" * MAX_ENVELOPE_TEXT)
        assert one.room(len(encode_text(long)))
        one.send(long.id, encode_text(long))
        assert one.in_flight_bytes > WINDOW_UZEL
        assert not one.room(1)
        assert carry(one, other, 16_384)[1] == [EnvelopeArrived(long, len(frame(long)))]
        assert other.wants_data
        other.report(long.id)
        carry(one, other)
        one.send(number(6), SMALL)
        assert not one.room(len(encode_text(long)))

    def test_many_small_ones_never_stop_an_honest_peer(self) -> None:
        one = met()
        for value in range(MAX_IN_FLIGHT):
            one.send(number(value), SMALL)
        assert one.in_flight_bytes + len(SMALL) + ENVELOPE_FRAME <= WINDOW_UZEL
        assert not one.room(len(SMALL))
        assert MAX_IN_FLIGHT < MAX_UNACKNOWLEDGED_TEXTS

    def test_misuse(self) -> None:
        one = met()
        with pytest.raises(ValueError, match="size"):
            one.send(number(5), b"")
        with pytest.raises(ValueError, match="size"):
            one.send(number(5), bytes(MAX_ENVELOPE + 1))
        assert (one.in_flight_bytes, one.data_to_send()) == (0, b"")
        one.send(number(5), SMALL)
        with pytest.raises(ValueError, match="in flight"):
            one.send(number(5), SMALL)


class TestBackpressure:
    def test_a_receiver_that_owes_too_many_bytes_stops_reading(self) -> None:
        one = met()
        ids = count(5)
        while one.wants_data:
            one.receive(frame(text(next(ids), "y" * 60_000)), 0)
        assert next(ids) - 5 == -(-MAX_UNACKNOWLEDGED_BYTES // len(frame(text(5, "y" * 60_000))))
        one.report(number(5))
        assert one.wants_data

    def test_a_receiver_that_owes_too_many_answers_stops_reading(self) -> None:
        one = met()
        one.receive(b"".join(frame(text(value)) for value in range(MAX_UNACKNOWLEDGED_TEXTS)), 0)
        assert not one.wants_data
        one.refuse(number(77), Refusal.NOT_ALLOWED)
        assert one.wants_data

    def test_base_texts_and_envelopes_count_together(self) -> None:
        one = met()
        half = MAX_UNACKNOWLEDGED_TEXTS // 2
        texts = one.receive(encode(Text("x")) * half, 0)
        one.receive(b"".join(frame(text(value)) for value in range(half)), 0)
        assert not one.wants_data
        assert isinstance(texts[0], IncomingText)
        one.acknowledge(texts[0])
        assert one.wants_data

    def test_one_id_again_and_again_is_counted_each_time(self) -> None:
        one = met()
        for _ in range(100):
            one.receive(frame(text(5, "y" * 60_000)), 0)
        assert not one.wants_data
        one.report(number(5))
        assert one.wants_data

    def test_hellos_and_refused_envelopes_owe_nothing(self) -> None:
        one = met()
        one.receive((HELLO + REFUSABLE) * MAX_UNACKNOWLEDGED_TEXTS, 0)
        assert one.wants_data


class TestBase:
    def test_a_base_text_is_taken_and_reported_in_order(self) -> None:
        one = met()
        first, second = one.receive(encode(Text("a")) + frame(text(5)) + encode(Text("b")), 0)[::2]
        assert isinstance(first, IncomingText)
        assert isinstance(second, IncomingText)
        one.acknowledge(second)
        one.report(number(5))
        assert said(one) == [EnvelopeDelivered(number(5))]
        one.acknowledge(first)
        assert said(one) == [Delivered(b"tk")] * 2

    def test_a_base_report_has_nothing_to_report(self) -> None:
        one = met()
        one.send(number(5), SMALL)
        assert one.receive(encode(Delivered(b"zz")), 0) == [ReportIgnored()]
        assert one.in_flight_bytes > 0

    def test_pings(self) -> None:
        one, other = pair()
        assert carry(one, other) == ([], [])
        token = one.ping()
        assert carry(one, other)[0] == [Ponged(token)]

    def test_quiet_is_pinged_and_silence_ends(self) -> None:
        one = met()
        assert one.deadline() == 30
        assert one.on_timeout(30) == []
        assert said(one) == [Ping(b"tk")]
        assert one.on_timeout(90) == [Failed(Reason.SILENCE)]

    def test_faults_of_the_wire_end_it(self) -> None:
        one = met()
        events = one.receive(frame(text(5)) + b"\x31\x31\x00\x00\x00\x00" + frame(text(6)), 0)
        assert [type(event) for event in events] == [EnvelopeArrived, Failed]
        assert isinstance(events[1], Failed)
        assert events[1].reason is Reason.SIZE_OUT_OF_RANGE
        one = met()
        one.receive(frame(text(5))[:-1], 0)
        assert one.eof(0) == [Failed(Reason.TRUNCATED_MESSAGE)]


class Store:
    """A receiver's disk: what was stored, in order, and which ids are known."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.known: set[bytes] = set()

    def take(self, one: EnvelopeMachine, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, EnvelopeArrived):
                assert isinstance(event.envelope, TextEnvelope)
                if event.envelope.id not in self.known:
                    self.known.add(event.envelope.id)
                    self.texts.append(event.envelope.text)
                one.report(event.envelope.id)


@given(
    st.lists(st.tuples(st.sampled_from(["new", "go", "arrive", "answer", "break"]), st.integers(1, 200)), max_size=60)
)
@settings(deadline=None, max_examples=60)
def test_exactly_once_in_order_across_breaks_and_lost_reports(steps: list[tuple[str, int]]) -> None:
    """Bytes arrive in pieces and a break loses the rest; the same ids go again in a new pair of machines."""
    store, outbox, sent, delivered = Store(), list[TextEnvelope](), list[str](), set[bytes]()
    one, other = machine(OURS, window=400), machine(THEIRS)
    flying: set[bytes] = set()
    forth = back = b""
    for what, size in [
        *steps,
        ("break", 1),
        *[(what, 10**6) for _ in range(70) for what in ("go", "arrive", "answer")],
    ]:
        if what == "new":
            outbox.append(text(len(sent) + 5, f"{len(sent)}{'y' * size}"))
            sent.append(outbox[-1].text)
        elif what == "break":
            one, other, forth, back = machine(OURS, window=400), machine(THEIRS), b"", b""
            flying.clear()
        for each in outbox if what == "go" else ():
            if each.id not in flying:
                if not one.room(len(encode_text(each))):
                    break
                one.send(each.id, encode_text(each))
                flying.add(each.id)
        forth += one.data_to_send()
        if what == "arrive":
            store.take(other, other.receive(forth[:size], 0))
            forth = forth[size:]
        back += other.data_to_send()
        if what == "answer":
            reported = {event.id for event in one.receive(back[:size], 0) if isinstance(event, EnvelopeReported)}
            back = back[size:]
            assert reported <= store.known
            delivered |= reported
            outbox = [each for each in outbox if each.id not in delivered]
    assert store.texts == sent
    assert len(delivered) == len(sent)
    assert outbox == []


pieces = st.one_of(
    st.sampled_from(
        [HELLO, frame(text(5)), REFUSABLE, encode(Envelope(b"\xa0")), encode(Text("x")), encode(Ping(b"ab"))]
    ),
    st.sampled_from(
        [encode(EnvelopeDelivered(number(5))), encode(EnvelopeRefused(number(5), 9)), encode(Delivered(b"ab"))]
    ),
    st.binary(max_size=8),
    st.binary(min_size=1, max_size=40).map(lambda body: encode(Envelope(body))),
)


@given(st.lists(pieces, max_size=12), st.integers(1, 50))
@settings(deadline=None, max_examples=100)
def test_whatever_comes_gives_events_and_at_most_one_end(parts: list[bytes], size: int) -> None:
    data = b"".join(parts)
    whole, cut = machine(), machine()
    expected = whole.receive(data, 0)
    events = [event for at in range(0, len(data), size) for event in cut.receive(data[at : at + size], 0)]
    assert list(map(repr, events)) == list(map(repr, expected))
    assert cut.data_to_send() == whole.data_to_send()
    ends = [event for event in events if isinstance(event, Failed)]
    assert ends == events[-1:] * whole.closed
