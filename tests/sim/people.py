"""The clients: each with the library's own control machine, its decisions about calls, and its conversations.

What `uzel.client.calls` does with tasks and sockets is done here in the same order with events (D12 to D16, D20): one
set-up for each peer, a call of the peer during it is accepted, a peer that we talk to is pinged first, an answer of
somebody else makes us call again at once, three times at most. Counterparts: `shell.SimNode`, `talk.Talk`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sim.data import WINDOW, DataLine
from sim.lines import MachineEnd
from sim.shell import SimNode
from sim.talk import Conversation, Plan, Talk
from sim.world import World
from uzel.session.control import (
    CallAnswered,
    CallArrived,
    CallFailed,
    CallReady,
    ClientControl,
    NodeControl,
    Online,
    PeerEvent,
    Step,
)
from uzel.session.keepalive import KeepaliveTimes
from uzel.session.machine import Event
from uzel.wire import DataHello, Message

MOST_TRIES = 4
"""The call, and three more when somebody else answers (D20)."""
LAPSE = 20.0
"""Seconds in which a node may still hold a call that was given up (D15)."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How somebody answers calls: "accept", "refuse" or "ignore", after so many seconds.

    data: whether the data connection of a call is opened: "opens", "never", or "mute" (opened, and nothing said).
    """

    answer: str = "accept"
    delay: float = 0.05
    data: str = "opens"

    @property
    def are_good(self) -> bool:
        """Whoever calls gets through."""
        return self.answer == "accept" and self.data == "opens"


@dataclass(slots=True, eq=False)
class Wish:
    """Somebody wants to talk to somebody. `outcome`: "stands", "unavailable", "wrong", "broken" or "given up"."""

    caller: int
    callee: int
    plan: Plan
    began: float
    tries: int = 0
    outcome: str = ""
    expected: bool = False
    sessions: tuple[int, ...] = ()
    conversation: Conversation | None = None
    retries_all: bool = False


@dataclass(slots=True, eq=False)
class SetUp:
    """What is under way with one peer: our wish, if it is ours, and the data connection, once there is one."""

    wish: Wish | None = None
    talk: Talk | None = None
    after_lapse: bool = False


@dataclass(slots=True, eq=False)
class Ringing:
    """A call of a peer that is not decided yet."""

    peer: int


class PeopleChecks(Protocol):
    """What the checkers want to know of people."""

    def wished(self, person: Person, wish: Wish) -> None:
        """A call begins."""

    def wish_over(self, person: Person, wish: Wish, why: str) -> None:
        """A call came to its end."""

    def converse(self, person: Person, peer: int, plan: Plan) -> Conversation:
        """A new conversation, as its caller begins it."""

    def find(self, number: int) -> Conversation | None:
        """The conversation of that number."""

    def secret_of(self, uin: int) -> bytes:
        """That user's."""

    def trouble(self, one: int, other: int, why: str) -> None:
        """From here on their running conversation may end or be harmed."""

    def talk_over(self, person: Person, talk: Talk, why: str) -> None:
        """A side of a conversation is over."""

    def bad_bytes(self, person: Person, talk: Talk, what: str, genuine: bool) -> None:
        """Bytes came that do not belong there."""


class Person:
    """One user. `session` changes with every coming and going; `book` has all the others.

    is_rude: it has said something out of turn, of which its own control machine knows nothing.
    """

    def __init__(
        self,
        world: World,
        checks: PeopleChecks,
        book: dict[int, Person],
        uin: int,
        network: str,
        manners: Manners,
    ) -> None:
        self.world = world
        self.book = book
        self.checks = checks
        self.uin = uin
        self.name = f"u{uin}"
        self.network = network
        self.manners = manners
        self.secret = world.random.randbytes(8)
        self.node: SimNode | None = None
        self.home: SimNode | None = None
        self.session = 0
        self.is_rude = False
        self.online_since: float | None = None
        self.setups: dict[int, SetUp] = {}
        self.talks: dict[int, Talk] = {}
        self._ringing: dict[int, Ringing] = {}
        self._given_up: dict[int, float] = {}
        self._end: MachineEnd | None = None
        self._control: ClientControl | None = None

    # -- Coming and going -------------------------------------------------------------------------------------

    def go_online(self, node: SimNode) -> None:
        """Log in there, and stay; not while another place is home."""
        if self.home is None:
            self.home = node
            self._connect()

    def leave(self, *, notice: float | None = 0.0, in_order: bool = True) -> None:
        """Let the control connection end; unless `in_order`, the node learns of it `notice` seconds later, or not."""
        self.home = None
        end, self._end = self._end, None
        if end is None:
            return
        self.world.tell(self.name, "leaves", "" if in_order else "without a word")
        if in_order:
            end.close()
        else:
            end.vanish(notice)
        self._offline()

    def _connect(self) -> None:
        node, world = self.home, self.world
        if node is None or self._end is not None:
            return
        path = world.path(self.name, node.name)
        if path.blocked or not node.up:
            world.after(2.0, self._connect)
        else:
            world.after(path.latency() * 3, self._connected, node)

    def _connected(self, node: SimNode) -> None:
        world = self.world
        if self.home is not node or self._end is not None:
            return
        path = world.path(self.name, node.name)
        if path.blocked or not node.up:
            world.after(2.0, self._connect)
            return
        control = ClientControl(KeepaliveTimes(), lambda: world.random.randbytes(2), world.now)
        self._control, self.node = control, node
        ours = self._end = MachineEnd(world, path, control, self._on_events, self._on_gone)
        self.session += 1

        def theirs(machine: NodeControl) -> MachineEnd:
            end = MachineEnd(
                world,
                path,
                machine,
                lambda events: node.control_says(self.uin, end, events),
                lambda: node.control_gone(self.uin, end),
            )
            ours.peer, end.peer = end, ours
            return end

        node.client_connects(self.uin, self.network, theirs)
        ours.flush()

    def _on_gone(self) -> None:
        self._end = None
        self.world.tell(self.name, "lost its node")
        self._offline()
        self.world.after(1.0 + self.world.random.random(), self._connect)

    def _offline(self) -> None:
        self.session += 1
        self.online_since = None
        self._control = None
        self._ringing.clear()
        self._given_up.clear()
        for peer, setup in list(self.setups.items()):
            if setup.talk is None:
                self._fail(peer, setup, "broken")

    # -- Calling ----------------------------------------------------------------------------------------------

    def wish(self, peer: int, plan: Plan) -> Wish | None:
        """Call, unless we talk to that peer or are about to."""
        if self._control is None or peer in self.setups or self.is_talking(peer):
            return None
        wish = Wish(self.uin, peer, plan, self.world.now)
        self.checks.wished(self, wish)
        self._try(wish)
        return wish

    def say(self, message: Message) -> None:
        """Send the node something out of turn."""
        if self._control is not None and self._end is not None:
            self.is_rude = True
            self.world.tell(self.name, "says out of turn", message)
            self._control._send(message)
            self._end.flush()

    def knock(self, caller: int, callee: int) -> None:
        """Open a data connection for a call that is none of ours."""
        node, world = self.node, self.world
        if node is not None:
            world.tell(self.name, "knocks for", caller, callee)
            line = DataLine(world, DataHello(caller, callee), self.network, 0.01, WINDOW)
            world.after(0.02, self._knock_arrives, node, line)

    @staticmethod
    def _knock_arrives(node: SimNode, line: DataLine) -> None:
        if node.up:
            node.desk.data_connects(line)
            line.up.write(b"\xee" * 40)

    def lets_ring(self, peer: int) -> bool:
        """That peer's call rings here, unanswered, and may end at any moment."""
        return self.manners.answer == "ignore" and peer in self._ringing

    def is_talking(self, peer: int) -> bool:
        """A conversation with that peer stands."""
        talk = self.talks.get(peer)
        return talk is not None and not talk.is_over

    def give_up(self, peer: int) -> None:
        """No longer wait for that call (D15)."""
        setup = self.setups.get(peer)
        if setup is None or setup.wish is None:
            return
        self.world.tell(self.name, "gives up calling", peer)
        self._given_up[peer] = self.world.now
        self._step(peer, Step.GIVE_UP)
        self._fail(peer, setup, "given up")

    def _try(self, wish: Wish) -> None:
        peer = wish.callee
        wish.tries += 1
        self.checks.trouble(self.uin, peer, "a new call")
        lapsing = self.world.now - self._given_up.pop(peer, -LAPSE) < LAPSE
        self.setups[peer] = SetUp(wish, after_lapse=lapsing)
        self.world.tell(self.name, "calls", peer, "try", wish.tries)
        self._step(peer, Step.CALL)

    def _step(self, peer: int, step: Step) -> None:
        if self._control is not None and self._end is not None:
            events = self._control.step(peer, step)
            self._on_events(events)
            if self._end is not None:
                self._end.flush()

    # -- What the control connection says ---------------------------------------------------------------------

    def _on_events(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Online):
                self.online_since = self.world.now
                self.world.tell(self.name, "is online")
            elif isinstance(event, PeerEvent):
                self._on_peer_event(event)

    def _on_peer_event(self, event: PeerEvent) -> None:
        peer = event.peer
        self._ringing.pop(peer, None)
        self.world.tell(self.name, type(event).__name__, peer)
        match event:
            case CallArrived():
                self._on_arrived(peer)
            case CallReady() | CallAnswered():
                self._open(peer, as_caller=isinstance(event, CallReady))
            case CallFailed():
                self._on_failed(peer)

    def _on_failed(self, peer: int) -> None:
        setup = self.setups.get(peer)
        if setup is None:
            return
        if setup.after_lapse:
            setup.after_lapse = False
            self._step(peer, Step.CALL)
        else:
            self._fail(peer, setup, "unavailable")

    def _on_arrived(self, peer: int) -> None:
        ringing = self._ringing[peer] = Ringing(peer)
        setup = self.setups.get(peer)
        if setup is not None:  # our wish is being granted (D14)
            self._stop_opening(setup)
            self._step(peer, Step.ACCEPT)
        elif self.is_talking(peer):
            self.talks[peer].ping(lambda alive: self._pinged(ringing, alive=alive))
        else:
            self._answer_soon(ringing)

    def _pinged(self, ringing: Ringing, *, alive: bool) -> None:
        peer = ringing.peer
        if self._ringing.get(peer) is not ringing:
            return
        if alive:  # we are talking already (D13)
            del self._ringing[peer]
            self._step(peer, Step.REFUSE)
            return
        if self.is_talking(peer):
            self.checks.trouble(self.uin, peer, "a call while it did not answer")
            self.talks[peer].close(why="given up")
        self._answer_soon(ringing)

    def _answer_soon(self, ringing: Ringing) -> None:
        if self.manners.answer != "ignore":
            self.world.after(self.manners.delay, self._answer, ringing)

    def _answer(self, ringing: Ringing) -> None:
        peer = ringing.peer
        if self._ringing.get(peer) is not ringing:
            return
        del self._ringing[peer]
        if self.manners.answer == "accept":
            self.checks.trouble(self.uin, peer, "a new call accepted")
            self._step(peer, Step.ACCEPT)
        else:
            self._step(peer, Step.REFUSE)

    # -- Setting up -------------------------------------------------------------------------------------------

    def _open(self, peer: int, *, as_caller: bool) -> None:
        setup = self.setups.setdefault(peer, SetUp())
        self._stop_opening(setup)
        node, world = self.node, self.world
        assert node is not None
        if self.manners.data == "never":  # without a word to its node
            self._fail(peer, setup, "given up")
            return
        hello = DataHello(self.uin, peer) if as_caller else DataHello(peer, self.uin)
        path = world.path(self.name, node.name)
        line = DataLine(world, hello, self.network, path.delay, WINDOW)
        conversation = None
        if as_caller:
            plan = setup.wish.plan if setup.wish is not None else Plan()
            conversation = self.checks.converse(self, peer, plan)
            if setup.wish is not None:
                setup.wish.conversation = conversation
        is_mute = self.manners.data == "mute"
        talk = setup.talk = Talk(world, self, peer, line, conversation, is_mute=is_mute)
        world.after(path.delay * 2, self._data_connected, node, node.incarnation, talk)

    def _data_connected(self, node: SimNode, incarnation: int, talk: Talk) -> None:
        if talk.is_over:
            return
        if not node.up or node.incarnation != incarnation:
            talk.line.node_open = False
            talk.line.down.give_up()
            return
        node.desk.data_connects(talk.line)
        talk.start()

    def _stop_opening(self, setup: SetUp) -> None:
        talk, setup.talk = setup.talk, None
        if talk is not None and not talk.is_over:
            self.checks.trouble(self.uin, talk.peer, "given up")
            talk.close(in_order=False, why="given up")

    def _fail(self, peer: int, setup: SetUp, why: str) -> None:
        if self.setups.get(peer) is setup:
            del self.setups[peer]
        self._stop_opening(setup)
        wish = setup.wish
        if wish is None or wish.outcome:
            return
        again = why == "wrong" or (wish.retries_all and why in {"unavailable", "broken"})
        if again and wish.tries < MOST_TRIES and self._control is not None and peer not in self.setups:
            self._try(wish)
        else:
            wish.outcome = why
            self.checks.wish_over(self, wish, why)

    # -- What the conversations say ---------------------------------------------------------------------------

    def secret_of(self, uin: int) -> bytes:
        """That user's."""
        return self.checks.secret_of(uin)

    def conversation(self, number: int) -> Conversation | None:
        """The conversation of that number."""
        return self.checks.find(number)

    def talk_began(self, talk: Talk) -> None:
        """The caller's first bytes came: the call is over, the handshake begins."""
        self._step(talk.peer, Step.JOINED)

    def talk_stands(self, talk: Talk) -> None:
        """It is a conversation now."""
        peer = talk.peer
        setup = self.setups.get(peer)
        if self.is_talking(peer):
            self.talks[peer].close(why="given up")
        self.talks[peer] = talk
        if setup is not None and setup.talk is talk:
            del self.setups[peer]
            if setup.wish is not None and not setup.wish.outcome:
                setup.wish.outcome = "stands"
                self.checks.wish_over(self, setup.wish, "stands")

    def talk_ended(self, talk: Talk, why: str) -> None:
        """It is over."""
        peer = talk.peer
        self.checks.talk_over(self, talk, why)
        if self.talks.get(peer) is talk:
            del self.talks[peer]
        setup = self.setups.get(peer)
        if setup is not None and setup.talk is talk:
            setup.talk = None
            self._step(peer, Step.JOINED if why == "end" else Step.GIVE_UP)  # the node knows what it ended itself
            self._fail(peer, setup, "wrong" if why == "wrong" else "broken")
        conversation = talk.conversation
        if why != "closed" or conversation is None or conversation.plan.again is None:
            return
        plan = conversation.plan
        assert plan.again is not None
        caller, callee = (self.uin, peer) if plan.by_ender else (peer, self.uin)
        self.world.after(plan.again, self.book[caller].wish, callee, plan.next or Plan())

    def bad_bytes(self, talk: Talk, what: str, *, genuine: bool) -> None:
        """Bytes came that do not belong here."""
        self.checks.bad_bytes(self, talk, what, genuine)
