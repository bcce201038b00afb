"""What must hold in every run, looked at while it happens and once all is quiet.

The checkers know more than any node: both sides of every conversation, and everything that somebody did to the network.
What honest nodes and people did to one another without any such cause must have succeeded. Each promise is named where
it is looked after. Counterparts: everybody else in here tells them what happens.
"""

from __future__ import annotations

from collections import deque
from typing import NoReturn

from sim.data import DataLine
from sim.lines import LinkEnd
from sim.people import Person, Wish
from sim.shell import SimNode
from sim.story import Violation
from sim.talk import Conversation, Plan, Talk
from sim.world import World
from uzel.errors import Reason
from uzel.names import NodeAddress, Range, range_of
from uzel.node.call_record import pair_of
from uzel.wire import Accept, Address, Call, FoundInCache, Message, NodeList, Ready, RelayedData, Unavailable

END_BOTH = 150.0
"""Seconds from the end of one side of a conversation to that of the other: silence, drain time, some for the way."""
ECHO = 200.0
"""Seconds after which what happened to the network is forgotten by everyone."""
AT_REST = frozenset({"clients", "links", "locations", "known_nodes", "timers"})
"""What may be there when all is quiet."""
QUIET_TIMERS = frozenset({"quiet", "relist", "hint", "redial", "again", "meet", "ring", "idle", "replaced"})
"""Of the timers, those that belong to links, known nodes and clients that are online."""


class Checks:
    """See the module's text."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.people: dict[int, Person] = {}
        self.nodes: list[SimNode] = []
        self.hostile = 0
        self.hostile_is_fair = False
        """The hostile nodes lie so little that calls must succeed all the same, within three tries."""
        self.wishes: list[Wish] = []
        self.conversations: dict[int, Conversation] = {}
        self.calm_from = 0.0
        self._owed: dict[tuple[str, int, int], float] = {}
        self._held: set[tuple[str, int]] = set()
        self._steps = 0
        self._missed: dict[int, float] = {}
        self._given_up: dict[tuple[int, int], float] = {}
        self._astray: dict[int, float] = {}
        self._dials: dict[tuple[str, int], deque[float]] = {}

    def fail(self, what: str) -> NoReturn:
        """End the run."""
        self.world.tell("CHECK", what)
        raise Violation(what)

    def disturb(self, *nodes: str) -> None:
        """Somebody did something to the network: to all of it, or between these nodes."""
        self.calm_from = self.world.now + ECHO
        for conversation in self.conversations.values():
            if not conversation.is_over and (not nodes or set(conversation.nodes) & set(nodes)):
                conversation.troubles.append("the network")

    # -- Every 03 is answered in time -------------------------------------------------------------------------

    def client_said(self, node: SimNode, connection: int, uin: int, message: Message) -> None:
        """A message of a client reached its node."""
        if isinstance(message, Call):
            key = (node.name, connection, message.callee)
            if key not in self._owed:
                self._owed[key] = self.world.now
                self.world.after(node.settings.every_call + 0.01, self._look_at_call, key, self.world.now)
        elif isinstance(message, Accept):  # the peer's call grants the wish (D14)
            self._owed.pop((node.name, connection, message.caller), None)

    def client_told(self, node: SimNode, connection: int, message: Message) -> None:
        """A node sends a client a message."""
        if isinstance(message, Ready):
            self._owed.pop((node.name, connection, message.callee), None)
        elif isinstance(message, Unavailable):
            self._owed.pop((node.name, connection, message.uin), None)

    def data_said(self, node: SimNode, line: DataLine) -> None:
        """A data connection has said 20: a call that it belongs to has been answered."""
        pair = {line.hello.caller, line.hello.callee}
        for key in [key for key in self._owed if key[0] == node.name and key[2] in pair]:
            control = node.controls.get(key[1])
            if control is not None and control.uin in pair:
                del self._owed[key]

    def control_ended(self, node: SimNode, connection: int) -> None:
        """Nothing more can be said to this client."""
        for key in [key for key in self._owed if key[:2] == (node.name, connection)]:
            del self._owed[key]

    def _look_at_call(self, key: tuple[str, int, int], since: float) -> None:
        if self._owed.get(key) == since:
            self.fail(f"{key[0]} never answered the call of connection {key[1]} to {key[2]}")

    # -- What is kept stays within the settings ---------------------------------------------------------------

    def step(self, node: SimNode) -> None:
        """A node has dealt with something."""
        self._steps += 1
        if self._steps % 8 == 0:
            self.look_at_bounds(node)

    def look_at_bounds(self, node: SimNode) -> None:
        """Queues, held bytes and calls are within what the settings allow."""
        settings = node.settings
        held = [line.down.unsent for line in node.bridged.values()]
        if held and (max(held) > settings.held_per_conversation or sum(held) > settings.held_in_all):
            self.fail(f"{node.name} holds {held} bytes")
        counts = node.board.counts()
        if counts["held_bytes"] > settings.held_in_all:
            self.fail(f"{node.name} holds {counts['held_bytes']} bytes in all")
        if counts["links"] > settings.links.in_all or counts["known_nodes"] > settings.links.learned + 64:
            self.fail(f"{node.name} has more links or known nodes than it may: {counts}")
        for link in node.board._links.all():
            queue = link.queue
            if len(queue) > settings.links.queue or len(link.fences) > settings.links.fences:
                self.fail(f"{node.name} keeps {len(queue)} messages and {len(link.fences)} fences for a link")
            if queue.bytes > queue.flows * (settings.links.flow + 65_524):
                self.fail(f"{node.name} keeps {queue.bytes} bytes of {queue.flows} conversations for a link")

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
        """Nobody waits for more than one frame of each other conversation (D25)."""
        link = node.board._links.get(end.id)
        flows = link.queue._flows if link is not None else {}
        mine = pair_of(message.sender, message.recipient)
        end.waits.pop(mine, None)
        for pair in flows:
            if pair != mine:
                end.waits[pair] = waited = end.waits.get(pair, 0) + 1
                if waited > len(flows) + 1:
                    self.fail(f"{node.name} lets {pair} wait for {waited} frames of others")
        for pair in [pair for pair in end.waits if pair not in flows]:
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
        if len(times) > 10 * self.hostile:
            self.fail(f"{node.name} dialled nobody {len(times)} times in a minute")

    # -- Connections are not forgotten, nor closed without a cause --------------------------------------------

    def held(self, node: SimNode, connection: int) -> None:
        """A data connection waits for its call."""
        self._held.add((node.name, connection))

    def is_held(self, node: SimNode, connection: int) -> bool:
        """It does."""
        return (node.name, connection) in self._held

    def data_closed(self, node: SimNode, line: DataLine, reason: Reason | None) -> None:
        """A node closes a data connection at once."""
        settings = node.settings
        if reason is Reason.HELD_FULL and line.down.unsent <= settings.held_per_conversation:
            self.fail(f"{node.name} cuts a conversation that holds {line.down.unsent} bytes")
        if reason in {Reason.HELD_FULL, Reason.HELD_ALL_FULL}:
            self.trouble(line.hello.caller, line.hello.callee, "it was not read")

    def link_closed(self, node: SimNode, end: LinkEnd, reason: Reason | None) -> None:
        """A node closes a link."""
        if end.other not in {each.name for each in self.nodes}:
            return
        carried = reason is None or reason in {Reason.LINK_REPLACED, Reason.OWN_ADDRESS, Reason.LINK_UNUSED}
        in_trouble = self.world.now < self.calm_from
        if not carried and not in_trouble:
            self.fail(f"{node.name} closes its link to {end.other}: {reason}")

    def node_crashed(self, node: SimNode) -> None:
        """All that it owed is forgotten."""
        for key in [key for key in self._owed if key[0] == node.name]:
            del self._owed[key]

    # -- Calls ------------------------------------------------------------------------------------------------

    def wished(self, person: Person, wish: Wish) -> None:
        """A call begins: must it succeed?"""
        self.wishes.append(wish)
        callee = self.people.get(wish.callee)
        wish.retries_all = self.hostile_is_fair
        if callee is None:
            return
        wish.sessions = (person.session, callee.session)
        wish.expected = self.must_succeed(person, callee)

    def must_succeed(self, caller: Person, callee: Person) -> bool:
        """Nothing stands between these two."""
        now = self.world.now
        if now < self.calm_from or (self.hostile and not self.hostile_is_fair):
            return False
        if caller.node is None or callee.node is None:
            return False
        if caller.manners.data != "opens" or not callee.manners.are_good:
            return False
        if callee.online_since is None or now - callee.online_since < 3.0 or caller is callee:
            return False
        if now < self._astray.get(callee.uin, 0.0):
            return False
        if now - self._missed.get(callee.uin, -100.0) < 70.0:  # everyone is asked once a minute
            return False
        pair = min(caller.uin, callee.uin), max(caller.uin, callee.uin)
        if now - self._given_up.get(pair, -200.0) < 160.0:
            return False
        return caller.node is callee.node or self.are_linked(caller.node, callee.node)

    def left_silently(self, person: Person) -> None:
        """Its old node believes it there for a while: calls to it may go astray, calls of it must not."""
        self._astray[person.uin] = self.world.now + ECHO

    def spoil(self, one: int, other: int) -> None:
        """One of them did something that may come between their calls, now and for some time."""
        self._given_up[min(one, other), max(one, other)] = self.world.now

    def are_linked(self, one: SimNode, other: SimNode) -> bool:
        """Both have a link to each other that both know."""
        return any(link.node == other.fingerprint and link.complete for link in one.board._links.all()) and any(
            link.node == one.fingerprint and link.complete for link in other.board._links.all()
        )

    def wish_over(self, person: Person, wish: Wish, why: str) -> None:
        """A call came to its end."""
        self.world.tell(person.name, "call to", wish.callee, "ends:", why)
        pair = min(wish.caller, wish.callee), max(wish.caller, wish.callee)
        if why == "given up":
            self.spoil(*pair)
        if why == "stands":
            if wish.expected and wish.tries > 3 and self._still_expected(wish):
                self.fail(f"the call of {wish.caller} to {wish.callee} took {wish.tries} tries")
            return
        if wish.expected and why != "given up" and self._still_expected(wish):
            self.fail(f"the call of {wish.caller} to {wish.callee} came to nothing ({why}), try {wish.tries}")
        if why == "unavailable":
            self._missed[wish.callee] = self.world.now

    def _still_expected(self, wish: Wish) -> bool:
        caller, callee = self.people[wish.caller], self.people[wish.callee]
        pair = min(wish.caller, wish.callee), max(wish.caller, wish.callee)
        if self._given_up.get(pair, -1.0) > wish.began:
            return False
        return self.world.now >= self.calm_from and wish.sessions == (caller.session, callee.session)

    # -- Conversations ----------------------------------------------------------------------------------------

    def secret_of(self, uin: int) -> bytes:
        """That user's."""
        person = self.people.get(uin)
        return person.secret if person is not None else b""

    def find(self, number: int) -> Conversation | None:
        """The conversation of that number."""
        return self.conversations.get(number)

    def converse(self, person: Person, peer: int, plan: Plan) -> Conversation:
        """A new conversation, as its caller begins it."""
        number = len(self.conversations) + 1
        callee = self.people.get(peer)
        nodes = tuple(each.node.name for each in (person, callee) if each is not None and each.node is not None)
        conversation = Conversation(number, person.uin, peer, plan, (nodes[0], nodes[-1]))
        self.conversations[number] = conversation
        self.world.tell(person.name, "begins conversation", number, "with", peer)
        return conversation

    def trouble(self, one: int, other: int, why: str) -> None:
        """From here on their running conversation may end or be harmed."""
        for conversation in self.conversations.values():
            if {conversation.caller, conversation.callee} == {one, other} and not conversation.is_over:
                conversation.troubles.append(why)

    def bad_bytes(self, person: Person, talk: Talk, what: str, genuine: bool) -> None:
        """Bytes of another conversation, or of nobody."""
        self.world.tell(person.name, "gets from", talk.peer, "what is not for it:", what)
        if genuine:
            self.fail(f"{person.name}, in its conversation with {talk.peer}, got {what}")
        if talk.stands or not self.hostile:
            self.fail(f"{person.name}, in its conversation with {talk.peer}, got bytes of nobody: {what}")

    def talk_over(self, person: Person, talk: Talk, why: str) -> None:
        """A side of a conversation is over: the other must follow, and must have had everything."""
        conversation = talk.conversation
        number = conversation.number if conversation is not None else 0
        self.world.tell(person.name, "conversation", number, "with", talk.peer, "is over:", why, talk.got)
        if conversation is None:
            return
        other = conversation.callee_talk if talk.is_caller else conversation.caller_talk
        if conversation.ended_at is None:
            conversation.ended_at = self.world.now
            self.world.after(END_BOTH, self._look_at_end, conversation)
        if why != "end" or not talk.stands or conversation.troubles:
            return
        if other is None or not other.is_over:
            self.fail(f"conversation {number} ended at {person.name}, and nobody had ended it")
        if other.closed_in_order and not talk.line.was_cut_short and talk.got != other.line.up.written:
            self.fail(f"{person.name} got {talk.got} of the {other.line.up.written} bytes of conversation {number}")

    def _look_at_end(self, conversation: Conversation) -> None:
        for talk in (conversation.caller_talk, conversation.callee_talk):
            if talk is not None and not talk.is_over:
                self.fail(f"conversation {conversation.number} has ended on one side only")

    def look_at_mesh(self) -> None:
        """Without faults and liars, a small network is linked all to all (D22)."""
        for one in self.nodes:
            for other in self.nodes:
                if one is not other and not self.are_linked(one, other):
                    self.fail(f"{one.name} and {other.name} are not linked")

    # -- The end ----------------------------------------------------------------------------------------------

    def at_rest(self) -> None:
        """All is quiet: nothing is left over."""
        if self._owed:
            self.fail(f"calls without an answer: {sorted(self._owed)}")
        for person in self.people.values():
            if person.setups or person.talks:
                self.fail(f"{person.name} is still busy with {[*person.setups, *person.talks]}")
        for node in self.nodes:
            counts = node.board.counts()
            left = {name: count for name, count in counts.items() if count and name not in AT_REST}
            if left:
                self.fail(f"{node.name} has left {left}")
            if counts["clients"] != sum(person.node is node and person.home is node for person in self.people.values()):
                self.fail(f"{node.name} has {counts['clients']} clients")
            if node.data or node.bridged or node.relays or node.dials:
                self.fail(f"{node.name} has connections left: {node.data} {node.bridged} {node.relays} {node.dials}")
            if counts["links"] != len(node.links):
                self.fail(f"{node.name} knows {counts['links']} of its {len(node.links)} links")
            timers = [key for key in node.board._context.timers._current if key[1] not in QUIET_TIMERS]
            if timers:
                self.fail(f"{node.name} has timers left: {timers}")
