"""Private files: modes, wholeness, and surprises in their place."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from store.store_helpers import run_python
from uzel.errors import ProfileError, StorageError
from uzel.store.files import (
    locked,
    make_private_folder,
    read_private,
    remove_leftovers,
    taking_place_of,
    write_atomically,
)

CRASH_BEFORE_RENAME = """
import os, pathlib, signal, sys
from uzel.store.files import write_atomically
pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
write_atomically(pathlib.Path(sys.argv[1]), b"new")
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_write_and_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    old_mask = os.umask(0)
    try:
        for content in (b"first", b"", b"second" * 10_000):
            write_atomically(path, content)
            assert read_private(path) == content
            assert mode(path) == 0o600
        write_atomically(path, b"x", 0o640)
        assert mode(path) == 0o640
    finally:
        os.umask(old_mask)
    assert os.listdir(tmp_path) == ["file"]


def test_a_crash_before_the_rename_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    assert run_python(CRASH_BEFORE_RENAME, path).returncode == -9
    assert read_private(path) == b"old"
    assert len(os.listdir(tmp_path)) == 2
    write_atomically(path, b"newer")
    remove_leftovers(path)
    assert os.listdir(tmp_path) == ["file"]
    assert read_private(path) == b"newer"


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr(os, "fsync", _disk_full)
    with pytest.raises(StorageError, match="No space left"):
        write_atomically(path, b"new")
    assert read_private(path) == b"old"
    assert os.listdir(tmp_path) == ["file"]


def _disk_full(_descriptor: int) -> None:
    raise OSError(28, os.strerror(28))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="absent"):
        write_atomically(tmp_path / "absent" / "file", b"")


@pytest.mark.parametrize("bits", [0o604, 0o640, 0o620, 0o602, 0o666])
def test_what_others_can_touch_is_not_read(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"secret", bits)
    with pytest.raises(ProfileError, match=f"chmod 600 {path}"):
        read_private(path)


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
def test_other_things_in_its_place(tmp_path: Path, kind: str) -> None:
    path, target = tmp_path / "file", tmp_path / "target"
    match kind:
        case "link":
            write_atomically(target, b"target")
            path.symlink_to(target)
        case "dangling link":
            path.symlink_to(target)
        case "pipe":
            os.mkfifo(path, 0o600)
        case _:
            path.mkdir()
    for use in (read_private, lambda path: write_atomically(path, b"new"), lambda path: locked(path).__enter__()):
        with pytest.raises(ProfileError, match=str(path)):
            use(path)
    assert not target.exists() or read_private(target) == b"target"


def test_missing_and_too_long(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(ProfileError, match="No such file"):
        read_private(path)
    write_atomically(path, b"12345")
    assert read_private(path, limit=5) == b"12345"
    with pytest.raises(ProfileError, match="longer than 4 bytes"):
        read_private(path, limit=4)


def test_folders(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_private_folder(folder)
    assert mode(folder) == 0o700
    folder.chmod(0o755)
    make_private_folder(folder)
    folder.chmod(0o777)
    with pytest.raises(ProfileError, match=f"chmod 700 {folder}"):
        make_private_folder(folder)
    (tmp_path / "file").touch()
    with pytest.raises(ProfileError, match="not a folder"):
        make_private_folder(tmp_path / "file")
    with pytest.raises(StorageError):
        make_private_folder(tmp_path / "file" / "below")


def test_a_lock_excludes_and_ends(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with locked(lock), pytest.raises(BlockingIOError), locked(lock, wait=False):
        pass
    with locked(lock, wait=False):
        assert mode(lock) == 0o600


def test_what_takes_a_place_never_replaces_what_came_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with suppress(ProfileError), taking_place_of(path, overwrite=False) as temporary:
        temporary.write_bytes(b"ours")
        path.write_bytes(b"another's")
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"another's", [path])
    with taking_place_of(path) as temporary:
        temporary.write_bytes(b"ours")
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"ours", [path])
