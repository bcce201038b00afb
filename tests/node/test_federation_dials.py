"""Dialling for a purpose: who waits for a dial, what it finds, how many at once (D20, D21, D22); and small bounds."""

from __future__ import annotations

import math

import pytest

from node.federation import PORT, Federation, Node, Peer, PeerLink, called_by, node_and_peers
from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress
from uzel.node.link import Link
from uzel.node.settings import LinkSettings, SwitchboardSettings
from uzel.node.switchboard import Switchboard
from uzel.wire import (
    Address,
    Call,
    CallReady,
    CallRequest,
    FoundHere,
    FoundInCache,
    NoConversation,
    NodeList,
    Ping,
    Pong,
    Ready,
    Search,
    Unavailable,
)

A, B, C = 11, 22, 33
STRANGER = Fingerprint(b"s" * 32)


def caller_and_teller(settings: SwitchboardSettings | None = None) -> tuple[Federation, Node, PeerLink]:
    """A here, and a linked node that answers searches with addresses."""
    world, node, (teller,) = node_and_peers(1, settings)
    node.online(A)
    teller.take()
    world.wait(2)
    return world, node, teller


def answer_dials(world: Federation) -> None:
    world.hanging.clear()
    hung, world.hung = world.hung, []
    for node, dial in hung:
        world.answer(node, dial)
    world.run()


# -- Several who wait for one dial --------------------------------------------------------------------------------


def test_two_calls_wait_for_one_dial() -> None:
    world, node, teller = caller_and_teller()
    node.online(C)
    there = world.peer()
    world.hanging.add(there.address)
    for caller in (A, C):
        node.say(caller, Call(B))
    teller.say(FoundInCache(B, there.told))
    world.wait(1.5)
    assert len(world.hung) == 1
    answer_dials(world)
    assert there.link.take(CallRequest) == [CallRequest(A, B), CallRequest(C, B)]


def test_how_long_a_dial_took_is_remembered() -> None:
    world, node, _ = caller_and_teller(SwitchboardSettings(links=LinkSettings(kept=0)))
    there = world.peer()
    world.hanging.add(there.address)
    node.remember(there.address, there.fingerprint)
    known = node.board._links.known
    assert known.distance(there.fingerprint) == math.inf
    assert known.distance(STRANGER) == math.inf
    world.wait(0.75)
    answer_dials(world)
    assert 0 < known.distance(there.fingerprint) <= 0.75


def test_a_caller_who_left_meanwhile_is_not_missed() -> None:
    world, node, teller = caller_and_teller()
    there = world.peer()
    world.hanging.add(there.address)
    node.say(A, Call(B))
    teller.say(FoundInCache(B, there.told))
    world.wait(1.5)
    node.offline(A)
    answer_dials(world)
    assert there.link.take(CallRequest) == []
    world.wait(4)
    assert node.is_quiet()


def test_a_known_node_that_is_gone_is_not_waited_for() -> None:
    world, node, teller = caller_and_teller(SwitchboardSettings(links=LinkSettings(kept=0)))
    there = world.peer()
    link = there.dials(node, announces=PORT)
    world.wait(2)
    link.say(FoundHere(B))
    link.close()
    world.unreachable.add(there.address)
    node.say(A, Call(B))
    assert there.address in node.told.dialled
    assert Search(B) in teller.take()
    teller.say(FoundHere(B))
    assert teller.take(CallRequest)


@pytest.mark.parametrize("kept", [0, 64])
def test_somebody_else_at_the_address_of_a_known_node_is_not_asked_for_its_user(kept: int) -> None:
    world, node, teller = caller_and_teller(SwitchboardSettings(links=LinkSettings(kept=kept)))
    there = world.peer()
    link = there.dials(node, announces=PORT)
    world.wait(2)
    link.say(FoundHere(B))
    link.close()
    there.fingerprint = STRANGER
    node.say(A, Call(B))
    assert all(CallRequest(A, B) not in each.heard for each in there.links)
    assert Search(B) in teller.take()


def test_whoever_is_at_the_address_of_an_answer_is_asked() -> None:
    """An A9 names an address, not a key."""
    world, node, teller = caller_and_teller()
    there = world.peer()
    there.fingerprint = STRANGER
    node.say(A, Call(B))
    teller.say(FoundInCache(B, there.told))
    world.wait(1)
    there.link.say(CallReady(A, B))
    assert node.take() == [(A, Ready(B))]


def test_a_location_is_by_key_and_not_by_address() -> None:
    """The node moved: its key is what counts, its new address is met before it is told."""
    world, node, teller = caller_and_teller()
    mover = world.peer()
    first = mover.dials(node, announces=PORT)
    world.wait(2)
    first.say(FoundHere(B))
    first.close()
    mover.address, mover.host = NodeAddress("198.51.240.1", PORT), "198.51.240.1"
    mover.dials(node, announces=PORT)
    world.wait(2)
    node.say(A, Call(B))
    assert any(CallRequest(A, B) in link.heard for link in mover.links)
    assert teller.take(CallRequest) == []


# -- Bounds -------------------------------------------------------------------------------------------------------


def test_so_many_dials_at_once() -> None:
    world = Federation(SwitchboardSettings(links=LinkSettings(dials=2)))
    node = world.nodes[0]
    peers = [world.peer() for _ in range(4)]
    world.hanging.update(peer.address for peer in peers)
    for peer in peers:
        node.configure(peer.address)
    assert node.counts()["dials"] == 2
    world.wait(5)
    assert node.counts()["dials"] == 2
    answer_dials(world)
    world.wait(2)
    assert all(peer.links for peer in peers), "the others have their turn"


def test_an_answer_beyond_its_tellers_word_is_not_dialled() -> None:
    world, node, teller = caller_and_teller(SwitchboardSettings(links=LinkSettings(giver_dials=1)))
    peers = [world.peer() for _ in range(2)]
    for number, peer in enumerate(peers):
        node.say(A, Call(B + number))
        teller.say(FoundInCache(B + number, peer.told))
        world.wait(2)
    assert [bool(peer.links) for peer in peers] == [True, False]
    world.wait(4)
    assert node.take()[-1] == (A, Unavailable(B + 1))


def test_many_answers_wait_for_the_one_dial_of_a_second() -> None:
    settings = SwitchboardSettings(links=LinkSettings(giver_dials=60, dials=3))
    world, node, teller = caller_and_teller(settings)
    peers = [world.peer() for _ in range(5)]
    for number, peer in enumerate(peers):
        node.say(A, Call(1000 + number))
        teller.say(FoundInCache(1000 + number, peer.told))
    world.wait(4)
    assert [bool(peer.links) for peer in peers] == [True] * 4 + [False], "one at once, three that wait"
    world.wait(10)
    assert [bool(peer.links) for peer in peers] == [True] * 5, "but met in their turn"


def test_a_stopping_node_gives_up_the_dials_that_calls_wait_for() -> None:
    world, node, teller = caller_and_teller()
    there = world.peer()
    world.hanging.add(there.address)
    for number in range(3):
        node.say(A, Call(1000 + number))
        teller.say(FoundInCache(1000 + number, Address(there.host, PORT + number)))
    world.wait(0.25)
    node.board.drain(world.now)
    world.run()
    assert {message.uin for _, message in node.take() if isinstance(message, Unavailable)} == {1000, 1001, 1002}
    assert node.counts()["dials"] == 0
    connection = world.connection()
    node.board.link_dialled(connection, 1000, there.host, there.fingerprint, world.now)
    world.run()
    assert node.told.closed[connection] is None, "a dial that nobody knows"
    node.board.dial_failed(1000, Reason.NODE_UNREACHABLE, world.now)
    world.wait(10)
    assert node.is_quiet()


# -- One node, two configured addresses ---------------------------------------------------------------------------


def two_names() -> tuple[Federation, Node, Peer, Peer]:
    world = Federation(None)
    node = world.nodes[0]
    one, other = world.peer(), world.peer()
    other.fingerprint = one.fingerprint
    node.configure(one.address)
    node.configure(other.address)
    return world, node, one, other


def test_a_node_configured_twice_has_one_link() -> None:
    world, node, one, other = two_names()
    assert not one.link.is_open
    assert other.link.is_open
    assert node.told.closed == {one.link.connection: Reason.LINK_REPLACED}
    world.wait(100)
    assert len(node.told.dialled) == 2


def test_when_it_is_lost_both_addresses_are_tried() -> None:
    world, node, one, other = two_names()
    world.unreachable.add(other.address)
    other.link.close()
    world.wait(3)
    assert one.link.is_open
    world.unreachable.clear()
    world.wait(60)
    assert len([link for link in node.links() if link.fingerprint == one.fingerprint]) == 1


# -- Small things -------------------------------------------------------------------------------------------------


def test_a_user_who_has_left_is_hinted_to_nobody() -> None:
    world, node, _ = caller_and_teller(SwitchboardSettings(links=LinkSettings(kept=0)))
    far = world.peer()
    world.hanging.add(far.address)
    node.remember(far.address, far.fingerprint)
    node.online(B)
    assert [dial.address for _, dial in world.hung] == [far.address]
    node.offline(B)
    answer_dials(world)
    assert all(FoundHere(B) not in link.heard for link in far.links)


def test_the_time_of_a_ping_begins_when_it_leaves() -> None:
    world, node, (link,) = node_and_peers()
    world.hold_back(link.connection)
    world.wait(35)
    link.say(NodeList(()))
    world.release(link.connection)
    assert [each.round_trip for each in node.links()] == [0.0]


def test_a_call_that_was_found_here_is_not_left_to_a_search() -> None:
    world, node, teller = caller_and_teller()
    node.say(A, Call(B))
    node.online(B)
    teller.say(FoundHere(B))
    world.wait(4)
    assert teller.take(CallRequest) == []


def test_pings_that_are_never_answered_do_not_pile_up() -> None:
    world, node, (link,) = node_and_peers(pongs=False)
    kept = node.board._links.get(link.connection)
    assert kept is not None
    for _ in range(200):
        node.board._links._pings.ping(kept, world.now)
    world.run()
    assert len(kept.pings) == Link.MAX_PINGS


def test_tokens_that_repeat_are_told_apart() -> None:
    """Two random bytes may well be equal; a fence must fall with its own 69 only."""
    world, node, (link,) = node_and_peers()
    node.board = Switchboard(SwitchboardSettings(), node.fingerprint, tokens=lambda: b"\xff\xff", chance=lambda: 0.5)
    again = link.peer.dials(node)
    node.online(A, C)
    first, second = called_by(again, B, node, A), called_by(again, B, node, C)
    again.peer.pongs = False
    node.end(first)
    node.end(second)
    pings = [message for message in again.heard if isinstance(message, Ping)]
    assert pings[-1].token != pings[-2].token
    again.say(Pong(pings[-1].token))
    again.say(CallRequest(B, A))
    assert (A, Unavailable(B)) not in node.take()
    assert node.counts()["fences"] == 1
    world.wait(1)


def test_nobody_is_dialled_for_an_address_that_cannot_be() -> None:
    world, node, teller = caller_and_teller()
    node.say(A, Call(B))
    teller.say(FoundInCache(B, Address("0.0.0.0", PORT)))
    world.wait(0.5)
    assert node.take() == [(A, Unavailable(B))]
    teller.say(NodeList((Address("224.0.0.1", PORT), Address("node.example", 0))))
    world.wait(2)
    assert len(node.told.dialled) == 1


def test_a_name_is_dialled_as_a_name() -> None:
    world, node, teller = caller_and_teller()
    there = world.peer(host="node7.example")
    there.host = "198.51.88.1"
    node.say(A, Call(B))
    teller.say(FoundInCache(B, Address("node7.example", PORT)))
    world.wait(1)
    assert node.told.dialled[-1] == NodeAddress("node7.example", PORT)
    there.link.say(CallReady(A, B), NoConversation(A, B))
    assert (A, Ready(B)) in node.take()
