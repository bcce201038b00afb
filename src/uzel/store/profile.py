"""A user's profile: a folder whose one encrypted file, `profile.db`, holds everything: key, pins, settings, texts.

Beside it stand `profile.lock` (`uzel.store.profile_lock`), SQLite's log while it is open, and, when its owner chose
no passphrase, `profile.key` with the key in the clear. While a change between the two is under way
(`uzel.store.upkeep`) the key file is called `profile.key.changing`; whether it still, or already, opens the profile
is found out by trying.

One program holds a profile from `open` to `close`; others may `peek`, which changes nothing. A new profile appears
under its name when it is whole and on disk. A folder of the first version (`uzel.store.profile_folder`) becomes such
a profile when it is opened, and its own files go only after that. Counterpart for a node: `uzel.store.node_state`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from uzel.errors import (
    AlreadyThereError,
    InvalidNameError,
    KeyFileError,
    PassphraseNeededError,
    ProfileDamagedError,
    ProfileError,
    ProfileReadOnlyError,
    StorageError,
    WrongPassphraseError,
)
from uzel.identity import Identity, MemoryPins
from uzel.names import Uin
from uzel.store.cipher import CipherFile, Connection, Mode
from uzel.store.files import (
    make_private_folder,
    remove_leftovers,
    storage_errors,
    sync_folder,
    taking_place_of,
)
from uzel.store.keys import FileKey, derive_key, has_key_file, new_salt, read_key_file, read_salt, write_key_file
from uzel.store.pins import DatabasePins
from uzel.store.profile_folder import has_pins, read_folder, read_pins, remove_files, remove_folder, remove_pins
from uzel.store.profile_lock import holding, is_held_here
from uzel.store.profile_names import DATABASE, holds_profile, require_profile
from uzel.store.schema import make_tables, upgrade, version_of

KEY_FILE = "profile.key"
CHANGING = "profile.key.changing"
LOCK = "profile.lock"

Passphrase = Callable[[], str]
"""Asks for the passphrase; it is called only when one is needed."""


class Profile:
    """An open profile. Get one with `create`, `open` or `peek`; close it, or use it as a context manager.

    `file` is its database, `pins` are in it. For one thread at a time.
    """

    def __init__(
        self, folder: Path, identity: Identity, file: CipherFile, held: ExitStack, *, has_passphrase: bool
    ) -> None:
        self.folder = folder
        self.identity = identity
        self.file = file
        self.pins = DatabasePins(file)
        self.has_passphrase = has_passphrase
        self._held = held

    @classmethod
    def create(
        cls, folder: Path, identity: Identity | None = None, *, passphrase: str | None = None, program: str = ""
    ) -> Self:
        """Make the folder (mode 0700) and a profile in it, with the given identity or a new one; it is open then.

        Without a passphrase a key file is written beside it. Slow: it derives the UIN of a new identity, and the key
        from a passphrase. `program` is what others are told while it is held. A crash in between leaves no profile,
        and `create` can be called again. Raises `ProfileError`, also when the folder holds a profile already,
        `BadPassphraseError`, `StorageError`.
        """
        make_private_folder(folder)
        with ExitStack() as held:
            held.enter_context(holding(folder / LOCK, program))
            refuse_profile(folder)
            remove_unfinished(folder)
            pins = read_pins(folder) if has_pins(folder) else MemoryPins()  # they outlived a lost key: still good
            key = new_key(folder, passphrase)
            _build(folder, key, identity or Identity.generate(), pins)
            remove_pins(folder)
            file = CipherFile(folder / DATABASE, key)
            held.callback(file.close)
            return cls._opened(folder, file, held, has_passphrase=passphrase is not None)

    @classmethod
    def open(cls, folder: Path, *, passphrase: Passphrase | None = None, program: str = "") -> Self:
        """Open a profile and hold it. Quick with a key file; with a passphrase, which is then asked for, slow.

        `program` is what others are told while it is held. Raises `ProfileHeldError`, `PassphraseNeededError`,
        `WrongPassphraseError`, and the other kinds of `ProfileError`: each says what to do; `StorageError`.
        """
        require_profile(folder)
        with ExitStack() as held:
            held.enter_context(holding(folder / LOCK, program))
            remove_unfinished(folder)
            if not has_profile(folder):
                _convert(folder)
            file, key_file = _unlock(folder, Mode.WRITE, passphrase)
            held.callback(file.close)
            upgrade(file)
            _settle_key_file(folder, key_file)
            profile = cls._opened(folder, file, held, has_passphrase=key_file is None)
        try:
            remove_folder(folder, profile.identity)
        except StorageError:
            profile.close()
            raise
        return profile

    @classmethod
    def peek(cls, folder: Path, *, passphrase: Passphrase | None = None) -> Self:
        """Look into a profile without holding it, while another program may: what would change it raises.

        Not for a process that holds it itself. Raises what `open` does, but for `ProfileHeldError`.
        """
        require_profile(folder)
        if is_held_here(folder / LOCK):
            raise ValueError("this process holds the profile: use that one")
        if not has_profile(folder):
            cls.open(folder).close()
        try:
            file, key_file = _unlock(folder, Mode.READ, passphrase)
        except StorageError as error:
            if not os.access(folder, os.W_OK):
                raise ProfileReadOnlyError(str(folder)) from error  # even who reads shares in the log
            raise
        with ExitStack() as held:
            held.callback(file.close)
            version_of(file)
            return cls._opened(folder, file, held, has_passphrase=key_file is None)

    @property
    def connection(self) -> Connection:
        """The database's connection, in autocommit mode. `uzel.store.upkeep.change_passphrase` replaces it."""
        return self.file.db

    def transaction(self) -> AbstractContextManager[Connection]:
        """All of the block is committed, on disk, when it ends; or nothing when it raises. See `CipherFile`."""
        return self.file.transaction()

    def close(self) -> None:
        """Let it go. May be called twice."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Profile {int(self.identity.uin)} in {self.folder}>"

    @classmethod
    def _opened(cls, folder: Path, file: CipherFile, held: ExitStack, *, has_passphrase: bool) -> Self:
        identity = read_identity(file)
        return cls(folder, identity, file, held.pop_all(), has_passphrase=has_passphrase)


def has_profile(folder: Path) -> bool:
    """Whether something stands where the profile's database would."""
    return os.path.lexists(folder / DATABASE)


def refuse_profile(folder: Path) -> None:
    """Raises `ProfileError` when the folder holds a profile, of today or of the first version."""
    if holds_profile(folder):
        raise AlreadyThereError(f"{folder} holds an identity already: choose another folder")


def remove_unfinished(folder: Path) -> None:
    """Remove what a crash left of files that never got their names. The caller holds the folder."""
    for name in (DATABASE, KEY_FILE):  # and of the key file under its other name
        remove_leftovers(folder / name)


def new_key(folder: Path, passphrase: str | None) -> FileKey:
    """The key of a profile to be made there: from the passphrase, or in a new key file. Slow with a passphrase.

    The caller holds the folder, in which no profile is yet. Raises `BadPassphraseError`, `StorageError`.
    """
    salt = new_salt()
    if passphrase is None:
        return write_key_file(folder / KEY_FILE, salt)
    key = derive_key(passphrase, salt)
    remove_files(folder, (KEY_FILE, CHANGING))  # left over by a crash; nothing is opened by them
    return key


def _build(folder: Path, key: FileKey, identity: Identity, pins: MemoryPins) -> None:
    peers = [(int(uin), pin.fingerprint.raw, int(pin.verified)) for uin, pin in pins.peers().items()]
    nodes = [(address.host, address.port, fingerprint.raw) for address, fingerprint in pins.nodes().items()]
    with taking_place_of(folder / DATABASE, overwrite=False) as temporary:
        file = CipherFile(temporary, key, Mode.CREATE)
        try:
            make_tables(file)
            with file.transaction() as db:
                db.execute("INSERT INTO identity VALUES (1, ?, ?)", (identity.to_pem(), int(identity.uin)))
                db.executemany("INSERT INTO peer_pins VALUES (?, ?, ?)", peers)
                db.executemany("INSERT INTO node_pins VALUES (?, ?, ?)", nodes)
        finally:
            file.close()


def _convert(folder: Path) -> None:
    identity, pins = read_folder(folder)
    _build(folder, new_key(folder, None), identity, pins)


def _unlock(folder: Path, mode: Mode, passphrase: Passphrase | None) -> tuple[CipherFile, str | None]:
    """The open file, and the name of the key file that opened it, or None when it was the passphrase."""
    path = folder / DATABASE
    salt = read_salt(path)
    if has_key_file(folder / KEY_FILE):
        key = read_key_file(folder / KEY_FILE, salt)
        try:
            return CipherFile(path, key, mode), KEY_FILE
        except WrongPassphraseError:
            raise KeyFileError(str(folder / KEY_FILE)) from None
    if has_key_file(folder / CHANGING):
        try:
            return CipherFile(path, read_key_file(folder / CHANGING, salt), mode), CHANGING
        except (WrongPassphraseError, KeyFileError):
            pass  # the passphrase is the one that counts
    if passphrase is None:
        raise PassphraseNeededError(str(path))
    return CipherFile(path, derive_key(passphrase(), salt), mode), None


def _settle_key_file(folder: Path, key_file: str | None) -> None:
    """End what a change of the passphrase left half done when it was interrupted."""
    if key_file == CHANGING:
        with storage_errors(folder):
            (folder / CHANGING).replace(folder / KEY_FILE)
            sync_folder(folder)
    elif has_key_file(folder / CHANGING):
        remove_files(folder, (CHANGING,))


def read_identity(file: CipherFile) -> Identity:
    """Whose profile it is. Raises `ProfileDamagedError`, `StorageError`."""
    with file.errors(tables=True):
        row = file.db.execute("SELECT private_key, uin FROM identity").fetchone()
    if row is None:
        raise ProfileDamagedError(f"{file.path} holds no identity")
    try:
        return Identity.from_pem(row[0], uin=Uin(row[1]))
    except (ProfileError, InvalidNameError, TypeError) as error:  # only in a file that somebody made on purpose
        raise ProfileDamagedError(f"{file.path}: its identity is none: {error}") from None
