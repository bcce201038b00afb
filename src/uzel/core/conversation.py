"""One conversation: what is sent in it, what is stored, what is reported (promise 1, section 6). Pure.

Persist, then send: texts are taken from the outbox in one commit that marks them as on their way, and only then handed
to the carrier; what arrives is committed before it is reported. One batch is committed at a time, so whatever could not
be stored is followed by nothing that was. Order is that of the outbox on the way out and that of arrival on the way in;
repeats are told by their id, in the store. Effects go to the shell, which answers with `taken`, `kept`, `keep_failed`.
Counterparts: the `Carrier`, which is the session below it; `outbox.Outbox`, which decides when there is a conversation;
the other side's `Delivery`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from uzel.core.gate import Gate
from uzel.core.settings import DeliveryBounds

Key = Hashable
"""How the carrier knows what arrived, until it is answered."""
STORAGE = "storage"
"""Why a conversation ends in which something could not be stored, in either direction."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A text of the outbox; `number` is its place there, which grows."""

    number: int
    id: bytes
    text: str
    reply: bytes | None
    at: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """A text that came. `id` is None from a base peer, which cannot tell a repeat from a new text (D27)."""

    key: Key
    id: bytes | None
    text: str
    reply: bytes | None
    at: int | None


class Carrier(Protocol):
    """What carries texts: a conversation of `uzel/2`, or of the base protocol."""

    def fits(self, text: Outgoing) -> bool:
        """The window has room for it now (D28)."""

    def send(self, text: Outgoing) -> None:
        """Send it. It fits."""

    def report(self, key: Key) -> None:
        """What arrived is safe: tell the sender."""

    def refuse(self, key: Key) -> None:
        """What arrived is not taken: tell the sender, if the protocol can."""


# -- Effects --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Take:
    """Take the next texts from the outbox, those behind `after`, marked as on their way in the same commit: at most so
    many, and one that is larger than `most_bytes` alone. Answer: `taken`, with nothing when there are none.
    """

    after: int
    most: int
    most_bytes: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What a `Take` found, and whether more waited behind it then: else nobody needs to look again."""

    texts: tuple[Outgoing, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Keep:
    """Commit these texts, all or none, those whose id was seen before left out. Answer: `kept` or `keep_failed`."""

    texts: tuple[Arrived, ...]


@dataclass(frozen=True, slots=True)
class Knock:
    """A stranger says this; it is kept with its request and not reported."""

    text: Arrived


@dataclass(frozen=True, slots=True)
class Settle:
    """These texts of the outbox were delivered, those were refused by the peer, with the reason."""

    delivered: tuple[int, ...]
    refused: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class End:
    """Close the conversation, for this reason."""

    reason: str


Effect = Take | Keep | Knock | Settle | End


class Delivery:
    """See the module's text. `knock`: characters that a stranger's one text may have, and ours where we are one."""

    def __init__(self, carrier: Carrier, bounds: DeliveryBounds, *, knock: int) -> None:
        self._carrier = carrier
        self._bounds = bounds
        self._most_knock = knock
        self.gate: Gate | None = None
        """Ours; None until it is judged."""
        self.peer_gate: Gate | None = None
        """The peer's; None until it is heard."""
        self.peer_takes_texts = True
        """It names texts among what it can read (section 6)."""
        self._ready: deque[Outgoing] = deque()
        self._in_flight: set[int] = set()
        self._last = 0
        self._taking = False
        self._more = True
        self._waiting: list[Arrived] = []
        self._keeping: tuple[Arrived, ...] = ()
        self._knocked = self._has_knocked = False
        self._delivered: list[int] = []
        self._refused: list[tuple[int, str]] = []
        self._ended = False
        self._effects: list[Effect] = []

    @property
    def is_quiet(self) -> bool:
        """Nothing is on its way in either direction."""
        return not (self._ready or self._in_flight or self._taking or self._waiting or self._keeping)

    def take_effects(self) -> list[Effect]:
        """What is to be done, once."""
        if self._delivered or self._refused:
            self._effects.append(Settle(tuple(self._delivered), tuple(self._refused)))
            self._delivered, self._refused = [], []
        effects, self._effects = self._effects, []
        return effects

    def end(self) -> None:
        """The conversation is over: nothing is sent, stored or reported any more. What it settled stays settled."""
        self._ended = True
        self._waiting.clear()
        self._ready.clear()

    # -- Who may ----------------------------------------------------------------------------------------------

    def judged(self, gate: Gate) -> None:
        """Whether the peer's texts are taken; it may be let in later."""
        self.gate = gate
        arrived, self._waiting = self._waiting, []
        for text in arrived:
            self.arrived(text)
        self._pump()

    def peer_says(self, gate: Gate, *, takes_texts: bool = True) -> None:
        """Whether the peer takes our texts, and can read them; a base peer does. What it cannot read waits."""
        self.peer_gate = gate
        self.peer_takes_texts = takes_texts
        self._more = True
        self._pump()

    # -- Out --------------------------------------------------------------------------------------------------

    def queued(self) -> None:
        """Another text waits in the outbox."""
        self._more = True
        self._pump()

    def taken(self, taken: Taken) -> None:
        """The texts that `Take` asked for."""
        self._taking = False
        self._more = self._more or taken.more  # one may have been queued since
        if taken.texts:
            self._last = taken.texts[-1].number
            if not self._ended:
                self._ready += taken.texts
        self._pump()

    def reported(self, number: int) -> None:
        """The peer has this text on disk."""
        if number in self._in_flight:
            self._in_flight.discard(number)
            self._delivered.append(number)
        self._pump()

    def refused(self, number: int, reason: str) -> None:
        """The peer does not take this text, ever; the others go on."""
        if number in self._in_flight:
            self._in_flight.discard(number)
            self._refused.append((number, reason))
        self._pump()

    def _pump(self) -> None:
        if (
            self._ended
            or not self.peer_takes_texts
            or self.gate is not Gate.OPEN
            or self.peer_gate in {None, Gate.REFUSED}
        ):
            return  # whom we do not let in gets nothing either: it may be another than whom we mean
        if self.peer_gate is Gate.ASKED:
            self._knock()
            return
        while self._ready and self._carrier.fits(self._ready[0]):
            self._send(self._ready.popleft())
        if not self._ready and self._more and not self._taking:
            self._take(self._bounds.take)

    def _knock(self) -> None:
        """Where we are not let in yet one text goes, if it is short."""
        if self._has_knocked:
            return
        if self._ready:
            if len(self._ready[0].text) <= self._most_knock and self._carrier.fits(self._ready[0]):
                self._has_knocked = True
                self._send(self._ready.popleft())
        elif self._more and not self._taking:
            self._take(1)

    def _send(self, text: Outgoing) -> None:
        self._in_flight.add(text.number)
        self._carrier.send(text)

    def _take(self, most: int) -> None:
        self._taking, self._more = True, False
        self._effects.append(Take(self._last, most, self._bounds.take_bytes))

    # -- In ---------------------------------------------------------------------------------------------------

    def arrived(self, text: Arrived) -> None:
        """A text came."""
        if self._ended:
            return
        match self.gate:
            case Gate.ASKED:
                self._knocked_with(text)
            case Gate.REFUSED:
                self._carrier.refuse(text.key)
            case _:
                self._waiting.append(text)
                self._keep()

    def kept(self) -> None:
        """What `Keep` asked for is committed."""
        kept, self._keeping = self._keeping, ()
        if self._ended:
            return
        for text in kept:
            self._carrier.report(text.key)
        self._keep()

    def keep_failed(self) -> None:
        """It could not be stored: nothing after it is, and the peer sends it again in another conversation."""
        self._keeping = ()
        self.end()
        self._effects.append(End(STORAGE))

    def _keep(self) -> None:
        if self._waiting and not self._keeping and self.gate is Gate.OPEN:
            most = self._bounds.keep
            self._keeping, self._waiting = tuple(self._waiting[:most]), self._waiting[most:]
            self._effects.append(Keep(self._keeping))

    def _knocked_with(self, text: Arrived) -> None:
        if len(text.text) > self._most_knock:
            self._carrier.refuse(text.key)
        elif not self._knocked:
            self._knocked = True
            self._effects.append(Knock(text))
