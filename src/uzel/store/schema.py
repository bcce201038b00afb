"""The tables of a profile, and how an older profile becomes one of today.

Numbered steps: step n makes schema n out of schema n-1; `PRAGMA user_version` says which one a file has. Steps are
only ever added. Before each step the file is copied to `profile.db.before-N`, under the same key, N being the schema
that the step makes: to go back, move the copy in the place of `profile.db`. Counterparts: `uzel.store.pins` and
`uzel.store.profile`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uzel.errors import ForeignProfileError, ProfileTooNewError
from uzel.store.cipher import CipherFile
from uzel.store.files import remove_leftovers, taking_place_of
from uzel.store.messages_schema import MESSAGE_TABLES

APPLICATION = 0x557A656C
"""`PRAGMA application_id` of every profile and backup: "Uzel" in ASCII."""

PROFILE_TABLES = """
    CREATE TABLE identity (
        one         INTEGER PRIMARY KEY CHECK (one = 1),
        private_key BLOB    NOT NULL,
        uin         INTEGER NOT NULL CHECK (uin BETWEEN 1 AND 4294967295)
    ) STRICT;
    CREATE TABLE peer_pins (
        uin         INTEGER PRIMARY KEY CHECK (uin BETWEEN 1 AND 4294967295),
        fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
        verified    INTEGER NOT NULL CHECK (verified IN (0, 1))
    ) STRICT;
    CREATE TABLE node_pins (
        host        TEXT    NOT NULL,
        port        INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65534),
        fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
        PRIMARY KEY (host, port)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE settings (
        name  TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
"""
STEPS: tuple[str, ...] = (PROFILE_TABLES + MESSAGE_TABLES,)


def make_tables(file: CipherFile, steps: Sequence[str] = STEPS) -> None:
    """Run every step in a new, empty file. Raises `StorageError`."""
    mark = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {len(steps)};"
    file.run_script("\n;".join((*steps, mark)))


def version_of(file: CipherFile, steps: Sequence[str] = STEPS) -> int:
    """The schema that a file has. Raises `ForeignProfileError`, `ProfileTooNewError`."""
    with file.errors():
        application = file.db.execute("PRAGMA application_id").fetchall()[0][0]
        version: int = file.db.execute("PRAGMA user_version").fetchall()[0][0]
    if application != APPLICATION or version < 1:
        raise ForeignProfileError(str(file.path))
    if version > len(steps):
        raise ProfileTooNewError(f"{file.path} has schema {version}, this program knows {len(steps)}")
    return version


def upgrade(file: CipherFile, steps: Sequence[str] = STEPS) -> None:
    """Take the steps that a file has not seen, with a copy before each. The caller holds the profile.

    A crash or a full disk leaves the schema of the last step that was taken. Raises `ForeignProfileError`,
    `ProfileTooNewError`, `StorageError`.
    """
    version = version_of(file, steps)
    for number, step in enumerate(steps[version:], start=version + 1):
        _keep_copy(file, file.path.with_name(f"{file.path.name}.before-{number}"))
        file.run_script(f"{step}\n;PRAGMA user_version = {number};")


def copies_of(path: Path) -> list[Path]:
    """The copies that were made of a profile's file before its steps."""
    return sorted(path.parent.glob(f"{path.name}.before-*"))


def _keep_copy(file: CipherFile, copy: Path) -> None:
    remove_leftovers(copy)
    with taking_place_of(copy) as temporary:
        file.copy_to(temporary, file.key)
