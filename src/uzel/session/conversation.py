"""The conversation, end to end inside TLS: texts and their reports (section 6). Both sides run the same machine.

Rules: every 30 is answered by one 40, in order, and only once the program has said that the text is safe; texts
go out within a window (D28), from a queue that outlives the conversation (D27). Reading stops while the program
owes answers for too much, so a peer that keeps no window cannot make us grow. Counterpart: itself. What a conversation
with `uzel/2` has in common with it is `BaseConversation`; `envelope_conversation` is the rest of that one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from uzel.errors import Reason
from uzel.session.keepalive import Due, Keepalive, KeepaliveTimes
from uzel.session.machine import Event, MessageMachine, TokenSource
from uzel.session.unreported import FRAME, Unreported
from uzel.wire import Channel, Delivered, Message, Ping, Pong, Text, encode

WINDOW_BASE = 256 * 1024
"""Bytes in flight to a base peer (D28)."""
MAX_UNACKNOWLEDGED_BYTES = 1024 * 1024
"""Twice the largest window that the protocol allows: an honest peer never meets it."""
MAX_UNACKNOWLEDGED_TEXTS = 8192
MAX_PINGS_WAITING = 64


@dataclass(slots=True, eq=False)
class IncomingText(Event):
    """A text arrived. Call `BaseConversation.acknowledge` with it once it is safe."""

    text: str
    size: int = 0
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Ponged(Event):
    """The answer to our ping with this token."""

    token: bytes


@dataclass(frozen=True, slots=True)
class Reported(Event):
    """A 40 came: the oldest piece in flight has arrived. Whose text is complete was called already."""


@dataclass(frozen=True, slots=True)
class ReportIgnored(Event):
    """A 40 came with nothing outstanding: ignored (D6)."""


class BaseConversation(MessageMachine):
    """What every conversation does: it takes texts in 30 and reports them, pings, and ends when the peer is silent."""

    def __init__(self, channel: Channel, times: KeepaliveTimes, tokens: TokenSource, now: float) -> None:
        super().__init__(channel)
        self._tokens = tokens
        self._keepalive = Keepalive(times, now)
        self._inbox: deque[IncomingText] = deque()
        self._owed_bytes = 0
        """Bytes on the wire of all that arrived and waits for our answer."""

    @property
    def wants_data(self) -> bool:
        """False while too much waits for an answer."""
        return self._owed_bytes < MAX_UNACKNOWLEDGED_BYTES and self._owed() < MAX_UNACKNOWLEDGED_TEXTS

    def acknowledge(self, text: IncomingText) -> None:
        """The text is safe: it is reported as soon as every earlier one is. Twice is once."""
        text.acknowledged = True
        while self._inbox and self._inbox[0].acknowledged:
            self._owed_bytes -= self._inbox.popleft().size
            if not self.closed:
                self._send(Delivered(self._tokens()))

    def ping(self) -> bytes:
        """Send a ping; returns the token that `Ponged` will carry."""
        token = self._tokens()
        self._send(Ping(token))
        return token

    def deadline(self) -> float | None:
        """When the next ping, or the end of a silent conversation, is due."""
        return None if self.closed else self._keepalive.deadline()

    def on_timeout(self, now: float) -> list[Event]:
        """Ping a quiet conversation, end a silent one (D11)."""
        events: list[Event] = []
        if self.closed:
            return events
        due = self._keepalive.due(now)
        if due is Due.END and self.wants_data:
            self._fail(events, Reason.SILENCE)
        elif due is not Due.NOTHING:
            self._send(Ping(self._tokens()))
        if due is Due.END and not self.closed:  # the silence is our own doing, nothing was read: it counts afresh
            self._keepalive.heard(now)
        return events

    def _owed(self) -> int:
        """How many things that arrived wait for our answer."""
        return len(self._inbox)

    def _heard(self, now: float) -> None:
        self._keepalive.heard(now)

    def _on_message(self, message: Message, now: float, events: list[Event]) -> None:  # noqa: ARG002
        match message:
            case Text(text=text):
                incoming = IncomingText(text, len(text.encode("utf-8")) + FRAME)
                self._inbox.append(incoming)
                self._owed_bytes += incoming.size
                events.append(incoming)
            case Delivered():
                self._on_delivered(events)
            case Ping(token=token):
                self._send(Pong(token))
            case Pong(token=token):
                events.append(Ponged(token))
            case _:
                raise AssertionError(f"the framer let {message} through")

    def _on_delivered(self, events: list[Event]) -> None:
        """A 40 came. Where no 30 is ever sent, nothing is outstanding."""
        events.append(ReportIgnored())


class ConversationMachine(BaseConversation):
    """One end of a conversation. Its texts come from `unreported`, which it rewinds at the start."""

    def __init__(
        self,
        unreported: Unreported,
        times: KeepaliveTimes,
        tokens: TokenSource,
        now: float,
        *,
        window: int = WINDOW_BASE,
    ) -> None:
        super().__init__(Channel.CONVERSATION, times, tokens, now)
        self._unreported = unreported
        self._window = window
        unreported.rewind()
        self.pump()

    def pump(self) -> None:
        """Queue whatever the window lets out."""
        while not self.closed and (piece := self._unreported.next_piece(self._window)) is not None:
            self._output.append(encode(Text(piece.decode("utf-8"))))

    def _on_delivered(self, events: list[Event]) -> None:
        if self._unreported.reported():
            events.append(Reported())
            self.pump()
        else:
            super()._on_delivered(events)
