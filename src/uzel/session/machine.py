"""The one interface of all machines, and the events they share.

Rules: remote faults never raise; the machine goes to closed and reports `Failed` with a named reason, once. Only
our own misuse raises (`ValueError`, `RuntimeError`). Time is a float of seconds from any monotonic clock, always
an argument. Randomness is a function given at construction. Counterpart: `uzel.net.runner`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from uzel.errors import Reason
from uzel.wire import Channel, Framer, Message, encode

TokenSource = Callable[[], bytes]
"""Gives the two random bytes that pings and reports carry."""


class Event:
    """Something that a machine reports."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """The machine is closed because of this; nothing more will come from it."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """The other side closed the connection between two messages: nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Received(Event):
    """A message that the machine leaves to its owner."""

    message: Message


class Machine(Protocol):
    """What the runner needs of a machine."""

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take bytes that arrived."""

    def eof(self, now: float) -> list[Event]:
        """Take the end of the stream; a bare end and close_notify mean the same (D8)."""

    def data_to_send(self) -> bytes:
        """Hand out, once, the bytes to send."""

    def deadline(self) -> float | None:
        """When `on_timeout` wants to be called, or None."""

    def on_timeout(self, now: float) -> list[Event]:
        """Take the passing of the deadline; harmless when called early."""

    @property
    def wants_data(self) -> bool:
        """False while the machine holds as much as it may: stop reading for now."""


class MessageMachine:
    """Base of the machines that speak in messages: framing, output, and the way to closed."""

    def __init__(self, channel: Channel) -> None:
        self._framer = Framer(channel)
        self._output: list[bytes] = []
        self.closed = False

    @property
    def wants_data(self) -> bool:
        """Always, unless the machine says otherwise."""
        return True

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Frame the bytes and hand each message to `_on_message`; a fault closes after those before it."""
        events: list[Event] = []
        if self.closed:
            return events
        self._heard(now)
        for message in self._framer.feed(data):
            self._on_message(message, now, events)
            if self._is_closed():
                return events
        if self._framer.fault is not None:
            self._fail(events, self._framer.fault, self._framer.fault_detail)
        return events

    def eof(self, now: float) -> list[Event]:  # noqa: ARG002 - part of the one interface
        """Close; `Failed` when the stream ended inside a message, else `Ended`."""
        events: list[Event] = []
        if self.closed:
            return events
        fault = self._framer.eof()
        if fault is None:
            self.closed = True
            events.append(Ended())
        else:
            self._fail(events, fault)
        return events

    def data_to_send(self) -> bytes:
        """The bytes to send, once."""
        if not self._output:
            return b""
        data = self._output[0] if len(self._output) == 1 else b"".join(self._output)
        self._output.clear()
        return data

    def deadline(self) -> float | None:
        """No deadline, unless the machine says otherwise."""
        return None

    def on_timeout(self, now: float) -> list[Event]:  # noqa: ARG002 - part of the one interface
        """Nothing to do, unless the machine says otherwise."""
        return []

    def _is_closed(self) -> bool:
        return self.closed

    def _heard(self, now: float) -> None:
        """Bytes came."""

    def _on_message(self, message: Message, now: float, events: list[Event]) -> None:
        raise NotImplementedError

    def _send(self, message: Message) -> None:
        self._output.append(encode(message))

    def _fail(self, events: list[Event], reason: Reason, detail: str = "") -> None:
        self.closed = True
        events.append(Failed(reason, detail))
