"""Requests of strangers who knocked, in the profile's database (promise 5, section 6's `gate`: asked).

Rules. Every verb runs inside the caller's transaction. There is a bound, and who has not knocked for longest goes for a
new one: the list of somebody who is flooded stays short, and who keeps knocking stays in it. One request a number, that
of the first key: what the person read is what they accept. Nothing of it is a text before it is accepted. Counterparts:
`uzel.core`, which decides; `people`, where who is accepted goes.
"""

from __future__ import annotations

from typing import Any

from uzel.names import Fingerprint, Uin
from uzel.store.connection import Connection
from uzel.store.records import KnockRequest

MOST_KNOCK = 1000
"""Characters of the one text that is kept (section 6)."""

_COLUMNS = "SELECT uin, fingerprint, first_at, last_at, text, id, count FROM knocks "
_GET = _COLUMNS + "WHERE uin = ?"
_ALL = _COLUMNS + "ORDER BY last_at DESC, uin"
_KNOCK = """
    INSERT INTO knocks (uin, fingerprint, first_at, last_at, id, text) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET
        last_at = excluded.last_at,
        count = count + 1,
        id = iif(text = '', excluded.id, id),
        text = iif(text = '', excluded.text, text)
    WHERE fingerprint = excluded.fingerprint
"""
_TRIM = """
    DELETE FROM knocks WHERE uin IN (SELECT uin FROM knocks WHERE uin <> ? ORDER BY last_at DESC LIMIT -1 OFFSET ?)
"""
_REMOVE = "DELETE FROM knocks WHERE uin = ?"


class Knocks:
    """See the module's text. What the disk refuses passes through (`connection`)."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def knock(
        self, uin: Uin, fingerprint: Fingerprint, now: int, *, limit: int, text: str = "", text_id: bytes | None = None
    ) -> KnockRequest | None:
        """Somebody whose key proved itself knocks, with a text or without; the first text is the one that is kept.

        At most `limit` requests are there afterwards, this one among them. None when another key asks under this
        number: then nothing is changed. Raises `ValueError` for a text beyond `MOST_KNOCK`.
        """
        if len(text) > MOST_KNOCK:
            raise ValueError(f"a stranger's text has at most {MOST_KNOCK} characters")
        values = (uin, fingerprint.raw, now, now, text_id if text else None, text)
        if not self._db.execute(_KNOCK, values).rowcount:
            return None
        self._db.execute(_TRIM, (uin, max(limit, 1) - 1))
        return self.get(uin)

    def get(self, uin: Uin) -> KnockRequest | None:
        """The request of this number."""
        row = self._db.execute(_GET, (uin,)).fetchone()
        return _request(row) if row else None

    def all(self) -> list[KnockRequest]:
        """Every request, who knocked last first."""
        return [_request(row) for row in self._db.execute(_ALL)]

    def remove(self, uin: Uin) -> bool:
        """It is decided. False when there was none."""
        return self._db.execute(_REMOVE, (uin,)).rowcount > 0


def _request(row: tuple[Any, ...]) -> KnockRequest:
    uin, fingerprint, first_at, last_at, text, text_id, count = row
    return KnockRequest(Uin(uin), Fingerprint(fingerprint), first_at, last_at, text, text_id, count)
