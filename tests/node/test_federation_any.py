"""Whatever clients and links say in whatever order: the node keeps its books, answers, and forgets all in the end.

Three users, two nodes with up to three links each, everything they may say, at random from seeds; small bounds, so that
they are met. After every step the books must agree with one another; when all is over nothing may be left.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from node.federation import PORT, Federation, Node, Peer, PeerLink
from uzel.node.call_book import UNANSWERED
from uzel.node.limits import Rate
from uzel.node.settings import LinkSettings, SwitchboardSettings
from uzel.session.calls import CallState
from uzel.wire import (
    Accept,
    Address,
    Call,
    CallReady,
    CallRequest,
    FoundHere,
    FoundInCache,
    Message,
    NoConversation,
    NodeList,
    Ping,
    Refuse,
    RelayedData,
    Search,
)

USERS = (11, 22, 33)
ANY = Rate(1_000_000, 1_000_000)


class Chaos:
    """One node, and what happens to it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        links = LinkSettings(flow=300, kept=self.chance.choice([0, 64]), logins=ANY)
        settings = SwitchboardSettings(calls=ANY, logins=ANY, held_per_conversation=2000, held_in_all=3000, links=links)
        self.world = Federation(settings)
        self.node: Node = self.world.nodes[0]
        self.peers = [self.world.peer(pongs=self.chance.random() < 0.8) for _ in range(2)]
        for peer in self.peers:
            self.node.configure(peer.address)
        self.data: list[int] = []
        self.steps = [
            (35, self.link_says),
            (15, self.client_says),
            (12, self.data_connection),
            (9, self.client_comes_or_goes),
            (8, self.client_brings),
            (4, self.data_ends),
            (2, self.client_is_slow),
            (2, self.link_is_slow),
            (2, self.link_is_lost),
            (3, self.peer_dials),
            (10, self.time_passes),
        ]

    def links(self, peer: Peer | None = None) -> list[PeerLink]:
        peers = self.peers if peer is None else [peer]
        return [link for each in peers for link in each.links if link.is_open]

    def step(self) -> None:
        weights = [weight for weight, _ in self.steps]
        self.chance.choices([what for _, what in self.steps], weights)[0]()
        self.check()

    # -- What may happen ----------------------------------------------------------------------------------------------

    def message(self) -> Message:
        one, other = self.chance.sample(USERS, 2)
        told = self.chance.choice([self.peers[0].told, Address("30.0.0.1", PORT), Address("192.0.1.1", PORT)])
        content = bytes(self.chance.choice([0, 1, 50, 500, 1500]))
        messages: list[Message] = [
            *[CallRequest(one, other)] * 3,
            *[CallReady(one, other)] * 2,
            *[NoConversation(one, other)] * 2,
            RelayedData(one, other, content),
            FoundHere(one),
            Search(one),
            FoundInCache(one, told),
            NodeList((told,)),
            Ping(b"xy"),
        ]
        return self.chance.choice(messages)

    def link_says(self) -> None:
        if links := self.links():
            self.chance.choice(links).say(self.message())

    def client_says(self) -> None:
        user, other = self.chance.choice(USERS), self.chance.choice(USERS)
        self.node.say(user, self.chance.choice([Call, Call, Accept, Accept, Refuse])(other))

    def data_connection(self) -> None:
        caller, callee = self.chance.sample(USERS, 2)
        self.data.append(self.node.data(caller, callee))

    def client_comes_or_goes(self) -> None:
        user = self.chance.choice(USERS)
        if self.chance.random() < 0.6:
            self.node.online(user)
        else:
            self.node.offline(user)

    def bridged(self) -> list[int]:
        return [each for each in self.node.told.bridged if self.node.told.has_bridged(each)]

    def client_brings(self) -> None:
        if bridged := self.bridged():
            self.node.bring(self.chance.choice(bridged), bytes(self.chance.choice([1, 200, 1000])))

    def data_ends(self) -> None:
        if not self.data:
            return
        connection = self.data.pop(self.chance.randrange(len(self.data)))
        board, told = self.node.board, self.node.told
        if connection in self.bridged():
            self.node.end(connection)
        elif connection not in told.closed and connection not in told.ended:
            for join in told.joined:
                if connection in {join.caller_data, join.callee_data} and join.call not in told.relays_ended:
                    told.relays_ended.append(join.call)
                    board.relay_ended(join.call, self.world.now)
                    break
            else:
                board.data_lost(connection, self.world.now)
            self.world.run()

    def client_is_slow(self) -> None:
        if bridged := self.bridged():
            self.node.board.data_backlog(
                self.chance.choice(bridged), self.chance.choice([0, 100, 2500]), self.world.now
            )
            self.world.run()

    def link_is_slow(self) -> None:
        if links := self.links():
            connection = self.chance.choice(links).connection
            (self.world.release if connection in self.world.stopped else self.world.hold_back)(connection)

    def link_is_lost(self) -> None:
        if links := self.links():
            self.chance.choice(links).close()

    def peer_dials(self) -> None:
        peer = self.chance.choice(self.peers)
        if len(self.links(peer)) < 3:
            peer.dials(self.node, announces=self.chance.choice([None, PORT]))

    def time_passes(self) -> None:
        seconds = self.chance.choice([0.1, 0.5, 1, 3, 6, 11, 20, 80])
        self.world.wait(seconds, step=max(0.25, seconds / 20))

    # -- What must hold -----------------------------------------------------------------------------------------------

    def check(self) -> None:
        board = self.node.board
        book = board._calls._book
        calls = list(book)
        for pair in {call.pair for call in calls}:
            for call in book.both(pair):
                assert book.numbered(call.number) is call
                assert call.state is not CallState.NONE
        assert len(calls) == sum(len(book.both(pair)) for pair in {call.pair for call in calls})
        for link in board._links.all():
            assert {call.number for call in calls if call.link is link} == set(link.calls)
        assert all(call.link is None or board._links.get(call.link.id) is call.link for call in calls)
        unanswered = [call for call in calls if call.state in UNANSWERED]
        assert book.as_caller._counts == Counter(call.caller for call in unanswered)
        assert book.as_callee._counts == Counter(call.callee for call in unanswered if not call.away)
        assert book.relaying == sum(call.state is CallState.RELAYING for call in calls)
        over_links = {call.number for call in calls if call.data is not None}
        assert len(self.bridged()) == len(over_links)

    def end(self) -> None:
        """Everybody leaves."""
        self.world.stopped.clear()
        self.world.unreachable.update(peer.address for peer in self.peers)
        for user in USERS:
            self.node.offline(user)
        while links := self.links():
            links[0].close()
        for join in self.node.told.joined:
            self.node.board.relay_ended(join.call, self.world.now)
        self.world.wait(200, step=2)
        assert self.node.is_quiet()
        assert self.bridged() == []
        book = self.node.board._calls._book
        assert not any((book._in_set_up, book._sought, len(book.as_caller), len(book.as_callee), len(book.of_node)))
        assert self.node.counts()["links"] == 0


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_the_books_agree_and_nothing_is_left(start: int) -> None:
    for seed in range(start, start + 20):
        chaos = Chaos(seed)
        for _ in range(200):
            chaos.step()
        chaos.end()
