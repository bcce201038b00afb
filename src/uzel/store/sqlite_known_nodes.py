"""Known nodes and pins in SQLite: a node's memory of other nodes that survives restarts. The port: `known_nodes`.

What `answered` and `forget` note waits in memory, one note an address, and is written together: flush every few
minutes. A pin is written when it is set.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uzel.names import Fingerprint, NodeAddress
from uzel.store.known_nodes import KNOWN_NODES_BOUND, KnownNode
from uzel.store.sqlite_file import SqliteFile

# Step n makes schema n out of schema n-1. Steps are only ever added.
SCHEMA_STEPS = (
    """
    CREATE TABLE nodes (
        host        TEXT    NOT NULL,
        port        INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65534),
        fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
        answered_at REAL    NOT NULL,
        PRIMARY KEY (host, port)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX nodes_by_answer ON nodes (answered_at);
    CREATE TABLE pins (
        host        TEXT    NOT NULL,
        port        INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65534),
        fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
        PRIMARY KEY (host, port)
    ) STRICT, WITHOUT ROWID;
    """,
)
MOST_NOTES = 4096
"""Notes that wait in memory between two flushes; beyond it the oldest note is lost."""

_ALL = "SELECT host, port, fingerprint, answered_at FROM nodes ORDER BY answered_at DESC, host, port LIMIT ?"
_ANSWERED = """
    INSERT INTO nodes VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
    SET fingerprint = excluded.fingerprint, answered_at = max(answered_at, excluded.answered_at)
"""
_FORGET = "DELETE FROM nodes WHERE host = ? AND port = ?"
_TRIM = """
    DELETE FROM nodes WHERE (host, port) IN (
        SELECT host, port FROM nodes ORDER BY answered_at DESC, host, port LIMIT -1 OFFSET ?
    )
"""
_PIN = "SELECT fingerprint FROM pins WHERE host = ? AND port = ?"
_SET_PIN = "INSERT INTO pins VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint"


@dataclass(slots=True)
class _Note:
    """What a row is to become: gone, or so; `anew` when what it holds until then does not count."""

    anew: bool
    seen: tuple[Fingerprint, float] | None


_NOTHING = _Note(anew=False, seen=None)


class SqliteKnownNodes:
    """`KnownNodes` in one file.

    Raises `ConfigError` when the file cannot be used, `StorageError` when the disk refuses; then the notes are kept.
    """

    def __init__(self, path: Path, *, bound: int = KNOWN_NODES_BOUND) -> None:
        self._bound = bound
        self._notes: dict[NodeAddress, _Note] = {}
        self._open = True
        lost = "the node forgets other nodes and their keys"
        self._file = SqliteFile(path, SCHEMA_STEPS, if_lost=lost, cache_kib=256)

    def all(self) -> list[KnownNode]:
        self.flush()
        with self._file.errors():
            rows = self._file.db.execute(_ALL, (self._bound,)).fetchall()
        return [KnownNode(NodeAddress(host, port), Fingerprint(raw), at) for host, port, raw, at in rows]

    def answered(self, address: NodeAddress, fingerprint: Fingerprint, now: float) -> None:
        before = self._notes.get(address, _NOTHING)
        at = max(now, before.seen[1]) if before.seen else now
        self._note(address, _Note(before.anew, (fingerprint, at)))

    def forget(self, address: NodeAddress) -> None:
        self._note(address, _Note(anew=True, seen=None))

    def flush(self) -> None:
        if not self._notes:
            return
        gone = [(address.host, address.port) for address, note in self._notes.items() if note.anew]
        seen = [(a.host, a.port, n.seen[0].raw, n.seen[1]) for a, n in self._notes.items() if n.seen]
        with self._file.errors(), self._file.transaction():
            self._file.db.executemany(_FORGET, gone)
            self._file.db.executemany(_ANSWERED, seen)
            self._file.db.execute(_TRIM, (self._bound,))
        self._notes.clear()

    def pin(self, address: NodeAddress) -> Fingerprint | None:
        with self._file.errors():
            row = self._file.db.execute(_PIN, (address.host, address.port)).fetchone()
        return Fingerprint(row[0]) if row else None

    def set_pin(self, address: NodeAddress, fingerprint: Fingerprint) -> None:
        with self._file.errors():
            self._file.db.execute(_SET_PIN, (address.host, address.port, fingerprint.raw))

    def close(self) -> None:
        if self._open:
            self._open = False
            try:
                self.flush()
            finally:
                self._file.close()

    def _note(self, address: NodeAddress, note: _Note) -> None:
        self._notes[address] = note
        if len(self._notes) > MOST_NOTES:
            del self._notes[next(iter(self._notes))]
