"""Invites: tokens that let strangers in, in the profile's database (promise 5).

Rules. Every verb runs inside the caller's transaction. A token is known by its SHA-256 alone, so that nobody who reads
the file can use it. Using one counts it down in the same step that asks whether it counts. Counterparts: `uzel.core`,
which makes the tokens and asks here when one is presented; `uzel.names.ContactLink`, which carries them.
"""

from __future__ import annotations

from typing import Any

from uzel.names import check_contact_name
from uzel.store.connection import Connection
from uzel.store.records import Invite

_COLUMNS = "SELECT token_hash, label, made_at, expires_at, uses_left, revoked FROM invites "
_BY_HASH = _COLUMNS + "WHERE token_hash = ?"
_ALL = _COLUMNS + "ORDER BY made_at, token_hash"
_ADD = "INSERT INTO invites (token_hash, label, made_at, expires_at, uses_left, revoked) VALUES (?, ?, ?, ?, ?, ?)"
_USE = """
    UPDATE invites SET uses_left = uses_left - 1
    WHERE token_hash = ? AND revoked = 0
        AND (expires_at IS NULL OR expires_at > ?) AND (uses_left IS NULL OR uses_left > 0)
"""
_REVOKE = "UPDATE invites SET revoked = 1 WHERE token_hash = ? AND revoked = 0"
_REMOVE = "DELETE FROM invites WHERE token_hash = ?"


class Invites:
    """See the module's text. What the disk refuses passes through (`connection`)."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, invite: Invite) -> None:
        """Keep a new one. Raises `InvalidNameError` for a label that could not be a contact's name."""
        check_contact_name(invite.label)
        values = (invite.token_hash, invite.label, invite.made_at, invite.expires_at, invite.uses_left, invite.revoked)
        self._db.execute(_ADD, values)

    def by_hash(self, token_hash: bytes) -> Invite | None:
        """The invite whose token has this SHA-256."""
        row = self._db.execute(_BY_HASH, (token_hash,)).fetchone()
        return _invite(row) if row else None

    def use(self, token_hash: bytes, now: int) -> bool:
        """Let one in: True, and one use less. False when it is unknown, revoked, expired or used up."""
        return self._db.execute(_USE, (token_hash, now)).rowcount > 0

    def revoke(self, token_hash: bytes) -> bool:
        """It lets nobody in any more. False when there was nothing to revoke."""
        return self._db.execute(_REVOKE, (token_hash,)).rowcount > 0

    def remove(self, token_hash: bytes) -> bool:
        """Forget it, which revokes it too."""
        return self._db.execute(_REMOVE, (token_hash,)).rowcount > 0

    def all(self) -> list[Invite]:
        """Every invite, the oldest first."""
        return [_invite(row) for row in self._db.execute(_ALL)]


def _invite(row: tuple[Any, ...]) -> Invite:
    token_hash, label, made_at, expires_at, uses_left, revoked = row
    return Invite(token_hash, label, made_at, expires_at, uses_left, bool(revoked))
