"""One link to another node, as the switchboard keeps it (D11, D19, D21). Pure.

It holds what waits to be sent, the pings that are out, the fences, and the calls that are bound to it. A fence stands
for one pair of users from the moment a B8 ended something between them until the 69 to the 68 behind that B8; on a
link that never answered a 68, for two seconds. Counterpart: `links.Links`, which owns all of them, and the other node.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from uzel.names import Fingerprint, NodeAddress, Range
from uzel.node.registry import ConnectionId
from uzel.session.link_queue import LinkQueue, Pair


@dataclass(slots=True, eq=False)
class Link:
    """Times are the switchboard's. `dialled`: by this node, and then `address` is where; else what it announced.

    kept: for as long as it stands. complete: its first message came. used_at: when it last served a call or search.
    round_trip: seconds that the last 68 took, None while none was answered. doubted: a newer link to
    the same node stands, and this one has not shown since that it lives.
    """

    id: ConnectionId
    node: Fingerprint
    host: str
    network: str
    range: Range | None
    dialled: bool
    opened_at: float
    address: NodeAddress | None = None
    kept: bool = False
    complete: bool = False
    announced: bool = False
    heard_at: float = 0.0
    probed_at: float = 0.0
    used_at: float = 0.0
    round_trip: float | None = None
    answers_pings: bool = False
    pinged: bool = False
    queue: LinkQueue = field(default_factory=LinkQueue)
    pings: dict[bytes, float] = field(default_factory=dict)
    fences: dict[Pair, bytes] = field(default_factory=dict)
    fence_left: dict[Pair, float] = field(default_factory=dict)
    fence_of: dict[bytes, Pair] = field(default_factory=dict)
    calls: dict[int, None] = field(default_factory=dict)
    lists_asked: int = 0
    lists_in_vain: int = 0
    """So many in a row told nothing new."""
    doubted: bool = False
    closing_after_calls: bool = False
    wanted: bool = False
    """The shell was told that there is output, and has not yet found the queue empty."""

    MAX_PINGS = 64

    def is_fenced(self, pair: Pair) -> bool:
        """Nothing about this pair counts from this link, and no call for it is asked of it (D19)."""
        return pair in self.fences

    def raise_fence(self, pair: Pair, token: bytes) -> None:
        """A B8 about this pair ended something; `token` is the 68's behind it."""
        before = self.fences.get(pair)
        if before is not None:
            del self.fence_of[before]
            self.fence_left.pop(pair, None)
        self.fences[pair] = token
        self.fence_of[token] = pair

    def lower_fence(self, pair: Pair) -> None:
        """Its 69 came, or its time is over."""
        token = self.fences.pop(pair, None)
        if token is not None:
            del self.fence_of[token]
            self.fence_left.pop(pair, None)

    def is_free(self, token: bytes) -> bool:
        """No 68 with this token is out."""
        return token not in self.pings and token not in self.fence_of

    def note_ping(self, token: bytes, now: float) -> None:
        """A 68 that no fence waits for goes out; of many unanswered ones the oldest is forgotten."""
        self.pings[token] = now
        if len(self.pings) > self.MAX_PINGS:
            del self.pings[next(iter(self.pings))]
