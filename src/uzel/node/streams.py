"""The bytes of conversations that run over a link: from a client's data connection into D0s and back (D17, D25). Pure.

What a client brings waits in its flow of the link's queue; beyond a bound the client is not read. What a client does
not take is kept, by the shell or before its data connection stands by us, up to a bound for each conversation and one
for all; who passes it, or the largest, is cut. Counterpart: the other node's, and `calls.Calls`, which ends
conversations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from uzel.errors import Reason
from uzel.node.call_record import CallRecord
from uzel.node.context import Context
from uzel.node.effects import Bridge, EndData, Pause, Resume, Write
from uzel.node.link import Link
from uzel.node.links import Links
from uzel.node.registry import ConnectionId
from uzel.session.link_queue import Pair
from uzel.wire import RelayedData

Cut = Callable[[CallRecord, Reason, float], None]


@dataclass(slots=True, eq=False)
class _Stream:
    call: CallRecord
    held: int = 0
    early: bytearray = field(default_factory=bytearray)
    paused: bool = False


class Streams:
    """See the module's text. `cut` ends a conversation whose client does not take its bytes."""

    def __init__(self, context: Context, links: Links, cut: Cut) -> None:
        self._context = context
        self._settings = context.settings
        self._links = links
        self._cut = cut
        self._streams: dict[int, _Stream] = {}
        self._by_data: dict[ConnectionId, _Stream] = {}
        self._held = 0

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def held(self) -> int:
        """Bytes that clients have not taken, all conversations together."""
        return self._held

    def of(self, connection: ConnectionId) -> CallRecord | None:
        """The conversation of this data connection."""
        stream = self._by_data.get(connection)
        return stream.call if stream is not None else None

    def bridge(self, call: CallRecord, connection: ConnectionId) -> None:
        """Our client's data connection stands: what came for it before goes first."""
        call.data = connection
        stream = self._streams.setdefault(call.number, _Stream(call))
        self._by_data[connection] = stream
        self._context.do(Bridge(connection, call.number, call.caller, call.callee))
        early, stream.early = bytes(stream.early), bytearray()
        self._hold(stream, 0)
        if early:
            self._context.do(Write(connection, early))

    def arrived(self, call: CallRecord, data: bytes, now: float) -> None:
        """A D0 for our client."""
        if not data:
            return
        if call.data is not None:
            self._context.do(Write(call.data, data))
            return
        stream = self._streams.setdefault(call.number, _Stream(call))
        stream.early += data
        self._hold(stream, stream.held + len(data))
        self._enforce(stream, now)

    def received(self, connection: ConnectionId, data: bytes) -> None:
        """Our client's data connection brought bytes."""
        stream = self._by_data.get(connection)
        if stream is None or stream.call.link is None:
            return
        call, link = stream.call, stream.call.link
        waiting = self._links.send_data(link, call.pair, RelayedData(call.here, call.there, data))
        if waiting >= self._settings.links.flow and not stream.paused:
            stream.paused = True
            self._context.do(Pause(connection))

    def backlog(self, connection: ConnectionId, unsent: int, now: float) -> None:
        """So many bytes wait for our client to take them."""
        stream = self._by_data.get(connection)
        if stream is not None:
            self._hold(stream, unsent)
            self._enforce(stream, now)

    def sent(self, call: CallRecord, link: Link, pair: Pair) -> None:
        """Some of what our client brought has left: read it again."""
        stream = self._streams.get(call.number)
        if stream is None or not stream.paused or call.link is not link or call.data is None:
            return
        if link.queue.waiting(pair) <= self._settings.links.flow // 2:
            stream.paused = False
            self._context.do(Resume(call.data))

    def end(self, call: CallRecord, *, pass_on: bool) -> None:
        """The conversation is over. With `pass_on` its data connection takes what is kept, and ends."""
        stream = self._streams.pop(call.number, None)
        if stream is not None:
            self._hold(stream, 0)
        if call.data is not None:
            del self._by_data[call.data]
            if pass_on:
                self._context.do(EndData(call.data))
            call.data = None

    def _hold(self, stream: _Stream, held: int) -> None:
        self._held += held - stream.held
        stream.held = held

    def _enforce(self, stream: _Stream, now: float) -> None:
        if stream.held > self._settings.held_per_conversation:
            self._cut(stream.call, Reason.HELD_FULL, now)
        while self._held > self._settings.held_in_all:
            largest = max(self._streams.values(), key=lambda each: each.held)
            self._cut(largest.call, Reason.HELD_ALL_FULL, now)
            assert largest.call.number not in self._streams, "whoever holds bytes can be cut"
