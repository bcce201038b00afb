"""What the doctor finds of the folder and the machine, each fault made for real."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from uzel.store.health import AHEAD, LAST_BACKUP, LEAST_FREE, OLD_BACKUP, RELEASED, State, check_machine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pro file"
    made.mkdir(mode=0o700)
    (made / "profile.db").touch(mode=0o600)
    return made


def found(folder: Path, check: str) -> tuple[State, str, str]:
    (one,) = [each for each in check_machine(folder) if each.check == check]
    return one.state, one.detail, one.mend


def test_a_good_place_is_found_good_and_left_as_it_was(folder: Path) -> None:
    states = {each.check: each.state for each in check_machine(folder)}
    assert states.pop("backup") is State.WARNING
    assert set(states.values()) == {State.OK}
    assert [path.name for path in folder.iterdir()] == ["profile.db"]


def test_permissions_that_are_too_wide_are_named_with_the_command_that_mends_them(folder: Path) -> None:
    (folder / "profile.db").chmod(0o640)
    state, _, mend = found(folder, "permissions")
    assert (state, mend) == (State.WRONG, f"chmod 600 '{folder}/profile.db'")
    folder.chmod(0o750)
    assert found(folder, "permissions")[::2] == (State.WARNING, f"chmod 700 '{folder}'")
    folder.chmod(0o770)
    assert found(folder, "permissions")[0] is State.WRONG


def test_another_owner_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    state, detail, mend = found(folder, "permissions")
    assert (state, f"belongs to user {owner}" in detail, "chown -R" in mend) == (State.WRONG, True, True)


def test_a_full_disk_and_one_that_does_not_write_are_wrong(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=LEAST_FREE - 1))
    assert found(folder, "disk space")[0] is State.WRONG
    (folder / f".doctor-{os.getpid()}").mkdir()
    state, detail, _ = found(folder, "disk write")
    assert (state, "File exists" in detail) == (State.WRONG, True)


def test_a_clock_that_cannot_be_right_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = (folder / "profile.db").stat().st_mtime
    os.utime(folder / "profile.db", (now, now + 2 * AHEAD))
    assert found(folder, "clock")[0] is State.WARNING
    monkeypatch.setattr(time, "time", lambda: RELEASED.timestamp() - 1)
    assert found(folder, "clock")[::2] == (State.WRONG, "set the clock")


@pytest.fixture
def few_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("few_files")
def test_too_few_open_files_are_a_warning(folder: Path) -> None:
    state, detail, mend = found(folder, "open files")
    assert (state, detail, mend.startswith("ulimit -n ")) == (State.WARNING, "at most 100", True)


def test_the_age_of_the_last_backup_is_told(folder: Path) -> None:
    (folder / LAST_BACKUP).touch(mode=0o600)
    assert found(folder, "backup") == (State.OK, "the last one is 0 days old", "")
    now = (folder / LAST_BACKUP).stat().st_mtime
    os.utime(folder / LAST_BACKUP, (now, now - OLD_BACKUP - 86_400))
    assert found(folder, "backup")[:2] == (State.WARNING, "the last one is 31 days old")
