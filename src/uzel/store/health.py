"""Whether this machine is a good place for a profile: disk, permissions, clock, open files (`uzel doctor`).

Nothing here opens the profile or changes it, but for one file of a few bytes that comes and goes. What cannot be known
is said to be unknown. Counterparts: `uzel.store.upkeep`, which reads the profile itself; `uzel.faces.cli.doctor`.
"""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

LEAST_FREE = 64 * 1024 * 1024
"""Bytes below which a disk is called nearly full: a backup, or another passphrase, needs as much as the profile has."""
LEAST_OPEN = 256
"""Open files that a core with some faces and conversations needs."""
RELEASED = datetime(2025, 11, 1, tzinfo=UTC)
"""No clock that is right says less than this: the program is younger."""
AHEAD = 300.0
"""Seconds that a file's time may lie in the future: other machines write to shared disks."""
OLD_BACKUP = 30 * 86_400.0
"""Seconds after which a backup is called old."""
LAST_BACKUP = "profile.last-backup"
"""The file in the profile's folder whose time is that of the last backup made on this machine."""


class State(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: how it is, and how to mend it, empty where there is nothing to mend."""

    check: str
    state: State
    detail: str
    mend: str = ""


def check_machine(folder: Path) -> Iterator[Check]:
    """Everything about the folder and the machine. The folder exists."""
    yield _permissions(folder)
    yield _free(folder)
    yield _writes(folder)
    yield _clock(folder)
    yield _descriptors()
    yield _backup(folder)


def _permissions(folder: Path) -> Check:
    for path in (folder, *sorted(folder.iterdir())):
        with suppress(FileNotFoundError):  # it was there for a moment
            status = path.lstat()
            if status.st_uid != os.geteuid():
                mend = f"run as the user it belongs to, or: chown -R {os.geteuid()} {shlex.quote(str(folder))}"
                return Check("permissions", State.WRONG, f"{path} belongs to user {status.st_uid}", mend)
            if path == folder and status.st_mode & 0o077:
                serious = State.WRONG if status.st_mode & 0o022 else State.WARNING
                return Check(
                    "permissions", serious, f"others may look into {path}", f"chmod 700 {shlex.quote(str(path))}"
                )
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
                return Check(
                    "permissions",
                    State.WRONG,
                    f"others may read or write {path}",
                    f"chmod 600 {shlex.quote(str(path))}",
                )
    return Check("permissions", State.OK, "the folder and its files are yours alone")


def _free(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    detail = f"{free // (1024 * 1024)} MiB free"
    if free < LEAST_FREE:
        return Check("disk space", State.WRONG, detail, "make room on the disk, or move the profile to another")
    return Check("disk space", State.OK, detail)


def _writes(folder: Path) -> Check:
    probe = folder / f".doctor-{os.getpid()}"
    begun = time.monotonic()
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"x" * 4096)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            probe.unlink()
    except OSError as error:
        mend = "make room, or see to it that the folder can be written to"
        return Check("disk write", State.WRONG, f"{folder}: {error.strerror}", mend)
    passed = (time.monotonic() - begun) * 1000
    return Check("disk write", State.OK, f"4 KiB written and synced in {passed:.1f} ms")


def _clock(folder: Path) -> Check:
    now = time.time()
    if now < RELEASED.timestamp():
        shown = datetime.fromtimestamp(now, UTC).date()
        return Check("clock", State.WRONG, f"it says {shown}: that is before this program", "set the clock")
    ahead = [path for path in sorted(folder.iterdir()) if _time_of(path) > now + AHEAD]
    if ahead:
        detail = f"{ahead[0]} was written in the future: the clock was ahead, or is behind now"
        return Check("clock", State.WARNING, detail, "set the clock; texts keep the time at which they were written")
    return Check("clock", State.OK, "nothing speaks against it; nobody was asked for the right time")


def _time_of(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def _descriptors() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < LEAST_OPEN:
        mend = f"ulimit -n {min(1024, hard) if hard != resource.RLIM_INFINITY else 1024}"
        return Check("open files", State.WARNING, f"at most {soft}", mend)
    return Check("open files", State.OK, "no limit" if soft == resource.RLIM_INFINITY else f"at most {soft}")


def _backup(folder: Path) -> Check:
    made = _time_of(folder / LAST_BACKUP)
    mend = f"uzel profile backup FILE --profile {shlex.quote(str(folder))}"
    if not made:
        return Check("backup", State.WARNING, "none is known; one may have been made elsewhere, or before", mend)
    days = int(max(0.0, time.time() - made) // 86_400)
    state = State.WARNING if time.time() - made > OLD_BACKUP else State.OK
    return Check("backup", state, f"the last one is {days} days old", mend if state is State.WARNING else "")
