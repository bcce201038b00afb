"""Files that belong to their owner alone: written whole or not at all, read only when nobody else can.

A name here is that of a regular file, or the call fails: links, pipes and folders in its place are refused and
never followed. What is wrong with a file is a `ProfileError` that names it and says what to do; what the disk
refuses is a `StorageError`.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from uzel.errors import AlreadyThereError, ProfileError, StorageError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
MAX_FILE = 4 * 1024 * 1024
"""Longest file that is read here, in bytes."""


def make_private_folder(path: Path) -> None:
    """Make the folder with mode 0700, its parents too where missing; one that exists keeps its mode.

    Raises `ProfileError` when it is no folder or everyone may write in it, `StorageError` when it cannot be made.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir(mode=PRIVATE_FOLDER)
            sync_folder(path.parent)
        except FileExistsError:
            check_folder(path)


def check_folder(path: Path) -> None:
    """Raises `ProfileError` when there is no such folder, or everyone may write in it."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from error
    if not stat.S_ISDIR(mode):
        raise ProfileError(f"{path} is not a folder")
    if mode & stat.S_IWOTH:
        raise ProfileError(f"everyone may write in {path}: run chmod 700 {path}")


def write_atomically(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """Replace the file's content: afterwards, even after a crash, it is the old one or the new one, whole.

    On disk when it returns. Raises `ProfileError` when something else than a file has that name, `StorageError`
    when the disk refuses; then the old content stands.
    """
    _refuse_other_than_file(path)
    temporary = temporary_name(path)
    with storage_errors(path):
        try:
            _write_new(temporary, data, mode)
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)


def temporary_name(path: Path) -> Path:
    """A name beside `path`, for what is to take its place when it is whole."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


@contextmanager
def taking_place_of(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """A temporary name to write a file under; when the block ends it takes its place at `path`, durably.

    The block makes the file's own content durable. When the block raises nothing changes. Raises `StorageError`, and
    `ProfileError` when `path` exists and `overwrite` is off.
    """
    _refuse_other_than_file(path)
    temporary = temporary_name(path)
    with storage_errors(path):
        try:
            yield temporary
            if overwrite:
                temporary.replace(path)
            else:
                _give_new_name(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)


def refuse_existing(path: Path) -> None:
    """Raises `ProfileError` when something has this name."""
    if os.path.lexists(path):
        raise AlreadyThereError(f"{path} exists already: choose another name")


def remove_leftovers(path: Path) -> None:
    """Remove what a crash left under a `temporary_name` of this path. Only under the writers' lock."""
    with storage_errors(path):
        for leftover in path.parent.glob(f".{path.name}.*.tmp*"):  # SQLite puts a journal beside its file
            leftover.unlink(missing_ok=True)


def read_private(path: Path, *, limit: int = MAX_FILE) -> bytes:
    """The content of a file that only its owner may read, of at most `limit` bytes. Raises `ProfileError`."""
    data = read_start(path, limit + 1)
    if len(data) > limit:
        raise ProfileError(f"{path} is longer than {limit} bytes: it is not one of Uzel's, or damaged")
    return data


def read_start(path: Path, count: int, *, private: bool = True) -> bytes:
    """The first bytes of a file, at most `count`. Raises `ProfileError`, also when others may read it, if `private`."""
    try:
        # NONBLOCK, or a pipe in the file's place would hold us here.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            _check_private(path, mode if private else mode & ~0o077)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(count)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from error


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file at `path` against other processes and threads; it ends with the process at the latest.

    With `wait` off raises `BlockingIOError` when someone else holds it. Raises `ProfileError`, `StorageError`.
    """
    _refuse_other_than_file(path)
    with storage_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        with storage_errors(path):
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make a folder's own entries durable. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Tell what the disk refuses as `StorageError`; `BlockingIOError` (a lock that is held) passes."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error


def _refuse_other_than_file(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise ProfileError(f"{path} is not a file: move it away")


def _give_new_name(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)  # unlike a rename it never replaces anything
    except FileExistsError:
        refuse_existing(path)
        raise
    except OSError:  # memory sticks know no links
        refuse_existing(path)
        temporary.rename(path)
    else:
        temporary.unlink()


def _check_private(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ProfileError(f"{path} is not a file")
    if mode & 0o077:
        raise ProfileError(f"others may read or write {path}: run chmod 600 {path}")


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
