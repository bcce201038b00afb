"""Whom we trust: every row of the rule. The pins themselves have their contract suite."""

from __future__ import annotations

import pytest

from identity.identity_helpers import cheap_identity, real_identity
from uzel.errors import CertificateError, ExitCode, NodeKeyChangedError, PeerKeyChangedError, Reason, WrongPeerError
from uzel.identity import (
    MemoryPins,
    PeerTrust,
    Pin,
    UncheckedPeer,
    read_certificate,
    trust_first_use,
    trust_node,
    trust_peer,
)
from uzel.names import Fingerprint, NodeAddress, NodeReference, Uin

BOB = cheap_identity(7)
MALLORY = cheap_identity(7)
BOBS = read_certificate(BOB.certificate_der)
MALLORYS = read_certificate(MALLORY.certificate_der)
ADDRESS = NodeAddress("node.example", 8935)
OLD, NEW = Fingerprint(b"o" * 32), Fingerprint(b"n" * 32)


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize("expected", [BOB.uin, None])
def test_a_pinned_key(verified: bool, expected: Uin | None) -> None:
    pins = MemoryPins({BOB.uin: Pin(BOB.fingerprint, verified)})
    trust = trust_peer(pins, BOBS, expected=expected, link_fingerprint=None)
    assert trust == PeerTrust(BOB.uin, BOB.fingerprint, verified, first_use=False)


def test_a_key_from_a_link_is_verified_from_the_first_byte() -> None:
    pins = MemoryPins()
    trust = trust_peer(pins, BOBS, expected=BOB.uin, link_fingerprint=BOB.fingerprint)
    assert trust == PeerTrust(BOB.uin, BOB.fingerprint, verified=True, first_use=True)
    assert pins.peers() == {BOB.uin: Pin(BOB.fingerprint, verified=True)}


def test_a_link_verifies_a_key_trusted_on_first_use() -> None:
    pins = MemoryPins({BOB.uin: Pin(BOB.fingerprint, verified=False)})
    trust = trust_peer(pins, BOBS, expected=BOB.uin, link_fingerprint=BOB.fingerprint)
    assert trust == PeerTrust(BOB.uin, BOB.fingerprint, verified=True, first_use=False)
    assert pins.peer(BOB.uin) == Pin(BOB.fingerprint, verified=True)


def test_another_number_answered() -> None:
    pins = MemoryPins({BOB.uin: Pin(BOB.fingerprint, verified=True)})
    with pytest.raises(WrongPeerError, match="called 8, 7 answered") as caught:
        trust_peer(pins, BOBS, expected=Uin(8), link_fingerprint=None)
    assert (caught.value.reason, caught.value.exit_code) == (Reason.PEER_WRONG_UIN, ExitCode.NOT_TRUSTED)


@pytest.mark.parametrize("link", [None, MALLORY.fingerprint])
def test_a_pin_is_never_replaced(link: Fingerprint | None) -> None:
    pins = MemoryPins({BOB.uin: Pin(BOB.fingerprint, verified=False)})
    with pytest.raises(PeerKeyChangedError, match=f"pinned {BOB.fingerprint}, shown {MALLORY.fingerprint}") as caught:
        trust_peer(pins, MALLORYS, expected=BOB.uin, link_fingerprint=link)
    assert caught.value.reason is Reason.PEER_KEY_CHANGED
    assert pins.peers() == {BOB.uin: Pin(BOB.fingerprint, verified=False)}


@pytest.mark.parametrize("pinned", [{}, {BOB.uin: Pin(MALLORY.fingerprint, verified=False)}])
def test_a_key_other_than_the_links(pinned: dict[Uin, Pin]) -> None:
    pins = MemoryPins(pinned)
    with pytest.raises(PeerKeyChangedError, match=f"link names {BOB.fingerprint}"):
        trust_peer(pins, MALLORYS, expected=BOB.uin, link_fingerprint=BOB.fingerprint)
    assert pins.peers() == pinned


def test_first_use_needs_the_uin_to_be_that_of_the_key() -> None:
    pins = MemoryPins()
    unchecked = trust_peer(pins, BOBS, expected=BOB.uin, link_fingerprint=None)
    assert isinstance(unchecked, UncheckedPeer)
    with pytest.raises(CertificateError) as caught:
        unchecked.check()
    assert caught.value.reason is Reason.UIN_NOT_OF_KEY
    assert not pins.peers()


@pytest.mark.parametrize("remember", [True, False])
def test_first_use(remember: bool) -> None:
    alice, pins = real_identity(), MemoryPins()
    unchecked = trust_peer(pins, read_certificate(alice.certificate_der), expected=alice.uin, link_fingerprint=None)
    assert isinstance(unchecked, UncheckedPeer)
    checked = unchecked.check()
    assert not pins.peers()
    trust = trust_first_use(pins, checked, remember=remember)
    assert trust == PeerTrust(alice.uin, alice.fingerprint, verified=False, first_use=True)
    assert pins.peers() == ({alice.uin: Pin(alice.fingerprint, verified=False)} if remember else {})
    pins.pin_peer(alice.uin, alice.fingerprint, verified=True)
    assert trust_first_use(pins, checked, remember=remember).verified


@pytest.mark.parametrize("remember", [True, False])
def test_pinned_meanwhile(remember: bool) -> None:
    alice, pins = real_identity(), MemoryPins()
    unchecked = trust_peer(pins, read_certificate(alice.certificate_der), expected=None, link_fingerprint=None)
    assert isinstance(unchecked, UncheckedPeer)
    checked = unchecked.check()
    pins.pin_peer(alice.uin, OLD, verified=False)
    with pytest.raises(PeerKeyChangedError):
        trust_first_use(pins, checked, remember=remember)


def test_a_node_is_pinned_at_first_sight() -> None:
    pins = MemoryPins()
    assert trust_node(pins, NodeReference(ADDRESS), OLD).first_use
    assert not trust_node(pins, NodeReference(ADDRESS), OLD).first_use
    assert trust_node(pins, NodeReference(NodeAddress("node.example", 1)), NEW).first_use  # its address, port and all


def test_a_given_key_replaces_the_pin() -> None:
    pins = MemoryPins(nodes={ADDRESS: OLD})
    assert not trust_node(pins, NodeReference(ADDRESS, NEW), NEW).first_use
    assert pins.node(ADDRESS) == NEW


@pytest.mark.parametrize(
    ("pinned", "given", "shown"), [(OLD, None, NEW), (None, OLD, NEW), (OLD, OLD, NEW), (NEW, OLD, NEW)]
)
def test_another_node_key(pinned: Fingerprint | None, given: Fingerprint | None, shown: Fingerprint) -> None:
    pins = MemoryPins(nodes={ADDRESS: pinned} if pinned else {})
    with pytest.raises(NodeKeyChangedError) as caught:
        trust_node(pins, NodeReference(ADDRESS, given), shown)
    for part in (ADDRESS, OLD, NEW):
        assert str(part) in str(caught.value)
    assert (caught.value.reason, caught.value.exit_code) == (Reason.NODE_KEY_CHANGED, 4)
    assert pins.node(ADDRESS) == pinned
