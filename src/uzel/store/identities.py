"""One identity in a folder: the private key in `identity.pem`, and what it costs to derive in `identity.json`.

`identity.json` only remembers the UIN, whose derivation is slow. It is believed only while the fingerprint beside
it is that of the key; otherwise, or when it cannot be read, the UIN is derived again and written anew. Used by a
user's profile and by a node's folder alike. Callers hold the folder's lock.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from uzel.errors import AlreadyThereError, ProfileError
from uzel.identity import Identity
from uzel.names import Fingerprint, Uin
from uzel.store.files import read_private, remove_leftovers, write_atomically
from uzel.store.profile_names import IDENTITY

_KEY = IDENTITY
_MEMORY = "identity.json"
_MAX_SMALL = 16 * 1024
IDENTITY_FILES = (_KEY, _MEMORY)


def has_identity(folder: Path) -> bool:
    """Whether something stands where the private key would."""
    path = folder / _KEY
    return path.exists() or path.is_symlink()


def save_identity(folder: Path, identity: Identity) -> None:
    """Write a new identity into a folder that has none. Raises `ProfileError`, `StorageError`."""
    if has_identity(folder):
        raise AlreadyThereError(f"{folder} holds an identity already: choose another folder")
    _remember(folder, identity)
    write_atomically(folder / _KEY, identity.to_pem())  # last: where it stands, all of it stands


def load_identity(folder: Path) -> Identity:
    """Read the folder's identity. Slow (`derive_uin`) when the UIN is not remembered.

    Raises `ProfileError` that names the file, `StorageError`.
    """
    path = folder / _KEY
    pem = read_private(path, limit=_MAX_SMALL)
    for name in (_KEY, _MEMORY):
        remove_leftovers(folder / name)
    remembered = _recall(folder)
    try:
        identity = Identity.from_pem(pem, uin=remembered[0] if remembered else None)
        if remembered and remembered[1] == identity.fingerprint:
            return identity
        if remembered:
            identity = Identity.from_pem(pem)
    except ProfileError as error:
        raise ProfileError(f"{path}: {error.detail}; put back a copy of the file if you have one") from error
    _remember(folder, identity)
    return identity


def fingerprint_in(folder: Path) -> Fingerprint | None:
    """The fingerprint of the folder's key, or None when there is none that can be read."""
    with suppress(ProfileError):
        pem = read_private(folder / _KEY, limit=_MAX_SMALL)
        return Identity.from_pem(pem, uin=Uin(1)).fingerprint  # any number saves deriving the true one
    return None


def _remember(folder: Path, identity: Identity) -> None:
    note = {"fingerprint": str(identity.fingerprint), "uin": int(identity.uin)}
    write_atomically(folder / _MEMORY, json.dumps(note).encode() + b"\n")


def _recall(folder: Path) -> tuple[Uin, Fingerprint] | None:
    # Whatever else stands there is as good as nothing: the UIN is derived again.
    with suppress(ProfileError, ValueError, TypeError, KeyError, RecursionError):
        note = json.loads(read_private(folder / _MEMORY, limit=_MAX_SMALL))
        return Uin(note["uin"]), Fingerprint.parse(note["fingerprint"])
    return None
