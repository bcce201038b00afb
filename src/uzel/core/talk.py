"""One conversation of the core on its connection: the thin shell around `Delivery` and its carrier.

It joins three things that know nothing of one another: the session's machine that the runner drives, the carrier that
speaks for it, and the delivery that decides. What the delivery asks of the store goes to the `Desk`, the messenger.
Counterparts: `client.calls`, which begins it; the other side's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from uzel.client.carried import CarriedConversation, Ended
from uzel.client.reasons import Reasons
from uzel.core.carriers import BaseCarrier, EnvelopeCarrier
from uzel.core.conversation import Delivery, Effect
from uzel.core.gate import Gate
from uzel.core.settings import CoreSettings
from uzel.errors import Reason
from uzel.identity import PeerTrust
from uzel.net.runner import Runner
from uzel.session.conversation import Ponged
from uzel.session.envelope_conversation import EnvelopeRejected
from uzel.session.envelopes import Hello
from uzel.session.machine import Event, Machine


@dataclass(frozen=True, slots=True)
class TalkState:
    """How it is with a contact. `key_agreement`: of the conversation that stands, None while none does. `gate`: what
    they last said of our texts since the core began, None when they said nothing, as base peers do. `downgraded`: they
    came with a program that offers less than before, and are refused until the person agrees (D29).
    """

    key_agreement: str | None = None
    gate: Gate | None = None
    downgraded: bool = False


class Desk(Protocol):
    """Who owns the talks: the messenger."""

    def carry_out(self, talk: Talk, effects: list[Effect]) -> None:
        """Do what the delivery asks for."""

    def said_hello(self, talk: Talk, hello: Hello) -> None:
        """The peer says what it is, and perhaps an invite."""

    def heard(self, talk: Talk) -> None:
        """Something was said."""


class Talk(CarriedConversation):
    """See the module's text."""

    def __init__(
        self,
        runner: Runner,
        peer: PeerTrust,
        carrier: EnvelopeCarrier | BaseCarrier,
        desk: Desk,
        settings: CoreSettings,
        *,
        counters: Reasons,
        on_ended: Ended,
    ) -> None:
        super().__init__(runner, peer, counters=counters, on_ended=on_ended)
        self.carrier = carrier
        self.delivery = Delivery(carrier, settings.delivery, knock=settings.gate.knock)
        self._desk = desk
        self.ended_for = ""
        self.has_shown_invite = False

    @property
    def speaks_envelopes(self) -> bool:
        """`uzel/2` was agreed."""
        return isinstance(self.carrier, EnvelopeCarrier)

    def update(self) -> None:
        """The delivery was told something: let the bytes go, and do what it wants. The bytes come first, for the other
        side's disk can work on them while ours works on the rest.
        """
        if self.is_open:
            self._runner.update()
        while effects := self.delivery.take_effects():
            self._desk.carry_out(self, effects)

    def say_gate(self, hello: bytes) -> None:
        """Tell the peer again whether it is let in; a base peer cannot be told."""
        if isinstance(self.carrier, EnvelopeCarrier) and self.is_open:
            self.carrier.machine.say_hello(hello)
            self._runner.update()

    def hang_up(self, reason: str = "") -> None:
        """End it without waiting for the end; the reason is our own, and for our own log."""
        self.ended_for = self.ended_for or reason
        self.delivery.end()
        self._runner.close()

    # -- What the runner says ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; a base peer takes texts at once."""
        super().start()
        if not self.speaks_envelopes:
            self.delivery.peer_says(Gate.OPEN)
        self.update()

    def on_events(self, events: list[Event]) -> None:
        """What the machine reports."""
        for event in events:
            match event:
                case Ponged(token=token):
                    self._ponged(token)
                case EnvelopeRejected():
                    self._counters.note(Reason.ENVELOPE_REJECTED)
        for hello in self.carrier.take(events, self.delivery):
            self._desk.said_hello(self, hello)
        if any(not isinstance(event, Ponged) for event in events):
            self._desk.heard(self)  # a pong shows that the peer is there, not that anything is said
        self.update()

    def on_closed(self, reason: Reason | None) -> None:
        """It has ended."""
        self.delivery.end()
        self.update()
        super().on_closed(reason)

    def _machine_to_run(self) -> Machine:
        return self.carrier.machine

    def _send_ping(self) -> bytes:
        return self.carrier.machine.ping()
