"""Pins in a file: `uzel.identity.Pins` that outlive the process and may be shared by several.

Every change is made under a lock, on what the file holds at that moment, and is on disk when the method returns;
so of two processes that pin at the same time neither loses anything. Reading looks at the file again only when it
was replaced. A file that cannot be read in full is an error, never an empty list: with no pins left anyone would
be trusted on first use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from uzel.errors import InvalidNameError, ProfileError
from uzel.identity import MemoryPins, Pin
from uzel.names import Fingerprint, NodeAddress, Uin
from uzel.store.files import MAX_FILE, locked, read_private, remove_leftovers, write_atomically

_VERSION = 1


class _PinEntry(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    verified: bool


class _PinsFile(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    peers: dict[str, _PinEntry]
    nodes: dict[str, str]


class FilePins:
    """Pins in one file. Methods raise `ProfileError` (the file) and `StorageError` (the disk) beside their own."""

    def __init__(self, path: Path, lock: Path, *, limit: int = MAX_FILE) -> None:
        """`path` must exist (`create`). `lock` is the lock file taken for changes; `limit` bounds `path`, in bytes."""
        self._path = path
        self._lock = lock
        self._limit = limit
        self._seen: tuple[int, int, int] | None = None
        self._pins = MemoryPins()
        with locked(lock):
            remove_leftovers(path)
        self._current()

    @staticmethod
    def create(path: Path) -> None:
        """Write a file without pins. The caller holds the lock."""
        write_atomically(path, _encode(MemoryPins()))

    def peer(self, uin: Uin) -> Pin | None:
        return self._current().peer(uin)

    def pin_peer(self, uin: Uin, fingerprint: Fingerprint, *, verified: bool) -> Pin:
        pinned = self._current().peer(uin)
        if pinned is not None and pinned.fingerprint == fingerprint and pinned.verified >= verified:
            return pinned
        with self._changed() as pins:
            return pins.pin_peer(uin, fingerprint, verified=verified)

    def forget_peer(self, uin: Uin) -> bool:
        with self._changed() as pins:
            return pins.forget_peer(uin)

    def peers(self) -> Mapping[Uin, Pin]:
        return self._current().peers()

    def node(self, address: NodeAddress) -> Fingerprint | None:
        return self._current().node(address)

    def pin_node(self, address: NodeAddress, fingerprint: Fingerprint, *, replace: bool = False) -> None:
        if self._current().node(address) == fingerprint:
            return
        NodeAddress.parse(str(address))  # what could not be read back would make the file unusable
        with self._changed() as pins:
            pins.pin_node(address, fingerprint, replace=replace)

    def _current(self) -> MemoryPins:
        try:
            status = self._path.lstat()
        except OSError as error:
            raise _unusable(self._path, error.strerror or "it cannot be read") from error
        signature = (status.st_ino, status.st_mtime_ns, status.st_size)
        if signature != self._seen:
            self._pins = _decode(self._path, read_private(self._path, limit=self._limit))
            self._seen = signature
        return self._pins

    @contextmanager
    def _changed(self) -> Iterator[MemoryPins]:
        """What the file holds now, to be changed; written unless the change raises."""
        with locked(self._lock):
            fresh = _decode(self._path, read_private(self._path, limit=self._limit))
            yield fresh
            data = _encode(fresh)
            if len(data) > self._limit:
                raise ProfileError(f"{self._path} would grow past {self._limit} bytes: forget some contacts first")
            write_atomically(self._path, data)


def _encode(pins: MemoryPins) -> bytes:
    file = _PinsFile(
        _VERSION,
        {str(uin): _PinEntry(str(pin.fingerprint), pin.verified) for uin, pin in pins.peers().items()},
        {str(address): str(fingerprint) for address, fingerprint in pins.nodes().items()},
    )
    return msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"


def _decode(path: Path, data: bytes) -> MemoryPins:
    try:
        file = msgspec.json.decode(data, type=_PinsFile)
        if file.version != _VERSION:
            raise ProfileError(f"{path} was written by a newer Uzel: update this one")
        peers = {Uin.parse(uin): Pin(Fingerprint.parse(pin.key), pin.verified) for uin, pin in file.peers.items()}
        nodes = {NodeAddress.parse(text): Fingerprint.parse(key) for text, key in file.nodes.items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, InvalidNameError) as error:
        raise _unusable(path, str(error)) from error
    return MemoryPins(peers, nodes)


def _unusable(path: Path, why: str) -> ProfileError:
    return ProfileError(
        f"{path}: {why}. Put back a copy of the file; without one, write "
        '{"version":1,"peers":{},"nodes":{}} into it (mode 600) and verify every contact anew'
    )
