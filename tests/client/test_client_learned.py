"""Learned nodes: what counts, how many are kept, who gives way, and their keys, which stay out of the profile."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.client_world import ALICE, BOB, acquainted, identity
from uzel.client.learned import FAILURES, MOST, MOST_PINS, LearnedNodes, LearnedPins
from uzel.errors import NodeKeyChangedError
from uzel.identity import MemoryPins, trust_node
from uzel.names import Fingerprint, NodeAddress, NodeReference, Range
from uzel.wire import Address

GIVER, OTHER = NodeAddress("192.0.2.1", 8935), NodeAddress("192.0.2.2", 8935)
KEY, ANOTHER = Fingerprint(bytes(32)), Fingerprint(bytes(range(32)))


def learning(*without: NodeAddress, seed: int = 1) -> LearnedNodes:
    return LearnedNodes([GIVER, *without], random.Random(seed).randrange)


def told(count: int, network: str = "203.0") -> list[Address]:
    return [Address(f"{network}.{number >> 8}.{number & 255}", 8935) for number in range(count)]


def kept(nodes: LearnedNodes) -> set[NodeAddress]:
    return set(nodes.some(1000))


@pytest.mark.parametrize(
    ("address", "giver_range", "ranges"),
    [
        (Address("203.0.113.5", 8935), Range.PUBLIC, {Range.PUBLIC}),
        (Address("203.0.113.5", 8935), Range.LOOPBACK, {Range.PUBLIC}),
        (Address("2001:db8::5", 65534), Range.PRIVATE, {Range.PUBLIC}),
        (Address("127.0.0.1", 8935), Range.LOOPBACK, {Range.LOOPBACK}),
        (Address("10.0.0.1", 8935), Range.PRIVATE, {Range.PRIVATE}),
        (Address("fe80::1", 8935), Range.LINK_LOCAL, {Range.LINK_LOCAL}),
        (Address("node.example", 8935), Range.PUBLIC, {Range.PUBLIC}),
        (Address("node.example", 8935), Range.PRIVATE, {Range.PUBLIC, Range.PRIVATE}),
        (Address("127.0.0.1", 8935), Range.PUBLIC, None),
        (Address("127.0.0.1", 8935), Range.PRIVATE, None),
        (Address("10.0.0.1", 8935), Range.PUBLIC, None),
        (Address("10.0.0.1", 8935), Range.LOOPBACK, None),
        (Address("::1", 8935), Range.PUBLIC, None),
        (Address("fe80::1", 8935), Range.PUBLIC, None),
        (Address("fd00::1", 8935), Range.PUBLIC, None),
        (Address("100.64.0.1", 8935), Range.PUBLIC, None),
        (Address("0.0.0.0", 8935), Range.LOOPBACK, None),
        (Address("255.255.255.255", 8935), Range.PUBLIC, None),
        (Address("ff02::1", 8935), Range.LINK_LOCAL, None),
        (Address("203.0.113.5", 0), Range.PUBLIC, None),
        (Address("203.0.113.5", 65535), Range.PUBLIC, None),
        (Address("127.1", 8935), Range.PUBLIC, None),
        (Address("-.example-.", 8935), Range.PUBLIC, {Range.PUBLIC}),
        (Address("..", 8935), Range.PUBLIC, None),
        (Address(GIVER.host, GIVER.port), Range.PUBLIC, None),
    ],
)
def test_what_counts(address: Address, giver_range: Range, ranges: set[Range] | None) -> None:
    nodes = learning()
    nodes.take([address], GIVER, giver_range)
    assert len(nodes) == (ranges is not None)
    for each in kept(nodes):
        assert set(nodes.ranges_of(each)) == ranges
    assert nodes.ranges_of(OTHER) == frozenset()


def test_a_list_of_65532_leaves_a_random_64() -> None:
    picks = []
    for seed in range(2):
        nodes = learning(seed=seed)
        nodes.take(told(65532), GIVER, Range.PUBLIC)
        assert len(nodes) == MOST
        picks.append(kept(nodes))
    assert len(picks[0] & picks[1]) < 5
    assert any(int(each.host.split(".")[2]) > 128 for each in picks[0])  # not only the first, and not only the last
    assert any(int(each.host.split(".")[2]) < 128 for each in picks[0])


def test_every_address_of_a_list_has_the_same_chance() -> None:
    chosen: Counter[str] = Counter()
    for seed in range(400):
        nodes = learning(seed=seed)
        nodes.take(told(256), GIVER, Range.PUBLIC)
        chosen.update(each.host for each in kept(nodes))
    quarters = [sum(chosen[f"203.0.0.{number}"] for number in range(at, at + 64)) for at in range(0, 256, 64)]
    assert all(5_900 < quarter < 6_900 for quarter in quarters)  # 6,400 expected; six deviations


def test_no_giver_pushes_out_what_others_told() -> None:
    nodes = learning()
    nodes.take(told(32, "198.51"), OTHER, Range.PUBLIC)
    nodes.take(told(2000), GIVER, Range.PUBLIC)
    assert sum(each.host.startswith("198.51") for each in kept(nodes)) == 32
    nodes = learning()
    nodes.take(told(2000), GIVER, Range.PUBLIC)
    nodes.take(told(2000, "198.51"), OTHER, Range.PUBLIC)
    assert sum(each.host.startswith("198.51") for each in kept(nodes)) == 32
    nodes.take(told(2000), GIVER, Range.PUBLIC)
    assert sum(each.host.startswith("198.51") for each in kept(nodes)) == 32


def test_one_that_does_not_work_is_forgotten() -> None:
    nodes = learning()
    nodes.take(told(2), GIVER, Range.PUBLIC)
    one, other = sorted(kept(nodes))
    for _ in range(FAILURES - 1):
        nodes.failed(one)
    nodes.worked(one)
    for _ in range(FAILURES - 1):
        nodes.failed(one)
    assert one in nodes
    nodes.failed(one)
    nodes.failed(one)  # unknown by now
    assert kept(nodes) == {other}
    nodes.failed(other, for_good=True)
    assert len(nodes) == 0
    assert not nodes._offered
    assert not nodes._kept_of
    nodes.take(told(2), GIVER, Range.PUBLIC)
    assert len(nodes) == 2


givers = st.integers(1, 90).map(lambda number: NodeAddress(f"192.0.2.{number}", 1))
steps = st.lists(st.tuples(givers, st.integers(0, 120), st.integers(0, 255)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(steps, st.randoms(use_true_random=False))
def test_the_books_are_right_whatever_comes(story: list[tuple[NodeAddress, int, int]], chance: random.Random) -> None:
    nodes = LearnedNodes([GIVER], chance.randrange)
    for giver, count, network in story:
        nodes.take(told(count, f"203.{network}"), giver, Range.PUBLIC)
        for address in nodes.some(count % 5):
            nodes.failed(address, for_good=True)
        assert len(nodes) <= MOST
        assert Counter(each.giver for each in nodes._kept.values()) == nodes._kept_of
        assert set(nodes._offered) == set(nodes._kept_of)
        assert len(set(nodes.some(10))) == min(10, len(nodes))


# -- Their keys ------------------------------------------------------------------------------------------------


def test_a_key_is_pinned_at_first_sight_and_stays_out_of_the_profile() -> None:
    profile = acquainted()
    pins = LearnedPins(profile)
    assert trust_node(pins, NodeReference(OTHER), KEY).first_use
    assert not trust_node(pins, NodeReference(OTHER), KEY).first_use
    with pytest.raises(NodeKeyChangedError):
        trust_node(pins, NodeReference(OTHER), ANOTHER)
    assert pins.node(OTHER) == KEY
    assert dict(profile.nodes()) == {}


def test_a_key_that_the_profile_has_pinned_holds() -> None:
    profile = MemoryPins(nodes={OTHER: KEY})
    with pytest.raises(NodeKeyChangedError):
        trust_node(LearnedPins(profile), NodeReference(OTHER), ANOTHER)
    assert not trust_node(LearnedPins(profile), NodeReference(OTHER), KEY).first_use


def test_their_keys_are_bounded() -> None:
    pins = LearnedPins(MemoryPins())
    for number in range(3 * MOST_PINS):
        pins.pin_node(NodeAddress("203.0.113.1", 1 + number), KEY)
    assert len(pins) == MOST_PINS
    assert pins.node(NodeAddress("203.0.113.1", 3 * MOST_PINS)) == KEY


def test_pins_of_people_are_the_profiles() -> None:
    profile = acquainted()
    pins = LearnedPins(profile)
    bob = identity(BOB)
    assert pins.peer(bob.uin) == profile.peer(bob.uin)
    assert pins.pin_peer(bob.uin, bob.fingerprint, verified=True).verified
    assert pins.peers() == profile.peers()
    assert pins.forget_peer(identity(ALICE).uin)
    assert profile.peer(identity(ALICE).uin) is None
