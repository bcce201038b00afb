"""Profiles of the first version: a folder with `identity.pem`, `identity.json` and `pins.json`. Only read here.

A file that cannot be read in full is an error, never an empty list: with no pins left anyone would be trusted on
first use. Counterpart: `uzel.store.profile`, which makes today's profile of such a folder when it opens one, and then
removes it.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from uzel.errors import InvalidNameError, ProfileError
from uzel.identity import Identity, MemoryPins, Pin
from uzel.names import Fingerprint, NodeAddress, Uin
from uzel.store.files import read_private, remove_leftovers, storage_errors, sync_folder
from uzel.store.identities import IDENTITY_FILES, fingerprint_in, load_identity

_PINS = "pins.json"
_VERSION = 1


class _PinEntry(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    verified: bool


class _PinsFile(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    peers: dict[str, _PinEntry]
    nodes: dict[str, str]


def read_folder(folder: Path) -> tuple[Identity, MemoryPins]:
    """What the folder holds. Slow when the UIN is not remembered. Raises `ProfileError` that names the file."""
    return load_identity(folder), read_pins(folder)


def has_pins(folder: Path) -> bool:
    """Whether something stands where the pins would."""
    return os.path.lexists(folder / _PINS)


def read_pins(folder: Path) -> MemoryPins:
    """The pins that the folder holds. Raises `ProfileError`."""
    path = folder / _PINS
    return _decode(path, read_private(path))


def remove_folder(folder: Path, identity: Identity) -> None:
    """Remove the files of the first version, if their key is that of `identity`; else it is not ours to remove.

    The key goes last: while it is there, the rest is known to be left over. Raises `StorageError`.
    """
    if fingerprint_in(folder) == identity.fingerprint:
        remove_files(folder, (_PINS, *reversed(IDENTITY_FILES)))


def remove_pins(folder: Path) -> None:
    """Remove the pins of a folder that has lost its key. Raises `StorageError`."""
    remove_files(folder, (_PINS,))


def remove_files(folder: Path, names: tuple[str, ...]) -> None:
    """Remove these, in this order, and what crashes left of them. Raises `StorageError`."""
    for name in names:
        path = folder / name
        remove_leftovers(path)
        with storage_errors(path):
            path.unlink(missing_ok=True)
            sync_folder(folder)


def _decode(path: Path, data: bytes) -> MemoryPins:
    try:
        file = msgspec.json.decode(data, type=_PinsFile)
        if file.version != _VERSION:
            raise ProfileError(f"{path} was written by a newer Uzel: update this one")
        peers = {Uin.parse(uin): Pin(Fingerprint.parse(pin.key), pin.verified) for uin, pin in file.peers.items()}
        nodes = {NodeAddress.parse(text): Fingerprint.parse(key) for text, key in file.nodes.items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, InvalidNameError) as error:
        raise ProfileError(
            f"{path}: {error}. Put back a copy of the file; without one, write "
            '{"version":1,"peers":{},"nodes":{}} into it (mode 600) and verify every contact anew'
        ) from error
    return MemoryPins(peers, nodes)
