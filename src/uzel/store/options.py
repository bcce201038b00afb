"""Options: what the person chose, by name, in the profile's database.

Rules. Every verb runs inside the caller's transaction. A value is kept as JSON and checked against its option's type
when it is set and when it is read. What was never chosen has its default, and stays free to follow a better one.
Counterparts: whoever declares an `Option`; the profile's own table `settings`, which says how the file itself is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from uzel.errors import ConfigError
from uzel.store.connection import Connection

_GET = "SELECT value FROM options WHERE name = ?"
_SET = "INSERT INTO options VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
_RESET = "DELETE FROM options WHERE name = ?"
_ALL = "SELECT name, value FROM options ORDER BY name"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Option(Generic[T]):
    """Something that can be chosen. `kind` may carry bounds (`Annotated[int, msgspec.Meta(ge=1)]`)."""

    name: str
    kind: Any
    default: T


class Options:
    """See the module's text. What the disk refuses passes through (`connection`)."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def get(self, option: Option[T]) -> T:
        """What was chosen, or the default. Raises `ConfigError` for a value that another version wrote and this cannot
        read: guessing might let in whom the person kept out.
        """
        row = self._db.execute(_GET, (option.name,)).fetchone()
        if row is None:
            return option.default
        try:
            value: T = msgspec.json.decode(row[0], type=option.kind)
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{option.name}: {error}") from error
        return value

    def set(self, option: Option[T], value: Any) -> T:
        """Choose. Returns what is kept, in its own type. Raises `ConfigError` for a value that does not fit."""
        try:
            text = msgspec.json.encode(msgspec.convert(value, type=option.kind)).decode()
            fitting: T = msgspec.json.decode(text, type=option.kind)  # JSON has no word for some numbers
        except msgspec.ValidationError as error:
            raise ConfigError(f"{option.name}: {error}") from error
        self._db.execute(_SET, (option.name, text))
        return fitting

    def reset(self, option: Option[Any]) -> bool:
        """Go back to the default. False when nothing was chosen."""
        return self._db.execute(_RESET, (option.name,)).rowcount > 0

    def chosen(self) -> dict[str, Any]:
        """Everything that was chosen, by name, as JSON has it."""
        return {name: msgspec.json.decode(value) for name, value in self._db.execute(_ALL)}
