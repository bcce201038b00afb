"""The contract of `Pins`, on those in memory and those in a profile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.identity_helpers import cheap_identity
from uzel.errors import NodeKeyChangedError, PeerKeyChangedError
from uzel.identity import MemoryPins, Pin, Pins
from uzel.names import Fingerprint, NodeAddress, Uin
from uzel.store.profile import Profile

BOB, CAROL = Uin(1), Uin(4294967295)
A, B = Fingerprint(b"a" * 32), Fingerprint(b"b" * 32)
NODE = NodeAddress.parse("[2001:db8::1]:8935")


@pytest.fixture(params=["memory", "profile"])
def pins(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pins]:
    if request.param == "memory":
        yield MemoryPins()
        return
    with Profile.create(tmp_path / "profile", cheap_identity(9)) as profile:
        yield profile.pins


def test_nothing_is_pinned_at_first(pins: Pins) -> None:
    assert (pins.peer(BOB), pins.node(NODE), pins.peers()) == (None, None, {})


def test_peers(pins: Pins) -> None:
    assert pins.pin_peer(BOB, A, verified=False) == Pin(A, verified=False) == pins.peer(BOB)
    assert pins.pin_peer(CAROL, A, verified=True) == Pin(A, verified=True)
    assert pins.peers() == {BOB: Pin(A, verified=False), CAROL: Pin(A, verified=True)}


def test_verified_is_never_taken_back(pins: Pins) -> None:
    for verified, then in ((False, False), (True, True), (False, True)):
        assert pins.pin_peer(BOB, A, verified=verified) == Pin(A, verified=then) == pins.peer(BOB)


@pytest.mark.parametrize("verified", [True, False])
def test_a_pinned_key_stays_until_forgotten(pins: Pins, verified: bool) -> None:
    pins.pin_peer(BOB, A, verified=False)
    with pytest.raises(PeerKeyChangedError):
        pins.pin_peer(BOB, B, verified=verified)
    assert pins.peer(BOB) == Pin(A, verified=False)
    assert pins.forget_peer(BOB)
    assert not pins.forget_peer(BOB)
    assert pins.pin_peer(BOB, B, verified=verified) == Pin(B, verified)


def test_nodes(pins: Pins) -> None:
    for _ in range(2):
        pins.pin_node(NODE, A)
    with pytest.raises(NodeKeyChangedError, match=r"2001:db8::1"):
        pins.pin_node(NODE, B)
    assert pins.node(NODE) == A
    pins.pin_node(NODE, B, replace=True)
    assert pins.node(NODE) == B
    assert pins.node(NodeAddress(NODE.host, NODE.port + 1)) is None


def test_what_peers_returns_changes_nothing(pins: Pins) -> None:
    pins.pin_peer(BOB, A, verified=True)
    before = pins.peers()
    pins.forget_peer(BOB)
    assert before == {BOB: Pin(A, verified=True)}
