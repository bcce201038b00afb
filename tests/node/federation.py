"""Several switchboards whose links carry messages at once: for telling stories between nodes, step by step.

Nothing is lost or late here unless the story says so; tests/sim has the rest. Clients are on control connections of the
same number as their UIN; data connections are numbered from 1000; links from 100,000. Beside nodes there are peers:
other nodes of which the story itself says every word, so that they may be slow, simple, wrong or hostile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress, NodeReference
from uzel.node.effects import (
    Bridge,
    Close,
    Dial,
    Effect,
    EndData,
    EndRelay,
    Forget,
    Hold,
    Join,
    LinkOutput,
    Note,
    Pause,
    PinNode,
    Remember,
    Resume,
    Send,
    Write,
)
from uzel.node.settings import SwitchboardSettings
from uzel.node.status import LinkStatus
from uzel.node.switchboard import Switchboard
from uzel.session.ring import Ring
from uzel.wire import (
    Accept,
    Address,
    Call,
    CallReady,
    CallRequest,
    DataHello,
    Message,
    NodeAnnouncement,
    NodeListRequest,
    Ping,
    Pong,
    Refuse,
)

PORT = 8935
_Message = TypeVar("_Message", bound=Message)


@dataclass
class Told:
    """What one node's shell was asked for."""

    sent: list[tuple[int, Message]] = field(default_factory=list)
    closed: dict[int, Reason | None] = field(default_factory=dict)
    held: list[int] = field(default_factory=list)
    joined: list[Join] = field(default_factory=list)
    relays_ended: list[int] = field(default_factory=list)
    bridged: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    written: dict[int, bytes] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    paused: set[int] = field(default_factory=set)
    remembered: list[NodeAddress] = field(default_factory=list)
    forgotten: list[NodeAddress] = field(default_factory=list)
    pinned: list[tuple[NodeAddress, Fingerprint]] = field(default_factory=list)
    dialled: list[NodeAddress] = field(default_factory=list)
    dialled_at: list[float] = field(default_factory=list)

    def has_bridged(self, connection: int) -> bool:
        """It belongs to a conversation over a link, which has not ended it."""
        return connection in self.bridged and connection not in self.ended and connection not in self.closed


class Node:
    """One switchboard with its name, its key and its address. `random` is what chance says."""

    def __init__(self, world: Federation, number: int, settings: SwitchboardSettings | None) -> None:
        self.world = world
        self.address = NodeAddress(f"192.0.{number}.1", PORT)
        self.fingerprint = Fingerprint(bytes([number]) * 32)
        self.random = 0.5
        self._token = 0
        self.board = Switchboard(
            settings or SwitchboardSettings(), self.fingerprint, tokens=self._next_token, chance=lambda: self.random
        )
        self.board.listening(PORT)
        self.told = Told()

    def _next_token(self) -> bytes:
        self._token += 1
        return (self._token % 65536).to_bytes(2, "big")

    def online(self, *uins: int) -> None:
        for uin in uins:
            self.board.client_online(uin, uin, "10.0.0.1", self.world.now)
        self.world.run()

    def offline(self, uin: int) -> None:
        self.board.client_offline(uin, self.world.now)
        self.world.run()

    def say(self, uin: int, message: Message) -> None:
        self.board.client_message(uin, message, self.world.now)
        self.world.run()

    def data(self, caller: int, callee: int, network: str = "10.0.0.1") -> int:
        self.world.data += 1
        self.board.data_hello(self.world.data, DataHello(caller, callee), network, self.world.now)
        self.world.run()
        return self.world.data

    def bring(self, connection: int, data: bytes) -> None:
        self.board.data_received(connection, data, self.world.now)
        self.world.run()

    def end(self, connection: int) -> None:
        self.board.data_ended(connection, None, self.world.now)
        self.world.run()

    def configure(self, address: NodeAddress, given: Fingerprint | None = None, pin: Fingerprint | None = None) -> None:
        self.board.configure(NodeReference(address, given), pin, self.world.now)
        self.world.run()

    def remember(self, address: NodeAddress, node: Fingerprint) -> None:
        self.board.remember(address, node, 1e9, self.world.now)
        self.world.run()

    def take(self) -> list[tuple[int, Message]]:
        """What clients were sent since the last time."""
        sent, self.told.sent = self.told.sent, []
        return sent

    def counts(self) -> dict[str, int]:
        return self.board.counts()

    def links(self) -> list[LinkStatus]:
        return self.board.links(self.world.now)

    def links_to(self, other: Node | Peer) -> list[int]:
        """The connections of the links to that node, the oldest first."""
        return sorted(link.connection for link in self.links() if link.fingerprint == other.fingerprint)

    def reasons(self) -> list[Reason]:
        return [note.reason for note in self.told.notes if note.reason is not None]

    def is_quiet(self) -> bool:
        """Nothing of any call is left."""
        counts = self.counts()
        names = ("calls", "conversations", "data_waiting", "call_timers", "bridged", "held_bytes")
        return not any(counts[name] for name in (*names, "fences", "flows", "searches"))


class PeerLink:
    """One link of a peer, seen from the peer: `say` something to the node, `take` what it said."""

    def __init__(self, peer: Peer, node: Node, connection: int) -> None:
        self.peer = peer
        self.node = node
        self.connection = connection
        self.is_open = True
        self.heard: list[Message] = []

    def say(self, *messages: Message) -> None:
        board, world = self.node.board, self.peer.world
        for message in messages:
            board.link_heard(self.connection, world.now)
            board.link_message(self.connection, message, world.now)
            world.run()

    def hear(self, message: Message) -> None:
        self.heard.append(message)
        if isinstance(message, Ping) and self.peer.pongs:
            self.say(Pong(message.token))

    def take(self, kind: type[_Message] | None = None) -> list[Message]:
        """What the node said since the last time; of one kind, or else without pings, pongs and lists."""
        heard, self.heard = self.heard, []
        if kind is not None:
            return [message for message in heard if isinstance(message, kind)]
        return [message for message in heard if not isinstance(message, Ping | Pong | NodeListRequest)]

    def close(self) -> None:
        """The connection is lost."""
        self.is_open = False
        self.peer.world.peer_links.pop(self.connection, None)
        self.node.board.link_closed(self.connection, Reason.CONNECTION_LOST, self.peer.world.now)
        self.peer.world.run()


class Peer:
    """A node that says what the story wants. `links` has those that stand or stood, the newest last.

    pongs: it answers 68, at once. A node written from the source alone may not.
    """

    def __init__(self, world: Federation, number: int, *, host: str | None = None, pongs: bool = True) -> None:
        self.world = world
        self.pongs = pongs
        self.address = NodeAddress.of(host or f"198.51.{number}.1", PORT)
        self.host = self.address.host
        self.fingerprint = Fingerprint(bytes([100 + number]) * 32)
        self.links: list[PeerLink] = []

    @property
    def link(self) -> PeerLink:
        return self.links[-1]

    @property
    def told(self) -> Address:
        return Address(self.address.host, self.address.port)

    def dials(self, node: Node, *, announces: int | None = None) -> PeerLink:
        """It dials the node; a 68 is its first message, or A2."""
        link = self._new_link(node)
        node.board.link_accepted(link.connection, self.host, self.fingerprint, self.world.now)
        self.world.run()
        link.say(Ping(b"zz") if announces is None else NodeAnnouncement(announces))
        return link

    def dialled(self, node: Node, dial: int) -> None:
        link = self._new_link(node)
        node.board.link_dialled(link.connection, dial, self.host, self.fingerprint, self.world.now)

    def _new_link(self, node: Node) -> PeerLink:
        link = PeerLink(self, node, self.world.connection())
        self.links.append(link)
        self.world.peer_links[link.connection] = link
        return link

    def known_to(self, node: Node) -> PeerLink:
        """The node dials it as configured."""
        node.configure(self.address)
        return self.link


class Federation:
    """Nodes and peers, and what passes between them. `hold_back` keeps back what one end of a link has to send."""

    def __init__(self, *settings: SwitchboardSettings | None) -> None:
        self.now = 0.0
        self.data = 1000
        self.nodes = [Node(self, number + 1, each) for number, each in enumerate(settings)]
        self.peers: list[Peer] = []
        self.peer_links: dict[int, PeerLink] = {}
        self._connections = 100_000
        self._ends: dict[int, tuple[Node, int]] = {}
        self.passed: list[tuple[Node, Node, Message]] = []
        self.stopped: set[int] = set()
        self.unreachable: set[NodeAddress] = set()
        self.hanging: set[NodeAddress] = set()
        self.hung: list[tuple[Node, Dial]] = []

    def peer(self, *, host: str | None = None, pongs: bool = True) -> Peer:
        peer = Peer(self, len(self.peers) + 1, host=host, pongs=pongs)
        self.peers.append(peer)
        return peer

    def connection(self) -> int:
        self._connections += 1
        return self._connections

    def link(self, one: Node, other: Node) -> tuple[int, int]:
        """`one` dials `other` as configured."""
        one.configure(other.address)
        return one.links_to(other)[-1], other.links_to(one)[-1]

    def dial(self, node: Node, effect: Dial) -> None:
        node.told.dialled.append(effect.address)
        node.told.dialled_at.append(self.now)
        if effect.address in self.hanging:
            self.hung.append((node, effect))
        else:
            self.answer(node, effect)

    def answer(self, node: Node, effect: Dial) -> None:
        """The dial finds whoever is there."""
        found: list[Node | Peer] = [*self.nodes, *self.peers]
        there = next((each for each in found if each.address == effect.address), None)
        if there is None or effect.address in self.unreachable:
            node.board.dial_failed(effect.dial, Reason.NODE_UNREACHABLE, self.now)
        elif isinstance(there, Peer):
            there.dialled(node, effect.dial)
        else:
            ours, theirs = self.connection(), self.connection()
            self._ends[ours], self._ends[theirs] = (there, theirs), (node, ours)
            there.board.link_accepted(theirs, node.address.host, node.fingerprint, self.now)
            node.board.link_dialled(ours, effect.dial, there.address.host, there.fingerprint, self.now)

    def cut(self, node: Node, connection: int) -> None:
        """Both ends learn that the link is lost."""
        self._close(connection)
        node.board.link_closed(connection, Reason.CONNECTION_LOST, self.now)
        self.run()

    def _close(self, connection: int) -> None:
        if (link := self.peer_links.pop(connection, None)) is not None:
            link.is_open = False
        end = self._ends.pop(connection, None)
        if end is not None:
            other, theirs = end
            self._ends.pop(theirs, None)
            other.board.link_closed(theirs, None, self.now)

    def stands(self, connection: int) -> bool:
        """The link of this end is there."""
        return connection in self._ends or connection in self.peer_links

    def hold_back(self, connection: int) -> None:
        self.stopped.add(connection)

    def release(self, connection: int, *, at_most: int | None = None) -> None:
        """Let everything pass again, or the next messages only."""
        node = self._node_of(connection)
        if at_most is None:
            self.stopped.discard(connection)
            self._pull(node, connection)
        else:
            for _ in range(at_most):
                self._pull_one(node, connection)
        self.run()

    def _node_of(self, connection: int) -> Node:
        if connection in self.peer_links:
            return self.peer_links[connection].node
        return self._ends[self._ends[connection][1]][0]

    def _pull(self, node: Node, connection: int) -> None:
        while connection not in self.stopped and self._pull_one(node, connection):
            pass

    def _pull_one(self, node: Node, connection: int) -> bool:
        if not self.stands(connection):
            return False
        message = node.board.link_output(connection, self.now)
        if message is None:
            return False
        if connection in self.peer_links:
            self.peer_links[connection].hear(message)
            return True
        other, theirs = self._ends[connection]
        self.passed.append((node, other, message))
        other.board.link_heard(theirs, self.now)
        other.board.link_message(theirs, message, self.now)
        return True

    def wait(self, seconds: float, step: float = 0.25) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + step)
            for node in self.nodes:
                node.board.on_timeout(self.now)
            self.run()
            self.come_to_rest()

    def come_to_rest(self) -> None:
        """What became due while the last was dealt with is due now; but nothing may be due for ever."""
        for node in self.nodes:
            for _ in range(50):
                deadline = node.board.deadline()
                if deadline is None or deadline > self.now:
                    break
                node.board.on_timeout(self.now)
                self.run()
            else:
                raise AssertionError("a deadline that is never met")

    def run(self) -> None:
        """Carry out everything until nothing is left to do."""
        busy = True
        while busy:
            busy = False
            for node in self.nodes:
                for effect in node.board.take_effects():
                    busy = True
                    self._do(node, effect)

    def _do(self, node: Node, effect: Effect) -> None:  # noqa: PLR0912 - one branch for each effect
        told = node.told
        match effect:
            case Send():
                told.sent.append((effect.connection, effect.message))
            case Close(connection=connection, reason=reason):
                assert connection not in told.closed or connection < 1000, "closed once"
                assert connection not in told.ended
                told.closed[connection] = reason
                self._close(connection)
            case Hold():
                told.held.append(effect.connection)
            case Join():
                told.joined.append(effect)
            case EndRelay():
                told.relays_ended.append(effect.call)
            case Bridge():
                told.bridged.append(effect.connection)
            case Write(connection=connection, data=data):
                assert told.has_bridged(connection)
                told.written[connection] = told.written.get(connection, b"") + data
            case EndData():
                assert told.has_bridged(effect.connection)
                told.ended.append(effect.connection)
            case Pause():
                assert told.has_bridged(effect.connection)
                told.paused.add(effect.connection)
            case Resume():
                assert told.has_bridged(effect.connection)
                told.paused.discard(effect.connection)
            case Dial():
                self.dial(node, effect)
            case LinkOutput(connection=connection):
                self._pull(node, connection)
            case Note():
                told.notes.append(effect)
            case Remember():
                told.remembered.append(effect.address)
            case PinNode():
                told.pinned.append((effect.address, effect.fingerprint))
            case Forget():
                told.forgotten.append(effect.address)

    def messages(self, kind: type[Message]) -> list[tuple[Node, Node, Message]]:
        return [each for each in self.passed if isinstance(each[2], kind)]


def converse(caller_node: Node, caller: int, callee_node: Node, callee: int) -> tuple[int, int]:
    """A call across, up to both data connections; returns them, the caller's first."""
    caller_node.say(caller, Call(callee))
    callee_node.say(callee, Accept(caller))
    theirs = callee_node.data(caller, callee)
    ours = caller_node.data(caller, callee)
    return ours, theirs


def called_by(link: PeerLink, caller: int, node: Node, callee: int) -> int:
    """The peer's user calls the node's, up to AB; returns the callee's data connection."""
    link.say(CallRequest(caller, callee))
    node.say(callee, Accept(caller))
    return node.data(caller, callee)


def calling(node: Node, caller: int, link: PeerLink, callee: int) -> int:
    """The node's user calls the peer's, which is found there already; returns the caller's data connection."""
    node.say(caller, Call(callee))
    link.say(CallReady(caller, callee))
    return node.data(caller, callee)


def refuse(node: Node, callee: int, caller: int) -> None:
    node.say(callee, Refuse(caller))


def node_and_peers(
    count: int = 1, settings: SwitchboardSettings | None = None, *, pongs: bool = True
) -> tuple[Federation, Node, list[PeerLink]]:
    """One node, and links to so many peers, which it dialled as configured. Nothing said so far is kept."""
    world = Federation(settings)
    node = world.nodes[0]
    links = [world.peer(pongs=pongs).known_to(node) for _ in range(count)]
    world.wait(1)
    for link in links:
        link.take()
    return world, node, links


def holders(links: list[PeerLink], uin: int) -> list[PeerLink]:
    """Those of the links that lead to the hint nodes of this user, in the ring's order (D23)."""
    ring = Ring()
    for link in links:
        ring.put(link.peer.fingerprint, [link.peer.address])
    by_node = {link.peer.fingerprint: link for link in links}
    return [by_node[node] for node in ring.hint_nodes(uin)]


def two_nodes(*, links: int) -> tuple[Federation, Node, Node]:
    """With two links each takes that one for the newest which the other does not."""
    world = Federation(None, None)
    one, other = world.nodes
    if links == 1:
        world.link(one, other)
    else:
        start = world.connection() + 1
        ends = range(start, start + 4)
        world.stopped.update(ends)
        one.configure(other.address)
        other.configure(one.address)
        for end in ends:
            world.release(end)
    world.wait(2)
    assert len(one.links_to(other)) == links
    newest = [node.board._links.newest(peer.fingerprint) for node, peer in ((one, other), (other, one))]
    assert links == 1 or [link.dialled for link in newest if link] == [False, False]
    return world, one, other
