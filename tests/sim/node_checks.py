"""What must hold at every node: what it keeps, what it tells, whom it dials, which links it closes.

Looked at in every step, or whenever the node does the thing. Counterparts: `checks.Checks`, which builds on this;
`shell.SimNode` and `desk.DataDesk`, which tell what happens.
"""

from __future__ import annotations

from collections import deque
from typing import NoReturn

from sim.data import WINDOW, DataLine
from sim.lines import LinkEnd
from sim.shell import SimNode
from sim.story import Violation
from sim.world import World
from uzel.errors import Reason
from uzel.names import NodeAddress, Range, range_of
from uzel.node.call_record import pair_of
from uzel.node.settings import SwitchboardSettings
from uzel.wire import Address, FoundInCache, Message, NodeList, RelayedData

ECHO = 200.0
"""Seconds after which what happened to the network is forgotten by everyone."""
ORDERLY = frozenset({None, Reason.LINK_REPLACED, Reason.OWN_ADDRESS, Reason.LINK_UNUSED})
"""Why an honest node closes a link to another: it is idle, there is a newer one, it leads to itself, nothing came."""
AT_REST = frozenset({"clients", "links", "locations", "known_nodes", "timers"})
"""What may be there when all is quiet."""
QUIET_TIMERS = frozenset({"quiet", "relist", "hint", "redial", "again", "meet", "ring", "idle", "replaced"})
"""Of the timers, those that belong to links, known nodes and clients that are online."""
DIALS_ON_ONE_WORD = 10
"""Dials that one liar may cause in a minute: five, and as many at once (D22)."""


class NodeWatch:
    """See the module's text.

    hostile: how many liars there are. lying: they are at it. calm_from: until then the network is not as it should be.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.nodes: list[SimNode] = []
        self.hostile = 0
        self.lying = False
        self.calm_from = 0.0
        self._steps = 0
        self._dials: dict[tuple[str, int], deque[float]] = {}

    def fail(self, what: str) -> NoReturn:
        """End the run."""
        self.world.tell("CHECK", what)
        raise Violation(what)

    # -- What is kept stays within the settings ---------------------------------------------------------------

    def step(self, node: SimNode) -> None:
        """A node has dealt with something."""
        settings = node.settings
        bridged = node.desk.bridged
        if bridged:
            held = [line.down.unsent for line in bridged.values()]
            if max(held) > settings.held_per_conversation or sum(held) > settings.held_in_all:
                self.fail(f"{node.name} holds {held} bytes")
        for link in node.board._links.all():
            queue = link.queue
            if len(queue) > settings.links.queue or len(link.fences) > settings.links.fences:
                self.fail(f"{node.name} keeps {len(queue)} messages and {len(link.fences)} fences for a link")
            if queue.bytes and queue.bytes > queue.flows * (settings.links.flow + WINDOW + 64):
                self.fail(f"{node.name} keeps {queue.bytes} bytes of {queue.flows} conversations for a link")
        self._steps += 1
        if self._steps % 16 == 0:
            self._look_at_counts(node, settings)

    def _look_at_counts(self, node: SimNode, settings: SwitchboardSettings) -> None:
        counts = node.board.counts()
        if counts["held_bytes"] > settings.held_in_all:
            self.fail(f"{node.name} holds {counts['held_bytes']} bytes in all")
        if counts["links"] > settings.links.in_all or counts["known_nodes"] > settings.links.learned + 64:
            self.fail(f"{node.name} has more links or known nodes than it may: {counts}")

    # -- What is sent -----------------------------------------------------------------------------------------

    def taken(self, node: SimNode, end: LinkEnd, message: Message) -> None:
        """A node puts a message on a link. What it tells of others is true, and its conversations take turns."""
        if type(message) is RelayedData:
            self._look_at_turns(node, end, message)
        elif isinstance(message, NodeList):
            for address in message.addresses:
                self._look_at_told(node, end, address)
        elif isinstance(message, FoundInCache):
            self._look_at_told(node, end, message.address)

    def _look_at_turns(self, node: SimNode, end: LinkEnd, message: RelayedData) -> None:
        """Nobody waits for more than one frame of each conversation that was there before it (D25)."""
        link = node.board._links.get(end.id)
        flows = link.queue._flows if link is not None else {}
        if not flows and not end.waits:
            return
        mine = pair_of(message.sender, message.recipient)
        end.waits.pop(mine, None)
        for pair, flow in flows.items():
            if pair != mine and isinstance(flow.messages[0], RelayedData):
                left = end.waits.get(pair, len(flows) + 1) - 1
                if left < 0:
                    self.fail(f"{node.name} lets {pair} wait for more than a frame of each other conversation")
                end.waits[pair] = left
            else:
                end.waits.pop(pair, None)
        for pair in end.waits.keys() - flows.keys():
            del end.waits[pair]

    def _look_at_told(self, node: SimNode, end: LinkEnd, address: Address) -> None:
        """Only where a node really is, and neither of the two (D4, D22)."""
        place = self.world.place_at(address.host, address.port)
        if place is None:
            self.fail(f"{node.name} tells {end.other} of {address}, where nobody is")
        if place.name in {node.name, end.other}:
            self.fail(f"{node.name} tells {end.other} of {address}, which is {place.name}")

    def dials(self, node: SimNode, address: NodeAddress) -> None:
        """A node dials. What liars say must not make it dial much, or in places of which they may not speak (D22)."""
        if self.world.place_at(address.host, address.port) is not None:
            return
        if range_of(address.host) not in {None, Range.PUBLIC}:
            self.fail(f"{node.name} dials {address}")
        times = self._dials.setdefault((node.name, node.incarnation), deque())
        times.append(self.world.now)
        while times[0] < self.world.now - 60.0:
            times.popleft()
        if len(times) > DIALS_ON_ONE_WORD * self.hostile:
            self.fail(f"{node.name} dialled nobody {len(times)} times in a minute")

    # -- What is closed ---------------------------------------------------------------------------------------

    def data_closed(self, settings: SwitchboardSettings, line: DataLine, reason: Reason | None) -> None:
        """A data connection is closed at once; for want of a reader only if its client did not read."""
        if reason is Reason.HELD_FULL and line.down.unsent <= settings.held_per_conversation:
            self.fail(f"a conversation that holds {line.down.unsent} bytes is cut")

    def link_closed(self, node: SimNode, end: LinkEnd, reason: Reason | None) -> None:
        """Honest links are not closed while the network is calm, but in good order."""
        honest = any(each.name == end.other for each in self.nodes)
        if honest and reason not in ORDERLY and self.world.now >= self.calm_from:
            self.fail(f"{node.name} closes its link to {end.other}: {reason}")

    # -- When all is quiet ------------------------------------------------------------------------------------

    def are_linked(self, one: SimNode, other: SimNode) -> bool:
        """Both have a link to each other that both know."""
        return _has_link(one, other) and _has_link(other, one)

    def look_at_mesh(self) -> None:
        """Without faults and liars, a small network is linked all to all (D22)."""
        for one in self.nodes:
            for other in self.nodes:
                if one is not other and not self.are_linked(one, other):
                    self.fail(f"{one.name} and {other.name} are not linked")

    def look_at_rest(self, node: SimNode, clients: int) -> None:
        """Nothing is left over but so many clients, links, and what is known."""
        counts = node.board.counts()
        left = {name: count for name, count in counts.items() if count and name not in AT_REST}
        if left:
            self.fail(f"{node.name} has left {left}")
        if counts["clients"] != clients:
            self.fail(f"{node.name} has {counts['clients']} clients, not {clients}")
        if node.desk.lines or node.dials:
            self.fail(f"{node.name} has left {node.desk.lines} {node.dials}")
        if counts["links"] != len(node.links):
            self.fail(f"{node.name} knows {counts['links']} of its {len(node.links)} links")
        timers = [key for key in node.board._context.timers._current if key[1] not in QUIET_TIMERS]
        if timers:
            self.fail(f"{node.name} has timers left: {timers}")


def _has_link(one: SimNode, other: SimNode) -> bool:
    return any(link.node == other.fingerprint and link.complete for link in one.board._links.all())
