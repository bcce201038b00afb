"""What must hold in every run, looked at while it happens and once all is quiet.

The checkers know more than any node: both sides of every conversation, and everything that somebody did to the network.
What honest nodes and people did to one another without any such cause must have succeeded. Each promise is named where
it is looked after. Counterparts: everybody else in here tells them what happens.
"""

from __future__ import annotations

from sim.data import DataLine
from sim.node_checks import ECHO, NodeWatch
from sim.people import Person, Wish
from sim.shell import SimNode
from sim.talk import Conversation, Plan, Talk
from sim.world import World
from uzel.errors import Reason
from uzel.node.settings import SwitchboardSettings
from uzel.wire import Accept, Call, Message, Ready, Unavailable

END_BOTH = 150.0
"""Seconds from the end of one side of a conversation to that of the other: silence, drain time, some for the way."""
ONCE_A_MINUTE = 70.0
"""Seconds in which everyone may not be asked for a user a second time, and some."""
SPOILT = 160.0
"""Seconds in which what one side did out of turn may still come between the two: as long as any call."""
MOST_TRIES = 3


class Checks(NodeWatch):
    """See the module's text. `hostile_is_fair`: the liars lie so little that calls must succeed all the same."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.people: dict[int, Person] = {}
        self.hostile_is_fair = False
        self.conversations: dict[int, Conversation] = {}
        self._owed: dict[tuple[str, int, int], float] = {}
        self._missed: dict[int, float] = {}
        self._spoilt: dict[tuple[int, int], float] = {}
        self._astray: dict[int, float] = {}

    def disturb(self) -> None:
        """Somebody did something to the network."""
        self.calm_from = self.world.now + ECHO
        for conversation in self.conversations.values():
            if not conversation.is_over:
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

    def node_crashed(self, node: SimNode) -> None:
        """All that it owed is forgotten."""
        for key in [key for key in self._owed if key[0] == node.name]:
            del self._owed[key]

    def _look_at_call(self, key: tuple[str, int, int], since: float) -> None:
        if self._owed.get(key) == since:
            self.fail(f"{key[0]} never answered the call of connection {key[1]} to {key[2]}")

    # -- Calls ------------------------------------------------------------------------------------------------

    def wished(self, person: Person, wish: Wish) -> None:
        """A call begins: must it succeed?"""
        callee = self.people.get(wish.callee)
        wish.retries_all = self.hostile_is_fair
        if callee is None:
            return
        wish.sessions = (person.session, callee.session)
        wish.expected = self.must_succeed(person, callee)

    def must_succeed(self, caller: Person, callee: Person) -> bool:
        """Nothing stands between these two."""
        now = self.world.now
        if now < self.calm_from or (self.lying and not self.hostile_is_fair):
            return False
        if caller.node is None or callee.node is None:
            return False
        if caller.manners.data != "opens" or not callee.manners.are_good:
            return False
        if callee.online_since is None or now - callee.online_since < 3.0 or caller is callee:
            return False
        if caller.lets_ring(callee.uin):
            return False
        if now < self._astray.get(callee.uin, 0.0):
            return False
        if now - self._missed.get(callee.uin, -1e9) < ONCE_A_MINUTE:  # everyone is asked once a minute
            return False
        pair = min(caller.uin, callee.uin), max(caller.uin, callee.uin)
        if now - self._spoilt.get(pair, -1e9) < SPOILT:
            return False
        return caller.node is callee.node or self.are_linked(caller.node, callee.node)

    def left_silently(self, person: Person) -> None:
        """Its old node believes it there for a while: calls to it may go astray, calls of it must not."""
        self._astray[person.uin] = self.world.now + ECHO

    def spoil(self, one: int, other: int) -> None:
        """One of them did something that may come between their calls, now and for some time."""
        self._spoilt[min(one, other), max(one, other)] = self.world.now

    def wish_over(self, person: Person, wish: Wish, why: str) -> None:
        """A call came to its end."""
        self.world.tell(person.name, "call to", wish.callee, "ends:", why)
        pair = min(wish.caller, wish.callee), max(wish.caller, wish.callee)
        if why == "given up":
            self.spoil(*pair)
        if why == "stands":
            if wish.expected and wish.tries > MOST_TRIES and self._still_expected(wish):
                self.fail(f"the call of {wish.caller} to {wish.callee} took {wish.tries} tries")
            return
        if wish.expected and why != "given up" and self._still_expected(wish):
            self.fail(f"the call of {wish.caller} to {wish.callee} came to nothing ({why}), try {wish.tries}")
        if why == "unavailable":
            self._missed[wish.callee] = self.world.now

    def _still_expected(self, wish: Wish) -> bool:
        caller, callee = self.people[wish.caller], self.people[wish.callee]
        pair = min(wish.caller, wish.callee), max(wish.caller, wish.callee)
        if self._spoilt.get(pair, -1.0) > wish.began:
            return False
        if wish.conversation is not None and wish.conversation.troubles:  # it stood for the callee, who called anew
            return False
        return self.world.now >= self.calm_from and wish.sessions == (caller.session, callee.session)

    def data_closed(self, settings: SwitchboardSettings, line: DataLine, reason: Reason | None) -> None:
        """A conversation that is not read ends."""
        super().data_closed(settings, line, reason)
        if reason in {Reason.HELD_FULL, Reason.HELD_ALL_FULL}:
            self.trouble(line.hello.caller, line.hello.callee, "it was not read")

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
        conversation = self.conversations[number] = Conversation(number, person.uin, peer, plan)
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
        if talk.stands or not self.lying:
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

    # -- The end ----------------------------------------------------------------------------------------------

    def at_rest(self) -> None:
        """All is quiet: nothing is left over."""
        if self._owed:
            self.fail(f"calls without an answer: {sorted(self._owed)}")
        for person in self.people.values():
            if (person.setups and not person.is_rude) or person.talks:
                self.fail(f"{person.name} is still busy with {[*person.setups, *person.talks]}")
        for node in self.nodes:
            self.look_at_rest(node, sum(person.node is node and person.home is node for person in self.people.values()))
