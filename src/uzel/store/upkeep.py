"""Looking after a profile: another passphrase, or none; and whether all of it is sound.

A change of the passphrase encrypts the file anew, in one transaction of its log, under a key with the same salt. A key
file cannot change in the same instant: meanwhile it is called `profile.key.changing`, and whoever opens the profile
after a crash finds out whether it opens it (`uzel.store.profile`). So at every moment the old passphrase or key file
opens it, or the new.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from uzel.errors import NoPassphraseError, ProfileDamagedError, StorageError
from uzel.store.cipher import CipherFile
from uzel.store.files import storage_errors, sync_folder
from uzel.store.keys import derive_key, write_key_file
from uzel.store.profile import CHANGING, KEY_FILE, Profile
from uzel.store.profile_folder import remove_files
from uzel.store.profile_names import DATABASE
from uzel.store.schema import copies_of

LOOKS = 3
"""How often pages are read that seem wrong, while another program may be writing them."""
MOST_SHOWN = 10
"""Of the findings of one kind; a damaged file has thousands."""


def change_passphrase(profile: Profile, new: str | None) -> None:
    """Put the profile under another passphrase, or, with None, under a key file beside it. Slow; the profile stays
    open.

    `profile.connection` is another one afterwards. Copies that were kept before schema steps go: the old secret would
    open them. Raises `ProfileError` when there is no passphrase to remove, `BadPassphraseError`, `StorageError`; then
    the old one stands.
    """
    folder, salt = profile.folder, profile.file.key.salt
    if new is None:
        if not profile.has_passphrase:
            raise NoPassphraseError(f"{folder}: its key is in {KEY_FILE}")
        key = write_key_file(folder / CHANGING, salt)
    else:
        key = derive_key(new, salt)
        if not profile.has_passphrase:
            _rename(folder, KEY_FILE, CHANGING)
    if not profile.file.change_key(key):
        if profile.has_passphrase:
            remove_files(folder, (CHANGING,))
        else:
            _rename(folder, CHANGING, KEY_FILE)
        raise StorageError(f"{profile.file.path} could not be encrypted anew; is the disk full?")
    if new is None:
        _rename(folder, CHANGING, KEY_FILE)
    remove_files(folder, (CHANGING, *(copy.name for copy in copies_of(folder / DATABASE))))
    profile.has_passphrase = new is not None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: `check` says what was looked at (`permissions`, `pages`, `structure`, `references`)."""

    check: str
    detail: str


def check(profile: Profile) -> list[Finding]:
    """Look at all of a profile, opened or peeked into. Slow: it reads everything. No findings: all is well.

    Raises `StorageError`.
    """
    return [*_permissions(profile.folder), *_pages(profile.file), *_structure(profile.file)]


def _permissions(folder: Path) -> list[Finding]:
    found = []
    with storage_errors(folder):
        for path in (folder, *sorted(folder.iterdir())):
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & 0o077:
                found.append(Finding("permissions", f"others may read or write {path}: run chmod 600 {path}"))
            elif path == folder and mode & 0o022:
                found.append(Finding("permissions", f"others may write in {path}: run chmod 700 {path}"))
    return found


def _pages(file: CipherFile) -> list[Finding]:
    """Every page's own checksum. It looks past SQLite's locks: what another program writes may look torn."""
    lasting: set[str] | None = None
    for _ in range(LOOKS):
        with file.errors():
            seen = {str(row[0]) for row in file.db.execute("PRAGMA cipher_integrity_check").fetchall()}
        lasting = seen if lasting is None else lasting & seen
        if not lasting:
            break
    return [Finding("pages", detail) for detail in sorted(lasting or ())[:MOST_SHOWN]]


def _structure(file: CipherFile) -> list[Finding]:
    try:
        with file.errors():
            wrong = file.db.execute(f"PRAGMA integrity_check({MOST_SHOWN})").fetchall()
            dangling = file.db.execute("PRAGMA foreign_key_check").fetchall()
    except ProfileDamagedError as error:
        return [Finding("structure", error.detail)]
    found = [Finding("structure", str(row[0])) for row in wrong if row[0] != "ok"]
    return found + [Finding("references", f"{row[0]}, row {row[1]}") for row in dangling[:MOST_SHOWN]]


def _rename(folder: Path, old: str, new: str) -> None:
    with storage_errors(folder / old):
        os.replace(folder / old, folder / new)
        sync_folder(folder)
