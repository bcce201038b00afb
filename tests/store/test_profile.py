"""A user's profile: made, opened, held by one program, looked into by others, and all that can be wrong with it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from identity.identity_helpers import cheap_identity, real_identity
from store.store_helpers import NODE, A, B, run_python
from uzel.errors import (
    ForeignProfileError,
    KeyFileError,
    PassphraseNeededError,
    ProfileDamagedError,
    ProfileError,
    ProfileHeldError,
    ProfileReadOnlyError,
    ProfileTooNewError,
    ProfileTruncatedError,
    WrongPassphraseError,
)
from uzel.identity import Pin
from uzel.names import Uin
from uzel.store.profile import Profile

HOLD = """
import sys, pathlib
from uzel.store.profile import Profile
with Profile.open(pathlib.Path(sys.argv[1]), program="uzel start"):
    print("held", flush=True)
    sys.stdin.read()
"""


def asked() -> str:
    raise AssertionError("a passphrase was asked for")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A closed profile with a key file."""
    Profile.create(tmp_path / "profile", real_identity()).close()
    return tmp_path / "profile"


@pytest.fixture
def held(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds it."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"held\n"
        yield other
        other.stdin.close()
        assert other.wait(20) == 0


def test_create_makes_a_new_identity(tmp_path: Path) -> None:
    with Profile.create(tmp_path / "deep" / "profile") as made:
        assert repr(made) == f"<Profile {int(made.identity.uin)} in {made.folder}>"
    with Profile.open(made.folder, passphrase=asked) as opened:
        assert (opened.identity.uin, opened.identity.fingerprint) == (made.identity.uin, made.identity.fingerprint)
        assert not opened.has_passphrase
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in made.folder.iterdir())
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    assert {path.name for path in made.folder.iterdir()} == {"profile.db", "profile.key", "profile.lock"}


def test_an_identity_is_never_overwritten(folder: Path) -> None:
    before = (folder / "profile.db").read_bytes(), (folder / "profile.key").read_bytes()
    with pytest.raises(ProfileError, match="holds an identity already"):
        Profile.create(folder)
    assert ((folder / "profile.db").read_bytes(), (folder / "profile.key").read_bytes()) == before


@pytest.mark.usefixtures("cheap_passphrases")
def test_a_passphrase(tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    (tmp_path / "profile").mkdir(mode=0o700)
    (folder / "profile.key").write_bytes(b"left over by a crash")
    with Profile.create(folder, cheap_identity(9), passphrase="naïve ё") as made:
        assert made.has_passphrase
    assert {path.name for path in folder.iterdir()} == {"profile.db", "profile.lock"}
    with Profile.open(folder, passphrase=lambda: "nai\u0308ve е\u0308") as opened:
        assert (opened.identity.uin, opened.has_passphrase) == (9, True)
    for way in (Profile.open, Profile.peek):
        with pytest.raises(PassphraseNeededError):
            way(folder)
        with pytest.raises(WrongPassphraseError) as caught:
            way(folder, passphrase=lambda: "another secret")
        assert "another secret" not in repr(caught.value) + str(caught.value)
    with Profile.peek(folder, passphrase=lambda: "naïve ё") as peeked:
        assert peeked.has_passphrase


def test_pins_survive(folder: Path) -> None:
    with Profile.open(folder) as profile:
        profile.pins.pin_peer(Uin(5), A, verified=True)
        profile.pins.pin_node(NODE, B)
    with Profile.open(folder) as again:
        assert (again.pins.peers(), again.pins.node(NODE)) == ({Uin(5): Pin(A, verified=True)}, B)


def test_a_pin_is_part_of_the_transaction_it_is_made_in(folder: Path) -> None:
    with Profile.open(folder) as profile:
        with suppress(ZeroDivisionError), profile.transaction():
            profile.pins.pin_peer(Uin(5), A, verified=True)
            assert profile.pins.peers() == {Uin(5): Pin(A, verified=True)}
            _ = 1 // 0
        assert profile.pins.peers() == {}


def test_another_thread_may_have_opened_it(folder: Path) -> None:
    opened: list[Profile] = []
    thread = threading.Thread(target=lambda: opened.append(Profile.open(folder)))
    thread.start()
    thread.join()
    with opened[0] as profile:
        profile.pins.pin_peer(Uin(5), A, verified=True)


# -- One program at a time --------------------------------------------------------------------------------------


def test_who_holds_it_is_told(folder: Path, held: subprocess.Popen[bytes]) -> None:
    before = (folder / "profile.lock").read_bytes()
    for way in (Profile.open, Profile.create):
        with pytest.raises(ProfileHeldError, match=rf"uzel start, process {held.pid}, since 20.*Z"):
            way(folder)
    assert (folder / "profile.lock").read_bytes() == before


def test_another_may_look_into_it(folder: Path, held: subprocess.Popen[bytes]) -> None:
    with Profile.peek(folder, passphrase=asked) as peeked:
        assert peeked.identity.uin == real_identity().uin
        with pytest.raises(ProfileReadOnlyError):
            peeked.pins.pin_peer(Uin(5), A, verified=True)
        assert peeked.pins.peers() == {}


def test_a_holder_that_was_killed_holds_nothing(folder: Path) -> None:
    program = HOLD.replace("sys.stdin.read()", "import os; os.kill(os.getpid(), 9)")
    assert run_python(program, folder).returncode == -9
    assert (folder / "profile.lock").read_bytes() != b""
    assert (folder / "profile.db-wal").exists()
    with Profile.peek(folder) as peeked:
        assert peeked.identity.uin == real_identity().uin
    Profile.open(folder).close()
    assert (folder / "profile.lock").read_bytes() == b""


def test_held_until_closed(folder: Path) -> None:
    profile = Profile.open(folder)
    with pytest.raises(ProfileHeldError, match=str(os.getpid())):
        Profile.open(folder)
    with pytest.raises(ValueError, match="this process holds"):  # it would drop SQLite's locks
        Profile.peek(folder)
    profile.close()
    profile.close()
    Profile.open(folder).close()
    Profile.peek(folder).close()


def test_what_fails_to_open_is_not_held(folder: Path) -> None:
    key = (folder / "profile.key").read_bytes()
    for _ in range(2):
        (folder / "profile.key").write_bytes(bytes(32))
        with pytest.raises(KeyFileError):
            Profile.open(folder)
    (folder / "profile.key").write_bytes(key)
    Profile.open(folder).close()


# -- What can be wrong with it ----------------------------------------------------------------------------------


def test_no_profile(tmp_path: Path) -> None:
    for way in (Profile.open, Profile.peek):
        with pytest.raises(ProfileError, match="identity new"):
            way(tmp_path)
        with pytest.raises(ProfileError, match="none is not there"):
            way(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_a_lost_key_file(folder: Path) -> None:
    (folder / "profile.key").unlink()
    with pytest.raises(PassphraseNeededError, match=r"profile\.key"):
        Profile.open(folder)


@pytest.mark.parametrize("key", [bytes(32), b"short", b""])
def test_another_key_file(folder: Path, key: bytes) -> None:
    (folder / "profile.key").write_bytes(key)
    for way in (Profile.open, Profile.peek):
        with pytest.raises(KeyFileError):
            way(folder, passphrase=asked)


@pytest.mark.parametrize("name", ["profile.db", "profile.key"])
def test_files_that_others_can_read(folder: Path, name: str) -> None:
    (folder / name).chmod(0o644)
    with pytest.raises(ProfileError, match=f"chmod 600 .*{name}"):
        Profile.open(folder)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", ProfileTruncatedError),
        (b"short", ProfileTruncatedError),
        (b"SQLite format 3\0" + bytes(8000), ForeignProfileError),
        (b"anything else that is long enough" * 300, KeyFileError),
    ],
    ids=["empty", "short", "plain", "other"],
)
def test_another_file_in_its_place(folder: Path, content: bytes, error: type[ProfileError]) -> None:
    (folder / "profile.db").write_bytes(content)
    for way in (Profile.open, Profile.peek):
        with pytest.raises(error):
            way(folder)
    assert (folder / "profile.db").read_bytes() == content


@pytest.mark.parametrize("name", ["profile.db", "profile.key", "profile.lock"])
def test_links_and_folders_in_its_place(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    with pytest.raises(ProfileError, match=name):
        Profile.open(folder)
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(ProfileError, match=name):
        Profile.open(folder)


def test_a_profile_that_was_cut_off(folder: Path) -> None:
    os.truncate(folder / "profile.db", 8192)
    with pytest.raises(ProfileTruncatedError):
        Profile.open(folder)


def changed(folder: Path, script: str) -> None:
    with Profile.open(folder) as profile:
        profile.file.run_script(script)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("PRAGMA user_version = 1000", ProfileTooNewError),
        ("PRAGMA application_id = 1", ForeignProfileError),
        ("PRAGMA user_version = 0", ForeignProfileError),
        ("DELETE FROM identity", ProfileDamagedError),
        ("UPDATE identity SET private_key = x'00'", ProfileDamagedError),
        ("DROP TABLE identity", ProfileDamagedError),
        ("DROP TABLE identity; CREATE TABLE identity (private_key, uin)", ProfileDamagedError),
        (
            "DROP TABLE identity; CREATE TABLE identity (private_key, uin); INSERT INTO identity VALUES (1, 'x')",
            ProfileDamagedError,
        ),
    ],
)
def test_a_file_that_somebody_made_on_purpose(folder: Path, script: str, error: type[ProfileError]) -> None:
    changed(folder, script)
    for way in (Profile.open, Profile.peek):
        with pytest.raises(error):
            way(folder)


def test_opening_is_quick_with_a_key_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("uzel.store.keys.Argon2id")
    monkeypatch.delattr("uzel.identity.keys.Argon2id")
    Profile.open(folder).close()
