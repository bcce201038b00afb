"""The links of a node: accepted, dialled, kept alive, told apart, let go (D6, D11, D19, D21, D22). Pure.

Rules: a link is told by the other node's fingerprint, and there may be one in each direction; a connection becomes a
link at its first message, which is the dialler's; a new call takes the newest. Configured nodes and up to 64 others are
kept and dialled again with growing delays; others are dialled when somebody needs them and let go when idle. What a
link says about its own state is dealt with here and in `pings`; calls and searches go up to the `LinkUser`.
Counterpart: the other nodes' `Links`.
"""

from __future__ import annotations

from typing import Protocol

from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress, network_of, range_of
from uzel.node.context import Context
from uzel.node.dialler import Dialler
from uzel.node.effects import Close, LinkOutput
from uzel.node.limits import Counts, RateLimiter
from uzel.node.link import Link
from uzel.node.pings import Pings
from uzel.node.registry import ConnectionId
from uzel.session.link_queue import Pair
from uzel.wire import (
    Address,
    Message,
    NoConversation,
    NodeAnnouncement,
    NodeList,
    NodeListRequest,
    Ping,
    Pong,
    RelayedData,
)

_RELIST_SOON = (10.0, 60.0)
"""Seconds after which a dialled node is asked for its list the second and third time."""
_RELIST_SLOWER = 4
"""So many times more rarely it is asked, at most, when its lists tell nothing new."""


class LinkUser(Protocol):
    """Who uses the links: the switchboard."""

    def link_up(self, link: Link, now: float) -> None:
        """It can carry calls and searches."""

    def link_down(self, link: Link, now: float) -> None:
        """It is gone, with all that waited for it. It was up before."""

    def link_says(self, link: Link, message: Message, within_rate: bool, now: float) -> None:
        """A message about users: A5, A8, A9, AA, AB, B8 or D0."""

    def fence_down(self, link: Link, pair: Pair, now: float) -> None:
        """What was held back for this pair may go."""

    def data_sent(self, link: Link, pair: Pair, now: float) -> None:
        """Some relayed data of this pair was taken out of the link's queue."""


class Links:
    """See the module's text."""

    def __init__(self, context: Context, user: LinkUser) -> None:
        self._context = context
        self._settings = context.settings.links
        self._user = user
        self._port = 0
        self._pings = Pings(context, self)
        self.dialler = Dialler(context, self)
        self.known = self.dialler.known
        self._links: dict[ConnectionId, Link] = {}
        self._by_node: dict[Fingerprint, list[Link]] = {}
        self._per_network: Counts[str] = Counts()
        self._logins: RateLimiter[Fingerprint] = RateLimiter(self._settings.logins)
        self._draining = False

    # -- What others may ask ----------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._links)

    def all(self) -> list[Link]:
        """Every connection that is, or may become, a link."""
        return list(self._links.values())

    def check_queue(self, link: Link, now: float) -> None:
        """A node that asks for more answers than it takes loses its link."""
        if len(link.queue) > self._settings.queue:
            self.close(link, Reason.LINK_QUEUE_FULL, now)

    def open_links(self) -> list[Link]:
        """The newest link to each node: "everyone" (D22)."""
        return [links[-1] for links in self._by_node.values()]

    def newest(self, node: Fingerprint) -> Link | None:
        """The link that a new call to this node takes (D21)."""
        links = self._by_node.get(node)
        return links[-1] if links else None

    def send(self, link: Link, message: Message, pair: Pair | None = None) -> None:
        """Put it into the link's queue: first, or behind what waits for the pair."""
        if link.id not in self._links:
            return
        if pair is None:
            link.queue.put(message)
        else:
            link.queue.put_behind(pair, message)
        self._offer(link)

    def send_data(self, link: Link, pair: Pair, data: RelayedData) -> int:
        """Relayed data; returns how many bytes of this pair wait now."""
        if link.id not in self._links:
            return 0
        waiting = link.queue.put_data(pair, data)
        self._offer(link)
        return waiting

    def end_pair(self, link: Link, named: Pair, pair: Pair, now: float, *, after_data: bool = False) -> None:
        """Say B8 and raise the fence. What waits for the pair is discarded, or goes first, for the drain time at most.

        `named` is the pair as caller and callee, `pair` the unordered one.
        """
        if link.id not in self._links:
            return
        if after_data:
            link.queue.put_behind(pair, NoConversation(*named))
            if link.queue.has_flow(pair):
                self._context.timers.set(("links", "drain", link.id, pair), now + self._context.settings.drain)
        else:
            self._discard(link, pair)
            link.queue.put(NoConversation(*named))
        self._pings.raise_fence(link, pair, now)

    def pair_ended(self, link: Link, pair: Pair, now: float) -> None:
        """A B8 came and ended something: what waits for the pair is discarded, the fence goes up."""
        if link.id not in self._links:
            return
        self._discard(link, pair)
        self._pings.raise_fence(link, pair, now)

    def discard(self, link: Link, pair: Pair) -> None:
        """Drop what waits for this pair; no fence."""
        self._discard(link, pair)

    def discard_data(self, link: Link, pair: Pair) -> None:
        """Drop the relayed data that waits for this pair; a B8 and its 68 behind it are sent at once."""
        if link.queue.has_flow(pair):
            link.queue.discard_data(pair)
            self._context.timers.clear(("links", "drain", link.id, pair))
            self._offer(link)

    def bind(self, link: Link, call: int, now: float) -> None:
        """This call is carried by this link. Before the first one it is pinged: a fence must know who answers (D19)."""
        link.calls[call] = None
        if not (link.pinged or link.pings):
            self._pings.ping(link, now)
        link.used_at = now

    def unbind(self, link: Link, call: int, now: float) -> None:
        """It no longer is."""
        link.calls.pop(call, None)
        link.used_at = now
        if link.closing_after_calls and not link.calls and link.id in self._links:
            self._offer(link)  # it closes when all is sent

    def fence_down(self, link: Link, pair: Pair, now: float) -> None:
        """What was held back for this pair may go."""
        self._user.fence_down(link, pair, now)

    def close(self, link: Link, reason: Reason | None, now: float) -> None:
        """Close it; those who use it learn of it now."""
        if link.id in self._links:
            self._context.do(Close(link.id, reason))
            self._gone(link, reason, now)

    # -- Events -----------------------------------------------------------------------------------------------

    def listening(self, port: int) -> None:
        """Our control port, for A2."""
        self._port = port

    def accepted(self, connection: ConnectionId, host: str, node: Fingerprint, now: float) -> None:
        """A connection that said CB has proven who it is."""
        network = network_of(host)
        refusal = self._refusal(network, node, now)
        if refusal is not None:
            self._context.note("link_refused", node=node)
            self._context.do(Close(connection, refusal))
            return
        self._open(Link(connection, node, host, network, range_of(host), False, now), now)

    def heard(self, connection: ConnectionId, now: float) -> None:
        """Bytes came: the link lives (D11)."""
        link = self._links.get(connection)
        if link is not None:
            link.heard_at = now
            link.doubted = False

    def get(self, connection: ConnectionId) -> Link | None:
        """The link on this connection."""
        return self._links.get(connection)

    def message(self, link: Link, message: Message, within_rate: bool, now: float) -> None:
        """A message of a link, in its order."""
        if not link.complete:
            self._complete(link, now)
            if link.id not in self._links:
                return
        match message:
            case Ping(token=token):
                link.queue.put(Pong(token))
                self._offer(link)
                self.check_queue(link, now)
            case Pong(token=token):
                self._pings.answered(link, token, now)
            case NodeListRequest():
                self._tell_nodes(link, within_rate, now)
            case NodeAnnouncement(port=port):
                self._on_announcement(link, port, now)
            case NodeList(addresses=addresses):
                before = len(self.known)
                for address in addresses:
                    self.known.learn(address, link.node, link.range)
                if len(self.known) > before:
                    link.lists_in_vain = 0
                self.dialler.meet_soon(now)
            case _:
                self._user.link_says(link, message, within_rate, now)

    def closed(self, connection: ConnectionId, reason: Reason | None, now: float) -> None:
        """The connection is gone."""
        link = self._links.get(connection)
        if link is not None:
            self._gone(link, reason, now)

    def output(self, connection: ConnectionId, now: float) -> Message | None:
        """The next message for the wire."""
        link = self._links.get(connection)
        if link is None:
            return None
        taken = link.queue.take()
        if taken is None:
            link.wanted = False
            if link.closing_after_calls and not link.calls:
                self.close(link, Reason.LINK_REPLACED, now)
            return None
        message, pair = taken
        if type(message) is Ping:
            self._pings.left(link, message.token, now)
        if pair is not None:
            if not link.queue.has_flow(pair):
                self._context.timers.clear(("links", "drain", link.id, pair))
            self._user.data_sent(link, pair, now)
        return message

    def drain(self, now: float) -> None:
        """The node is stopping: no new links."""
        self._draining = True
        self.dialler.drain(now)

    def forget_full(self, now: float) -> None:
        """Give back the memory of rates that are full again."""
        self._logins.forget_full(now)

    # -- Time -------------------------------------------------------------------------------------------------

    def due(self, key: tuple[object, ...], now: float) -> None:
        """A timer of ours is due."""
        match key:
            case (_, what, int() as connection, *rest) if connection in self._links:
                self._link_due(self._links[connection], what, rest, now)

    def _link_due(self, link: Link, what: object, rest: list[object], now: float) -> None:
        match what, rest:
            case "quiet", _:
                self._look_after(link, now)
            case "first", _ if not link.complete:
                self.close(link, Reason.LINK_UNUSED, now)
            case "replaced", _ if link.doubted:
                self.close(link, Reason.LINK_REPLACED, now)
            case "idle", _:
                self._let_go(link, now)
            case "relist", _:
                link.lists_asked += 1
                link.lists_in_vain += 1
                self._set(link, "relist", now + self._relist_in(link))
                link.queue.put(NodeListRequest(self._context.tokens()))
                self._offer(link)
            case "fence", [(int() as one, int() as other)]:
                self._pings.fence_due(link, (one, other), now)
            case "drain", [(int() as one, int() as other)]:
                link.queue.discard_data((one, other))
                self._offer(link)

    def _look_after(self, link: Link, now: float) -> None:
        settings = self._settings
        if now >= link.heard_at + settings.silence:
            self.close(link, Reason.SILENCE, now)
            return
        quiet_since = max(link.heard_at, link.probed_at)
        if now >= quiet_since + settings.ping_idle:
            link.probed_at = quiet_since = now
            self._probe(link, now)
        self._set(link, "quiet", min(quiet_since + settings.ping_idle, link.heard_at + settings.silence))

    def _probe(self, link: Link, now: float) -> None:
        """Ask for a sign of life: with 68, or with 90 whoever never answered one, for every node answers that (D11)."""
        if link.answers_pings or not link.pinged:
            self._pings.ping(link, now)
        else:
            self.send(link, NodeListRequest(self._context.tokens()))

    def _let_go(self, link: Link, now: float) -> None:
        if link.kept:
            return
        if link.calls:
            link.used_at = now
        if now >= link.used_at + self._settings.idle:
            self.close(link, None, now)
        else:
            self._set(link, "idle", link.used_at + self._settings.idle)

    def _relist_in(self, link: Link) -> float:
        """Soon at first: the other node may just be meeting others itself. Later rarely, while it tells nothing new."""
        settled = self._settings.relist * min(_RELIST_SLOWER, 2 ** max(0, link.lists_in_vain - len(_RELIST_SOON)))
        soon = _RELIST_SOON[link.lists_asked : link.lists_asked + 1]
        return self._context.vary(min([settled, *soon]), 0.2)

    def _set(self, link: Link, what: str, when: float) -> None:
        self._context.timers.set(("links", what, link.id), when)

    # -- Opening and closing ----------------------------------------------------------------------------------

    def _refusal(self, network: str, node: Fingerprint, now: float) -> Reason | None:
        if node == self._context.own:
            return Reason.OWN_ADDRESS
        if self._draining:
            return Reason.NODE_STOPPING
        if not self._logins.take(node, now):
            return Reason.LINK_RATE
        if self._per_network[network] >= self._settings.per_address:
            return Reason.LINKS_ADDRESS_FULL
        return None if self._make_room(network, now) else Reason.LINKS_FULL

    def _make_room(self, network: str, now: float) -> bool:
        """Below the bounds, letting go the longest unused link that nobody keeps when it must be."""
        if self._per_network[network] >= self._settings.per_address:
            return False
        if len(self._links) < self._settings.in_all:
            return True
        unused = [link for link in self._links.values() if link.dialled and not link.kept and not link.calls]
        if not unused:
            return False
        longest = min(unused, key=lambda link: link.used_at)
        self.close(longest, None, now)
        return True

    def open_dialled(
        self, connection: ConnectionId, host: str, node: Fingerprint, address: NodeAddress, now: float, *, kept: bool
    ) -> Link | None:
        """A link to a node that we dialled; None when there is no room. A2 is its first message."""
        network = network_of(host)
        if not self._make_room(network, now):
            return None
        link = Link(connection, node, host, network, range_of(host), True, now, address=address, kept=kept)
        self._open(link, now)
        if self._port:
            link.queue.put(NodeAnnouncement(self._port))
        link.queue.put(NodeListRequest(self._context.tokens()))
        self._offer(link)
        for each in self.links_of(node):
            each.address = each.address or address
        self._complete(link, now)
        return link

    def _open(self, link: Link, now: float) -> None:
        link.heard_at = link.used_at = link.probed_at = now
        self._links[link.id] = link
        self._per_network.add(link.network)
        self._set(link, "first", now + self._settings.first_message)

    def _complete(self, link: Link, now: float) -> None:
        """Its first message came: from here on it is a link (D21)."""
        link.complete = True
        self._context.timers.clear(("links", "first", link.id))
        is_mesh = len(self._by_node) <= self._settings.kept
        if link.kept or (is_mesh and not link.dialled):  # most others are for a search or a hint, and need no ping
            self._pings.ping(link, now)
        older = self.links_of(link.node)
        self._by_node.setdefault(link.node, []).append(link)
        self._look_after(link, now)
        if link.kept:
            self._set(link, "relist", now + self._relist_in(link))
        elif link.dialled:
            self._set(link, "idle", now + self._settings.idle)
        for each in older:
            if each.dialled and link.dialled:
                each.closing_after_calls = True
                if not each.calls and not each.queue:
                    self.close(each, Reason.LINK_REPLACED, now)
                    continue
                self._offer(each)
            self._probe(each, now)
            each.doubted = True
            self._set(each, "replaced", now + self._settings.replaced_silence)
        self._context.note("link_up", node=link.node)
        self._user.link_up(link, now)

    def _gone(self, link: Link, reason: Reason | None, now: float) -> None:
        del self._links[link.id]
        self._per_network.remove(link.network)
        for what in ("first", "quiet", "replaced", "idle", "relist"):
            self._context.timers.clear(("links", what, link.id))
        for pair in link.queue.pairs():
            self._context.timers.clear(("links", "drain", link.id, pair))
        known = self.known.get(link.address) if link.dialled and link.address is not None else None
        if known is not None:
            known.last_error = reason or known.last_error
        if link.complete:
            links = self._by_node[link.node]
            links.remove(link)
            if not links:
                del self._by_node[link.node]
            self._context.note("link_down", node=link.node)
            self._user.link_down(link, now)
        self._pings.forget(link)
        self.dialler.lost(link, now)

    def _discard(self, link: Link, pair: Pair) -> None:
        link.queue.discard(pair)
        self._context.timers.clear(("links", "drain", link.id, pair))

    def links_of(self, node: Fingerprint) -> list[Link]:
        """All links to this node, the newest last."""
        return list(self._by_node.get(node, ()))

    # -- What links say of themselves -------------------------------------------------------------------------

    def _offer(self, link: Link) -> None:
        if not link.wanted:
            link.wanted = True
            self._context.do(LinkOutput(link.id))

    def _tell_nodes(self, link: Link, within_rate: bool, now: float) -> None:
        told: tuple[Address, ...] = ()
        if within_rate:
            told = self.known.tell(self._settings.told_to_node, link.range, link.node)
        link.queue.put(NodeList(tuple(each for each in told if not self._is_of(link, each))))
        self._offer(link)
        self.check_queue(link, now)

    @staticmethod
    def _is_of(link: Link, told: Address) -> bool:
        return link.address is not None and (told.host, told.port) == (link.address.host, link.address.port)

    def _on_announcement(self, link: Link, port: int, now: float) -> None:
        """A2: where the node that dialled says it listens. It counts once met there (D22)."""
        if link.dialled or link.announced or not 0 < port < 65535:
            self._context.note("announcement_ignored", Reason.ANNOUNCEMENT_IGNORED, node=link.node)
            return
        link.announced = True
        link.address = NodeAddress(link.host, port)
        known = self.known.get(link.address)
        if known is not None and known.proven and known.fingerprint == link.node:
            return
        if known is not None:
            self.known.meet_again(link.address, first=True)
        else:
            self.known.learn(Address(link.host, port), link.node, link.range, first=True)
        self.dialler.meet_soon(now)
