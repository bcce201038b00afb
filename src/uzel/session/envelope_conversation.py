"""A conversation that agreed on `uzel/2`: envelopes and their reports (section 6, D28, D29). Both sides run the same.

Rules: our hello goes out at once, and nothing else that wants an answer before the peer's hello has come. Envelopes
carry their ids, so each is answered by its own 41 or 42, in any order, once the program has said which. What is in
flight stays within a window; what waits for our answer stops the reading. Of the base protocol a 30 is still taken
and reported, and never sent. `ARRIVALS` is what an arrival leads to, as a table; docs/states.md is drawn from it. The
outbox above owns the texts and sends again what no report came for. Counterpart: itself.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

from uzel.errors import Reason
from uzel.session.conversation import MAX_UNACKNOWLEDGED_TEXTS, BaseConversation, IncomingText
from uzel.session.envelopes import EnvelopeFaultError, Hello, OtherEnvelope, Refusal, TextEnvelope, read_envelope
from uzel.session.keepalive import KeepaliveTimes
from uzel.session.machine import Event, TokenSource
from uzel.wire import Channel, Envelope, EnvelopeDelivered, EnvelopeRefused, Message, Text, encode

WINDOW_UZEL = 512 * 1024
"""Bytes in flight to a Uzel (D28), with their frames."""
ENVELOPE_FRAME = 6
"""Bytes of a 31 beside the envelope: header and size."""
MAX_IN_FLIGHT = MAX_UNACKNOWLEDGED_TEXTS // 2
"""Most envelopes in flight: half of what makes a Uzel stop reading, as the window is half of it in bytes."""
MAX_ANSWERED = MAX_UNACKNOWLEDGED_TEXTS
"""How many of the latest answers are remembered, so that a second answer does nothing."""


@dataclass(frozen=True, slots=True)
class PeerHello(Event):
    """The peer's hello came: the first one, or a later one that takes its place."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class EnvelopeArrived(Event):
    """An envelope for the program, of `size` bytes on the wire: answer it with `report` or `refuse`."""

    envelope: TextEnvelope | OtherEnvelope
    size: int


@dataclass(frozen=True, slots=True)
class EnvelopeReported(Event):
    """41: the envelope in flight with this id is safe at the peer's."""

    id: bytes


@dataclass(frozen=True, slots=True)
class PeerRefused(Event):
    """42: the peer does not take the envelope in flight with this id. `reason`: a `Refusal`, or any other byte."""

    id: bytes
    reason: int


@dataclass(frozen=True, slots=True)
class EnvelopeRejected(Event):
    """An envelope came that the machine has refused by itself. To be counted, as ENVELOPE_REJECTED."""

    id: bytes
    reason: Refusal


@dataclass(frozen=True, slots=True)
class AnswerIgnored(Event):
    """A 41 or 42 came for nothing in flight: ignored, as a 40 is (D6)."""

    id: bytes


class PeerState(StrEnum):
    """What is known of the peer."""

    AWAITED = "awaited"
    MET = "met"
    CLOSED = "closed"


class Arrival(StrEnum):
    """What can arrive that depends on the peer's state."""

    HELLO = "a hello"
    ENVELOPE = "any other envelope"
    TEXT = "30"
    REFUSABLE = "an envelope with an id and a fault"
    UNREADABLE = "an envelope that cannot be read"
    LATE = "its time passes"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an arrival leads to: the next state, the event it reports, whether a 42 is sent, and why it ends."""

    next: PeerState
    reports: type[Event] | None = None
    refuses: bool = False
    reason: Reason | None = None


_AWAITED, _MET, _CLOSED = PeerState.AWAITED, PeerState.MET, PeerState.CLOSED
ARRIVALS: dict[tuple[PeerState, Arrival], Outcome] = {
    (_AWAITED, Arrival.HELLO): Outcome(_MET, PeerHello),
    (_AWAITED, Arrival.ENVELOPE): Outcome(_CLOSED, reason=Reason.HELLO_MISSING),
    (_AWAITED, Arrival.TEXT): Outcome(_CLOSED, reason=Reason.HELLO_MISSING),
    (_AWAITED, Arrival.REFUSABLE): Outcome(_CLOSED, EnvelopeRejected, refuses=True, reason=Reason.HELLO_MISSING),
    (_AWAITED, Arrival.UNREADABLE): Outcome(_CLOSED, reason=Reason.ENVELOPE_MALFORMED),
    (_AWAITED, Arrival.LATE): Outcome(_CLOSED, reason=Reason.HELLO_MISSING),
    (_MET, Arrival.HELLO): Outcome(_MET, PeerHello),
    (_MET, Arrival.ENVELOPE): Outcome(_MET, EnvelopeArrived),
    (_MET, Arrival.TEXT): Outcome(_MET, IncomingText),
    (_MET, Arrival.REFUSABLE): Outcome(_MET, EnvelopeRejected, refuses=True),
    (_MET, Arrival.UNREADABLE): Outcome(_CLOSED, reason=Reason.ENVELOPE_MALFORMED),
}


class EnvelopeMachine(BaseConversation):
    """One end of a conversation with a Uzel. `hello`: our encoded hello, which goes out first.

    The peer's hello has to come within the `silence` of `times`, however much else is heard. `window`: bytes on the
    wire that may be in flight.
    """

    def __init__(
        self,
        hello: bytes,
        times: KeepaliveTimes,
        tokens: TokenSource,
        now: float,
        *,
        window: int = WINDOW_UZEL,
    ) -> None:
        super().__init__(Channel.CONVERSATION_2, times, tokens, now)
        self._window = window
        self._peer = PeerState.AWAITED
        self._hello_by = now + times.silence
        self._in_flight: dict[bytes, int] = {}
        self._in_flight_bytes = 0
        self._unanswered: dict[bytes, int] = {}
        self._answered: OrderedDict[bytes, None] = OrderedDict()
        self.say_hello(hello)

    @property
    def in_flight_bytes(self) -> int:
        """Bytes on the wire that were sent and not yet answered."""
        return self._in_flight_bytes

    def room(self, size: int) -> bool:
        """Whether an envelope with a body of `size` bytes may be sent now: within the window, or alone (D28).

        False before the peer's hello and after the end.
        """
        if self.closed or self._peer is not PeerState.MET:
            return False
        within = self._in_flight_bytes + size + ENVELOPE_FRAME <= self._window
        return not self._in_flight or (within and len(self._in_flight) < MAX_IN_FLIGHT)

    def send(self, identifier: bytes, body: bytes) -> None:
        """Send the envelope `body`, whose id is `identifier`; 41 or 42 will name it.

        Raises `RuntimeError` when there is no `room`, and `ValueError` for an id that is in flight, or a body that
        no 31 can carry.
        """
        if not self.room(len(body)):
            raise RuntimeError("there is no room for this envelope")
        if identifier in self._in_flight:
            raise ValueError("an envelope with this id is in flight")
        self._output.append(encode(Envelope(body)))
        self._in_flight[identifier] = len(body) + ENVELOPE_FRAME
        self._in_flight_bytes += len(body) + ENVELOPE_FRAME

    def say_hello(self, body: bytes) -> None:
        """Send a hello, which takes the place of those before. Does nothing after the end.

        Raises `ValueError` when the body does not read as a hello.
        """
        if not isinstance(read_envelope(body), Hello):
            raise ValueError("not a hello")  # noqa: TRY004 - its value is wrong
        if not self.closed:
            self._send(Envelope(body))

    def report(self, identifier: bytes) -> None:
        """The envelope that arrived with this id is safe on disk: say so with a 41.

        Twice is once, while it is among the last `MAX_ANSWERED` answers. After the end nothing is said. Raises
        `ValueError` for an id that did not arrive.
        """
        self._answer(EnvelopeDelivered(identifier))

    def refuse(self, identifier: bytes, reason: Refusal) -> None:
        """Say with a 42 that it is not taken; otherwise as `report`."""
        self._answer(EnvelopeRefused(identifier, reason))

    def deadline(self) -> float | None:
        """As in any conversation, and the end of the wait for the peer's hello."""
        deadline = super().deadline()
        waits = self._peer is PeerState.AWAITED
        return min(deadline, self._hello_by) if waits and deadline is not None else deadline

    def on_timeout(self, now: float) -> list[Event]:
        """Also ends a conversation whose peer never said hello."""
        events = super().on_timeout(now)
        if not self.closed and self._peer is PeerState.AWAITED and now >= self._hello_by:
            self._take(Arrival.LATE, None, events, "none came in time")
        return events

    def _owed(self) -> int:
        return super()._owed() + len(self._unanswered)

    def _on_message(self, message: Message, now: float, events: list[Event]) -> None:
        match message:
            case Envelope(body=body):
                self._on_envelope(body, events)
            case EnvelopeDelivered(id=identifier):
                self._on_answer(EnvelopeReported(identifier), events)
            case EnvelopeRefused(id=identifier, reason=reason):
                self._on_answer(PeerRefused(identifier, reason), events)
            case Text():
                self._take(Arrival.TEXT, None, events, "a text came first")
                if not self.closed:
                    super()._on_message(message, now, events)
            case _:
                super()._on_message(message, now, events)

    def _on_envelope(self, body: bytes, events: list[Event]) -> None:
        try:
            envelope = read_envelope(body)
        except EnvelopeFaultError as fault:
            if fault.id is None:
                self._take(Arrival.UNREADABLE, None, events, fault.detail)
            else:
                self._take(Arrival.REFUSABLE, EnvelopeRejected(fault.id, fault.refusal), events, fault.detail)
            return
        if isinstance(envelope, Hello):
            self._take(Arrival.HELLO, PeerHello(envelope), events)
            return
        size = len(body) + ENVELOPE_FRAME
        self._take(Arrival.ENVELOPE, EnvelopeArrived(envelope, size), events, "another envelope came first")
        if not self.closed:
            self._unanswered[envelope.id] = self._unanswered.get(envelope.id, 0) + size
            self._owed_bytes += size

    def _take(self, arrival: Arrival, event: Event | None, events: list[Event], detail: str = "") -> None:
        """Do what the table says. Without an `event` the report is made by the base."""
        outcome = ARRIVALS[self._peer, arrival]
        self._peer = outcome.next
        if outcome.refuses and isinstance(event, EnvelopeRejected):
            self._send(EnvelopeRefused(event.id, event.reason))
        if outcome.reports is not None and event is not None:
            events.append(event)
        if outcome.reason is not None:
            self._fail(events, outcome.reason, detail)

    def _on_answer(self, event: EnvelopeReported | PeerRefused, events: list[Event]) -> None:
        size = self._in_flight.pop(event.id, None)
        if size is None:
            events.append(AnswerIgnored(event.id))
            return
        self._in_flight_bytes -= size
        events.append(event)

    def _answer(self, answer: EnvelopeDelivered | EnvelopeRefused) -> None:
        size = self._unanswered.pop(answer.id, None)
        if size is None:
            if answer.id not in self._answered:
                raise ValueError("no envelope with this id has arrived")
            return
        self._owed_bytes -= size
        self._answered[answer.id] = None
        self._answered.move_to_end(answer.id)
        if len(self._answered) > MAX_ANSWERED:
            self._answered.popitem(last=False)
        if not self.closed:
            self._send(answer)
