"""The encrypted file: set up as it should be, nothing readable in it, and every fault by its name."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

from store.store_helpers import run_python, with_mount
from uzel.errors import (
    ProfileDamagedError,
    ProfileError,
    ProfileReadOnlyError,
    ProfileTruncatedError,
    StorageError,
    WrongPassphraseError,
)
from uzel.store.cipher import PAGE, CipherFile, Mode
from uzel.store.keys import FileKey

KEY = FileKey(b"k" * 32, b"s" * 16)
SECRET = "the secret that is written nowhere"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed file with a table `t` of some hundred pages."""
    file = CipherFile(tmp_path / "file.db", KEY, Mode.CREATE)
    with file.transaction() as db:
        db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, x)")
        db.executemany("INSERT INTO t VALUES (?, ?)", [(n, SECRET.ljust(2000, ".")) for n in range(200)])
    file.close()
    return tmp_path / "file.db"


@pytest.fixture
def file(path: Path) -> Iterator[CipherFile]:
    opened = CipherFile(path, KEY)
    yield opened
    opened.close()


def count(file: CipherFile) -> int:
    with file.errors():
        return int(file.db.execute("SELECT count(x) FROM t").fetchone()[0])


def test_its_settings(file: CipherFile) -> None:
    def setting(name: str) -> object:
        return file.db.execute(f"PRAGMA {name}").fetchone()[0]

    names = ["journal_mode", "synchronous", "foreign_keys", "secure_delete", "temp_store", "trusted_schema"]
    assert [setting(name) for name in names] == ["wal", 2, 1, 1, 2, 0]
    assert setting("cell_size_check") == 1
    assert setting("cipher_version")
    assert setting("busy_timeout") == 5000
    assert setting("journal_size_limit") == 4 * 1024 * 1024


def test_nothing_can_be_read_in_it(file: CipherFile, path: Path) -> None:
    with file.transaction() as db:
        db.execute("INSERT INTO t VALUES (1000, ?)", (SECRET,))
    files = [path, path.with_name("file.db-wal"), path.with_name("file.db-shm")]
    for each in files:
        data = each.read_bytes()
        assert SECRET.encode() not in data
        assert KEY.raw not in data
        assert each.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes()[:16] == KEY.salt


def test_a_name_that_an_address_could_not_hold(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff?mode=memory#%20") / "ü.db"
    path.parent.mkdir()
    CipherFile(path, KEY, Mode.CREATE).close()
    CipherFile(path, KEY).close()
    assert path.exists()


@pytest.mark.parametrize("key", [FileKey(b"x" * 32, KEY.salt), FileKey(KEY.raw, b"x" * 16)], ids=["key", "salt"])
def test_another_key(path: Path, key: FileKey, capfd: pytest.CaptureFixture[str]) -> None:
    before = path.read_bytes()
    for mode in (Mode.WRITE, Mode.READ):
        with pytest.raises(WrongPassphraseError) as caught:
            CipherFile(path, key, mode)
        shown = f"{caught.value!r} {caught.value} {caught.value.__cause__}"
        assert key.raw.hex() not in shown
    assert path.read_bytes() == before
    assert capfd.readouterr() == ("", "")  # SQLCipher's own log would say more


def test_plain_sqlite_is_not_taken(tmp_path: Path) -> None:
    plain = sqlite3.connect(tmp_path / "plain.db")
    plain.execute("CREATE TABLE t (x)")
    plain.close()
    with pytest.raises(WrongPassphraseError):
        CipherFile(tmp_path / "plain.db", KEY)


@pytest.mark.parametrize("size", [PAGE, 10 * PAGE, 10 * PAGE + 100], ids=["one page", "pages", "odd"])
def test_a_file_that_was_cut_off(path: Path, size: int) -> None:
    os.truncate(path, size)
    with pytest.raises(ProfileTruncatedError):
        CipherFile(path, KEY)


@pytest.mark.parametrize("size", [PAGE - 1, 100])
def test_less_than_a_page(path: Path, size: int) -> None:
    os.truncate(path, size)
    with pytest.raises(ProfileError):
        CipherFile(path, KEY)


def test_a_damaged_page(path: Path) -> None:
    with path.open("r+b") as raw:
        raw.seek(path.stat().st_size // 2)
        raw.write(b"damage")
    damaged = CipherFile(path, KEY)
    with pytest.raises(ProfileDamagedError):
        count(damaged)
    with pytest.raises(ProfileDamagedError):
        damaged.copy_to(path.with_name("copy"), KEY)
    assert not path.with_name("copy").exists()
    damaged.close()


def test_reading_changes_nothing(path: Path) -> None:
    reading = CipherFile(path, KEY, Mode.READ)
    assert count(reading) == 200
    with pytest.raises(ProfileReadOnlyError), reading.transaction() as db:
        db.execute("DELETE FROM t")
    reading.close()


def test_a_reader_sees_what_a_writer_committed(file: CipherFile, path: Path) -> None:
    reading = CipherFile(path, KEY, Mode.READ)
    with file.transaction() as db:
        db.execute("DELETE FROM t WHERE n < 100")
        assert count(reading) == 200
    assert count(reading) == 100
    reading.close()


def test_creating_never_replaces(path: Path) -> None:
    with pytest.raises(StorageError):
        CipherFile(path, KEY, Mode.CREATE)
    with pytest.raises(StorageError):
        CipherFile(path.with_name("none"), KEY)


class _MishapError(Exception):
    pass


def test_all_or_nothing(file: CipherFile) -> None:
    with suppress(_MishapError), file.transaction() as db:
        db.execute("DELETE FROM t")
        raise _MishapError
    assert count(file) == 200


def test_a_part_can_fail_alone(file: CipherFile) -> None:
    with file.transaction() as db:
        db.execute("DELETE FROM t WHERE n = 1")
        with suppress(_MishapError), file.transaction():
            db.execute("DELETE FROM t WHERE n > 10")
            raise _MishapError
        with file.transaction():
            db.execute("DELETE FROM t WHERE n = 2")
    assert count(file) == 198
    assert not file.db.in_transaction


def test_the_lock_of_another_writer(file: CipherFile, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uzel.store.cipher.BUSY_SECONDS", 0.0)
    with file.transaction(), pytest.raises(StorageError, match="locked"):
        CipherFile(path, KEY)


def test_our_own_misuse_is_not_taken_for_damage(file: CipherFile) -> None:
    with pytest.raises(dbapi2.OperationalError), file.errors():
        file.db.execute("SELECT x FROM nothing")
    with pytest.raises(ProfileDamagedError), file.errors(tables=True):
        file.db.execute("SELECT x FROM nothing")
    with pytest.raises(dbapi2.IntegrityError), file.transaction() as db:
        db.execute("INSERT INTO t VALUES (1, 'twice')")
    file.close()
    with pytest.raises(dbapi2.ProgrammingError):
        count(file)


def test_a_script_is_taken_whole_or_not_at_all(file: CipherFile) -> None:
    with pytest.raises(dbapi2.OperationalError):
        file.run_script("CREATE TABLE a (x); CREATE TABLE a (x);")
    assert not file.db.in_transaction
    file.run_script("CREATE TABLE a (x);")


def test_another_key_and_back(file: CipherFile, path: Path) -> None:
    other = FileKey(b"o" * 32, KEY.salt)
    assert file.change_key(other)
    assert count(file) == 200
    with pytest.raises(WrongPassphraseError):
        CipherFile(path, KEY, Mode.READ)
    file.close()
    again = CipherFile(path, other)
    assert again.change_key(KEY)
    assert again.db.execute("PRAGMA cipher_integrity_check").fetchall() == []
    again.close()
    assert not path.with_name("file.db-wal").exists()
    with pytest.raises(ValueError, match="salt"):
        CipherFile(path, KEY).change_key(FileKey(b"o" * 32, b"x" * 16))


def test_another_key_while_somebody_reads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uzel.store.cipher.BUSY_SECONDS", 0.0)  # the log cannot be emptied meanwhile
    file = CipherFile(path, KEY)
    reading = CipherFile(path, KEY, Mode.READ)
    cursor = reading.db.execute("SELECT x FROM t")
    cursor.fetchone()
    assert file.change_key(FileKey(b"o" * 32, KEY.salt))
    assert len(cursor.fetchall()) == 199  # what it began with stands for it
    with pytest.raises((ProfileDamagedError, WrongPassphraseError)):
        count(reading)
    reading.close()
    assert count(file) == 200
    file.close()


FULL = """
import os, sys
from pathlib import Path
from uzel.errors import StorageError
from uzel.store.cipher import CipherFile, Mode
from uzel.store.keys import FileKey
KEY, OTHER = FileKey(b"k" * 32, b"s" * 16), FileKey(b"o" * 32, b"s" * 16)
path, ballast = Path(sys.argv[1]) / "file.db", Path(sys.argv[1]) / "ballast"
ballast.write_bytes(bytes(3 << 20))
file = CipherFile(path, KEY, Mode.CREATE)
file.run_script("CREATE TABLE t (n INTEGER PRIMARY KEY, x)")
file.close()
file = CipherFile(path, KEY)
told = 0
try:
    for n in range(10_000):
        with file.transaction() as db:
            db.execute("INSERT INTO t VALUES (?, ?)", (n, os.urandom(3000)))
        told += 1
except StorageError as error:
    assert "full" in str(error), error
kept = lambda: file.db.execute("SELECT count(*) FROM t").fetchone()[0]
assert kept() == told > 50, (kept(), told)
assert not file.change_key(OTHER)
assert (kept(), file.key) == (told, KEY)
try:
    file.copy_to(path.with_name("copy"), OTHER)
except StorageError:
    assert not path.with_name("copy").exists()
else:
    raise AssertionError("there was room for a copy")
ballast.unlink()
with file.transaction() as db:
    db.execute("INSERT INTO t VALUES (20000, 'there is room again')")
assert kept() == told + 1
assert file.change_key(OTHER)
file.close()
file = CipherFile(path, OTHER)
assert kept() == told + 1
print("kept")
"""


def test_a_full_disk_loses_nothing_that_was_told(tmp_path: Path) -> None:
    done = run_python(FULL, tmp_path, within=with_mount("-t tmpfs -o size=4m tmpfs", tmp_path))
    assert (done.stdout, done.stderr) == ("kept\n", "")


READ_ONLY = """
import sys
from pathlib import Path
from uzel.errors import ProfileReadOnlyError
from uzel.store.profile import Profile
for way in (Profile.open, Profile.peek):
    try:
        way(Path(sys.argv[1]))
    except ProfileReadOnlyError as error:
        print(error.reason)
"""


def test_a_read_only_disk(tmp_path: Path) -> None:
    from identity.identity_helpers import cheap_identity
    from uzel.store.profile import Profile

    folder = tmp_path / "profile"
    Profile.create(folder, cheap_identity(9)).close()
    mount = f"-o bind,ro {folder}"
    done = run_python(READ_ONLY, folder, within=with_mount(mount, folder))
    assert (done.stdout, done.stderr) == ("profile_read_only\n" * 2, "")


def test_a_file_that_cannot_be_written(path: Path) -> None:
    CipherFile(path, KEY).close()
    program = """
import sys
from pathlib import Path
from uzel.errors import ProfileReadOnlyError
from uzel.store.cipher import CipherFile
from uzel.store.keys import FileKey
try:
    CipherFile(Path(sys.argv[1]), FileKey(b"k" * 32, b"s" * 16))
except ProfileReadOnlyError:
    print("read-only")
"""
    done = run_python(program, path, within=with_mount(f"-o bind,ro {path}", path))
    assert (done.stdout, done.stderr) == ("read-only\n", "")
