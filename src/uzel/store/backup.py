"""Backups of a profile: one encrypted file that holds everything and needs nothing else to be opened.

A backup has the form of `profile.db`, under a passphrase of its own or a recovery code (`uzel.store.recovery_codes`),
never under this machine's key file. It is made of what was committed, while the profile is in use or not, and read back
before it gets its name. Nothing is ever overwritten: not a file by a backup, not a profile by a restored one.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from typing import IO

from uzel.errors import ProfileDamagedError, ProfileTruncatedError, StorageError, WrongPassphraseError
from uzel.identity import derive_uin
from uzel.store.cipher import PAGE, CipherFile, Mode
from uzel.store.files import (
    make_private_folder,
    refuse_existing,
    storage_errors,
    taking_place_of,
    temporary_name,
    write_atomically,
)
from uzel.store.health import LAST_BACKUP
from uzel.store.keys import derive_key, new_salt, read_salt
from uzel.store.profile import LOCK, Profile, new_key, read_identity, refuse_profile, remove_unfinished
from uzel.store.profile_lock import holding
from uzel.store.profile_names import DATABASE
from uzel.store.recovery_codes import CODE_BYTES, looks_like_code, make_code, read_code
from uzel.store.schema import version_of


def new_recovery_code() -> str:
    """A secret for a backup, to be written down: 130 bits in seven groups of four."""
    return make_code(secrets.token_bytes(CODE_BYTES))


def backup(profile: Profile, file: Path, secret: str) -> None:
    """Write a backup (0600) that the passphrase or recovery code `secret` opens. Slow: it derives a key and
    copies.

    Consistent while others write; a profile that was only peeked into does as well. On disk when it returns. Raises
    `BadPassphraseError`, `ProfileError` when something has that name already, and `StorageError`; then there is none.
    """
    refuse_existing(file)
    key = derive_key(secret, new_salt())
    with taking_place_of(file, overwrite=False) as temporary:
        profile.file.copy_to(temporary, key)
    with suppress(StorageError):  # the backup is what counts
        write_atomically(profile.folder / LAST_BACKUP, b"")


def backup_stream(profile: Profile, secret: str) -> IO[bytes]:
    """As `backup`, of a profile that this process holds, for a reader: the file has no name any more.

    Over a connection of its own, so that it may run beside whoever works with the profile. Raises `BadPassphraseError`,
    `ProfileDamagedError`, `StorageError`.
    """
    key = derive_key(secret, new_salt())
    source = CipherFile(profile.file.path, profile.file.key, Mode.READ)
    try:
        temporary = temporary_name(profile.file.path)  # what a crash leaves there goes when the profile is opened
        source.copy_to(temporary, key)
    finally:
        source.close()
    with storage_errors(temporary):
        stream = temporary.open("rb")
        temporary.unlink()
    with suppress(StorageError):  # as above
        write_atomically(profile.folder / LAST_BACKUP, b"")
    return stream


def restore(file: Path, folder: Path, secret: str, *, passphrase: str | None = None, program: str = "") -> Profile:
    """Make a profile of a backup, in a folder without one, and open it: under a passphrase, or with a new key file.

    Slow, as `backup`. Raises `WrongPassphraseError` and the other kinds of `ProfileError` (the file is damaged, cut
    off, none of ours, of a newer Uzel; the folder holds a profile), and `StorageError`; then there is no profile.
    """
    source = _open_backup(file, secret)
    try:
        version_of(source)
        identity = read_identity(source)
        if derive_uin(identity.spki) != identity.uin:
            raise ProfileDamagedError(f"{file}: its number is not that of its key")
        make_private_folder(folder)
        with holding(folder / LOCK, program):
            refuse_profile(folder)
            remove_unfinished(folder)
            key = new_key(folder, passphrase)
            with taking_place_of(folder / DATABASE, overwrite=False) as temporary:
                source.copy_to(temporary, key)
    finally:
        source.close()
    return Profile.open(folder, passphrase=None if passphrase is None else lambda: passphrase, program=program)


def require_backup(file: Path) -> None:
    """Raises `ProfileError` when the file is not there, or too short or too open to be a backup: before a person is
    asked for its secret.
    """
    read_salt(file, private=False)


def _open_backup(file: Path, secret: str) -> CipherFile:
    key = derive_key(secret, read_salt(file, private=False))
    try:
        return CipherFile(file, key, Mode.READ)
    except WrongPassphraseError:
        if file.stat().st_size < PAGE:
            raise ProfileTruncatedError(f"{file} has {file.stat().st_size} bytes") from None
        if looks_like_code(secret) and read_code(secret) is None:
            raise WrongPassphraseError("there is a slip in that recovery code: compare it group by group") from None
        raise
