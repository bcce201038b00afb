"""Who holds a profile: one program at a time, from opening to closing, and the others are told which.

The lock is flock's on `profile.lock`; it ends with the process at the latest, whatever the file says. What the file
says (one JSON object: pid, program, since) is for people only.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from uzel.errors import ProfileError, ProfileHeldError, ProfileReadOnlyError, StorageError
from uzel.store.files import PRIVATE_FILE

MOST_TOLD = 4096
"""Bytes of the file that are looked at."""
MOST_NAME = 60
"""Characters of a program's name that are told."""

_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_held_here: set[Path] = set()


@contextmanager
def holding(path: Path, program: str = "") -> Iterator[None]:
    """Hold the lock file at `path`; `program` is what others are told, by default the command's name.

    Raises `ProfileHeldError` at once when another program holds it (or this one does already),
    `ProfileReadOnlyError`, `ProfileError`, `StorageError`.
    """
    descriptor = _open(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ProfileHeldError(_told_in(descriptor)) from None
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from error
        _tell(descriptor, program or Path(sys.argv[0]).name)
        real = path.resolve()
        _held_here.add(real)
        try:
            yield
        finally:
            _held_here.discard(real)
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def is_held_here(path: Path) -> bool:
    """Whether this very process holds the lock file at `path`."""
    return path.resolve() in _held_here


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, PRIVATE_FILE)
    except OSError as error:
        if error.errno in _REFUSED:
            raise ProfileReadOnlyError(f"{path}: {error.strerror}") from None
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise ProfileError(f"{path} is not a file: move it away") from None
        raise StorageError(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ProfileError(f"{path} is not a file: move it away")
    return descriptor


def _tell(descriptor: int, program: str) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    told = {"pid": os.getpid(), "program": program[:MOST_NAME], "since": since}
    with suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(told).encode() + b"\n", 0)


def _told_in(descriptor: int) -> str:
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        told = json.loads(os.pread(descriptor, MOST_TOLD, 0))
        program, pid, since = (str(told[name])[:MOST_NAME] for name in ("program", "pid", "since"))
        return f"{program}, process {pid}, since {since}"
    return "it did not say which"
