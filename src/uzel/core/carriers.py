"""The two kinds of conversation as one `Carrier`: of `uzel/2`, and of the base protocol (section 6, D28, D29). Pure.

A carrier sits between the session's machine and the core's `Delivery`: it turns texts of the outbox into what the
machine sends, and what the machine reports into words of the delivery. Towards a base peer a text has no id, so what
was not reported comes again and may be shown twice (D27); towards a Uzel ids tell repeats. Counterparts:
`session.conversation`, `session.envelope_conversation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from uzel.core.conversation import Arrived, Delivery, Key, Outgoing
from uzel.session.conversation import ConversationMachine, IncomingText
from uzel.session.envelope_conversation import (
    EnvelopeArrived,
    EnvelopeMachine,
    EnvelopeReported,
    PeerHello,
    PeerRefused,
)
from uzel.session.envelopes import Hello, OtherEnvelope, Refusal, TextEnvelope, encode_text
from uzel.session.machine import Event
from uzel.session.unreported import FRAME, OutgoingText, Unreported

BASE_CODE, ENVELOPE_CODE = 0x30, 0x31
"""What a text is sent as; once it went as 31 it goes only as 31."""
TEXT_TYPE = "text"
CAPS = (TEXT_TYPE,)
"""The types of envelope that we understand."""


class EnvelopeCarrier:
    """A conversation of `uzel/2`."""

    code = ENVELOPE_CODE

    def __init__(self, machine: EnvelopeMachine) -> None:
        self.machine = machine
        self._numbers: dict[bytes, int] = {}
        self._encoded: tuple[int, bytes] = (0, b"")

    def take(self, events: Sequence[Event], delivery: Delivery) -> list[Hello]:
        """Pass on what the machine reports; returns what the peer said of itself."""
        hellos: list[Hello] = []
        for event in events:
            match event:
                case IncomingText(text=said):  # the base codes stay valid beside the envelopes
                    delivery.arrived(Arrived(event, None, said, None, None))
                case PeerHello(hello=hello):
                    delivery.peer_says(hello.gate, takes_texts=TEXT_TYPE in hello.caps)
                    hellos.append(hello)
                case EnvelopeArrived(envelope=TextEnvelope() as text):
                    delivery.arrived(Arrived(text.id, text.id, text.text, text.reply, text.at))
                case EnvelopeArrived(envelope=OtherEnvelope(text=str(said)) as other):
                    delivery.arrived(Arrived(other.id, other.id, said, None, other.at))
                case EnvelopeArrived(envelope=OtherEnvelope() as other):
                    self.machine.report(other.id)  # a type that we do not know: reported and dropped
                case EnvelopeReported(id=known) if known in self._numbers:
                    delivery.reported(self._numbers.pop(known))
                case PeerRefused(id=known, reason=reason) if known in self._numbers:
                    delivery.refused(self._numbers.pop(known), name_of_refusal(reason))
        return hellos

    def fits(self, text: Outgoing) -> bool:
        return self.machine.room(len(self._encode(text)))

    def send(self, text: Outgoing) -> None:
        self._numbers[text.id] = text.number
        self.machine.send(text.id, self._encode(text))

    def report(self, key: Key) -> None:
        if isinstance(key, IncomingText):
            self.machine.acknowledge(key)
        elif isinstance(key, bytes):
            with suppress(ValueError):  # repeated so often that its first answer is forgotten
                self.machine.report(key)

    def refuse(self, key: Key) -> None:
        if isinstance(key, bytes):
            with suppress(ValueError):  # as above
                self.machine.refuse(key, Refusal.NOT_ALLOWED)

    def _encode(self, text: Outgoing) -> bytes:
        number, body = self._encoded
        if number != text.number:
            body = encode_text(TextEnvelope(text.id, text.at, text.text, text.reply))
            self._encoded = (text.number, body)
        return body


class BaseCarrier:
    """A conversation of the base protocol. `window`: bytes in flight (D28)."""

    code = BASE_CODE

    def __init__(self, machine: ConversationMachine, unreported: Unreported, window: int) -> None:
        self.machine = machine
        self._unreported = unreported
        self._window = window
        self._reported: list[int] = []

    def take(self, events: Sequence[Event], delivery: Delivery) -> list[Hello]:
        """Pass on what the machine reports; a base peer says nothing of itself."""
        for event in events:
            if isinstance(event, IncomingText):
                delivery.arrived(Arrived(event, None, event.text, None, None))
        while self._reported:
            reported, self._reported = self._reported, []
            for number in reported:
                delivery.reported(number)
        return []

    def fits(self, text: Outgoing) -> bool:
        waiting = self._unreported.waiting_bytes
        return not waiting or waiting + len(text.text.encode()) + FRAME <= self._window

    def send(self, text: Outgoing) -> None:
        self._unreported.add(OutgoingText(text.text, lambda: self._reported.append(text.number)))
        self.machine.pump()

    def report(self, key: Key) -> None:
        assert isinstance(key, IncomingText)
        self.machine.acknowledge(key)

    def refuse(self, key: Key) -> None:
        """The base protocol cannot say so: it is not reported, and stays with its sender."""


def name_of_refusal(reason: int) -> str:
    """The reason of a 42, as the history shows it."""
    try:
        return f"refused_{Refusal(reason).name.lower()}"
    except ValueError:
        return f"refused_{reason}"
