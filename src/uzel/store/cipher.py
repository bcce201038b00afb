"""An encrypted SQLite file: one connection to SQLCipher, set up once, with errors by name.

SQLCipher encrypts every page under a key of 32 bytes and authenticates it; the file's first 16 bytes are a random
salt in the clear. Keys come from `uzel.store.keys`. Whatever the disk or the file does comes out as `StorageError` or
one of `ProfileError`'s kinds; what remains of the library's own exceptions is our own misuse. The library has no
types: the protocols here say what is used of it.

A commit is on disk when it returns (write-ahead log, full sync). While a connection is open, no other code of this
process may open the same file and close it again: POSIX would drop the locks that SQLite holds on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, Protocol

from sqlcipher3 import dbapi2

from uzel.errors import (
    ProfileDamagedError,
    ProfileError,
    ProfileReadOnlyError,
    ProfileTruncatedError,
    StorageError,
    WrongPassphraseError,
)
from uzel.store.files import PRIVATE_FILE, storage_errors
from uzel.store.keys import FileKey

BUSY_SECONDS = 5.0
"""How long one connection waits for another's lock. There is one writer at a time, and readers that look in seldom."""
CACHE_KIB = 8 * 1024
"""Decrypted pages kept in memory."""
LOG_BYTES = 4 * 1024 * 1024
"""The write-ahead log is cut back to this after a checkpoint; a change of the key makes it as long as the file."""
PAGE = 4096
"""Bytes of a page, SQLCipher's own default: what is shorter is no whole file."""

_SETTINGS = (
    "trusted_schema = OFF",  # functions with side effects stay out of what a file defines
    "cell_size_check = ON",  # damage is met as an error, not as nonsense
    "foreign_keys = ON",
    "secure_delete = ON",  # what is deleted is overwritten
    "temp_store = MEMORY",  # temporary files are not encrypted
    "synchronous = FULL",  # before the log, or a new file is not synced
    f"cache_size = -{CACHE_KIB}",
    f"journal_size_limit = {LOG_BYTES}",
)
_WHOLE = ("BEGIN IMMEDIATE", "COMMIT", ["ROLLBACK"])
_PART = ("SAVEPOINT part", "RELEASE part", ["ROLLBACK TO part", "RELEASE part"])
_DISK = frozenset(
    {
        dbapi2.SQLITE_BUSY,
        dbapi2.SQLITE_LOCKED,
        dbapi2.SQLITE_NOMEM,
        dbapi2.SQLITE_IOERR,
        dbapi2.SQLITE_FULL,
        dbapi2.SQLITE_CANTOPEN,
        dbapi2.SQLITE_PROTOCOL,
        dbapi2.SQLITE_NOLFS,
    }
)


class Cursor(Protocol):
    """What is used of `sqlcipher3`'s cursors."""

    lastrowid: int
    rowcount: int

    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...
    def close(self) -> None: ...


class Connection(Protocol):
    """What is used of `sqlcipher3`'s connections, which are in autocommit mode here."""

    in_transaction: bool
    total_changes: int

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor: ...
    def executescript(self, sql: str, /) -> Cursor: ...
    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor: ...
    def backup(self, target: Connection, /) -> None: ...
    def set_key(self, key: bytes, /) -> None: ...
    def reset_key(self, key: bytes, /) -> None: ...
    def close(self) -> None: ...


class Mode(StrEnum):
    """How a file is opened; the values are those of SQLite's own URIs."""

    READ = "ro"
    WRITE = "rw"
    CREATE = "rwc"


class CipherFile:
    """One open file; `db` is its connection: use it within `errors` or `transaction`, in one thread at a time."""

    def __init__(self, path: Path, key: FileKey, mode: Mode = Mode.WRITE) -> None:
        """Open it. CREATE makes a new file (0600), which has a rollback journal until it is opened with WRITE.

        Raises `WrongPassphraseError` when the key is another (or the first page damaged: no one can tell), a
        `ProfileError` that says what is wrong with the file, and `StorageError`.
        """
        self.path = path
        self.key = key
        self.mode = mode
        if mode is Mode.CREATE:
            with storage_errors(path):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE))
        self._connect()

    @property
    def changes(self) -> int:
        """Rows that were changed since it was opened, those taken back among them."""
        return self.db.total_changes

    def close(self) -> None:
        """Let go; what is in the log goes into the file if this was its last connection. May be called twice."""
        self.db.close()

    def reopen(self, key: FileKey) -> None:
        """A fresh connection, with this key, in place of the present one. Raises what opening does."""
        self.db.close()
        self.key = key
        self._connect()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All of it or nothing. Inside another one it is a part of it, which can fail alone."""
        begin, commit, undo = _PART if self.db.in_transaction else _WHOLE
        with self.errors():
            self.db.execute(begin)
            done = False
            try:
                yield self.db
                self.db.execute(commit)
                done = True
            finally:
                if not done:
                    with suppress(dbapi2.Error):  # a full disk may have undone it already
                        for step in undo:
                            self.db.execute(step)

    @contextmanager
    def errors(self, *, tables: bool = False) -> Iterator[None]:
        """Tell what the disk refuses as `StorageError`, and what is wrong with the file as its own `ProfileError`.

        With `tables`, also that a table is not as it should be, which else is our own misuse.
        """
        try:
            yield
        except dbapi2.Error as error:
            if tables and _kind(error) == dbapi2.SQLITE_ERROR:
                raise ProfileDamagedError(f"{self.path}: {error}") from None
            _raise_named(self.path, error)

    def checkpoint(self) -> None:
        """Put all of the log into the file and empty it, unless a reader still needs it. Raises `StorageError`."""
        with self.errors():
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def run_script(self, script: str) -> None:
        """Run several statements: all of them or none. Raises `StorageError`, `ProfileError`."""
        with self.errors():
            try:
                self.db.executescript(f"BEGIN IMMEDIATE;\n{script}\n;COMMIT;")
            finally:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")

    def change_key(self, key: FileKey) -> bool:
        """Encrypt everything anew under another key with the same salt: wholly, or, even after a crash, not at all.

        It goes through the log as one transaction, so it needs as much free disk as the file has. `db` is a fresh
        connection afterwards. False when the old key stands; the disk is full, most likely. Raises `StorageError` when
        neither can be read now; the file must be opened again then.
        """
        before = self.key
        if key.salt != before.salt:
            raise ValueError("the salt stands in the file, which the log reaches later: it cannot change")
        with suppress(StorageError):
            self.checkpoint()
        with suppress(dbapi2.Error):  # SQLCipher says "ok" on a full disk too: what became of it is seen only below
            self.db.reset_key(key.sqlcipher())
        try:
            self.reopen(key)
        except WrongPassphraseError:
            self.reopen(before)
            return False
        with suppress(StorageError):
            self.checkpoint()
        return True

    def copy_to(self, path: Path, key: FileKey) -> None:
        """Write all that was committed into a new file (0600) under this key: one file, whole and on disk.

        Consistent while other connections write, and read back: the library copies damaged pages without a word. What
        was begun is removed when it fails. Raises `ProfileDamagedError`, `StorageError`.
        """
        target = CipherFile(path, key, Mode.CREATE)
        try:
            try:
                with self.errors(), target.errors():
                    self.db.backup(target.db)
                    target.db.execute("PRAGMA journal_mode = DELETE").fetchall()  # the copy says WAL, as the original
            finally:
                target.close()
            _prove(path, key)
            sync_file(path)
        except (ProfileError, StorageError):
            with suppress(OSError):
                path.unlink()
            raise

    def _connect(self) -> None:
        address = f"{self.path.absolute().as_uri()}?mode={self.mode}"
        connection: Connection | None = None
        # Any thread may use it, one at a time: opening with a passphrase is slow and belongs on another.
        options = {"uri": True, "isolation_level": None, "timeout": BUSY_SECONDS, "check_same_thread": False}
        try:
            with self.errors():
                connection = dbapi2.connect(address, **options)
                connection.execute("PRAGMA cipher_log_level = NONE").fetchall()  # it would go to stderr
                connection.set_key(self.key.sqlcipher())
                _look(self.path, connection)
                _set_up(self.path, connection, self.mode)
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        self.db = connection


def sync_file(path: Path) -> None:
    """Make a file's content durable. Raises `StorageError`."""
    with storage_errors(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _prove(path: Path, key: FileKey) -> None:
    """Read all of a copy. Raises `ProfileDamagedError`, `StorageError`."""
    file = CipherFile(path, key, Mode.READ)
    try:
        with file.errors():
            found = file.db.execute("PRAGMA quick_check(1)").fetchall()
        if found != [("ok",)]:
            raise ProfileDamagedError(f"a copy of it is not whole: {found[0][0]}")
    finally:
        file.close()


def _look(path: Path, connection: Connection) -> None:
    """Read the first page, which tells whether the key is right and the file as long as it was."""
    try:
        connection.execute("PRAGMA schema_version").fetchall()
    except dbapi2.DatabaseError as error:
        if _kind(error) == dbapi2.SQLITE_NOTADB:
            raise WrongPassphraseError(str(path)) from None
        if _kind(error) == dbapi2.SQLITE_CORRUPT:
            raise ProfileTruncatedError(str(path)) from None
        raise


def _set_up(path: Path, connection: Connection, mode: Mode) -> None:
    for setting in _SETTINGS:
        connection.execute(f"PRAGMA {setting}").fetchall()
    if mode is not Mode.WRITE:
        return
    if connection.execute("PRAGMA journal_mode = WAL").fetchall() != [("wal",)]:
        raise StorageError(f"{path}: this disk cannot hold a write-ahead log")
    version = connection.execute("PRAGMA user_version").fetchall()[0][0]
    connection.execute("BEGIN IMMEDIATE")  # what cannot be written to is opened without a word, and even this succeeds
    connection.execute(f"PRAGMA user_version = {version}").fetchall()
    connection.execute("ROLLBACK")


def _kind(error: dbapi2.Error) -> int:
    """SQLite's code, without the details of the extended one."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return int(code) & 0xFF
    if type(error) is dbapi2.OperationalError:  # `Connection.backup` tells no code
        return int(dbapi2.SQLITE_IOERR)
    return int(dbapi2.SQLITE_CORRUPT if type(error) is dbapi2.DatabaseError else dbapi2.SQLITE_MISUSE)


def _raise_named(path: Path, error: dbapi2.Error) -> NoReturn:
    kind = _kind(error)
    if kind in _DISK:
        raise StorageError(f"{path}: {error}") from None
    if kind == dbapi2.SQLITE_READONLY:
        raise ProfileReadOnlyError(str(path)) from None
    if kind in (dbapi2.SQLITE_CORRUPT, dbapi2.SQLITE_NOTADB):
        raise ProfileDamagedError(f"{path}: {error}") from None
    raise error
