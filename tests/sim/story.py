"""What happens in a run, in the order in which it happens: kept as values, put into words only when somebody reads it.

A story is a function of its seed alone: told twice, also by another interpreter with other hashes, it is the same to
the byte. `Violation` is how a checker ends one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from uzel.names import Fingerprint
from uzel.wire import TABLE, Message, RelayedData

_CODES = {row.cls: row.code for row in TABLE}


class Violation(AssertionError):  # noqa: N818 - it names what was found, not what went wrong with us
    """A run did what no run may do."""


class Story:
    """The notes of one run."""

    __slots__ = ("_names", "_notes")

    def __init__(self) -> None:
        self._notes: list[tuple[float, str, tuple[object, ...]]] = []
        self._names: dict[Fingerprint, str] = {}

    def __len__(self) -> int:
        return len(self._notes)

    def name(self, node: Fingerprint, name: str) -> None:
        """What this node is called from now on."""
        self._names[node] = name

    def tell(self, now: float, who: str, *what: object) -> None:
        """Note it."""
        self._notes.append((now, who, what))

    def lines(self) -> Iterator[str]:
        """The story so far, a line each."""
        for now, who, what in self._notes:
            yield f"{now:10.4f} {who:<8} " + " ".join(self._words(each) for each in what)

    def _words(self, what: object) -> str:
        if isinstance(what, Message):
            return message_words(what)
        if isinstance(what, Fingerprint):
            return self._names.get(what, str(what))
        if isinstance(what, bytes):
            return f"[{len(what)} bytes {what[:8].hex()}…]"
        if isinstance(what, float):
            return f"{what:.3f}"
        return str(what)


def message_words(message: Message) -> str:
    """One message: its code, its name, its fields."""
    parts = [f"{_CODES[type(message)]:02X}", type(message).__name__]
    if isinstance(message, RelayedData):
        parts.append(f"{message.sender}>{message.recipient} [{len(message.data)} bytes {message.data[:20].hex()}…]")
    else:
        for field in dataclasses.fields(message):
            value = getattr(message, field.name)
            parts.append(value.hex() if isinstance(value, bytes) else str(value))
    return " ".join(parts)
