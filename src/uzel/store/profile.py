"""A user's profile: one folder that holds an identity and the pins.

`identity.pem` (the private key), `identity.json` (its UIN, remembered), `pins.json`, and `profile.lock`, which
whoever changes any of them holds for that moment. Several programs may use one profile at a time. Counterpart for
a node: `uzel.store.node_state`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from uzel.errors import ProfileError
from uzel.identity import Identity
from uzel.store.files import check_folder, locked, make_private_folder
from uzel.store.identities import has_identity, load_identity, save_identity
from uzel.store.pins import FilePins

_PINS = "pins.json"
_LOCK = "profile.lock"


class Profile:
    """An identity and its pins. Get one with `create` or `open`."""

    def __init__(self, folder: Path, identity: Identity, pins: FilePins) -> None:
        self.folder = folder
        self.identity = identity
        self.pins = pins

    @classmethod
    def create(cls, folder: Path, identity: Identity | None = None) -> Self:
        """Make the folder (mode 0700) and put an identity into it: the given one, or a new one.

        Slow (`derive_uin`) when it makes a new one. Raises `ProfileError`, also when the folder holds an identity
        already, and `StorageError`. A crash in between leaves no identity, and `create` can be called again.
        """
        make_private_folder(folder)
        with locked(folder / _LOCK):
            if has_identity(folder):
                raise ProfileError(f"{folder} holds an identity already: choose another folder")
            if not (folder / _PINS).exists():  # pins that outlived a lost key are still good
                FilePins.create(folder / _PINS)
            save_identity(folder, identity or Identity.generate())
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a profile. Raises `ProfileError` that names the file and what to do, and `StorageError`."""
        check_folder(folder)
        if not has_identity(folder):
            raise ProfileError(f"{folder} holds no identity: make one with uzel identity new --profile {folder}")
        with locked(folder / _LOCK):
            identity = load_identity(folder)
        return cls(folder, identity, FilePins(folder / _PINS, folder / _LOCK))
