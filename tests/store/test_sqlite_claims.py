"""What only claims on disk can get wrong. What they share with those in memory: tests/contracts."""

from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from store.store_helpers import run_python
from uzel.errors import ConfigError, StorageError
from uzel.names import Fingerprint
from uzel.store.sqlite_claims import SCHEMA_STEPS, SqliteClaims

A = Fingerprint(b"a" * 32)
CLAIM_AND_DIE = """
import os, pathlib, signal, sys
from uzel.names import Fingerprint
from uzel.store.sqlite_claims import SqliteClaims
claims = SqliteClaims(pathlib.Path(sys.argv[1]))
for uin in range(1, 101):
    assert claims.claim(uin, Fingerprint(b"a" * 32), 1.0)
claims.used(1, 2.0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "claims.db"


def test_claims_outlive_kill_9(path: Path) -> None:
    assert run_python(CLAIM_AND_DIE, path).returncode == -9
    claims = SqliteClaims(path)
    assert len(claims) == 100
    assert all(claims.owner(uin) == A for uin in range(1, 101))
    claims.close()


def test_synced_at_every_commit_with_a_log(path: Path) -> None:
    claims = SqliteClaims(path)
    assert claims._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert claims._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert claims._db.execute("PRAGMA user_version").fetchone() == (len(SCHEMA_STEPS),)
    claims.close()


def test_nobody_else_can_read_it(path: Path) -> None:
    claims = SqliteClaims(path)
    claims.claim(1, A, 0.0)
    files = list(path.parent.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    claims.close()


def test_use_is_written_at_flush_and_close(path: Path) -> None:
    for finish in (SqliteClaims.flush, SqliteClaims.close):
        claims = SqliteClaims(path, bound=2)
        claims.claim(1, A, 0.0)
        claims.used(1, 5.0)
        finish(claims)
        with sqlite3.connect(path) as reader:
            assert reader.execute("SELECT was_used, touched_at FROM claims").fetchone() == (1, 5.0)
        reader.close()
        claims.close()


def test_a_lower_bound_is_kept_from_the_start(path: Path) -> None:
    claims = SqliteClaims(path, bound=10)
    for uin in range(1, 11):
        claims.claim(uin, A, float(uin))
    claims.used(1, 20.0)
    claims.close()
    claims = SqliteClaims(path, bound=3)
    assert [uin for uin in range(20) if claims.owner(uin)] == [1, 9, 10]
    assert len(claims) == 3
    claims.close()


def test_notes_of_use_are_bounded(path: Path) -> None:
    claims = SqliteClaims(path, bound=5)
    for uin in range(1, 1000):
        claims.used(uin, 1.0)
    assert len(claims._uses) == 5
    claims.close()


def test_a_newer_schema_is_refused(path: Path) -> None:
    SqliteClaims(path).close()
    with sqlite3.connect(path) as other:
        other.execute(f"PRAGMA user_version = {len(SCHEMA_STEPS) + 1}")
    other.close()
    with pytest.raises(ConfigError, match=r"claims\.db was written by a newer Uzel"):
        SqliteClaims(path)


@pytest.mark.parametrize("size", [100, 10_000])
def test_a_damaged_file_is_named(path: Path, size: int) -> None:
    path.write_bytes(b"nonsense" * size)
    with pytest.raises(ConfigError, match=r"claims\.db.*move it away"):
        SqliteClaims(path)


def test_a_folder_that_is_not_there(path: Path) -> None:
    with pytest.raises(StorageError, match=r"claims\.db"):
        SqliteClaims(path / "claims.db")


def test_a_full_disk_loses_nothing(path: Path) -> None:
    claims = SqliteClaims(path, bound=3000)
    claims.claim(1, A, 0.0)
    claims.used(1, 5.0)
    pages = claims._db.execute("PRAGMA page_count").fetchone()[0]
    claims._db.execute(f"PRAGMA max_page_count = {pages}").close()
    with pytest.raises(StorageError, match="full"):
        _claim_many(claims)
    last = len(claims)
    assert claims.owner(last) == A
    assert claims.owner(last + 1) is None
    claims._db.execute("PRAGMA max_page_count = 100000").close()
    assert claims.claim(last + 1, A, 2.0)
    claims.close()
    claims = SqliteClaims(path)
    assert len(claims) == last + 1
    claims.close()


def _claim_many(claims: SqliteClaims) -> None:
    for uin in range(2, 3000):
        claims.claim(uin, A, 1.0)


def test_a_failed_flush_keeps_the_notes(path: Path) -> None:
    claims = SqliteClaims(path)
    claims.claim(1, A, 0.0)
    claims.used(1, 5.0)
    claims._db.execute("PRAGMA query_only = 1").close()
    with pytest.raises(StorageError):
        claims.flush()
    claims._db.execute("PRAGMA query_only = 0").close()
    claims.flush()
    assert claims._db.execute("SELECT touched_at FROM claims").fetchone() == (5.0,)
    assert not claims._uses
    claims.close()


def test_one_thread_only(path: Path) -> None:
    claims = SqliteClaims(path)
    caught: list[Exception] = []

    def elsewhere() -> None:
        try:
            claims.owner(1)
        except sqlite3.ProgrammingError as error:
            caught.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(caught) == 1
    claims.close()
