"""The steps from schema to schema, each with a copy before it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

from identity.identity_helpers import cheap_identity
from uzel.errors import ForeignProfileError, ProfileTooNewError, StorageError
from uzel.store.cipher import CipherFile, Mode
from uzel.store.profile import Profile
from uzel.store.schema import STEPS, copies_of, upgrade, version_of

SECOND, THIRD = "CREATE TABLE second (x);", "CREATE TABLE third (x); INSERT INTO third VALUES ('three')"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Profile.create(tmp_path / "profile", cheap_identity(9)).close()
    return tmp_path / "profile"


def tables(file: CipherFile) -> set[str]:
    return {row[0] for row in file.db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()}


def test_a_new_profile_has_the_newest(folder: Path) -> None:
    with Profile.open(folder) as profile:
        assert version_of(profile.file) == len(STEPS)
        assert tables(profile.file) >= {"identity", "peer_pins", "node_pins", "settings"}
    assert copies_of(folder / "profile.db") == []


def test_steps_with_a_copy_before_each(folder: Path) -> None:
    with Profile.open(folder) as profile:
        steps = (*STEPS, SECOND, THIRD)
        upgrade(profile.file, steps)
        upgrade(profile.file, steps)  # nothing is left to do
        assert version_of(profile.file, steps) == len(steps)
        assert {"second", "third"} <= tables(profile.file)
        key = profile.file.key
    copies = copies_of(folder / "profile.db")
    assert [copy.name for copy in copies] == ["profile.db.before-2", "profile.db.before-3"]
    for copy, number in zip(copies, (1, 2), strict=True):
        assert copy.stat().st_mode & 0o777 == 0o600
        older = CipherFile(copy, key, Mode.READ)
        assert version_of(older) if number == 1 else version_of(older, (*STEPS, SECOND)) == number
        assert ("second" in tables(older), "third" in tables(older)) == (number > 1, False)
        older.close()


def test_a_copy_can_be_put_back(folder: Path) -> None:
    with Profile.open(folder) as profile:
        upgrade(profile.file, (*STEPS, SECOND))
    with pytest.raises(ProfileTooNewError, match="schema 2"):
        Profile.open(folder)
    (folder / "profile.db.before-2").rename(folder / "profile.db")
    with Profile.open(folder) as profile:
        assert profile.identity.uin == 9


def test_a_step_that_fails_changes_nothing(folder: Path) -> None:
    with Profile.open(folder) as profile:
        with pytest.raises(dbapi2.OperationalError):
            upgrade(profile.file, (*STEPS, SECOND, "CREATE TABLE third (x); CREATE TABLE identity (x);"))
        assert version_of(profile.file, (*STEPS, SECOND)) == 2
        assert "third" not in tables(profile.file)


def test_no_step_without_its_copy(folder: Path) -> None:
    (folder / "profile.db.before-2").mkdir()
    (folder / "profile.db.before-2" / "something").touch()
    with Profile.open(folder) as profile:
        with pytest.raises((StorageError, Exception), match="before-2"):
            upgrade(profile.file, (*STEPS, SECOND))
        assert version_of(profile.file) == 1


def test_what_is_none_of_ours(folder: Path) -> None:
    with Profile.open(folder) as profile:
        profile.file.run_script("PRAGMA application_id = 7")
        with pytest.raises(ForeignProfileError):
            upgrade(profile.file)
