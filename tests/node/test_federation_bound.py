"""Calls are bound to the link of their AA; what other links say, and AA for a pair that has a call already (D18)."""

from __future__ import annotations

import pytest

from node.federation import Federation, Node, PeerLink, called_by, node_and_peers, refuse
from uzel.errors import Reason
from uzel.wire import (
    Accept,
    Call,
    CallReady,
    CallRequest,
    FoundHere,
    IncomingCall,
    Message,
    NoConversation,
    Ping,
    Ready,
    RelayedData,
    Unavailable,
)

A, B, C = 11, 22, 33


def asked() -> tuple[Federation, Node, PeerLink, PeerLink]:
    """A here has called B, over the first of two links."""
    world, node, (link, other) = node_and_peers(2)
    node.online(A)
    link.say(FoundHere(B))
    node.say(A, Call(B))
    assert link.take() == [FoundHere(A), CallRequest(A, B)]
    assert other.take() == [FoundHere(A)]
    return world, node, link, other


def served() -> tuple[Federation, Node, PeerLink, PeerLink, int]:
    """B there converses with A here over the first of two links; the last is A's data connection."""
    world, node, (link, other) = node_and_peers(2)
    node.online(A)
    data = called_by(link, B, node, A)
    node.take()
    link.take()
    other.take()
    return world, node, link, other, data


# -- From another link ----------------------------------------------------------------------------------------------


def test_ready_from_another_link_is_counted_and_ignored() -> None:
    _, node, link, other = asked()
    other.say(CallReady(A, B))
    assert node.reasons() == [Reason.OTHER_LINK]
    assert (node.take(), other.take()) == ([], [])
    link.say(CallReady(A, B))
    assert node.take() == [(A, Ready(B))]


@pytest.mark.parametrize("named", [(A, B), (B, A)])
def test_no_from_another_link_is_counted_and_ignored(named: tuple[int, int]) -> None:
    _, node, link, other = asked()
    other.say(NoConversation(*named))
    assert node.reasons() == [Reason.OTHER_LINK]
    assert (other.take(), node.counts()["fences"]) == ([], 0)
    link.say(CallReady(A, B))
    assert node.take() == [(A, Ready(B))]


def test_no_from_another_link_ends_no_conversation() -> None:
    _, node, link, other, data = served()
    other.say(NoConversation(B, A))
    assert (node.told.ended, node.counts()["conversations"]) == ([], 1)
    link.say(RelayedData(B, A, b"still here"))
    assert node.told.written[data] == b"still here"


@pytest.mark.parametrize("named", [(A, B), (B, A)])
def test_data_from_another_link_is_answered_no_and_reaches_nobody(named: tuple[int, int]) -> None:
    _, node, link, other, data = served()
    other.say(RelayedData(*named, b"forged"))
    assert other.take() == [NoConversation(*named)]
    assert node.counts()["fences"] == 0, "nothing was ended"
    assert data not in node.told.written
    link.say(RelayedData(B, A, b"true"))
    assert node.told.written[data] == b"true"


def test_data_that_pretends_to_come_from_our_own_user_is_answered_no() -> None:
    _, node, link, _, data = served()
    link.say(RelayedData(A, B, b"from A, says the node of B"))
    assert data not in node.told.written
    assert link.take() == [NoConversation(A, B)]


def test_ready_for_no_call_is_answered_no() -> None:
    _, node, (link, _) = node_and_peers(2)
    node.online(A)
    link.take()
    link.say(CallReady(A, B))
    assert link.take() == [NoConversation(A, B)]
    assert node.take() == []


def test_no_for_no_call_is_not_answered_and_raises_no_fence() -> None:
    _, node, (link, _) = node_and_peers(2)
    link.say(NoConversation(A, B))
    assert (link.take(), node.counts()["fences"]) == ([], 0)


def test_data_before_ready_is_dropped() -> None:
    """It can only be of an older conversation, whose node raised no fence."""
    _, node, link, _ = asked()
    link.say(RelayedData(B, A, b"old"))
    assert link.take() == []
    link.say(CallReady(A, B))
    data = node.data(A, B)
    assert data not in node.told.written


def test_data_right_behind_ready_waits_for_the_callers_data_connection() -> None:
    _, node, link, _ = asked()
    link.say(CallReady(A, B), RelayedData(B, A, b"one "), RelayedData(B, A, b""), RelayedData(B, A, b"two"))
    assert node.counts()["held_bytes"] == 7
    data = node.data(A, B)
    assert (node.told.written[data], node.counts()["held_bytes"]) == (b"one two", 0)


# -- A repeated AA --------------------------------------------------------------------------------------------------


def test_a_repeated_request_on_the_same_link_is_ignored_in_set_up() -> None:
    _, node, (link,) = node_and_peers()
    node.online(A)
    link.say(CallRequest(B, A), CallRequest(B, A))
    assert node.take() == [(A, IncomingCall(B))]
    node.say(A, Accept(B))
    link.say(CallRequest(B, A))
    assert node.take() == []
    node.data(B, A)
    assert link.take()[-1] == CallReady(B, A)
    assert node.counts()["conversations"] == 1


def test_a_repeated_request_on_the_same_link_restarts_a_conversation() -> None:
    _, node, link, _, data = served()
    node.bring(data, b"to the old one")
    link.say(CallRequest(B, A))
    assert (node.told.ended, node.take()) == ([data], [(A, IncomingCall(B))])
    assert NoConversation(B, A) not in link.take(), "the other node knows"
    node.say(A, Accept(B))
    again = node.data(B, A)
    assert link.take() == [CallReady(B, A)]
    link.say(RelayedData(B, A, b"new"))
    assert node.told.written == {again: b"new"}


def test_a_restart_discards_what_waited_for_the_old_conversation() -> None:
    world, node, link, _, data = served()
    world.hold_back(link.connection)
    node.bring(data, b"old")
    link.say(CallRequest(B, A))
    world.release(link.connection)
    assert link.take() == []


# -- A challenger: AA for a pair that has a call elsewhere -----------------------------------------------------------


def challenged() -> tuple[Federation, Node, PeerLink, PeerLink, int]:
    """As `served`; then B calls from behind the other link as well."""
    world, node, link, other, data = served()
    other.say(CallRequest(B, A))
    assert node.take() == [(A, IncomingCall(B))]
    assert (node.told.ended, link.take()) == ([], [])
    return world, node, link, other, data


def test_a_challenger_takes_over_when_its_data_connection_stands() -> None:
    _, node, link, other, data = challenged()
    node.say(A, Accept(B))
    assert (node.told.ended, other.take()) == ([], []), "the old one lives until then"
    link.say(RelayedData(B, A, b"old and well"))
    assert node.told.written[data] == b"old and well"
    again = node.data(B, A)
    assert node.told.ended == [data]
    assert link.take() == [NoConversation(B, A)]
    assert other.take() == [CallReady(B, A)]
    assert node.counts()["conversations"] == 1
    other.say(RelayedData(B, A, b"new"))
    assert node.told.written[again] == b"new"
    node.bring(again, b"answer")
    assert other.take() == [RelayedData(A, B, b"answer")]
    assert node.take() == [], "nobody is told that anything failed"


def test_a_refused_challenger_changes_nothing() -> None:
    _, node, link, other, data = challenged()
    refuse(node, A, B)
    assert other.take() == [NoConversation(B, A)]
    link.say(RelayedData(B, A, b"well"))
    assert (node.told.written[data], node.told.ended) == (b"well", [])
    assert node.counts()["calls"] == 0


def test_a_challenger_whose_link_is_lost_changes_nothing() -> None:
    _, node, _, other, _ = challenged()
    other.close()
    assert node.take() == [(A, Unavailable(B))]
    assert (node.counts()["conversations"], node.told.ended) == (1, [])


def test_a_challenger_that_withdraws_changes_nothing() -> None:
    _, node, _, other, _ = challenged()
    other.say(NoConversation(B, A))
    assert node.take() == [(A, Unavailable(B))]
    assert (node.counts()["conversations"], node.counts()["calls"]) == (1, 0)


def test_a_challenger_that_nobody_answers_ends_after_the_ring_time() -> None:
    world, node, _, other, _ = challenged()
    world.wait(61, step=1)
    assert other.take() == [NoConversation(B, A)]
    assert node.take() == [(A, Unavailable(B))]
    assert (node.counts()["conversations"], node.told.ended) == (1, [])


def test_a_challenger_without_a_data_connection_ends_after_its_time() -> None:
    world, node, _, other, _ = challenged()
    node.say(A, Accept(B))
    world.wait(16, step=1)
    assert other.take() == [NoConversation(B, A)]
    assert (node.counts()["conversations"], node.told.ended) == (1, [])


def test_the_older_one_ends_by_itself_while_the_challenger_rings() -> None:
    _, node, link, other, data = challenged()
    node.end(data)
    assert link.take() == [NoConversation(B, A)]
    assert node.take() == []  # a second 04 would have the callee drop the data connection that it is opening
    node.say(A, Accept(B))
    node.data(B, A)
    assert other.take() == [CallReady(B, A)]
    assert (node.counts()["conversations"], node.counts()["calls"]) == (1, 0)


def test_a_challenger_that_rang_before_the_older_was_accepted_rings_again_when_that_comes_to_nothing() -> None:
    """The caller moved: its first call, still at its old node, takes the callee's answer and then fails."""
    _, node, (old, new) = node_and_peers(2)
    node.online(A)
    old.say(CallRequest(B, A))
    new.say(CallRequest(B, A))
    assert node.take() == [(A, IncomingCall(B)), (A, IncomingCall(B))]
    node.say(A, Accept(B))
    node.data(B, A)
    assert CallReady(B, A) in old.take()
    old.say(NoConversation(B, A))
    assert node.take() == [(A, IncomingCall(B))]
    node.say(A, Accept(B))
    node.data(B, A)
    assert CallReady(B, A) in new.take()
    assert node.counts()["conversations"] == 1


def test_a_challenger_rings_again_when_the_older_is_withdrawn() -> None:
    """The 05 that tells of the older one would end the ring of both."""
    _, node, (old, new) = node_and_peers(2)
    node.online(A)
    old.say(CallRequest(B, A))
    new.say(CallRequest(B, A))
    node.take()
    old.say(NoConversation(B, A))
    assert node.take() == [(A, Unavailable(B)), (A, IncomingCall(B))]


def test_the_link_of_the_older_one_is_lost_while_the_challenger_rings() -> None:
    _, node, link, other, data = challenged()
    link.close()
    assert node.told.ended == [data]
    node.say(A, Accept(B))
    node.data(B, A)
    assert other.take() == [CallReady(B, A)]


def test_one_challenger_at_a_time() -> None:
    world, node, _, other, _ = challenged()
    third = world.peer().known_to(node)
    third.take()
    third.say(CallRequest(B, A))
    assert third.take() == [NoConversation(B, A)]
    assert node.take() == []
    other.say(CallRequest(B, A))
    assert (other.take(), node.take()) == ([], []), "a repetition"


def test_a_challenger_meets_a_call_that_rings() -> None:
    """The answer goes to the one that rings first; the other goes on ringing, and takes over when answered."""
    _, node, (link, other) = node_and_peers(2)
    node.online(A)
    link.say(CallRequest(B, A))
    other.say(CallRequest(B, A))
    assert node.take() == [(A, IncomingCall(B))] * 2
    node.say(A, Accept(B))
    first = node.data(B, A)
    assert CallReady(B, A) in link.take()
    node.say(A, Accept(B))
    node.data(B, A)
    assert CallReady(B, A) in other.take()
    assert node.told.ended == [first]
    assert link.take() == [NoConversation(B, A)]


def test_a_challenger_replaces_a_conversation_between_two_of_our_clients() -> None:
    """B has moved to another node and calls from there; here its control connection is gone, its data is not."""
    _, node, (link,) = node_and_peers()
    node.online(A, B)
    node.say(A, Call(B))
    node.say(B, Accept(A))
    node.data(A, B)
    node.data(A, B)
    (relay,) = node.told.joined
    node.offline(B)
    node.take()
    link.say(CallRequest(B, A))
    assert (node.take(), node.told.relays_ended) == ([(A, IncomingCall(B))], [])
    node.say(A, Accept(B))
    assert node.told.relays_ended == []
    node.data(B, A)
    assert node.told.relays_ended == [relay.call]
    assert CallReady(B, A) in link.take()
    assert node.counts()["conversations"] == 1


def test_a_challenger_while_our_own_user_calls_again() -> None:
    """A conversation runs, the other side calls from elsewhere, and A calls anew: as in any glare A's wish waits."""
    _, node, _, other, _ = challenged()
    node.say(A, Call(B))
    assert (node.take(), node.told.ended) == ([], [])
    other.say(NoConversation(B, A))
    assert node.take() == [(A, Unavailable(B))]


def test_whose_own_call_gives_way_to_the_one_it_accepted_is_not_told_that_it_failed() -> None:
    """A calls B, whose old control connection here is half-open; B calls A from its new node. D14: A accepts."""
    _, node, (link,) = node_and_peers()
    node.online(A, B)
    node.say(A, Call(B))
    link.say(CallRequest(B, A))
    node.say(A, Accept(B))
    node.data(B, A)
    assert CallReady(B, A) in link.take()
    assert (A, Unavailable(B)) not in node.take(), "a client that accepted takes a 05 for the end of this call"
    assert node.counts()["calls"] == 0


def test_a_challenger_while_our_own_call_is_ready_elsewhere() -> None:
    _, node, link, other = asked()
    link.say(CallReady(A, B))
    other.say(CallRequest(B, A))
    assert node.take() == [(A, Ready(B)), (A, IncomingCall(B))]
    node.say(A, Accept(B))
    node.data(B, A)
    assert CallReady(B, A) in other.take()
    assert node.take() == []
    assert link.take() == [NoConversation(A, B)]


# -- Ends that name their call ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [(A, B), (B, A)])
def test_no_names_the_pair_in_either_order(named: tuple[int, int]) -> None:
    _, node, link, _, data = served()
    link.say(NoConversation(*named))
    assert node.told.ended == [data]
    assert (node.counts()["conversations"], link.take(NoConversation)) == (0, [])


@pytest.mark.parametrize("order", ["accept", "ring"])
def test_no_while_it_rings_tells_the_callee(order: str) -> None:
    _, node, (link,) = node_and_peers()
    node.online(A)
    link.say(CallRequest(B, A))
    if order == "accept":
        node.say(A, Accept(B))
    node.take()
    link.say(NoConversation(B, A))
    assert node.take() == [(A, Unavailable(B))]
    assert node.counts()["calls"] == 0


def test_two_pairs_over_one_link_do_not_touch() -> None:
    _, node, link, _, data = served()
    node.online(C)
    second = called_by(link, B, node, C)
    link.say(NoConversation(B, C))
    assert node.told.ended == [second]
    link.say(RelayedData(B, A, b"well"))
    assert node.told.written[data] == b"well"


def test_both_ways_to_call_over_one_link() -> None:
    _, node, link, _ = asked()
    link.say(CallReady(A, B))
    ours = node.data(A, B)
    node.bring(ours, b"from the caller")
    link.say(RelayedData(B, A, b"from the callee"))
    assert link.take() == [RelayedData(A, B, b"from the caller")]
    assert node.told.written[ours] == b"from the callee"


def test_a_call_within_the_node_is_no_business_of_any_link() -> None:
    _, node, (link, _) = node_and_peers(2)
    node.online(A, C)
    link.take()
    node.say(A, Call(C))
    messages: tuple[Message, ...] = (NoConversation(A, C), CallReady(A, C), RelayedData(A, C, b"x"))
    for message in messages:
        link.say(message)
    assert node.take() == [(C, IncomingCall(A))]
    assert link.take() == [NoConversation(A, C)], "the D0 is answered, the others were of another link"
    node.say(C, Accept(A))
    node.data(A, C)
    node.data(A, C)
    assert len(node.told.joined) == 1


def test_what_ends_is_fenced_on_its_own_link() -> None:
    _, node, link, other, _ = served()
    link.peer.pongs = False
    link.say(NoConversation(B, A))
    assert link.take(Ping)
    other.say(CallRequest(B, A))
    assert node.take() == [(A, IncomingCall(B))], "another link is not fenced"
