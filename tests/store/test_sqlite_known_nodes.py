"""What only known nodes on disk can get wrong. What they share with those in memory: tests/contracts."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from store.store_helpers import run_python
from uzel.errors import ConfigError, StorageError
from uzel.names import Fingerprint, NodeAddress
from uzel.store.known_nodes import KnownNode
from uzel.store.sqlite_known_nodes import MOST_NOTES, SCHEMA_STEPS, SqliteKnownNodes

A = Fingerprint(b"a" * 32)
ONE = NodeAddress("192.0.2.1", 8935)
PIN_AND_DIE = """
import os, pathlib, signal, sys
from uzel.names import Fingerprint, NodeAddress
from uzel.store.sqlite_known_nodes import SqliteKnownNodes
known = SqliteKnownNodes(pathlib.Path(sys.argv[1]))
key = Fingerprint(b"a" * 32)
for port in range(1, 101):
    known.answered(NodeAddress("192.0.2.1", port), key, 5.0)
known.flush()
known.set_pin(NodeAddress("192.0.2.1", 8935), key)
known.answered(NodeAddress("192.0.2.1", 101), key, 5.0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "known.db"


def test_what_was_flushed_and_pinned_outlives_kill_9(path: Path) -> None:
    assert run_python(PIN_AND_DIE, path).returncode == -9
    known = SqliteKnownNodes(path)
    assert [node.address.port for node in known.all()] == list(range(1, 101))
    assert known.pin(ONE) == A
    known.close()


def test_synced_at_every_commit_with_a_log_and_private(path: Path) -> None:
    known = SqliteKnownNodes(path)
    known.set_pin(ONE, A)
    db = known._file.db
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert db.execute("PRAGMA user_version").fetchone() == (len(SCHEMA_STEPS),)
    assert [stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()] == [0o600] * 3
    known.close()


def test_closing_writes_the_notes(path: Path) -> None:
    known = SqliteKnownNodes(path)
    known.answered(ONE, A, 5.0)
    known.close()
    known = SqliteKnownNodes(path)
    assert known.all() == [KnownNode(ONE, A, 5.0)]
    known.close()


def test_a_lower_bound_is_kept_from_the_start(path: Path) -> None:
    known = SqliteKnownNodes(path, bound=10)
    for port in range(1, 11):
        known.answered(NodeAddress("node.example", port), A, float(port))
    known.close()
    known = SqliteKnownNodes(path, bound=3)
    assert [node.address.port for node in known.all()] == [10, 9, 8]
    known.close()


def test_notes_are_bounded(path: Path) -> None:
    known = SqliteKnownNodes(path)
    for number in range(MOST_NOTES + 10):
        known.answered(NodeAddress("node.example", 1 + number), A, 1.0)
    assert len(known._notes) == MOST_NOTES
    assert known.all()[0].address.port == 11
    known.close()


def test_a_failed_flush_keeps_the_notes(path: Path) -> None:
    known = SqliteKnownNodes(path)
    known.answered(ONE, A, 5.0)
    known._file.db.execute("PRAGMA query_only = 1").close()
    with pytest.raises(StorageError, match=r"known\.db"):
        known.flush()
    with pytest.raises(StorageError):
        known.set_pin(ONE, A)
    known._file.db.execute("PRAGMA query_only = 0").close()
    assert known.all() == [KnownNode(ONE, A, 5.0)]
    assert known.pin(ONE) is None
    known.close()


def test_a_newer_schema_is_refused(path: Path) -> None:
    SqliteKnownNodes(path).close()
    with sqlite3.connect(path) as other:
        other.execute(f"PRAGMA user_version = {len(SCHEMA_STEPS) + 1}")
    other.close()
    with pytest.raises(ConfigError, match=r"known\.db was written by a newer Uzel"):
        SqliteKnownNodes(path)


@pytest.mark.parametrize("size", [100, 10_000])
def test_a_damaged_file_is_named(path: Path, size: int) -> None:
    path.write_bytes(b"nonsense" * size)
    with pytest.raises(ConfigError, match=r"known\.db.*move it away"):
        SqliteKnownNodes(path)


def test_a_folder_that_is_not_there(path: Path) -> None:
    with pytest.raises(StorageError, match=r"known\.db"):
        SqliteKnownNodes(path / "known.db")
