"""Nodes that other nodes told of, for a client that roams: which are kept, and the keys they showed (D4, D22).

A list of nodes is what one node says, and it may lie. So no more than `MOST` addresses are kept, from many a random
pick, and when there is no room whoever told of the most gives way: no single node can push out what others told.
An address in a private, link-local or loopback range counts only from a node in the same range, and one that could
not be reached three times is forgotten. The keys of such nodes are pinned at first sight, but in memory and apart from
those of configured nodes, so that they cannot fill the profile. Counterpart: `node.known_nodes`, which tells.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from uzel.errors import InvalidNameError, NodeKeyChangedError
from uzel.identity import Pin, Pins
from uzel.names import Fingerprint, NodeAddress, Range, Uin, range_of
from uzel.wire import Address

MOST = 64
"""Learned addresses that are kept: as many as a node tells a client (D4)."""
MOST_PINS = 256
"""Keys of learned nodes that are remembered, also of some whose address has been forgotten."""
FAILURES = 3
"""An address that could not be used so often running is forgotten (D22)."""


@dataclass(slots=True, eq=False)
class Learned:
    """One address: who told of it, and in which ranges it may be dialled."""

    address: NodeAddress
    giver: NodeAddress
    ranges: frozenset[Range]
    failures: int = 0


class LearnedNodes:
    """See the module's text. `without` are addresses never to be kept: the configured ones.

    `pick` gives a random number in 0 … n-1.
    """

    def __init__(self, without: Iterable[NodeAddress], pick: Callable[[int], int]) -> None:
        self._without = frozenset(without)
        self._pick = pick
        self._kept: dict[NodeAddress, Learned] = {}
        self._offered: Counter[NodeAddress] = Counter()
        self._kept_of: Counter[NodeAddress] = Counter()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, address: NodeAddress) -> bool:
        return address in self._kept

    def ranges_of(self, address: NodeAddress) -> frozenset[Range]:
        """Where this learned node may be; nowhere when it is not known (any more)."""
        learned = self._kept.get(address)
        return learned.ranges if learned is not None else frozenset()

    def take(self, told: Iterable[Address], giver: NodeAddress, giver_range: Range | None) -> None:
        """A node at `giver`, whose IP address is in this range, tells of these."""
        for each in told:
            learned = _usable(each, giver, giver_range)
            if learned is not None and learned.address not in self._without and learned.address not in self._kept:
                self._offer(learned)

    def some(self, at_most: int) -> list[NodeAddress]:
        """So many of them, in random order."""
        left = list(self._kept)
        chosen: list[NodeAddress] = []
        while left and len(chosen) < at_most:
            at = self._pick(len(left))
            left[at], left[-1] = left[-1], left[at]
            chosen.append(left.pop())
        return chosen

    def worked(self, address: NodeAddress) -> None:
        """There is a login at this one."""
        if address in self._kept:
            self._kept[address].failures = 0

    def failed(self, address: NodeAddress, *, for_good: bool = False) -> None:
        """It could not be used; `for_good` when it never will be, because its key is another."""
        learned = self._kept.get(address)
        if learned is None:
            return
        learned.failures += 1
        if for_good or learned.failures >= FAILURES:
            self._drop(learned)

    def _offer(self, learned: Learned) -> None:
        giver = learned.giver
        self._offered[giver] += 1
        if len(self._kept) >= MOST:
            most = max(self._kept_of.values())
            if self._kept_of[giver] < most:
                giver = next(each for each, count in self._kept_of.items() if count == most)
            elif self._pick(self._offered[giver]) >= most:
                return  # so whatever this giver told of has the same chance to be among those kept
            its_own = [each for each in self._kept.values() if each.giver == giver]
            self._drop(its_own[self._pick(len(its_own))])
        self._kept[learned.address] = learned
        self._kept_of[learned.giver] += 1

    def _drop(self, learned: Learned) -> None:
        del self._kept[learned.address]
        self._kept_of[learned.giver] -= 1
        if not self._kept_of[learned.giver]:
            del self._kept_of[learned.giver], self._offered[learned.giver]


def _usable(told: Address, giver: NodeAddress, giver_range: Range | None) -> Learned | None:
    if not 0 < told.port < 65535:
        return None
    found = range_of(told.host)
    if found is Range.NOWHERE or (found not in {None, Range.PUBLIC} and found is not giver_range):
        return None
    try:
        address = NodeAddress(told.host, told.port) if found is not None else NodeAddress.of(told.host, told.port)
    except InvalidNameError:
        return None
    ranges = {found} if found is not None else {Range.PUBLIC, giver_range}
    return Learned(address, giver, frozenset(each for each in ranges if each not in {None, Range.NOWHERE}))


class LearnedPins:
    """Pins for learned nodes: keys of nodes are kept here, in memory and bounded, everything else is the profile's.

    A key that the profile has pinned to the address holds here, too.
    """

    def __init__(self, profile: Pins) -> None:
        self._profile = profile
        self._nodes: OrderedDict[NodeAddress, Fingerprint] = OrderedDict()

    def peer(self, uin: Uin) -> Pin | None:
        return self._profile.peer(uin)

    def pin_peer(self, uin: Uin, fingerprint: Fingerprint, *, verified: bool) -> Pin:
        return self._profile.pin_peer(uin, fingerprint, verified=verified)

    def forget_peer(self, uin: Uin) -> bool:
        return self._profile.forget_peer(uin)

    def peers(self) -> Mapping[Uin, Pin]:
        return self._profile.peers()

    def node(self, address: NodeAddress) -> Fingerprint | None:
        return self._profile.node(address) or self._nodes.get(address)

    def pin_node(self, address: NodeAddress, fingerprint: Fingerprint, *, replace: bool = False) -> None:
        pinned = self.node(address)
        if pinned is not None and pinned != fingerprint and not replace:
            raise NodeKeyChangedError(f"node {address}: expected {pinned}, shown {fingerprint}")
        self._nodes[address] = fingerprint
        self._nodes.move_to_end(address)
        while len(self._nodes) > MOST_PINS:
            self._nodes.popitem(last=False)

    def __len__(self) -> int:
        return len(self._nodes)
