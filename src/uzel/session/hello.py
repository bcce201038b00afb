"""The first bytes on a control port: CA or CB, answered by 01 or 02 (section 3, D5).

`HelloAnswerer` is the node's end, `HelloOfferer` the connecting side's. Both end with one event; then TLS starts
on the same connection, with the node as TLS client. What followed the hello is `rest()` and belongs to TLS.
"""

from __future__ import annotations

from dataclasses import dataclass

from uzel.errors import Reason
from uzel.session.machine import Event, MessageMachine
from uzel.wire import Accepted, Channel, ClientHello, Message, NodeHello, VersionMismatch

MAJOR, MINOR = 1, 0


@dataclass(frozen=True, slots=True)
class HelloTaken(Event):
    """The node's end: an acceptable hello came; answer it with `accept`. `is_node` tells CB from CA."""

    is_node: bool
    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class HelloAccepted(Event):
    """The connecting end: the node answered 01."""


@dataclass(frozen=True, slots=True)
class HelloRefused(Event):
    """The connecting end: the node answered 02 with its version. With our major, dial once more with it (D5)."""

    major: int
    minor: int


class _OneMessage(MessageMachine):
    def rest(self) -> bytes:
        """What came behind the hello, once."""
        return self._framer.rest()


class HelloAnswerer(_OneMessage):
    """The node's end. A hello of another major is answered 02, then `Failed(VERSION_MISMATCH)`."""

    def __init__(self) -> None:
        super().__init__(Channel.CONTROL_HELLO)

    def accept(self) -> None:
        """Answer 01."""
        self._send(Accepted())

    def _on_message(self, message: Message, now: float, events: list[Event]) -> None:  # noqa: ARG002
        assert isinstance(message, ClientHello | NodeHello)
        if message.major != MAJOR:
            self._send(VersionMismatch(MAJOR, MINOR))
            self._fail(events, Reason.VERSION_MISMATCH, f"version {message.major}.{message.minor}")
            return
        events.append(HelloTaken(isinstance(message, NodeHello), message.major, message.minor))


class HelloOfferer(_OneMessage):
    """The connecting side's end; sends CA at once, or CB `as_node`."""

    def __init__(self, major: int = MAJOR, minor: int = MINOR, *, as_node: bool = False) -> None:
        super().__init__(Channel.HELLO_ANSWER)
        self._send(NodeHello(major, minor) if as_node else ClientHello(major, minor))

    def _on_message(self, message: Message, now: float, events: list[Event]) -> None:  # noqa: ARG002
        if isinstance(message, VersionMismatch):
            self.closed = True
            events.append(HelloRefused(message.major, message.minor))
        else:
            events.append(HelloAccepted())
