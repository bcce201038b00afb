"""The journal: what happened, numbered, so that who follows can go on where it stopped (issue 4, section 5).

Rules. Every verb runs inside the caller's transaction: what happened and the entry that tells of it are committed
together, so nobody is told of what did not come to be, nor misses what did. Numbers grow by one and never come twice.
It is bounded; who was away for longer than it reaches is told so and asks for everything anew. What a transaction
writes is at hand once more until `take`, so that its owner can tell of it at once and nobody has to look it up; what it
takes back again it names with `back_to`. Counterparts: the event stream of the local interface; `uzel.core.writer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from uzel.store.connection import Connection
from uzel.store.records import JournalEntry, TextRecord

_APPEND = "INSERT INTO journal (at, kind, data) VALUES (?, ?, ?)"
_SINCE = "SELECT number, at, kind, data FROM journal WHERE number > ? ORDER BY number LIMIT ?"
_FIRST = "SELECT min(number) FROM journal"
_LAST = "SELECT seq FROM sqlite_sequence WHERE name = 'journal'"
_TRIM = "DELETE FROM journal WHERE number <= ?"

MOST_FRESH = 1024
"""Entries that are at hand until `take`, with their texts: more are not worth the memory."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """An entry as it was written. `record`: the text that it tells of, as it is now, where the writer had it."""

    kind: str
    data: dict[str, Any]
    record: TextRecord | None = None


MANY = Fresh("many", {})
"""In the place of entries beyond `MOST_FRESH`: look yourself."""


class Journal:
    """See the module's text. What the disk refuses passes through (`connection`)."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection
        self._fresh: list[Fresh] = []

    def append(self, kind: str, data: dict[str, Any], at: int, record: TextRecord | None = None) -> int:
        """Write an entry; `data` is anything that JSON can say, `record` the text in question. Returns its number."""
        text = msgspec.json.encode(data).decode()
        number = self._db.execute(_APPEND, (at, kind, text)).lastrowid
        if len(self._fresh) < MOST_FRESH:
            self._fresh.append(Fresh(kind, data, record))
        else:
            self._fresh[-1] = MANY
        return number

    def mark(self) -> int:
        """A place in what is fresh, for `back_to`."""
        return len(self._fresh)

    def back_to(self, mark: int) -> None:
        """What was written since is taken back."""
        del self._fresh[mark:]

    def take(self) -> list[Fresh]:
        """What was written since this was asked last, `MOST_FRESH` entries at most."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def last(self) -> int:
        """The number of the latest entry there ever was; 0 before the first."""
        row = self._db.execute(_LAST).fetchone()
        return row[0] if row else 0

    def since(self, number: int, limit: int) -> tuple[list[JournalEntry], bool]:
        """The next entries behind this number, and whether some are missed.

        They are when entries between were trimmed, and when this journal never came to that number: then it is another
        one, the profile having been restored. The entries that are there are given all the same.
        """
        last = self.last()
        first = self._db.execute(_FIRST).fetchone()[0] or last + 1
        missed = number < first - 1 or number > last
        rows = self._db.execute(_SINCE, (number, limit))
        entries = [JournalEntry(place, at, kind, msgspec.json.decode(data)) for place, at, kind, data in rows]
        return entries, missed

    def trim(self, keep: int) -> int:
        """Forget all but the latest `keep` entries. Returns how many went."""
        return self._db.execute(_TRIM, (self.last() - max(keep, 0),)).rowcount
