"""People of a profile: contacts and blocks, in its database (promise 5, issue 4's section 3).

Rules. Every verb runs inside the caller's transaction. A verb that names nobody changes nothing and says so. A block is
of a number, contact or not, and outlives the contact. Names are under the rule of contact links. Pins are not here:
whom to trust is `uzel.identity`'s. Counterparts: `uzel.core`, which decides; `knocks` for strangers who ask, `invites`
for what lets them in; `history`, which has the texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uzel.names import MAX_LINK_NODES, Fingerprint, NodeReference, Uin, check_contact_name
from uzel.store.connection import Connection
from uzel.store.invites import Invites
from uzel.store.knocks import Knocks
from uzel.store.records import Contact

MOST_DRAFT = 524_288
"""Characters of a draft: no longer text can be sent (section 6)."""

_COLUMNS = """
    SELECT contacts.uin, name, nodes, invite, blocks.uin IS NOT NULL, stopped, speaks_envelopes, added_at, last_seen,
           draft, retention_ms
    FROM contacts LEFT JOIN blocks ON blocks.uin = contacts.uin
"""
_GET = _COLUMNS + "WHERE contacts.uin = ?"
_ALL = _COLUMNS + "ORDER BY contacts.uin"
_ADD = "INSERT INTO contacts (uin, name, nodes, invite, added_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_REMOVE = "DELETE FROM contacts WHERE uin = ?"
_RENAME = "UPDATE contacts SET name = ? WHERE uin = ?"
_SET_NODES = "UPDATE contacts SET nodes = ? WHERE uin = ?"
_SET_INVITE = "UPDATE contacts SET invite = ? WHERE uin = ?"
_STOP = "UPDATE contacts SET stopped = ? WHERE uin = ?"
_UNSTOP = "UPDATE contacts SET stopped = NULL WHERE uin = ? AND stopped IS NOT NULL"
_SPEAKS = "UPDATE contacts SET speaks_envelopes = ? WHERE uin = ?"
_SEEN = "UPDATE contacts SET last_seen = ? WHERE uin = ?"
_DRAFT = "UPDATE contacts SET draft = ? WHERE uin = ?"
_RETENTION = "UPDATE contacts SET retention_ms = ? WHERE uin = ?"
_BLOCK = "INSERT INTO blocks VALUES (?, ?) ON CONFLICT DO NOTHING"
_UNBLOCK = "DELETE FROM blocks WHERE uin = ?"
_IS_BLOCKED = "SELECT 1 FROM blocks WHERE uin = ?"
_BLOCKED = "SELECT uin FROM blocks ORDER BY uin"


class People:
    """See the module's text. What the disk refuses passes through (`connection`)."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection
        self.knocks = Knocks(connection)
        self.invites = Invites(connection)

    # -- Contacts ---------------------------------------------------------------------------------------------

    def add(
        self, uin: Uin, now: int, *, name: str = "", nodes: Sequence[NodeReference] = (), invite: bytes | None = None
    ) -> bool:
        """Make this a contact. False when it is one: then nothing is changed.

        Raises `InvalidNameError` for a name, and `ValueError` for nodes or an invite, that no contact link may carry.
        """
        values = (uin, _name(name), _nodes_text(nodes), _invite(invite), now)
        return self._changes(_ADD, values)

    def get(self, uin: Uin) -> Contact | None:
        """The contact with this number."""
        row = self._db.execute(_GET, (uin,)).fetchone()
        return _contact(row) if row else None

    def all(self) -> list[Contact]:
        """Every contact, by number."""
        return [_contact(row) for row in self._db.execute(_ALL)]

    def remove(self, uin: Uin) -> bool:
        """No contact any more. Texts, and a block, stay."""
        return self._changes(_REMOVE, (uin,))

    def rename(self, uin: Uin, name: str) -> bool:
        """Raises `InvalidNameError` for what is no name; an empty one is."""
        return self._changes(_RENAME, (_name(name), uin))

    def set_nodes(self, uin: Uin, nodes: Sequence[NodeReference]) -> bool:
        """Where they can be found. Raises `ValueError` for more than a contact link may name."""
        return self._changes(_SET_NODES, (_nodes_text(nodes), uin))

    def set_invite(self, uin: Uin, invite: bytes | None) -> bool:
        """What is presented to them; None once they let us in. Raises `ValueError` beyond 256 bytes."""
        return self._changes(_SET_INVITE, (_invite(invite), uin))

    def stop(self, uin: Uin, shown: Fingerprint) -> bool:
        """They showed this key, which is not theirs: nothing goes either way until `unstop`."""
        return self._changes(_STOP, (shown.raw, uin))

    def unstop(self, uin: Uin) -> bool:
        """The person has decided. False when nothing was stopped."""
        return self._changes(_UNSTOP, (uin,))

    def speaks(self, uin: Uin, *, envelopes: bool) -> bool:
        """Whether they were met with `uzel/2`; taking that back is the person's decision (D29)."""
        return self._changes(_SPEAKS, (envelopes, uin))

    def seen(self, uin: Uin, at: int) -> bool:
        """They were met."""
        return self._changes(_SEEN, (at, uin))

    def set_draft(self, uin: Uin, draft: str) -> bool:
        """What is typed and not sent; empty for none. Raises `ValueError` beyond `MOST_DRAFT`, and for no Unicode."""
        if len(draft) > MOST_DRAFT:
            raise ValueError(f"a draft has at most {MOST_DRAFT} characters")
        return self._changes(_DRAFT, (draft, uin))

    def set_retention(self, uin: Uin, retention_ms: int | None) -> bool:
        """How long texts with them are kept; None: for ever. Raises `ValueError` for less than a millisecond."""
        if retention_ms is not None and retention_ms < 1:
            raise ValueError("texts are kept for a millisecond at least")
        return self._changes(_RETENTION, (retention_ms, uin))

    # -- Blocks -----------------------------------------------------------------------------------------------

    def block(self, uin: Uin, now: int) -> bool:
        """Refuse this number, contact or not. False when it was blocked."""
        return self._changes(_BLOCK, (uin, now))

    def unblock(self, uin: Uin) -> bool:
        """False when it was not blocked."""
        return self._changes(_UNBLOCK, (uin,))

    def is_blocked(self, uin: Uin) -> bool:
        """Whether this number is refused."""
        return self._db.execute(_IS_BLOCKED, (uin,)).fetchone() is not None

    def blocked(self) -> list[Uin]:
        """Every number that is refused."""
        return [Uin(uin) for (uin,) in self._db.execute(_BLOCKED)]

    def _changes(self, sql: str, values: Sequence[Any]) -> bool:
        return self._db.execute(sql, values).rowcount > 0


def _contact(row: tuple[Any, ...]) -> Contact:
    uin, name, nodes, invite, blocked, stopped, speaks_envelopes, added_at, last_seen, draft, retention_ms = row
    return Contact(
        Uin(uin),
        name,
        tuple(map(NodeReference.parse, nodes.split())),
        invite,
        bool(blocked),
        Fingerprint(stopped) if stopped else None,
        bool(speaks_envelopes),
        added_at,
        last_seen,
        draft,
        retention_ms,
    )


def _name(name: str) -> str:
    name = name.strip()
    check_contact_name(name)
    return name


def _nodes_text(nodes: Sequence[NodeReference]) -> str:
    """Separated by spaces, which no node's name holds."""
    if len(nodes) > MAX_LINK_NODES:
        raise ValueError(f"a contact has at most {MAX_LINK_NODES} nodes")
    return " ".join(map(str, nodes))


def _invite(invite: bytes | None) -> bytes | None:
    if invite is not None and len(invite) > 256:
        raise ValueError("an invite is at most 256 bytes")
    return invite
