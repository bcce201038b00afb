"""Backups: made while the profile is written to, opened by their secret alone, restored anywhere, over nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.identity_helpers import cheap_identity, real_identity
from store.store_helpers import A, run_python, with_mount
from uzel.errors import (
    BadPassphraseError,
    ForeignProfileError,
    ProfileDamagedError,
    ProfileError,
    ProfileTooNewError,
    ProfileTruncatedError,
    WrongPassphraseError,
)
from uzel.identity import Pin
from uzel.names import Uin
from uzel.store.backup import backup, new_recovery_code, restore
from uzel.store.cipher import CipherFile
from uzel.store.keys import derive_key, read_salt
from uzel.store.profile import Profile

pytestmark = pytest.mark.usefixtures("cheap_passphrases")

SECRET = "a passphrase of the backup's own"
WRITER = """
import pathlib, sys
from uzel.store.profile import Profile
with Profile.open(pathlib.Path(sys.argv[1])) as profile:
    profile.file.run_script("CREATE TABLE a (n); CREATE TABLE b (n);")
    n = 0
    while n < 100_000:
        with profile.transaction() as db:
            db.execute("INSERT INTO a VALUES (?)", (n,))
            db.execute("INSERT INTO b VALUES (?)", (n,))
        n += 1
        if n == 20:
            print("writing", flush=True)
"""


@pytest.fixture
def profile(tmp_path: Path) -> Iterator[Profile]:
    with Profile.create(tmp_path / "profile", real_identity()) as made:
        made.pins.pin_peer(Uin(5), A, verified=True)
        yield made


@pytest.fixture
def file(tmp_path: Path, profile: Profile) -> Path:
    path = tmp_path / "stick" / "alice.uzel"
    path.parent.mkdir()
    backup(profile, path, SECRET)
    return path


def test_it_holds_everything_and_needs_nothing_else(profile: Profile, file: Path, tmp_path: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    alone = file.rename(tmp_path / "alone")
    alone.chmod(0o444)  # from a memory stick
    with restore(alone, tmp_path / "new" / "place", SECRET) as restored:
        assert restored.identity.fingerprint == profile.identity.fingerprint
        assert restored.identity.uin == profile.identity.uin
        assert restored.pins.peers() == {Uin(5): Pin(A, verified=True)}
        assert not restored.has_passphrase
        assert restored.file.key != profile.file.key
    Profile.open(tmp_path / "new" / "place").close()


def test_this_machines_key_does_not_open_it(profile: Profile, file: Path) -> None:
    with pytest.raises(WrongPassphraseError):
        CipherFile(file, profile.file.key)
    assert read_salt(file) != profile.file.key.salt


def test_under_a_recovery_code(profile: Profile, tmp_path: Path) -> None:
    code = new_recovery_code()
    backup(profile, tmp_path / "file", code)
    restore(tmp_path / "file", tmp_path / "new", code.lower().replace("-", " ")).close()
    wrong = code[:-1] + ("2" if code[-1] != "2" else "3")
    with pytest.raises(WrongPassphraseError, match="slip"):
        restore(tmp_path / "file", tmp_path / "other", wrong)
    with pytest.raises(WrongPassphraseError) as caught:
        restore(tmp_path / "file", tmp_path / "other", new_recovery_code())
    assert "slip" not in str(caught.value)
    assert not (tmp_path / "other").exists()


def test_restored_under_a_passphrase(file: Path, tmp_path: Path) -> None:
    with restore(file, tmp_path / "new", SECRET, passphrase="another one") as restored:
        assert restored.has_passphrase
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"profile.db", "profile.lock"}
    Profile.open(tmp_path / "new", passphrase=lambda: "another one").close()


def test_nothing_is_overwritten(profile: Profile, file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(ProfileError, match="exists already"):
        backup(profile, file, SECRET)
    assert file.read_bytes() == before
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ProfileError, match="exists already"):
        backup(profile, tmp_path / "link", SECRET)
    Profile.create(tmp_path / "other", cheap_identity(9)).close()
    with pytest.raises(ProfileError, match="holds an identity already"):
        restore(file, tmp_path / "other", SECRET)
    with Profile.open(tmp_path / "other") as other:
        assert other.identity.uin == 9


def test_without_links_it_gets_its_name_all_the_same(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refused)  # as on a memory stick
    backup(profile, tmp_path / "file", SECRET)
    restore(tmp_path / "file", tmp_path / "new", SECRET).close()


@pytest.mark.parametrize("secret", ["", "x" * 2000])
def test_no_backup_under_nothing(profile: Profile, tmp_path: Path, secret: str) -> None:
    with pytest.raises(BadPassphraseError):
        backup(profile, tmp_path / "file", secret)
    assert not (tmp_path / "file").exists()


def test_it_is_consistent_while_another_program_writes(tmp_path: Path) -> None:
    folder = tmp_path / "busy"
    Profile.create(folder, real_identity()).close()
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        for number in range(3):
            with Profile.peek(folder) as peeked:
                backup(peeked, tmp_path / f"file{number}", SECRET)
        assert writer.poll() is None
        writer.kill()
    counts = []
    for number in range(3):
        with restore(tmp_path / f"file{number}", tmp_path / f"new{number}", SECRET) as restored:
            a = restored.connection.execute("SELECT n FROM a ORDER BY n").fetchall()
            assert a == restored.connection.execute("SELECT n FROM b ORDER BY n").fetchall()
            assert a == [(n,) for n in range(len(a))]
            counts.append(len(a))
    assert counts == sorted(counts)
    assert counts[0] >= 20


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda _: b"", ProfileTruncatedError),
        (lambda data: data[:100], ProfileTruncatedError),
        (lambda data: data[:8192], ProfileTruncatedError),
        (cut, ProfileTruncatedError),
        (lambda data: data[:9000] + bytes([data[9000] ^ 1]) + data[9001:], ProfileDamagedError),
        (lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:], WrongPassphraseError),
        (lambda _: b"SQLite format 3\0" + bytes(5000), ForeignProfileError),
        (lambda _: b"a letter to a friend " * 1000, WrongPassphraseError),
    ],
    ids=["empty", "short", "two pages", "half", "a page", "the first page", "plain", "a letter"],
)
def test_what_is_no_whole_backup(file: Path, tmp_path: Path, spoil: object, error: type[ProfileError]) -> None:
    assert callable(spoil)
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(error):
        restore(file, tmp_path / "new", SECRET)
    with pytest.raises(ProfileError):
        Profile.open(tmp_path / "new")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("PRAGMA user_version = 1000", ProfileTooNewError),
        ("PRAGMA application_id = 1", ForeignProfileError),
        ("UPDATE identity SET uin = uin % 1000 + 1", ProfileDamagedError),
        ("DROP TABLE identity", ProfileDamagedError),
    ],
)
def test_what_somebody_else_made(file: Path, tmp_path: Path, script: str, error: type[ProfileError]) -> None:
    changed = CipherFile(file, derive_key(SECRET, read_salt(file)))
    changed.run_script(script)
    changed.close()
    with pytest.raises(error):
        restore(file, tmp_path / "new", SECRET)
    assert not (tmp_path / "new").exists()


FULL = """
import sys
from pathlib import Path
from uzel.errors import StorageError
from uzel.store import backup, keys
from uzel.store.profile import Profile
keys.ARGON2_MEMORY_KIB = 32
full = Path(sys.argv[1])
(full / "ballast").write_bytes(bytes(1_040_000))
with Profile.peek(Path(sys.argv[2])) as profile:
    try:
        backup.backup(profile, full / "file", "secret")
    except StorageError as error:
        print(error.reason, *(path.name for path in full.iterdir()))
try:
    backup.restore(Path(sys.argv[3]), full / "new", sys.argv[4])
except StorageError as error:
    print(error.reason, (full / "new" / "profile.db").exists())
(full / "ballast").unlink()
backup.restore(Path(sys.argv[3]), full / "new", sys.argv[4]).close()
"""


def test_a_full_disk(profile: Profile, file: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    profile.close()
    done = run_python(FULL, full, profile.folder, file, SECRET, within=with_mount("-t tmpfs -o size=1m tmpfs", full))
    assert (done.stdout, done.stderr) == ("storage ballast\nstorage False\n", "")
