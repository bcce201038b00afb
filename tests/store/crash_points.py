"""Kills a process at every single thing that it does with the files of a profile, and looks what is left of it.

python crash_points.py STORY FOLDER

A story prepares a folder, does something, and checks what a crash left of it. A child process per step is killed when
it comes to open, rename, link or remove its n-th file, or when a file grows past some size: then it is in the middle of
what SQLite does. Prints how many steps there were. Counterpart: `test_crashes.py`.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from identity.identity_helpers import real_identity
from store.store_helpers import NODE, OLD_FILES, PEER, A, B, old_folder
from uzel.errors import ProfileError
from uzel.identity import Pin
from uzel.store import backup, keys, schema, upkeep
from uzel.store.profile import Profile

ME = real_identity()
PASSPHRASE, OTHER = "correct horse", "battery staple"
ROWS, ROW = 60, 4000
SIZES = range(0, 500_000, 100_000)
"""Bytes at which a growing file is cut off: all through the log of a change of the key, and past it."""


def fill(profile: Profile) -> None:
    with profile.transaction() as db:
        db.execute("CREATE TABLE filler (n INTEGER PRIMARY KEY, data BLOB)")
        db.executemany("INSERT INTO filler VALUES (?, ?)", [(n, os.urandom(ROW)) for n in range(ROWS)])


def whole(profile: Profile) -> bool:
    """Whether the profile is the one that was made, to its last row."""
    with profile:
        assert profile.identity.fingerprint == ME.fingerprint
        assert upkeep.check(profile) == []
        return profile.connection.execute("SELECT count(*) FROM filler").fetchall() == [(ROWS,)]


def opens(folder: Path) -> bool:
    """Whether it opens, with the old secret or the new one; which one may be known to nobody after a crash."""
    asked = iter((PASSPHRASE, OTHER))
    for _ in range(2):
        try:
            return whole(Profile.open(folder, passphrase=lambda: next(asked)))
        except ProfileError:
            continue
    return False


def prepare_old(folder: Path) -> None:
    old_folder(folder, ME)


def check_converted(folder: Path) -> None:
    with Profile.open(folder) as profile:
        assert profile.identity.fingerprint == ME.fingerprint
        assert profile.pins.peers() == {PEER: Pin(A, verified=True)}
        assert profile.pins.node(NODE) == B
    assert not OLD_FILES & {path.name for path in folder.iterdir()}
    assert not [path for path in folder.iterdir() if ".tmp" in path.name]


def check_created(folder: Path) -> None:
    try:
        profile = Profile.open(folder)
    except ProfileError:
        profile = Profile.create(folder, ME)
    with profile:
        assert profile.identity.fingerprint == ME.fingerprint


def prepare_with_key_file(folder: Path) -> None:
    with Profile.create(folder, ME) as profile:
        fill(profile)


def prepare_with_passphrase(folder: Path) -> None:
    with Profile.create(folder, ME, passphrase=PASSPHRASE) as profile:
        fill(profile)


def set_passphrase(folder: Path) -> None:
    with Profile.open(folder) as profile:
        upkeep.change_passphrase(profile, PASSPHRASE)


def change_passphrase(folder: Path) -> None:
    with Profile.open(folder, passphrase=lambda: PASSPHRASE) as profile:
        upkeep.change_passphrase(profile, OTHER)


def remove_passphrase(folder: Path) -> None:
    with Profile.open(folder, passphrase=lambda: PASSPHRASE) as profile:
        upkeep.change_passphrase(profile, None)


def check_opens(folder: Path) -> None:
    assert opens(folder)
    assert not [path.name for path in folder.iterdir() if "changing" in path.name]


def prepare_backup(folder: Path) -> None:
    with Profile.create(folder / "old", ME) as profile:
        fill(profile)
        backup.backup(profile, folder / "file", PASSPHRASE)


def restore(folder: Path) -> None:
    backup.restore(folder / "file", folder / "new", PASSPHRASE).close()


def check_restored(folder: Path) -> None:
    try:
        profile = Profile.open(folder / "new")
    except ProfileError:
        profile = backup.restore(folder / "file", folder / "new", PASSPHRASE)
    assert whole(profile)


def write_backup(folder: Path) -> None:
    with Profile.peek(folder / "old") as profile:
        backup.backup(profile, folder / "second", OTHER)


def check_backup(folder: Path) -> None:
    if (folder / "second").exists():
        assert whole(backup.restore(folder / "second", folder / "new", OTHER))
    else:
        write_backup(folder)


def upgrade(folder: Path) -> None:
    with Profile.open(folder) as profile:
        schema.upgrade(profile.file, (*schema.STEPS, "CREATE TABLE second (x); INSERT INTO second VALUES (2);"))


def check_upgraded(folder: Path) -> None:
    steps = (*schema.STEPS, "CREATE TABLE second (x); INSERT INTO second VALUES (2);")
    file, _ = vars(sys.modules["uzel.store.profile"])["_unlock"](folder, "rw", None)
    schema.upgrade(file, steps)
    assert file.db.execute("SELECT x FROM second").fetchall() == [(2,)]
    file.close()
    shutil.copy(folder / "profile.db.before-2", folder / "profile.db")
    assert whole(Profile.open(folder))


@dataclass(frozen=True)
class Story:
    prepare: Callable[[Path], None]
    act: Callable[[Path], None]
    check: Callable[[Path], None]
    sizes: range = range(0)


def nothing(folder: Path) -> None:
    folder.mkdir()


STORIES = {
    "convert": Story(prepare_old, lambda folder: Profile.open(folder).close(), check_converted, range(0, 30_000, 4000)),
    "create": Story(nothing, lambda folder: Profile.create(folder, ME).close(), check_created, range(0, 30_000, 4000)),
    "set": Story(prepare_with_key_file, set_passphrase, check_opens, SIZES),
    "change": Story(prepare_with_passphrase, change_passphrase, check_opens, SIZES),
    "remove": Story(prepare_with_passphrase, remove_passphrase, check_opens, SIZES),
    "restore": Story(prepare_backup, restore, check_restored, SIZES),
    "backup": Story(prepare_backup, write_backup, check_backup, SIZES),
    "upgrade": Story(prepare_with_key_file, upgrade, check_upgraded, SIZES),
}


def in_child(work: Callable[[], None]) -> bool:
    """Run it in a process of its own; whether it was killed rather than done."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


def killed_at_step(number: int, folder: Path, act: Callable[[Path], None]) -> None:
    left = number

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event not in {"open", "os.rename", "os.link", "os.remove", "os.mkdir"}:
            return
        if str(arguments[0]).startswith(str(folder)):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    act(folder)


def killed_at_size(size: int, folder: Path, act: Callable[[Path], None]) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    act(folder)


def main(name: str, work: Path) -> None:
    keys.ARGON2_MEMORY_KIB = 8 * keys.ARGON2_LANES
    vars(backup)["derive_uin"] = lambda _: ME.uin  # which is slow on purpose, and tested elsewhere
    story = STORIES[name]
    first, folder = work / "first", work / "copy"
    story.prepare(first)

    def once(kill: Callable[[int, Path, Callable[[Path], None]], None], number: int) -> bool:
        shutil.copytree(first, folder)
        killed = in_child(lambda: kill(number, folder, story.act))
        story.check(folder)
        shutil.rmtree(folder)
        return killed

    steps = 0
    while once(killed_at_step, steps):
        steps += 1
    cut = [size for size in story.sizes if once(killed_at_size, size)]
    print(steps, len(cut))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
