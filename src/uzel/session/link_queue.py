"""What waits to be sent on one link, and in which order (D19, D25). Pure.

Messages that concern no running conversation go first. Relayed data waits in one flow for each pair, and the flows take
turns, frame by frame: beside a bulk sender another's small text waits for one frame of each flow at most. What
belongs behind a pair's data (B8, and the 68 that fences it) waits in the pair's flow, so that for one pair the order is
kept. Nothing here is pushed: the shell takes a message whenever the link has room. Counterpart: the other node's
framer.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from uzel.wire import Message, RelayedData

Pair = tuple[int, int]
FRAME_COST = 64
"""Bytes that every waiting D0 counts beside its own: single bytes must not cost more memory than the bounds say."""


class _Flow:
    __slots__ = ("bytes", "messages")

    def __init__(self) -> None:
        self.messages: deque[Message] = deque()
        self.bytes = 0


class LinkQueue:
    """The queue of one link. `len` counts the messages that are not relayed data."""

    __slots__ = ("_first", "_flows", "_others", "bytes")

    def __init__(self) -> None:
        self._first: deque[Message] = deque()
        self._flows: OrderedDict[Pair, _Flow] = OrderedDict()
        self._others = 0
        self.bytes = 0
        """Bytes of relayed data that wait, all pairs together, with what each frame costs."""

    def __len__(self) -> int:
        return self._others

    def __bool__(self) -> bool:
        return bool(self._first or self._flows)

    @property
    def flows(self) -> int:
        """How many pairs have something waiting behind their data."""
        return len(self._flows)

    def pairs(self) -> list[Pair]:
        """The pairs of which something waits behind their data."""
        return list(self._flows)

    def put(self, message: Message) -> None:
        """Send it before all relayed data, behind what was put before."""
        self._first.append(message)
        self._others += 1

    def put_behind(self, pair: Pair, message: Message) -> None:
        """Send it behind whatever waits for this pair."""
        flow = self._flows.get(pair)
        if flow is None:
            self.put(message)
        else:
            flow.messages.append(message)
            self._others += 1

    def put_data(self, pair: Pair, data: RelayedData) -> int:
        """Send it in this pair's turn. Returns how many bytes of this pair wait now."""
        flow = self._flows.get(pair)
        if flow is None:
            flow = self._flows[pair] = _Flow()
        flow.messages.append(data)
        flow.bytes += len(data.data) + FRAME_COST
        self.bytes += len(data.data) + FRAME_COST
        return flow.bytes

    def has_flow(self, pair: Pair) -> bool:
        """Something waits in this pair's flow."""
        return pair in self._flows

    def waiting(self, pair: Pair) -> int:
        """Bytes of this pair's relayed data that wait."""
        flow = self._flows.get(pair)
        return flow.bytes if flow is not None else 0

    def discard(self, pair: Pair) -> list[Message]:
        """Drop all that waits in this pair's flow. Returns what of it was not relayed data."""
        flow = self._flows.pop(pair, None)
        if flow is None:
            return []
        self.bytes -= flow.bytes
        dropped = [message for message in flow.messages if not isinstance(message, RelayedData)]
        self._others -= len(dropped)
        return dropped

    def discard_data(self, pair: Pair) -> None:
        """Drop the relayed data of this pair; what stood behind it is sent at once."""
        for message in self.discard(pair):
            self.put(message)

    def take(self) -> tuple[Message, Pair | None] | None:
        """The next message to send, with its pair when it came out of a flow; None when nothing waits."""
        if self._first:
            self._others -= 1
            return self._first.popleft(), None
        if not self._flows:
            return None
        pair, flow = self._flows.popitem(last=False)
        message = flow.messages.popleft()
        if isinstance(message, RelayedData):
            flow.bytes -= len(message.data) + FRAME_COST
            self.bytes -= len(message.data) + FRAME_COST
        else:
            self._others -= 1
        if flow.messages:
            self._flows[pair] = flow
        return message, pair
