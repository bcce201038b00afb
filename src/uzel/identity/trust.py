"""Whom do we trust: the one place that decides it (section 7).

A UIN is an address, not a proof: only a pinned key is. The rules:

- **A peer** shows the UIN that was called, and the key that is pinned for it or stands in its contact link. A key
  from a link is verified from the first byte. A key met first under a bare UIN is trusted on first use, unverified,
  and only after its UIN was derived from it.
- **A node** shows the key that was given as `HOST:PORT,FINGERPRINT`, or is pinned to its configured address; at
  first sight it is pinned. Giving the fingerprint is also how a person accepts a node's new key.
- A pinned key is never replaced by anything that a stranger shows. Nothing is pinned before every check passed.

Deriving a UIN is slow, so it happens on a thread, between two quick steps. The types keep it from being forgotten:
`trust_peer` gives a `PeerTrust`, or an `UncheckedPeer` that nothing can be done with but `check()`; that gives a
`CheckedPeer`, which `trust_first_use` takes, looking at the pins once more. Counterpart on disk: `uzel.store.pins`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from uzel.errors import NodeKeyChangedError, PeerKeyChangedError, WrongPeerError
from uzel.identity.certificates import PeerCertificate, check_uin
from uzel.names import Fingerprint, NodeAddress, NodeReference, Uin


@dataclass(frozen=True, slots=True)
class Pin:
    """The key that belongs to a UIN; `verified` when it came from a contact link, not from first use."""

    fingerprint: Fingerprint
    verified: bool


class Pins(Protocol):
    """The remembered keys of peers and nodes. Whatever is pinned stays until it is forgotten on purpose."""

    def peer(self, uin: Uin) -> Pin | None:
        """The pin of a peer."""

    def pin_peer(self, uin: Uin, fingerprint: Fingerprint, *, verified: bool) -> Pin:
        """Pin a peer's key, or mark the one already pinned as verified (it never goes back to unverified).

        Returns the pin as it stands now. Raises `PeerKeyChangedError` when another key is pinned.
        """

    def forget_peer(self, uin: Uin) -> bool:
        """Remove a peer's pin, on its owner's wish. True if there was one."""

    def peers(self) -> Mapping[Uin, Pin]:
        """All pinned peers, as they are now."""

    def node(self, address: NodeAddress) -> Fingerprint | None:
        """The key pinned to a node's address."""

    def pin_node(self, address: NodeAddress, fingerprint: Fingerprint, *, replace: bool = False) -> None:
        """Pin a node's key. Raises `NodeKeyChangedError` when another is pinned, unless `replace`."""


class MemoryPins:
    """`Pins` in memory."""

    def __init__(
        self,
        peers: Mapping[Uin, Pin] = MappingProxyType({}),
        nodes: Mapping[NodeAddress, Fingerprint] = MappingProxyType({}),
    ) -> None:
        self._peers = dict(peers)
        self._nodes = dict(nodes)

    def peer(self, uin: Uin) -> Pin | None:
        return self._peers.get(uin)

    def pin_peer(self, uin: Uin, fingerprint: Fingerprint, *, verified: bool) -> Pin:
        pinned = self._peers.get(uin)
        if pinned is not None and pinned.fingerprint != fingerprint:
            raise _peer_key_changed(uin, pinned.fingerprint, fingerprint)
        pin = Pin(fingerprint, verified or (pinned is not None and pinned.verified))
        self._peers[uin] = pin
        return pin

    def forget_peer(self, uin: Uin) -> bool:
        return self._peers.pop(uin, None) is not None

    def peers(self) -> Mapping[Uin, Pin]:
        return dict(self._peers)

    def node(self, address: NodeAddress) -> Fingerprint | None:
        return self._nodes.get(address)

    def pin_node(self, address: NodeAddress, fingerprint: Fingerprint, *, replace: bool = False) -> None:
        pinned = self._nodes.get(address, fingerprint)
        if pinned != fingerprint and not replace:
            raise _node_key_changed(address, pinned, fingerprint)
        self._nodes[address] = fingerprint

    def nodes(self) -> Mapping[NodeAddress, Fingerprint]:
        """All pinned nodes, as they are now."""
        return dict(self._nodes)


@dataclass(frozen=True, slots=True)
class PeerTrust:
    """The other side is who it should be. `first_use`: its key was not pinned before."""

    uin: Uin
    fingerprint: Fingerprint
    verified: bool
    first_use: bool


@dataclass(frozen=True, slots=True)
class CheckedPeer:
    """A key met for the first time, whose UIN was derived from it. Only `UncheckedPeer.check` makes one."""

    certificate: PeerCertificate


@dataclass(frozen=True, slots=True)
class UncheckedPeer:
    """A key met for the first time: not trusted, until `check` passed and `trust_first_use` took the outcome."""

    certificate: PeerCertificate

    def check(self) -> CheckedPeer:
        """Derive the UIN from the key. Slow (`derive_uin`), touches nothing else: call it on a thread.

        Raises `CertificateError` with the reason UIN_NOT_OF_KEY.
        """
        check_uin(self.certificate)
        return CheckedPeer(self.certificate)


@dataclass(frozen=True, slots=True)
class NodeTrust:
    """The node is the one that was configured. `first_use`: its key was not pinned before."""

    address: NodeAddress
    fingerprint: Fingerprint
    first_use: bool


def trust_peer(
    pins: Pins,
    certificate: PeerCertificate,
    *,
    expected: Uin | None,
    link_fingerprint: Fingerprint | None,
) -> PeerTrust | UncheckedPeer:
    """Decide about the certificate that a peer showed, after or during the handshake. Quick.

    `expected` is the UIN that was called, or that the node named as caller; `link_fingerprint` is the key in the
    contact link, which gets pinned as verified. Raises `WrongPeerError` when the UIN is another, and
    `PeerKeyChangedError` when the pin or the link names another key.
    """
    uin, shown = certificate.uin, certificate.fingerprint
    if expected is not None and uin != expected:
        raise WrongPeerError(f"called {expected}, {uin} answered")
    if link_fingerprint is not None and link_fingerprint != shown:
        raise PeerKeyChangedError(f"UIN {uin}: the contact link names {link_fingerprint}, shown {shown}")
    pinned = pins.peer(uin)
    if link_fingerprint is not None:
        pin = pins.pin_peer(uin, shown, verified=True)
        return PeerTrust(uin, shown, pin.verified, first_use=pinned is None)
    if pinned is None:
        return UncheckedPeer(certificate)
    if pinned.fingerprint != shown:
        raise _peer_key_changed(uin, pinned.fingerprint, shown)
    return PeerTrust(uin, shown, pinned.verified, first_use=False)  # not pinned anew: it may be forgotten by now


def trust_first_use(pins: Pins, checked: CheckedPeer, *, remember: bool = True) -> PeerTrust:
    """Trust a checked key on first use, and pin it unverified unless `remember` is off. Quick.

    The pins may have changed meanwhile: raises `PeerKeyChangedError` when another key is pinned by now.
    """
    uin, shown = checked.certificate.uin, checked.certificate.fingerprint
    pinned = pins.peer(uin)
    if pinned is None and not remember:
        return PeerTrust(uin, shown, verified=False, first_use=True)
    pin = pins.pin_peer(uin, shown, verified=False)
    return PeerTrust(uin, shown, pin.verified, first_use=pinned is None)


def trust_node(pins: Pins, reference: NodeReference, fingerprint: Fingerprint) -> NodeTrust:
    """Decide about the key that a node showed at a configured address, and pin it there. Quick.

    A given fingerprint that matches replaces the pin. Raises `NodeKeyChangedError` when the given fingerprint, or
    without one the pin, is another.
    """
    address, given = reference.address, reference.fingerprint
    if given is not None and given != fingerprint:
        raise _node_key_changed(address, given, fingerprint)
    first_use = pins.node(address) is None
    pins.pin_node(address, fingerprint, replace=given is not None)
    return NodeTrust(address, fingerprint, first_use)


def _peer_key_changed(uin: Uin, old: Fingerprint, new: Fingerprint) -> PeerKeyChangedError:
    """What to raise for a peer that showed another key than the pinned one."""
    return PeerKeyChangedError(f"UIN {uin}: pinned {old}, shown {new}")


def _node_key_changed(address: NodeAddress, old: Fingerprint, new: Fingerprint) -> NodeKeyChangedError:
    return NodeKeyChangedError(f"node {address}: expected {old}, shown {new}")
