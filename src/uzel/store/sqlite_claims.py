"""Claims on UINs in SQLite, a node's memory that survives restarts (section 7). The port: `uzel.store.claims`.

A claim outlives a power failure (`sqlite_file`). What `used` notes waits in memory, one time a UIN, and is written
together: flush every few minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uzel.errors import ConfigError, StorageError
from uzel.names import Fingerprint
from uzel.store.claims import CLAIMS_BOUND, CLAIMS_DAYS, SECONDS_A_DAY
from uzel.store.sqlite_file import SqliteFile

# Step n makes schema n out of schema n-1. Steps are only ever added.
SCHEMA_STEPS = (
    """
    CREATE TABLE claims (
        uin         INTEGER PRIMARY KEY,
        fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
        was_used    INTEGER NOT NULL DEFAULT 0,
        touched_at  REAL    NOT NULL
    ) STRICT;
    CREATE INDEX claims_to_drop ON claims (was_used, touched_at);
    """,
)
_OWNER = "SELECT fingerprint FROM claims WHERE uin = ?"
_INSERT = "INSERT INTO claims (uin, fingerprint, touched_at) VALUES (?, ?, ?)"
_USE = "UPDATE claims SET was_used = 1, touched_at = max(touched_at, ?) WHERE uin = ?"
_DROP = "DELETE FROM claims WHERE uin IN (SELECT uin FROM claims ORDER BY was_used, touched_at LIMIT ?)"
_EXPIRE = "DELETE FROM claims WHERE touched_at < ?"


class SqliteClaims:
    """`Claims` in one file. Raises `ConfigError` when the file cannot be used, `StorageError` when the disk refuses."""

    def __init__(self, path: Path, *, bound: int = CLAIMS_BOUND, days: float = CLAIMS_DAYS) -> None:
        self._bound = bound
        self._seconds = days * SECONDS_A_DAY
        self._uses: dict[int, float] = {}
        self._open = True
        self._file = SqliteFile(path, SCHEMA_STEPS, if_lost="the node forgets who owns which UIN")
        self._db = self._file.db
        try:
            with self._file.errors():
                self._count: int = self._db.execute("SELECT count(*) FROM claims").fetchone()[0]
                if self._count > bound:
                    with self._transaction():
                        self._drop(self._count - bound)
        except (ConfigError, StorageError):
            self._file.close()
            raise

    def owner(self, uin: int) -> Fingerprint | None:
        with self._file.errors():
            row = self._db.execute(_OWNER, (uin,)).fetchone()
        return Fingerprint(row[0]) if row else None

    def claim(self, uin: int, fingerprint: Fingerprint, now: float) -> bool:
        owner = self.owner(uin)
        if owner is not None:
            return owner == fingerprint
        crowded = self._count >= self._bound
        with self._file.errors(), self._transaction(with_uses=crowded):
            if crowded:
                self._drop(self._count - self._bound + 1)
            self._db.execute(_INSERT, (uin, fingerprint.raw, now))
            self._count += 1
        return True

    def used(self, uin: int, now: float) -> None:
        if uin in self._uses or len(self._uses) < self._bound:
            self._uses[uin] = max(now, self._uses.get(uin, now))

    def expire(self, now: float) -> int:
        with self._file.errors(), self._transaction(with_uses=True):
            gone = self._db.execute(_EXPIRE, (now - self._seconds,)).rowcount
            self._count -= gone
        return gone

    def flush(self) -> None:
        if self._uses:
            with self._file.errors(), self._transaction(with_uses=True):
                pass

    def close(self) -> None:
        if self._open:
            self._open = False
            try:
                self.flush()
            finally:
                self._file.close()

    def __len__(self) -> int:
        return self._count

    def _drop(self, how_many: int) -> None:
        self._count -= self._db.execute(_DROP, (how_many,)).rowcount

    @contextmanager
    def _transaction(self, *, with_uses: bool = False) -> Iterator[None]:
        """All of it or nothing: when it fails, the count and the noted uses are as before."""
        count = self._count
        try:
            with self._file.transaction():
                if with_uses:
                    self._db.executemany(_USE, [(at, uin) for uin, at in self._uses.items()])
                yield
        except BaseException:
            self._count = count
            raise
        if with_uses:
            self._uses.clear()
