"""What every SQLite file of a node has in common: opened private and durable, grown by numbered steps, errors by name.

The write-ahead log is synced at every commit, so that what was committed outlives a power failure. A file of a newer
Uzel is refused. Python's SQLite raises `ProgrammingError` when another thread than the opening one calls: our misuse.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from uzel.errors import ConfigError, StorageError
from uzel.store.files import PRIVATE_FILE, storage_errors


class SqliteFile:
    """One open file. `db` is its connection, in autocommit mode: use it within `errors` and `transaction`."""

    def __init__(self, path: Path, steps: Sequence[str], *, if_lost: str, cache_kib: int = 1024) -> None:
        """Open or make it. Step n of `steps` makes schema n out of schema n-1; steps are only ever added.

        `if_lost` ends the sentence that tells an operator of a damaged file: what the node forgets without it.
        Raises `ConfigError` when the file cannot be used, `StorageError` when the disk refuses.
        """
        self._path = path
        self._if_lost = if_lost
        _make_file(path)
        with self.errors():
            self.db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        try:
            with self.errors():
                self._prepare(steps, cache_kib)
        except (ConfigError, StorageError):
            self.db.close()
            raise

    def close(self) -> None:
        """Let go. May be called twice."""
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        done = False
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
            done = True
        finally:
            if not done:
                with suppress(sqlite3.Error):
                    self.db.execute("ROLLBACK")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Tell what the disk refuses as `StorageError`, and a file that is none of ours as `ConfigError`."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StorageError(f"{self._path}: {error}") from error
        except sqlite3.ProgrammingError:  # our own misuse
            raise
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"{self._path}: {error}. Put back a copy of the file, or move it away: then {self._if_lost}"
            ) from error

    def _prepare(self, steps: Sequence[str], cache_kib: int) -> None:
        version: int = self.db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(steps):
            raise ConfigError(f"{self._path} was written by a newer Uzel (schema {version}): update this one")
        for pragma in ("journal_mode = WAL", "synchronous = FULL", f"cache_size = -{cache_kib}"):
            self.db.execute(f"PRAGMA {pragma}").close()
        for number, step in enumerate(steps[version:], start=version + 1):
            self.db.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;")


def _make_file(path: Path) -> None:
    """SQLite would make the file, and the log files beside it, readable for everyone."""
    with storage_errors(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE))
