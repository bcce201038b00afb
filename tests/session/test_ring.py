"""The ring of known nodes: where a node and a UIN lie, and which three hold its hints (D23)."""

from __future__ import annotations

import hashlib
import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uzel.names import Fingerprint, NodeAddress
from uzel.session.ring import HINT_NODES, Ring, best_address

uins = st.integers(1, 2**32 - 1)
ipv4 = st.integers(2**24, 2**32 - 2**29).map(lambda number: str(ipaddress.IPv4Address(number)))
ipv6 = st.integers(2**125, 2**126).map(lambda number: str(ipaddress.IPv6Address(number)))
names = st.sampled_from(["node.example", "a.example", "b.example", "node1", "x7.example3x", "hidden.onion"])
addresses = st.builds(NodeAddress, st.one_of(ipv4, ipv6, names), st.integers(1, 65534))


def node(number: int) -> Fingerprint:
    return Fingerprint(number.to_bytes(32, "big"))


def place(host: str) -> bytes:
    """Written from the protocol: SHA-256(type ‖ IP or name)."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return hashlib.sha256(b"\xa2" + host.encode()).digest()
    return hashlib.sha256((b"\xa0" if address.version == 4 else b"\xa1") + address.packed).digest()


def group(host: str) -> object:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return ipaddress.ip_network((host, 24 if address.version == 4 else 48), strict=False)


def expected(nodes: dict[Fingerprint, NodeAddress], uin: int) -> list[Fingerprint]:
    """All nodes in their order from the UIN's place on, then the first three of different groups."""
    start = hashlib.sha256(uin.to_bytes(4, "little")).digest()
    order = sorted(nodes, key=lambda each: (place(nodes[each].host), nodes[each].port, each.raw))
    behind = [each for each in order if place(nodes[each].host) >= start]
    found: list[Fingerprint] = []
    for each in behind + [each for each in order if each not in behind]:
        if group(nodes[each].host) not in {group(nodes[other].host) for other in found}:
            found.append(each)
    return found[:3]


def ring_of(nodes: dict[Fingerprint, NodeAddress]) -> Ring:
    ring = Ring()
    for each, address in nodes.items():
        ring.put(each, [address])
    return ring


def test_golden_positions() -> None:
    """The order of ten nodes and the three of UIN 1, worked out beforehand with SHA-256 alone."""
    nodes = {node(number): NodeAddress(f"198.51.{number}.7", 8935) for number in range(10)}
    digests = {number: hashlib.sha256(bytes([0xA0, 198, 51, number, 7])).hexdigest()[:8] for number in (3, 4, 9, 6)}
    assert digests == {3: "35c5102e", 4: "4e451b92", 9: "92f98eef", 6: "f13e8be3"}
    assert hashlib.sha256(b"\1\0\0\0").hexdigest()[:8] == "67abdd72"
    ring = ring_of(nodes)
    assert [each.raw[-1] for each in ring.hint_nodes(1)] == [9, 5, 8]
    assert list(ring.hint_nodes(1)) == expected(nodes, 1)
    order = [3, 4, 9, 5, 8, 1, 0, 2, 7, 6]
    starts = {uin: ring.hint_nodes(uin)[0].raw[-1] for uin in range(1, 200)}
    for uin, first in starts.items():
        assert [each.raw[-1] for each in ring.hint_nodes(uin)] == (order + order)[order.index(first) :][:3]
    assert set(starts.values()) == set(order), "every node is the first for somebody"


@pytest.mark.parametrize(
    ("hosts", "found"),
    [
        (["198.51.1.1", "198.51.1.2", "198.51.1.200"], 1),
        (["198.51.1.1", "198.51.2.1", "198.51.3.1", "198.51.4.1"], 3),
        (["2001:db8:1::1", "2001:db8:1:ffff::1", "2001:db8:2::1"], 2),
        (["a.example", "b.example", "c.example", "d.example"], 3),
        (["node1", "node2", "198.51.1.1"], 3),
        ([], 0),
    ],
)
def test_the_three_are_of_different_networks_or_names(hosts: list[str], found: int) -> None:
    nodes = {node(number): NodeAddress(host, 8935) for number, host in enumerate(hosts)}
    ring = ring_of(nodes)
    for uin in range(1, 30):
        assert len(ring.hint_nodes(uin)) == found
        assert ring.hint_nodes(uin) == expected(nodes, uin)


def test_one_name_counts_once_whatever_its_ports() -> None:
    nodes = {node(1): NodeAddress("a.example", 8935), node(2): NodeAddress("a.example", 9000)}
    assert len(ring_of(nodes).hint_nodes(5)) == 1


def test_ports_break_ties() -> None:
    nodes = {node(9): NodeAddress("198.51.1.1", 1000), node(1): NodeAddress("198.51.1.1", 2000)}
    for uin in range(1, 20):
        assert ring_of(nodes).hint_nodes(uin) == [node(9)], "the lower port lies first"


def test_a_node_lies_at_its_best_address() -> None:
    v4, v6, name = NodeAddress("198.51.1.1", 9), NodeAddress("2001:db8::1", 8), NodeAddress("a.example", 7)
    assert best_address([name, v6, v4]) == v4
    assert best_address([name, v6]) == v6
    assert best_address([name]) == name
    assert best_address([]) is None
    assert best_address([NodeAddress("198.51.1.2", 1), v4]) == v4
    assert best_address([NodeAddress("node1", 1), v6]) == v6, "a name that ends with a digit is a name"


def test_the_version_tells_of_changes_and_of_nothing_else() -> None:
    ring = Ring()
    ring.put(node(1), [])
    assert ring.version == 0
    ring.put(node(1), [NodeAddress("198.51.1.1", 1)])
    ring.put(node(1), [NodeAddress("198.51.1.1", 1), NodeAddress("a.example", 1)])
    assert (ring.version, len(ring)) == (1, 1)
    ring.put(node(1), [NodeAddress("a.example", 1)])
    assert (ring.version, len(ring)) == (2, 1)
    ring.put(node(1), [])
    assert (ring.version, len(ring)) == (3, 0)
    assert ring.hint_nodes(7) == []


@settings(max_examples=60)
@given(st.dictionaries(st.integers(0, 99).map(node), addresses, max_size=25), st.lists(uins, min_size=1, max_size=8))
def test_the_three_are_those_of_the_protocol(nodes: dict[Fingerprint, NodeAddress], sample: list[int]) -> None:
    ring = ring_of(nodes)
    for uin in sample:
        assert ring.hint_nodes(uin) == expected(nodes, uin)


@settings(max_examples=60)
@given(
    st.dictionaries(st.integers(0, 99).map(node), addresses, max_size=20),
    addresses,
    st.lists(uins, min_size=1, max_size=8),
)
def test_one_more_node_pushes_at_most_itself_in(
    nodes: dict[Fingerprint, NodeAddress], address: NodeAddress, sample: list[int]
) -> None:
    ring = ring_of(nodes)
    before = {uin: ring.hint_nodes(uin) for uin in sample}
    newcomer = node(1000)
    ring.put(newcomer, [address])
    for uin in sample:
        after = ring.hint_nodes(uin)
        assert len(after) <= HINT_NODES
        assert len([each for each in after if each not in before[uin]]) <= 1
        if newcomer not in after:
            assert after == before[uin]
    ring.put(newcomer, [])
    assert {uin: ring.hint_nodes(uin) for uin in sample} == before


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 6), st.lists(addresses, max_size=3)), max_size=25), uins)
def test_whatever_the_history_the_ring_is_that_of_its_nodes(
    changes: list[tuple[int, list[NodeAddress]]], uin: int
) -> None:
    ring = Ring()
    nodes: dict[Fingerprint, NodeAddress] = {}
    for number, its in changes:
        ring.put(node(number), its)
        best = best_address(its)
        nodes.pop(node(number), None)
        if best is not None:
            nodes[node(number)] = best
    assert len(ring) == len(nodes)
    assert ring.hint_nodes(uin) == expected(nodes, uin)
