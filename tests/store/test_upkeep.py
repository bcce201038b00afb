"""Another passphrase, or none; and what `check` finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.identity_helpers import cheap_identity
from store.store_helpers import A, run_python, with_mount
from uzel.errors import BadPassphraseError, PassphraseNeededError, ProfileError, WrongPassphraseError
from uzel.identity import Pin
from uzel.names import Uin
from uzel.store.profile import Profile
from uzel.store.schema import STEPS, copies_of, upgrade
from uzel.store.upkeep import Finding, change_passphrase, check

pytestmark = pytest.mark.usefixtures("cheap_passphrases")


@pytest.fixture
def profile(tmp_path: Path) -> Iterator[Profile]:
    with Profile.create(tmp_path / "profile", cheap_identity(9)) as made:
        made.pins.pin_peer(Uin(5), A, verified=True)
        yield made


def names(profile: Profile) -> set[str]:
    return {path.name for path in profile.folder.iterdir() if path.suffix in {".db", ".key", ".changing"}}


def test_set_change_remove(profile: Profile) -> None:
    folder = profile.folder
    for new, files in (
        ("first", {"profile.db"}),
        ("second", {"profile.db"}),
        (None, {"profile.db", "profile.key"}),
        ("third", {"profile.db"}),
    ):
        change_passphrase(profile, new)
        assert names(profile) == files
        assert profile.has_passphrase == (new is not None)
        assert profile.pins.peer(Uin(5)) == Pin(A, verified=True)
        profile.pins.pin_peer(Uin(6), A, verified=False)
    profile.close()
    with pytest.raises(PassphraseNeededError):
        Profile.open(folder)
    for wrong in ("first", "second"):
        with pytest.raises(WrongPassphraseError):
            Profile.open(folder, passphrase=lambda wrong=wrong: wrong)  # type: ignore[misc]
    with Profile.open(folder, passphrase=lambda: "third") as again:
        assert set(again.pins.peers()) == {5, 6}


def test_nothing_to_remove(profile: Profile) -> None:
    with pytest.raises(ProfileError, match="has no passphrase"):
        change_passphrase(profile, None)
    with pytest.raises(BadPassphraseError):
        change_passphrase(profile, "")
    assert names(profile) == {"profile.db", "profile.key"}


def test_copies_under_the_old_key_go(profile: Profile) -> None:
    upgrade(profile.file, (*STEPS, "CREATE TABLE second (x)"))
    assert len(copies_of(profile.folder / "profile.db")) == 1
    change_passphrase(profile, "first")
    assert copies_of(profile.folder / "profile.db") == []


def test_others_may_read_meanwhile(profile: Profile) -> None:
    program = """
import sys, pathlib
from uzel.store.profile import Profile
with Profile.peek(pathlib.Path(sys.argv[1])) as peeked:
    print(int(peeked.identity.uin))
"""
    (profile.folder / "profile.key").rename(profile.folder / "profile.key.changing")  # in the middle of a change
    assert run_python(program, profile.folder).stdout == "9\n"
    assert names(profile) == {"profile.db", "profile.key.changing"}  # who looks in tidies nothing
    profile.close()
    Profile.open(profile.folder).close()
    assert names(profile) == {"profile.db", "profile.key"}


FULL = """
import sys
from pathlib import Path
from uzel.errors import StorageError
from uzel.identity import Identity
from uzel.store import keys, upkeep
from uzel.store.profile import Profile
keys.ARGON2_MEMORY_KIB = 32
folder, ballast = Path(sys.argv[1]) / "profile", Path(sys.argv[1]) / "ballast"
profile = Profile.create(folder)
profile.file.run_script("CREATE TABLE filler (x); INSERT INTO filler VALUES (randomblob(300000))")
profile.file.checkpoint()
ballast.write_bytes(bytes(400_000))
try:
    upkeep.change_passphrase(profile, "secret")
except StorageError:
    print(profile.has_passphrase, profile.connection.execute("SELECT length(x) FROM filler").fetchone())
assert sorted(path.name for path in folder.glob("*.key*")) == ["profile.key"]
ballast.unlink()
upkeep.change_passphrase(profile, "secret")
profile.close()
Profile.open(folder, passphrase=lambda: "secret").close()
"""


def test_a_full_disk(tmp_path: Path) -> None:
    done = run_python(FULL, tmp_path, within=with_mount("-t tmpfs -o size=1m tmpfs", tmp_path))
    assert (done.stdout, done.stderr) == ("False (300000,)\n", "")


def test_all_is_well(profile: Profile) -> None:
    assert check(profile) == []
    profile.close()
    with Profile.peek(profile.folder) as peeked:
        assert check(peeked) == []


def test_what_others_may_read(profile: Profile) -> None:
    for name in ("profile.db", "profile.key"):
        (profile.folder / name).chmod(0o640)
    profile.folder.chmod(0o770)
    found = check(profile)
    assert [finding.check for finding in found] == ["permissions"] * 3
    for finding, command in zip(found, ("700", "600", "600"), strict=True):
        assert f"chmod {command} " in finding.detail


def test_damage_anywhere_is_found(profile: Profile) -> None:
    folder = profile.folder
    profile.file.run_script("CREATE TABLE filler (x); INSERT INTO filler VALUES (randomblob(300000))")
    profile.close()
    with (folder / "profile.db").open("r+b") as raw:
        raw.seek(200_000)
        raw.write(b"damage")
    with Profile.open(folder) as damaged:
        found = check(damaged)
    assert {finding.check for finding in found} == {"pages", "structure"}
    assert "page 49" in found[0].detail


def test_a_row_that_refers_to_nothing_is_found(profile: Profile) -> None:
    profile.connection.execute("PRAGMA foreign_keys = OFF")
    profile.file.run_script("CREATE TABLE child (x REFERENCES peer_pins (uin)); INSERT INTO child VALUES (77)")
    assert check(profile) == [Finding("references", "child, row 1")]
