"""The ring of known nodes, and which of them hold the hints of a UIN (D23). Pure.

A node lies at SHA-256 of the type and the IP address or name of its best proven address: IPv4 before IPv6 before a
name; ports break ties. A UIN's hint nodes are the first three at or after SHA-256 of its four little-endian bytes, of
different /24, /48 or names. Every node that knows the same nodes finds the same three. Counterpart: every other
node's ring.
"""

from __future__ import annotations

import bisect
import hashlib
import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from uzel.names import Fingerprint, NodeAddress

HINT_NODES = 3
MOST_STEPS = 1024
"""Nodes that are looked at for the three: whoever fills one network with nodes must not make every search slow."""
_IPV4, _IPV6, _NAME = b"\xa0", b"\xa1", b"\xa2"


def _kind(address: NodeAddress) -> bytes:
    if ":" in address.host:
        return _IPV6
    return _IPV4 if _is_ipv4(address.host) else _NAME


def _is_ipv4(host: str) -> bool:
    """Of a canonical host: no name ends in a label of digits alone."""
    return host.rpartition(".")[2].isdigit()


def best_address(addresses: Iterable[NodeAddress]) -> NodeAddress | None:
    """The one address that stands for a node: IPv4, else IPv6, else a name; the smallest of several."""
    return min(addresses, key=lambda address: (_kind(address), address), default=None)


@lru_cache(maxsize=65_536)
def _place(host: str) -> tuple[bytes, str]:
    """Where the host lies, and the group of which a UIN has one hint node at most."""
    if ":" in host:
        packed = ipaddress.IPv6Address(host).packed
        return hashlib.sha256(_IPV6 + packed).digest(), f"6 {packed[:6].hex()}"
    if _is_ipv4(host):
        packed = ipaddress.IPv4Address(host).packed
        return hashlib.sha256(_IPV4 + packed).digest(), f"4 {packed[:3].hex()}"
    return hashlib.sha256(_NAME + host.encode("ascii")).digest(), host


class Ring:
    """The proven nodes, each at one place. `version` changes with every change."""

    __slots__ = ("_keys", "_nodes", "_places", "version")

    def __init__(self) -> None:
        self._keys: list[tuple[bytes, int, bytes]] = []
        self._nodes: dict[tuple[bytes, int, bytes], tuple[Fingerprint, str]] = {}
        self._places: dict[Fingerprint, tuple[bytes, int, bytes]] = {}
        self.version = 0

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, node: Fingerprint, addresses: Iterable[NodeAddress]) -> None:
        """Give the node its place by its proven addresses; without any it has none."""
        address = best_address(addresses)
        key = None
        if address is not None:
            place, group = _place(address.host)
            key = (place, address.port, node.raw)
        if self._places.get(node) == key:
            return
        self.version += 1
        if (before := self._places.pop(node, None)) is not None:
            del self._keys[bisect.bisect_left(self._keys, before)]
            del self._nodes[before]
        if key is not None:
            bisect.insort(self._keys, key)
            self._nodes[key] = (node, group)
            self._places[node] = key

    def hint_nodes(self, uin: int) -> list[Fingerprint]:
        """The nodes, three at most, that hold the hints of this UIN."""
        found: list[Fingerprint] = []
        groups: set[str] = set()
        count = len(self._keys)
        start = bisect.bisect_left(self._keys, (hashlib.sha256(uin.to_bytes(4, "little")).digest(), 0, b""))
        for step in range(min(count, MOST_STEPS)):
            node, group = self._nodes[self._keys[(start + step) % count]]
            if group not in groups:
                groups.add(group)
                found.append(node)
                if len(found) == HINT_NODES:
                    break
        return found
