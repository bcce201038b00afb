"""A node's memory of other nodes: where they answered and when (D21, D22), and whom the operator named.

Two things that do not mix. Known nodes are learned: an address, the key met there and when it last answered; there is
a bound, the longest unanswered go first, and losing some of them costs only dials. Pins belong to configured addresses:
the key that must be met there (section 7); nothing but `set_pin` ever changes them. Time is an argument: seconds since
1970, UTC. Here are the port and its twin in memory; `uzel.store.sqlite_known_nodes` is the one on disk, and one
contract suite runs on both.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from uzel.names import Fingerprint, NodeAddress

KNOWN_NODES_BOUND = 20_000
"""How many addresses are remembered (D22)."""


class KnownNode(NamedTuple):
    """An address, the key that was last met there, and when, in seconds since 1970."""

    address: NodeAddress
    fingerprint: Fingerprint
    answered: float


class KnownNodes(Protocol):
    """Known nodes and pins. For use from one thread only."""

    def all(self) -> list[KnownNode]:
        """Every known node, the one that answered last first. Slow: it flushes, then reads everything."""

    def answered(self, address: NodeAddress, fingerprint: Fingerprint, now: float) -> None:
        """Note that the node with this key answered there. Cheap: kept in memory until `flush`, or lost in a crash.

        Another key takes the place of the one before. Time does not go back.
        """

    def forget(self, address: NodeAddress) -> None:
        """No longer known there. As cheap, and as little durable before `flush`, as `answered`. Pins stay."""

    def flush(self) -> None:
        """Make what was noted durable. Beyond the bound the longest unanswered are forgotten now."""

    def pin(self, address: NodeAddress) -> Fingerprint | None:
        """The key that this configured address must show."""

    def set_pin(self, address: NodeAddress, fingerprint: Fingerprint) -> None:
        """Pin it, in place of what was pinned. Durable when this returns. Whether to is the caller's decision."""

    def close(self) -> None:
        """Flush and let go. May be called twice."""


class MemoryKnownNodes:
    """`KnownNodes` in memory, for tests and simulations."""

    def __init__(self, *, bound: int = KNOWN_NODES_BOUND) -> None:
        self._bound = bound
        self._nodes: dict[NodeAddress, KnownNode] = {}
        self._pins: dict[NodeAddress, Fingerprint] = {}

    def all(self) -> list[KnownNode]:
        self.flush()
        return sorted(self._nodes.values(), key=_latest_first)

    def answered(self, address: NodeAddress, fingerprint: Fingerprint, now: float) -> None:
        before = self._nodes.get(address)
        self._nodes[address] = KnownNode(address, fingerprint, max(now, before.answered) if before else now)

    def forget(self, address: NodeAddress) -> None:
        self._nodes.pop(address, None)

    def flush(self) -> None:
        if len(self._nodes) > self._bound:
            for node in sorted(self._nodes.values(), key=_latest_first)[self._bound :]:
                del self._nodes[node.address]

    def pin(self, address: NodeAddress) -> Fingerprint | None:
        return self._pins.get(address)

    def set_pin(self, address: NodeAddress, fingerprint: Fingerprint) -> None:
        self._pins[address] = fingerprint

    def close(self) -> None:
        """Nothing to do."""


def _latest_first(node: KnownNode) -> tuple[float, NodeAddress]:
    return -node.answered, node.address
