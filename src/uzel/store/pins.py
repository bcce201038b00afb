"""Pins in a profile's database: `uzel.identity.Pins` that outlive the process.

Every change is on disk when the method returns, or part of the transaction that it was called in. Who changes them
holds the profile, so there is one writer. The contract suite runs on these and on those in memory.
"""

from __future__ import annotations

from collections.abc import Mapping

from uzel.errors import ProfileError
from uzel.identity import MemoryPins, Pin
from uzel.names import Fingerprint, NodeAddress, Uin
from uzel.store.cipher import CipherFile

MOST_PEERS = 100_000
"""Pinned peers. Whoever calls is pinned at first use, so strangers can add some, each at the price of one Argon2id."""

_PEER = "SELECT fingerprint, verified FROM peer_pins WHERE uin = ?"
_PEERS = "SELECT uin, fingerprint, verified FROM peer_pins ORDER BY uin"
_SET_PEER = """
    INSERT INTO peer_pins VALUES (?, ?, ?) ON CONFLICT DO UPDATE
    SET fingerprint = excluded.fingerprint, verified = excluded.verified
"""
_NODE = "SELECT fingerprint FROM node_pins WHERE host = ? AND port = ?"
_SET_NODE = "INSERT INTO node_pins VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint"


class DatabasePins:
    """Pins in one file. Methods raise `ProfileError` and `StorageError` beside their own."""

    def __init__(self, file: CipherFile, *, most_peers: int = MOST_PEERS) -> None:
        self._file = file
        self._most_peers = most_peers

    def peer(self, uin: Uin) -> Pin | None:
        with self._file.errors():
            row = self._file.db.execute(_PEER, (int(uin),)).fetchone()
        return Pin(Fingerprint(row[0]), bool(row[1])) if row else None

    def pin_peer(self, uin: Uin, fingerprint: Fingerprint, *, verified: bool) -> Pin:
        known = self.peer(uin)  # a look waits for nobody, a transaction for whoever writes
        if known is not None and known.fingerprint == fingerprint and known.verified >= verified:
            return known
        with self._file.transaction() as db:
            before = self.peer(uin)
            if before is None:
                self._refuse_too_many()
            pin = MemoryPins({uin: before} if before else {}).pin_peer(uin, fingerprint, verified=verified)
            if pin != before:
                db.execute(_SET_PEER, (int(uin), pin.fingerprint.raw, int(pin.verified)))
        return pin

    def forget_peer(self, uin: Uin) -> bool:
        with self._file.transaction() as db:
            return db.execute("DELETE FROM peer_pins WHERE uin = ?", (int(uin),)).rowcount > 0

    def peers(self) -> Mapping[Uin, Pin]:
        with self._file.errors():
            rows = self._file.db.execute(_PEERS).fetchall()
        return {Uin(uin): Pin(Fingerprint(raw), bool(verified)) for uin, raw, verified in rows}

    def node(self, address: NodeAddress) -> Fingerprint | None:
        with self._file.errors():
            row = self._file.db.execute(_NODE, (address.host, address.port)).fetchone()
        return Fingerprint(row[0]) if row else None

    def pin_node(self, address: NodeAddress, fingerprint: Fingerprint, *, replace: bool = False) -> None:
        if self.node(address) == fingerprint:
            return
        with self._file.transaction() as db:
            before = self.node(address)
            MemoryPins(nodes={address: before} if before else {}).pin_node(address, fingerprint, replace=replace)
            if fingerprint != before:
                db.execute(_SET_NODE, (address.host, address.port, fingerprint.raw))

    def _refuse_too_many(self) -> None:
        count = self._file.db.execute("SELECT count(*) FROM peer_pins").fetchone()[0]
        if count >= self._most_peers:
            raise ProfileError(f"the keys of {count} people are remembered, more cannot be: forget some contacts first")
