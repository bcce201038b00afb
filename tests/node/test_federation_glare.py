"""Two users call one another at the same time, from two nodes, over one link or two (D14, D26)."""

from __future__ import annotations

from itertools import permutations

import pytest

from node.federation import Federation, Node, PeerLink, node_and_peers, refuse, two_nodes
from uzel.errors import Reason
from uzel.node.limits import Rate
from uzel.node.settings import SwitchboardSettings
from uzel.wire import (
    Accept,
    Call,
    CallReady,
    CallRequest,
    FoundHere,
    IncomingCall,
    NoConversation,
    Ping,
    Ready,
    Search,
    Unavailable,
)

A, B, C = 11, 22, 33
"""A is the lower; C is the highest."""


def with_clients(*, links: int) -> tuple[Federation, Node, Node]:
    """A is at the first, B at the second."""
    world, one, other = two_nodes(links=links)
    one.online(A)
    other.online(B)
    return world, one, other


def finish(world: Federation, one: Node, other: Node) -> None:
    """Both clients do what clients do: accept what rings, open data connections; then the two talk."""
    answered: dict[Node, int] = {}
    for _ in range(6):
        for node, me, peer in ((one, A, B), (other, B, A)):
            for _, message in node.take():
                assert message != Unavailable(peer), "nobody's wish fails"
                if message == IncomingCall(peer):
                    node.say(me, Accept(peer))
                    answered[node] = node.data(peer, me)
                elif message == Ready(peer):
                    answered[node] = node.data(me, peer)
        world.wait(0.25)
    assert [node.counts()["conversations"] for node in (one, other)] == [1, 1]
    assert [node.counts()["calls"] for node in (one, other)] == [0, 0]
    one.bring(answered[one], b"from A")
    other.bring(answered[other], b"from B")
    assert other.told.written[answered[other]] == b"from A"
    assert one.told.written[answered[one]] == b"from B"


def test_over_one_link_the_call_of_the_lower_wins() -> None:
    world, one, other = with_clients(links=1)
    ends = (one.links_to(other)[0], other.links_to(one)[0])
    for end in ends:
        world.hold_back(end)
    one.say(A, Call(B))
    other.say(B, Call(A))
    world.passed.clear()
    for end in ends:
        world.release(end)
    assert (one.take(), other.take()) == ([], [(B, IncomingCall(A))])
    assert world.messages(NoConversation) == [], "in silence"
    other.say(B, Accept(A))
    theirs = other.data(A, B)
    assert one.take() == [(A, Ready(B))]
    ours = one.data(A, B)
    one.bring(ours, b"x")
    assert other.told.written[theirs] == b"x"


@pytest.mark.parametrize("links", [1, 2])
@pytest.mark.parametrize("first", ["A", "B"])
def test_in_whatever_order_they_cross_one_conversation_comes_of_it(links: int, first: str) -> None:
    world, one, other = with_clients(links=links)
    ends = [*one.links_to(other), *other.links_to(one)]
    for order in permutations(ends):
        for end in ends:
            world.hold_back(end)
        calls = [(one, A, B), (other, B, A)]
        for node, caller, callee in calls if first == "A" else reversed(calls):
            node.say(caller, Call(callee))
        for end in order:
            world.release(end)
            world.wait(0.25)
        finish(world, one, other)
        world.wait(11)
        one.end(one.told.bridged[-1])
        world.wait(3)
        assert one.is_quiet()
        assert other.is_quiet()


def test_both_call_while_both_search() -> None:
    world, one, other = with_clients(links=1)
    for node in world.nodes:
        node.board._finder.locations.drop(A if node is other else B, one.fingerprint)
        node.board._finder.locations.drop(A if node is other else B, other.fingerprint)
    one.say(A, Call(B))
    other.say(B, Call(A))
    assert world.messages(Search)
    finish(world, one, other)


# -- One node, its peers saying every word --------------------------------------------------------------------------


def lower() -> tuple[Federation, Node, PeerLink]:
    """Ours is the lower user, who has called."""
    world, node, (link,) = node_and_peers()
    node.online(A)
    link.say(FoundHere(B))
    node.say(A, Call(B))
    link.take()
    return world, node, link


def higher(settings: SwitchboardSettings | None = None, count: int = 1) -> tuple[Federation, Node, list[PeerLink]]:
    """Ours is the higher user, who has called."""
    world, node, links = node_and_peers(count, settings)
    node.online(C)
    links[0].say(FoundHere(B))
    node.say(C, Call(B))
    assert CallRequest(C, B) in links[0].take()
    return world, node, links


def test_the_node_of_the_lower_ignores_the_other() -> None:
    _, node, link = lower()
    link.say(CallRequest(B, A))
    assert (node.take(), link.take()) == ([], [])
    assert node.reasons() == [Reason.CALL_GLARE]
    link.say(CallReady(A, B))
    assert node.take() == [(A, Ready(B))]


def test_the_node_of_the_higher_drops_its_own_and_serves_the_other() -> None:
    _, node, (link,) = higher()
    link.say(CallRequest(B, C))
    assert (node.take(), link.take()) == ([(C, IncomingCall(B))], [])
    node.say(C, Accept(B))
    node.data(B, C)
    assert link.take() == [CallReady(B, C)]


def test_when_the_surviving_call_fails_the_absorbed_caller_hears_of_it() -> None:
    _, node, (link,) = higher()
    link.say(CallRequest(B, C))
    node.take()
    link.say(NoConversation(B, C))
    assert node.take() == [(C, Unavailable(B))]


def test_when_the_surviving_call_is_refused_there_the_caller_hears_of_it() -> None:
    world, node, link = lower()
    link.say(CallRequest(B, A))
    link.say(NoConversation(A, B))
    world.wait(4)
    assert node.take() == [(A, Unavailable(B))]


def test_a_call_that_we_refuse_although_ours_gave_way_is_answered_both_ways() -> None:
    """The other node has dropped ours for the one that we cannot serve."""
    _, node, (link,) = higher(SwitchboardSettings(link_calls=Rate(1, 1)))
    link.say(CallRequest(44, C))
    node.take()
    link.take()
    link.say(CallRequest(B, C))
    assert link.take() == [NoConversation(B, C)]
    assert node.take() == [(C, Unavailable(B))]


def test_while_still_searching_the_arriving_call_is_served() -> None:
    world, node, links = node_and_peers(2)
    node.online(A)
    node.say(A, Call(B))
    links[0].say(CallRequest(B, A))
    assert node.take() == [(A, IncomingCall(B))]
    links[1].say(FoundHere(B))
    world.wait(4)
    for link in links:
        assert link.take(CallRequest) == []
    node.say(A, Accept(B))
    node.data(B, A)
    assert CallReady(B, A) in links[0].heard


def test_while_still_searching_the_callers_wish_is_absorbed() -> None:
    _, node, links = node_and_peers(2)
    node.online(A)
    node.say(A, Call(B))
    links[0].say(CallRequest(B, A))
    node.take()
    links[0].say(NoConversation(B, A))
    assert node.take() == [(A, Unavailable(B))]


def test_from_another_node_the_arriving_call_is_served_and_ours_withdrawn() -> None:
    world, node, link = lower()
    elsewhere = world.peer().known_to(node)
    elsewhere.say(CallRequest(B, A))
    assert node.take() == [(A, IncomingCall(B))]
    assert link.take() == [NoConversation(A, B)]
    node.say(A, Accept(B))
    node.data(B, A)
    assert CallReady(B, A) in elsewhere.take()


def test_a_refused_call_from_another_node_leaves_ours_alone() -> None:
    world, node, link = lower()
    elsewhere = world.peer().known_to(node)
    elsewhere.say(CallRequest(A, B))  # our own user, it says, calls somebody who is not here
    assert NoConversation(A, B) in elsewhere.take()
    link.say(CallReady(A, B))
    assert node.take() == [(A, Ready(B))]


# -- Over two links ---------------------------------------------------------------------------------------------------


def crossing() -> tuple[Federation, Node, PeerLink, PeerLink]:
    """A here has called B over the first link; B's own call crossed it over the second, and waits."""
    world, node, (one,) = node_and_peers()
    two = one.peer.dials(node)
    world.wait(1)
    one.say(Ping(b"xx"))
    node.online(A)
    one.say(FoundHere(B))
    node.say(A, Call(B))
    first, second = (one, two) if CallRequest(A, B) in one.heard else (two, one)
    second.say(CallRequest(B, A))
    for link in (first, second):
        link.take()
    assert node.take() == []
    return world, node, first, second


def test_over_two_links_the_lower_wins_as_well() -> None:
    _, node, first, second = crossing()
    second.say(NoConversation(B, A))
    first.say(CallReady(A, B))
    assert node.take() == [(A, Ready(B))]
    assert (first.take(), second.take()) == ([], [])


def test_over_two_links_the_higher_withdraws_with_a_no() -> None:
    _, node, (one,) = higher()
    two = one.peer.dials(node)
    two.say(CallRequest(B, C))
    assert node.take() == [(C, IncomingCall(B))]
    assert NoConversation(C, B) in one.take()
    node.say(C, Accept(B))
    node.data(B, C)
    assert CallReady(B, C) in two.take()


def test_what_crossed_has_its_turn_when_ours_fails() -> None:
    world, node, first, second = crossing()
    first.say(NoConversation(A, B))
    world.wait(0.25)
    assert node.take() == [(A, IncomingCall(B))]
    node.say(A, Accept(B))
    node.data(B, A)
    assert CallReady(B, A) in second.take()


def test_what_crossed_has_its_turn_when_our_link_is_lost() -> None:
    world, node, first, _ = crossing()
    first.close()
    world.wait(0.25)
    assert node.take() == [(A, IncomingCall(B))]


def test_what_crossed_is_forgotten_with_its_link() -> None:
    world, node, first, second = crossing()
    second.close()
    first.say(NoConversation(A, B))
    world.wait(4)
    assert node.take() == [(A, Unavailable(B))]
    assert node.is_quiet()


def test_what_crossed_is_not_put_to_a_user_who_has_left() -> None:
    world, node, _, second = crossing()
    node.offline(A)
    world.wait(4)
    assert second.take() == [NoConversation(B, A)]
    assert node.is_quiet()


def test_a_late_crossing_is_told_from_a_new_call_by_its_time() -> None:
    world, node, first, second = crossing()
    first.say(CallReady(A, B))
    node.data(A, B)
    node.take()
    second.say(CallRequest(B, A))
    assert node.take() == []
    world.wait(11)
    second.say(CallRequest(B, A))
    assert node.take() == [(A, IncomingCall(B))], "nothing crosses for so long"
    node.say(A, Accept(B))
    node.data(B, A)
    assert node.counts()["conversations"] == 1
    world.wait(100)
    assert node.take() == []


def test_what_crossed_long_ago_never_rings() -> None:
    world, node, first, second = crossing()
    first.say(CallReady(A, B))
    data = node.data(A, B)
    node.take()
    world.wait(60)
    node.end(data)
    assert node.take() == []
    assert second.take() == []
    world.wait(3)
    assert node.is_quiet()


def test_refused_by_our_user_after_all() -> None:
    _, node, (link,) = higher()
    link.say(CallRequest(B, C))
    refuse(node, C, B)
    assert NoConversation(B, C) in link.take()
    assert node.take()[-1] == (C, Unavailable(B)), "its own wish came to nothing as well"


def settle(world: Federation, node: Node) -> None:
    """Whatever rings is left to ring out."""
    world.wait(200, step=1)
    assert node.is_quiet()


def test_the_callee_comes_online_here_while_its_crossing_call_waits() -> None:
    world, node, _, _ = crossing()
    node.online(B)
    assert (B, IncomingCall(A)) in node.take()
    settle(world, node)
    node.say(A, Call(B))
    assert (B, IncomingCall(A)) in node.take()
    settle(world, node)


def test_the_callee_calls_from_here_while_its_crossing_call_waits_and_ours_is_ready() -> None:
    world, node, first, _ = crossing()
    first.say(CallReady(A, B))
    node.online(B)
    node.take()
    node.say(B, Call(A))
    assert (A, IncomingCall(B)) in node.take()
    settle(world, node)


def test_the_callee_calls_from_here_while_ours_is_ready_elsewhere() -> None:
    """Every 03 is answered: the call that another node claims to have brought to its callee ends."""
    world, node, link = lower()
    node.online(C)
    link.say(FoundHere(B))
    link.say(CallReady(A, B))
    node.online(B)
    node.take()
    node.say(B, Call(A))
    assert node.take() == [(A, Unavailable(B)), (A, IncomingCall(B))]
    assert NoConversation(A, B) in link.take()
    node.say(A, Accept(B))
    node.data(B, A)
    assert node.take() == [(B, Ready(A))]
    settle(world, node)


def test_a_third_node_asks_for_the_pair_while_a_crossing_call_waits() -> None:
    world, node, _, _ = crossing()
    third = world.peer().known_to(node)
    third.say(CallRequest(B, A))
    assert (A, IncomingCall(B)) in node.take()
    settle(world, node)


def test_our_user_calls_again_while_a_crossing_call_waits() -> None:
    world, node, first, _ = crossing()
    first.say(CallReady(A, B))
    data = node.data(A, B)
    node.say(A, Call(B))
    assert node.told.ended == [data]
    settle(world, node)


def test_what_crossed_does_not_ring_when_a_newer_call_takes_over() -> None:
    world, node, first, _ = crossing()
    first.say(CallReady(A, B))
    node.data(A, B)
    third = world.peer().known_to(node)
    third.say(CallRequest(B, A))
    node.say(A, Accept(B))
    node.take()
    node.data(B, A)
    assert CallReady(B, A) in third.take()
    world.wait(1)
    assert (node.take(), node.counts()["conversations"]) == ([], 1)


def test_what_crossed_and_was_withdrawn_never_rings() -> None:
    world, node, first, second = crossing()
    second.say(NoConversation(B, A))
    first.say(NoConversation(A, B))
    world.wait(4)
    assert node.take() == [(A, Unavailable(B))]
    assert (second.take(NoConversation), node.is_quiet()) == ([], True)
