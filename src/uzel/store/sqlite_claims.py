"""Claims on UINs in SQLite, a node's memory that survives restarts (section 7). The port: `uzel.store.claims`.

The write-ahead log is synced at every commit, so that a claim outlives a power failure. What `used` notes waits in
memory, one time a UIN, and is written together: flush every few minutes. The schema grows by numbered steps; a file
of a newer Uzel is refused. Python's SQLite raises `ProgrammingError` when another thread than the opening one calls.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from uzel.errors import ConfigError, StorageError
from uzel.names import Fingerprint
from uzel.store.claims import CLAIMS_BOUND, CLAIMS_DAYS, SECONDS_A_DAY
from uzel.store.files import PRIVATE_FILE, storage_errors

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
        self._path = path
        self._bound = bound
        self._seconds = days * SECONDS_A_DAY
        self._uses: dict[int, float] = {}
        self._open = True
        _make_file(path)
        with self._errors():
            self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        try:
            with self._errors():
                self._prepare()
                self._count: int = self._db.execute("SELECT count(*) FROM claims").fetchone()[0]
                if self._count > bound:
                    with self._transaction():
                        self._drop(self._count - bound)
        except (ConfigError, StorageError):
            self._db.close()
            raise

    def owner(self, uin: int) -> Fingerprint | None:
        with self._errors():
            row = self._db.execute(_OWNER, (uin,)).fetchone()
        return Fingerprint(row[0]) if row else None

    def claim(self, uin: int, fingerprint: Fingerprint, now: float) -> bool:
        owner = self.owner(uin)
        if owner is not None:
            return owner == fingerprint
        crowded = self._count >= self._bound
        with self._errors(), self._transaction(with_uses=crowded):
            if crowded:
                self._drop(self._count - self._bound + 1)
            self._db.execute(_INSERT, (uin, fingerprint.raw, now))
            self._count += 1
        return True

    def used(self, uin: int, now: float) -> None:
        if uin in self._uses or len(self._uses) < self._bound:
            self._uses[uin] = max(now, self._uses.get(uin, now))

    def expire(self, now: float) -> int:
        with self._errors(), self._transaction(with_uses=True):
            gone = self._db.execute(_EXPIRE, (now - self._seconds,)).rowcount
            self._count -= gone
        return gone

    def flush(self) -> None:
        if self._uses:
            with self._errors(), self._transaction(with_uses=True):
                pass

    def close(self) -> None:
        if self._open:
            self._open = False
            try:
                self.flush()
            finally:
                self._db.close()

    def __len__(self) -> int:
        return self._count

    def _prepare(self) -> None:
        version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(SCHEMA_STEPS):
            raise ConfigError(f"{self._path} was written by a newer Uzel (schema {version}): update this one")
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -1024"):
            self._db.execute(f"PRAGMA {pragma}").close()
        for number, step in enumerate(SCHEMA_STEPS[version:], start=version + 1):
            self._db.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;")

    def _drop(self, how_many: int) -> None:
        self._count -= self._db.execute(_DROP, (how_many,)).rowcount

    @contextmanager
    def _transaction(self, *, with_uses: bool = False) -> Iterator[None]:
        """All of it or nothing: when it fails, the count and the noted uses are as before."""
        count, done = self._count, False
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if with_uses:
                self._db.executemany(_USE, [(at, uin) for uin, at in self._uses.items()])
            yield
            self._db.execute("COMMIT")
            done = True
        finally:
            if not done:
                self._count = count
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
        if with_uses:
            self._uses.clear()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StorageError(f"{self._path}: {error}") from error
        except sqlite3.ProgrammingError:  # our own misuse
            raise
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"{self._path}: {error}. Put back a copy of the file, or move it away: "
                "then the node forgets who owns which UIN"
            ) from error


def _make_file(path: Path) -> None:
    """SQLite would make the file, and the log files beside it, readable for everyone."""
    with storage_errors(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE))
