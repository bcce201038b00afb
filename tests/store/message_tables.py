"""Databases with the tables of texts and people, and words for tests to speak of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

from sqlcipher3 import dbapi2

from uzel.names import Fingerprint, Uin
from uzel.store.connection import Connection
from uzel.store.messages_schema import MESSAGE_TABLES
from uzel.store.search import Search
from uzel.store.texts import Texts

ANN, BOB, EVE = Uin(1001), Uin(1002), Uin(4_294_967_295)
KEY_A, KEY_B = Fingerprint(b"a" * 32), Fingerprint(b"b" * 32)
DAY = 86_400_000
NOW = 1_800_000_000_000


class Database(Connection, Protocol):
    in_transaction: bool

    def executescript(self, sql: str, /) -> object: ...
    def set_trace_callback(self, callback: Callable[[str], None] | None, /) -> None: ...
    def close(self) -> None: ...


def in_memory() -> Database:
    return _with_tables(dbapi2.connect(":memory:", isolation_level=None))


def encrypted(path: Path) -> Database:
    db = dbapi2.connect(str(path), isolation_level=None)
    db.execute(f"PRAGMA key = \"x'{'5a' * 48}'\"")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = OFF")  # nothing here is about what a power failure leaves
    return _with_tables(db)


def _with_tables(db: Any) -> Database:
    for pragma in ("foreign_keys = ON", "trusted_schema = OFF", "recursive_triggers = OFF"):
        db.execute(f"PRAGMA {pragma}")
    db.executescript(f"BEGIN IMMEDIATE; {MESSAGE_TABLES} COMMIT;")
    return cast("Database", db)


def texts_of(db: Connection) -> Texts:
    return Texts(db, Search(db))


def an_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def plans(db: Database, ask: Callable[[], object]) -> list[str]:
    """How SQLite carries out every statement that this call makes on ordinary tables."""
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    try:
        ask()
    finally:
        db.set_trace_callback(None)
    own = [sql for sql in statements if not sql.startswith("--")]
    assert own
    return [row[3] for sql in own for row in db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()]
