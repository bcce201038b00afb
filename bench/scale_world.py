"""The world of the scale simulation: a clock that costs no time, and a count of everything that passes between nodes.

A link carries whole messages, in order, after a delay that its two nodes always have; a dial takes three round trips of
it; nothing is lost. Counterparts: `scale_node`, the nodes, and `scale_people`, their users.
"""

from __future__ import annotations

import heapq
import random
import zlib
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from uzel.wire import Message, NodeList, Ping

if TYPE_CHECKING:
    from scale_node import SimNode

LINK_DELAY = (0.020, 0.080)
"""Seconds that a message needs from node to node, at least and at most; each pair of nodes has its own."""

Answered = Callable[["SimNode", int, int, bool], None]


class End:
    """One end of a link: where the other one is, the delay to there, and whether a 68 was sent."""

    __slots__ = ("delay", "peer", "peer_id", "pinged")

    def __init__(self, peer: SimNode, peer_id: int, delay: float) -> None:
        self.peer = peer
        self.peer_id = peer_id
        self.delay = delay
        self.pinged = False


class World:
    """The clock, the nodes, what was sent between them (`sent`, by type), and what became of dials."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 0.0
        self.events = 0
        self.nodes: list[SimNode] = []
        self.by_host: dict[str, SimNode] = {}
        self.sent: Counter[type[Message]] = Counter()
        self.dials: Counter[str] = Counter()
        self.first_pings = 0
        """The 68 that each end of a new link sends; the other 68s stand behind a B8 (D19)."""
        self.addresses = 0
        """Addresses in all A4 together."""
        self.past: Counter[str] = Counter()
        """What the switchboards of nodes that went away had counted."""
        self.answered: Answered = _nobody_listens
        self._heap: list[tuple[float, int, Callable[..., object], tuple[object, ...]]] = []
        self._numbers = 0

    def after(self, delay: float, action: Callable[..., object], *arguments: object) -> None:
        """Do it in so many seconds; things of one time are done in the order in which they were asked for."""
        self._numbers += 1
        heapq.heappush(self._heap, (self.now + delay, self._numbers, action, arguments))

    def run(self, until: float) -> None:
        """Let everything happen up to this time."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= until:
            self.now, _, action, arguments = pop(heap)
            action(*arguments)
            self.events += 1
        self.now = until

    def delay(self, one: SimNode, other: SimNode) -> float:
        """Seconds between these two: how far they are from one another does not change."""
        least, most = LINK_DELAY
        near, far = sorted((one.number, other.number))
        return least + (most - least) * zlib.crc32(b"%d %d %d" % (self.seed, near, far)) / 2**32

    def passes(self, end: End, message: Message) -> None:
        """It goes over a link, from this end."""
        kind = type(message)
        self.sent[kind] += 1
        if kind is Ping:
            if not end.pinged:
                end.pinged = True
                self.first_pings += 1
        elif type(message) is NodeList:
            self.addresses += len(message.addresses)

    def stats(self) -> Counter[str]:
        """What all switchboards have counted, also those that are no more."""
        total = Counter(self.past)
        for node in self.nodes:
            if node.up:
                total.update(node.board.stats)
        return total


def _nobody_listens(node: SimNode, caller: int, callee: int, ready: bool) -> None:
    """Nobody calls yet."""
