"""The callee's wait for the caller's first end-to-end byte (section 8): nothing is known of the caller until then.

It hands the bytes over untouched, since TLS takes them. Counterpart: the caller's TLS engine.
"""

from __future__ import annotations

from dataclasses import dataclass

from uzel.errors import Reason
from uzel.session.machine import Ended, Event, Failed


@dataclass(frozen=True, slots=True)
class FirstBytes(Event):
    """The caller is there; these bytes belong to TLS."""

    data: bytes


class FirstByte:
    """Waits `patience` seconds."""

    wants_data = True

    def __init__(self, now: float, patience: float = 30.0) -> None:
        self._until = now + patience

    def receive(self, data: bytes, now: float) -> list[Event]:  # noqa: ARG002 - part of the one interface
        """They came."""
        return [FirstBytes(data)]

    def eof(self, now: float) -> list[Event]:  # noqa: ARG002 - part of the one interface
        """The node ended the call."""
        return [Ended()]

    def data_to_send(self) -> bytes:
        """A callee says nothing first."""
        return b""

    def deadline(self) -> float | None:
        """The end of the patience."""
        return self._until

    def on_timeout(self, now: float) -> list[Event]:
        """Give up."""
        return [Failed(Reason.FIRST_BYTE_TIMEOUT)] if now >= self._until else []
