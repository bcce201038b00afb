"""The users of the scale simulation: who is online where, who calls whom, who goes and comes, how calls were answered.

A person calls one of a few contacts, and often the same one again some minutes later. Every fifth call is for somebody
who is offline and is tried again and again. Within the hour a tenth of the people moves to another node, or goes away
and comes back; a tenth of the nodes goes away for some minutes, and its people log in elsewhere meanwhile. Everything
follows from the seed. Counterpart: `scale_node`, their nodes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from scale_node import SimNode
from scale_world import World


@dataclass(frozen=True)
class Habits:
    """Times in seconds, counts, shares.

    calls: of one person in an hour, all kinds. offline: the share of them for people who are offline, each pair
    tried every `retry` on average. again: the share of conversations after which the same person is called again,
    `pause` later at least and at most. talk: how long a conversation lasts. contacts: people that one calls.
    moving: the share of people that moves, or goes away for `away`, in an hour. failing: the share of nodes that goes
    away in an hour, for `outage`, each second one with its machine. notice: until their people log in elsewhere.
    """

    calls: float = 2.0
    offline: float = 0.2
    retry: float = 60.0
    again: float = 0.3
    pause: tuple[float, float] = (60.0, 300.0)
    talk: tuple[float, float] = (15.0, 60.0)
    contacts: int = 8
    moving: float = 0.1
    away: tuple[float, float] = (120.0, 900.0)
    failing: float = 0.1
    outage: tuple[float, float] = (120.0, 600.0)
    notice: tuple[float, float] = (1.0, 30.0)


@dataclass
class Answers:
    """What became of the calls for people who were not at the caller's own node; times in seconds."""

    local: int = 0
    ready: list[float] = field(default_factory=list)
    unavailable: list[float] = field(default_factory=list)
    missed: int = 0
    """Answered 05 although the callee was online all the time."""
    lost: int = 0
    """The caller's node went away, or the caller itself."""


class People:
    """UINs from 1 to `online` come and go; those behind them are never there."""

    def __init__(self, world: World, count: int, habits: Habits) -> None:
        self.world = world
        self.habits = habits
        self.count = count
        self.where: dict[int, SimNode | None] = dict.fromkeys(range(1, count + 1))
        self.answers = Answers()
        self.events: Counter[str] = Counter()
        self.open: dict[tuple[int, int], float] = {}
        """Calls without an answer, by caller and callee: since when."""
        self._talking: set[tuple[int, int]] = set()
        self._contacts: dict[int, tuple[int, ...]] = {}
        rate = count * habits.calls / 3600
        self._offline_rate = rate * habits.offline
        self._first_rate = rate * (1 - habits.offline) * (1 - habits.again)
        tried = max(1, round(self._offline_rate * habits.retry))
        chance = world.random
        self._tried = [(chance.randint(1, count), count + 1 + number) for number in range(tried)]
        world.answered = self._answered

    # -- Coming and going -------------------------------------------------------------------------------------

    def come_online(self, within: float) -> None:
        """Everybody logs in at a random node, spread over this time."""
        chance, nodes = self.world.random, self.world.nodes
        for uin in self.where:
            self.world.after(chance.random() * within, self._login, uin, nodes[chance.randrange(len(nodes))])

    def _login(self, uin: int, node: SimNode) -> None:
        if self.where[uin] is None:
            if not node.up:
                node = self._some_node()
            self.where[uin] = node
            node.login(uin)

    def _logout(self, uin: int) -> None:
        node = self.where[uin]
        if node is not None:
            self.where[uin] = None
            for pair in [pair for pair in self.open if uin in pair]:
                if pair[0] == uin:
                    self._lose(pair)
            node.logout(uin)

    def _some_node(self) -> SimNode:
        chance, nodes = self.world.random, self.world.nodes
        while True:
            node = nodes[chance.randrange(len(nodes))]
            if node.up:
                return node

    def begin_churn(self, seconds: float) -> None:
        """Within this time people and nodes come and go; at least one node does, when there is another."""
        habits, chance = self.habits, self.world.random
        self._every(self.count * habits.moving / 3600, self._somebody_moves)
        if habits.failing and len(self.world.nodes) > 1:
            for _ in range(max(1, round(len(self.world.nodes) * habits.failing * seconds / 3600))):
                self.world.after(chance.random() * seconds, self._node_goes)

    def _every(self, rate: float, action: object) -> None:
        """Do it again and again, so many times a second on average."""
        if rate > 0:
            self.world.after(self.world.random.expovariate(rate), self._once, rate, action)

    def _once(self, rate: float, action: object) -> None:
        assert callable(action)
        action()
        self._every(rate, action)

    def _somebody_moves(self) -> None:
        chance, uin = self.world.random, self.world.random.randint(1, self.count)
        if self.where[uin] is None:
            return
        self._logout(uin)
        if chance.random() < 0.5:
            self.events["moved"] += 1
            self.world.after(1.0, self._login, uin, self._some_node())
        else:
            self.events["went offline"] += 1
            self.world.after(chance.uniform(*self.habits.away), self._login, uin, self._some_node())

    def _node_goes(self) -> None:
        chance, habits, node = self.world.random, self.habits, self._some_node()
        if sum(each.up for each in self.world.nodes) < 2:
            return
        self.events["nodes went"] += 1
        people = list(node.uins)
        for uin in people:
            self.where[uin] = None
        for pair in [pair for pair in self.open if pair[0] in node.uins]:
            self._lose(pair)
        node.stop(machine=chance.random() < 0.5)
        self.world.after(chance.uniform(*habits.outage), node.start)
        for uin in people:
            self.world.after(chance.uniform(*habits.notice), self._login, uin, self._some_node())

    # -- Calls ------------------------------------------------------------------------------------------------

    def begin_calls(self) -> None:
        """From now on people call."""
        self._every(self._first_rate, self._call_contact)
        self._every(self._offline_rate, self._call_offline)

    def _call_contact(self) -> None:
        chance = self.world.random
        caller = chance.randint(1, self.count)
        contacts = self._contacts.get(caller)
        if contacts is None:
            contacts = self._contacts[caller] = tuple(
                chance.randint(1, self.count) for _ in range(self.habits.contacts)
            )
        self._call(caller, contacts[chance.randrange(len(contacts))])

    def _call_offline(self) -> None:
        caller, callee = self._tried[self.world.random.randrange(len(self._tried))]
        self._call(caller, callee)

    def _call(self, caller: int, callee: int) -> None:
        node = self.where[caller]
        if node is None or caller == callee or self._busy(caller, callee):
            return
        if callee <= self.count and self.where[callee] is None:
            return  # its people are about to log in again: not one of those who are tried again and again
        if self.where.get(callee) is node:
            self.answers.local += 1
            return
        self.open[caller, callee] = self.world.now
        node.call(caller, callee)

    def _busy(self, one: int, other: int) -> bool:
        return any(pair in known for pair in ((one, other), (other, one)) for known in (self.open, self._talking))

    def _answered(self, node: SimNode, caller: int, callee: int, ready: bool) -> None:
        """07 or 05 came; a 05 may also be for a callee, or for a conversation."""
        since = self.open.pop((caller, callee), None)
        if since is None:
            return
        took = self.world.now - since
        if not ready:
            self.answers.unavailable.append(took)
            if self.where.get(callee) is not None:
                self.answers.missed += 1
            return
        self.answers.ready.append(took)
        self._talking.add((caller, callee))
        chance, habits = self.world.random, self.habits
        self.world.after(0.0, self._talk, node, node.life, caller, callee, chance.uniform(*habits.talk))
        if chance.random() < habits.again:
            self.world.after(habits.talk[1] + chance.uniform(*habits.pause), self._call, caller, callee)

    def _talk(self, node: SimNode, life: int, caller: int, callee: int, seconds: float) -> None:
        if node.life == life:
            data = node.open_data(caller, callee)
            node.settle()
            self.world.after(seconds, node.hang_up, life, data)
        self.world.after(seconds, self._talking.discard, (caller, callee))

    def _lose(self, pair: tuple[int, int]) -> None:
        del self.open[pair]
        self.answers.lost += 1
