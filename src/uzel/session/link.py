"""A link between two nodes, inside TLS: framing alone, the same at both ends (section 3).

Every message goes up. What a link says, and when, is the switchboard's to decide, keepalive and fences included,
because it depends on everything else that the node knows; so nothing is ever sent from here. One read may hold forty
thousand messages: they go up a few hundred at a time, with the deadline as their next turn, and nothing more is read
meanwhile, so that a node which floods its link takes no more than its share of this one. Counterpart: itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from uzel.session.machine import Event, MessageMachine, Received
from uzel.wire import Channel, Message

MOST_EVENTS = 256
"""So many messages go up in one turn, and those of the slice in which they are exceeded."""
_SLICE = 4096
"""Bytes framed at a time: at most some 700 messages."""


@dataclass(frozen=True, slots=True)
class Heard(Event):
    """So many bytes came; their messages, if they complete any, follow. Any byte is life (D11)."""

    size: int


class LinkFraming(MessageMachine):
    """Reads a link. A node list comes as the framer's pieces."""

    def __init__(self) -> None:
        super().__init__(Channel.LINK)
        self._waiting = b""
        self._since = 0.0
        self._ended = False

    @property
    def wants_data(self) -> bool:
        """Not while some of it waits for its turn."""
        return not self._waiting

    def receive(self, data: bytes, now: float) -> list[Event]:
        """`Heard`, then messages as `Received`: all of them, or the first few hundred."""
        if self.closed:
            return []
        if self._waiting:  # told to stop, the transport had this on its way
            self._waiting += data
            return [Heard(len(data))]
        return [Heard(len(data)), *self._read(data, now)]

    def eof(self, now: float) -> list[Event]:
        """Close, once everything before has gone up."""
        if self._waiting:
            self._ended = True
            return []
        return super().eof(now)

    def deadline(self) -> float | None:
        """At once, while something waits for its turn."""
        return self._since if self._waiting and not self.closed else None

    def on_timeout(self, now: float) -> list[Event]:
        """The next few hundred messages."""
        waiting, self._waiting = self._waiting, b""
        events = self._read(waiting, now) if waiting and not self.closed else []
        if self._ended and not self._waiting:
            events += super().eof(now)
        return events

    def _read(self, data: bytes, now: float) -> list[Event]:
        events: list[Event] = []
        at = 0
        while at < len(data) and len(events) < MOST_EVENTS and not self.closed:
            end = at + _SLICE
            events += super().receive(data[at:end], now)
            at = end
        if not self.closed:
            self._waiting, self._since = data[at:], now
        return events

    def _on_message(self, message: Message, now: float, events: list[Event]) -> None:  # noqa: ARG002
        events.append(Received(message))
