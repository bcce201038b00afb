"""The journal: what happened, numbered, so that who follows can go on where it stopped (issue 4, section 5).

Rules. Every verb runs inside the caller's transaction: what happened and the entry that tells of it are committed
together, so nobody is told of what did not come to be, nor misses what did. Numbers grow by one and never come twice.
It is bounded; who was away for longer than it reaches is told so and asks for everything anew. Counterpart: the event
stream of the local interface.
"""

from __future__ import annotations

from typing import Any

import msgspec

from uzel.store.connection import Connection
from uzel.store.records import JournalEntry

_APPEND = "INSERT INTO journal (at, kind, data) VALUES (?, ?, ?)"
_SINCE = "SELECT number, at, kind, data FROM journal WHERE number > ? ORDER BY number LIMIT ?"
_FIRST = "SELECT min(number) FROM journal"
_LAST = "SELECT seq FROM sqlite_sequence WHERE name = 'journal'"
_TRIM = "DELETE FROM journal WHERE number <= ?"


class Journal:
    """See the module's text. What the disk refuses passes through (`connection`)."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def append(self, kind: str, data: dict[str, Any], at: int) -> int:
        """Write an entry; `data` is anything that JSON can say. Returns its number."""
        text = msgspec.json.encode(data).decode()
        return self._db.execute(_APPEND, (at, kind, text)).lastrowid

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
