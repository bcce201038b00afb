"""Two nodes, one link or two, four people who call across, while messages lie about on the links for a while.

Whatever the order: every 03 is answered, what one data connection brings comes out of one other, whole and in order,
and of the person that was meant (D18, D19); in the end nothing is left. Every byte is marked with where it came from.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

import pytest

from node.federation import Federation, Node, two_nodes
from uzel.wire import Accept, Call, IncomingCall, Ready, Refuse, Unavailable

MARK = struct.Struct(">II")
"""The connection that brought it, and how many marks came before."""


@dataclass(frozen=True)
class Side:
    """A data connection: whose, and with whom."""

    node: Node
    me: int
    peer: int


class People:
    """They do what clients do, more or less."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world: Federation
        self.world, one, other = two_nodes(links=self.chance.choice([1, 2]))
        self.nodes = (one, other)
        self.at = {11: one, 12: one, 22: other, 23: other}
        for user, node in self.at.items():
            node.online(user)
        self.world.wait(1)
        self.take()
        self.ends = [*one.links_to(other), *other.links_to(one)]
        self.waits: set[tuple[int, int]] = set()
        self.sides: dict[int, Side] = {}
        self.marks: dict[int, int] = {}
        self.steps = [
            (15, self.somebody_calls),
            (30, self.somebody_says),
            (7, self.somebody_hangs_up),
            (10, self.an_end_stands_still),
            (18, self.an_end_goes_on),
            (20, self.time_passes),
        ]

    def step(self) -> None:
        self.chance.choices([what for _, what in self.steps], [weight for weight, _ in self.steps])[0]()
        self.answer()
        self.check()

    # -- What they do -----------------------------------------------------------------------------------------------

    def somebody_calls(self) -> None:
        me, node = self.chance.choice(list(self.at.items()))
        peer = self.chance.choice([user for user, its in self.at.items() if its is not node])
        accepted = any(
            (side.me, side.peer) == (me, peer) and each not in node.told.bridged and each not in node.told.closed
            for each, side in self.sides.items()
        )
        if (me, peer) not in self.waits and not accepted:  # D14
            self.waits.add((me, peer))
            node.say(me, Call(peer))

    def live(self) -> list[int]:
        return [each for node in self.nodes for each in node.told.bridged if node.told.has_bridged(each)]

    def somebody_says(self) -> None:
        if live := self.live():
            connection = self.chance.choice(live)
            number = self.marks.get(connection, 0)
            self.marks[connection] = number + 1
            self.sides[connection].node.bring(connection, MARK.pack(connection, number))

    def somebody_hangs_up(self) -> None:
        if live := self.live():
            connection = self.chance.choice(live)
            self.sides[connection].node.end(connection)

    def an_end_stands_still(self) -> None:
        self.world.hold_back(self.chance.choice(self.ends))

    def an_end_goes_on(self) -> None:
        end = self.chance.choice(self.ends)
        if end in self.world.stopped and self.world.stands(end):
            self.world.release(end, at_most=self.chance.choice([None, 1, 2, 3]))

    def time_passes(self) -> None:
        self.world.wait(self.chance.choice([0.1, 0.5, 2, 6]), step=0.5)

    def take(self) -> None:
        for node in self.nodes:
            node.take()

    def answer(self) -> None:
        for node in self.nodes:
            for me, message in node.take():
                match message:
                    case IncomingCall(caller=peer) if self.chance.random() < 0.85:
                        self.waits.discard((me, peer))
                        node.say(me, Accept(peer))
                        self.open(node, me, peer, (peer, me))
                    case IncomingCall(caller=peer):
                        self.waits.discard((me, peer))
                        node.say(me, Refuse(peer))
                    case Ready(callee=peer):
                        self.waits.discard((me, peer))
                        self.open(node, me, peer, (me, peer))
                    case Unavailable(uin=peer):
                        self.waits.discard((me, peer))

    def open(self, node: Node, me: int, peer: int, pair: tuple[int, int]) -> None:
        if self.chance.random() < 0.9:
            self.sides[node.data(*pair)] = Side(node, me, peer)

    # -- What must hold ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        for node in self.nodes:
            for connection, written in node.told.written.items():
                marks = list(MARK.iter_unpack(written))
                (source,) = {came_from for came_from, _ in marks}
                assert [number for _, number in marks] == list(range(len(marks))), "whole and in order"
                here, there = self.sides[connection], self.sides[source]
                assert (here.me, here.peer) == (there.peer, there.me), "from the person that was meant"

    def end(self) -> None:
        for end in self.ends:
            if self.world.stands(end):
                self.world.release(end)
        for _ in range(160):
            if self.waits:
                self.world.wait(1, step=0.5)
                self.answer()
        assert not self.waits, "every call is answered"
        while live := self.live():
            self.sides[live[0]].node.end(live[0])
        for user, node in self.at.items():
            node.offline(user)
        self.world.wait(200, step=5)
        self.check()
        assert all(node.is_quiet() for node in self.nodes)


@pytest.mark.parametrize("start", range(0, 24, 8))
def test_every_call_is_answered_and_no_byte_is_lost_or_led_astray(start: int) -> None:
    for seed in range(start, start + 8):
        people = People(seed)
        for _ in range(150):
            people.step()
        people.end()
