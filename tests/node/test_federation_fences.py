"""Fences: after a B8 that ended something, nothing old of the pair counts, and nothing new is asked (D19)."""

from __future__ import annotations

import pytest

from node.federation import Federation, Node, PeerLink, called_by, calling, node_and_peers, refuse
from uzel.errors import Reason
from uzel.node.settings import LinkSettings, SwitchboardSettings
from uzel.wire import (
    Accept,
    Call,
    CallReady,
    CallRequest,
    FoundHere,
    IncomingCall,
    Message,
    NoConversation,
    NodeList,
    Ping,
    Pong,
    Ready,
    RelayedData,
    Unavailable,
)

A, B, C = 11, 22, 33


def conversing(settings: SwitchboardSettings | None = None) -> tuple[Federation, Node, PeerLink, int]:
    """B behind the link, which answers 68, converses with A here, long enough for nobody to be suspected."""
    world, node, (link,) = node_and_peers(1, settings)
    node.online(A)
    data = called_by(link, B, node, A)
    world.wait(11)
    node.take()
    link.take()
    return world, node, link, data


def hung_up() -> tuple[Federation, Node, PeerLink, Ping]:
    """A's data connection ended; the 69 to the 68 behind the B8 has not come yet."""
    world, node, link, data = conversing()
    link.peer.pongs = False
    node.end(data)
    no, ping = link.heard[-2:]
    assert no == NoConversation(B, A)
    assert isinstance(ping, Ping)
    link.take()
    return world, node, link, ping


def test_a_no_that_we_say_is_followed_by_a_ping() -> None:
    _, node, _, _ = hung_up()
    assert node.counts()["fences"] == 1


def test_a_no_that_ends_something_here_is_followed_by_a_ping() -> None:
    _, node, link, data = conversing()
    link.peer.pongs = False
    link.say(NoConversation(A, B))
    assert node.told.ended == [data]
    assert [type(message) for message in link.heard] == [Ping], "and it is not answered with a B8"
    assert node.counts()["fences"] == 1


@pytest.mark.parametrize(
    "message",
    [CallRequest(B, A), CallReady(B, A), CallReady(A, B), NoConversation(B, A), NoConversation(A, B),
     RelayedData(B, A, b"old"), RelayedData(A, B, b"old")],
    ids=str,
)  # fmt: skip
def test_behind_the_fence_nothing_of_the_pair_counts(message: Message) -> None:
    _, node, link, ping = hung_up()
    link.say(message)
    assert (link.take(), node.take()) == ([], [])
    assert node.counts()["calls"] == 0
    link.say(Pong(ping.token))
    assert node.counts()["fences"] == 0


def test_other_pairs_are_not_fenced() -> None:
    _, node, link, _ = hung_up()
    node.online(C)
    called_by(link, B, node, C)
    assert CallReady(B, C) in link.take()
    link.say(RelayedData(B, 44, b"x"))
    assert link.take() == [NoConversation(B, 44)]


def test_our_own_request_is_held_back_until_the_answer() -> None:
    _, node, link, ping = hung_up()
    node.say(A, Call(B))
    assert (link.take(), node.counts()["calls"]) == ([], 1)
    link.say(CallReady(A, B), NoConversation(A, B), RelayedData(B, A, b"old"))
    assert node.take() == [], "they are not about it"
    link.say(Pong(ping.token))
    assert link.take() == [CallRequest(A, B)]
    link.say(CallReady(A, B))
    assert node.take() == [(A, Ready(B))]


def test_an_answer_to_another_ping_lowers_nothing() -> None:
    _, node, link, ping = hung_up()
    other = bytes([ping.token[0] ^ 255, ping.token[1]])
    link.say(Pong(other))
    assert node.counts()["fences"] == 1


def test_a_held_request_that_is_given_up_is_never_said() -> None:
    _, node, link, ping = hung_up()
    node.say(A, Call(B))
    node.offline(A)
    link.say(Pong(ping.token))
    assert link.take() == []
    assert node.is_quiet()


def test_a_held_request_goes_on_to_the_next_node_when_its_time_has_passed() -> None:
    world, node, link, _ = hung_up()
    node.say(A, Call(B))
    link.peer.pongs = False
    for _ in range(20):
        world.wait(5)
        link.say(NodeList(()))  # it lives, and never answers the 68
    assert node.take() == [(A, Unavailable(B))]
    assert CallRequest(A, B) not in link.heard


def test_a_link_that_answers_pings_but_not_this_one_ends_after_the_silence_time() -> None:
    world, node, link, _ = hung_up()
    for _ in range(17):
        world.wait(5)
        link.say(NodeList(()))
    assert (link.is_open, node.counts()["fences"]) == (True, 1)
    world.wait(6)
    assert node.told.closed[link.connection] is Reason.FENCE_UNANSWERED


def simple_node() -> tuple[Federation, Node, PeerLink, int]:
    """A node that answers no 68 at all converses with ours."""
    world, node, (link,) = node_and_peers(pongs=False)
    node.online(A)
    data = called_by(link, B, node, A)
    node.take()
    link.take()
    return world, node, link, data


def test_where_68_was_never_answered_the_fence_stands_for_two_seconds() -> None:
    world, node, link, data = simple_node()
    node.end(data)
    node.say(A, Call(B))
    world.wait(1.75)
    assert node.counts()["fences"] == 1
    link.take()
    link.say(CallRequest(B, A))
    assert node.take() == []
    world.wait(0.5)
    assert node.counts()["fences"] == 0
    assert link.take() == [CallRequest(A, B)]


def test_the_two_seconds_begin_when_the_ping_leaves() -> None:
    world, node, link, data = simple_node()
    world.hold_back(link.connection)
    node.bring(data, b"x")
    node.end(data)
    world.wait(5)
    assert node.counts()["fences"] == 1
    world.release(link.connection)
    world.wait(1.5)
    assert node.counts()["fences"] == 1
    world.wait(0.75)
    assert node.counts()["fences"] == 0


def test_who_answers_late_but_answers_is_waited_for() -> None:
    """The first 69 of all comes while a fence stands that was to fall by itself."""
    world, node, link, data = simple_node()
    early = [message for message in link.heard if isinstance(message, Ping)]
    assert early == []
    node.end(data)
    first = next(message for message in link.heard if isinstance(message, Ping))
    node.online(C)
    other = called_by(link, B, node, C)
    node.end(other)
    world.wait(1)
    link.say(Pong(first.token))
    world.wait(5)
    assert node.counts()["fences"] == 1, "the second is waited for like any"
    second = [message for message in link.heard if isinstance(message, Ping)][-1]
    link.say(Pong(second.token))
    assert node.counts()["fences"] == 0
    assert link.is_open


# -- The queue --------------------------------------------------------------------------------------------------------


def test_what_waits_for_the_pair_is_discarded_when_a_no_comes() -> None:
    world, node, link, data = conversing()
    node.online(C)
    other = called_by(link, B, node, C)
    world.hold_back(link.connection)
    node.bring(data, b"of A")
    node.bring(other, b"of C")
    node.bring(data, b"of A again")
    link.say(NoConversation(B, A))
    link.take()
    world.release(link.connection)
    assert link.take() == [RelayedData(C, B, b"of C")]


def test_our_own_end_goes_behind_the_last_data() -> None:
    world, node, link, data = conversing()
    world.hold_back(link.connection)
    for number in range(3):
        node.bring(data, bytes([number]))
    node.end(data)
    link.heard.clear()
    world.release(link.connection)
    kinds = [type(message) for message in link.heard]
    assert kinds == [RelayedData] * 3 + [NoConversation, Ping]


def test_the_rest_is_given_up_ten_seconds_after_the_end() -> None:
    world, node, link, data = conversing()
    world.hold_back(link.connection)
    node.bring(data, b"nobody takes this")
    node.end(data)
    world.wait(9.5)
    assert node.counts()["flows"] == 1
    world.wait(1)
    assert node.counts()["flows"] == 0
    link.heard.clear()
    world.release(link.connection)
    assert [type(message) for message in link.heard if not isinstance(message, Pong)][:2] == [NoConversation, Ping]


def test_the_others_no_while_our_last_data_waits() -> None:
    """Both ended; what we still had to say is not wanted, our own B8 and its 68 go at once."""
    world, node, link, data = conversing()
    world.hold_back(link.connection)
    node.bring(data, b"not wanted")
    node.end(data)
    link.say(NoConversation(B, A), Ping(b"th"))
    link.heard.clear()
    world.release(link.connection)
    assert [type(message) for message in link.heard] == [NoConversation, Ping, Pong]
    assert node.is_quiet()
    assert node.counts()["timers"] == 2 + 1, "the link's own, and A's hints"


def test_for_one_pair_everything_keeps_its_order() -> None:
    world, node, link, _ = conversing()
    node.online(C)
    world.hold_back(link.connection)
    link.say(CallRequest(B, C))
    node.say(C, Accept(B))
    data = node.data(B, C)
    node.bring(data, b"1")
    node.bring(data, b"2")
    node.end(data)
    link.heard.clear()
    world.release(link.connection)
    of_pair = [message for message in link.heard if not isinstance(message, FoundHere)]
    assert of_pair[:-1] == [CallReady(B, C), RelayedData(C, B, b"1"), RelayedData(C, B, b"2"), NoConversation(B, C)]
    assert isinstance(of_pair[-1], Ping)


# -- What is fenced, and what is not ----------------------------------------------------------------------------------


def test_a_refusal_is_fenced() -> None:
    """08: without the fence a B8 on its way would end the next call of this pair."""
    _, node, (link,) = node_and_peers()
    link.peer.pongs = False
    node.online(A)
    link.take()
    link.say(CallRequest(B, A))
    refuse(node, A, B)
    assert [type(message) for message in link.heard] == [NoConversation, Ping]
    link.say(CallRequest(B, A))
    assert node.take() == [(A, IncomingCall(B))]


def test_a_call_for_nobody_is_answered_without_a_fence() -> None:
    _, node, (link,) = node_and_peers()
    link.say(CallRequest(B, A))
    assert link.heard == [NoConversation(B, A)]
    assert node.counts()["fences"] == 0


def test_a_no_to_our_request_is_fenced_and_the_next_request_waits() -> None:
    _, node, (link,) = node_and_peers()
    link.peer.pongs = False
    node.online(A)
    link.say(FoundHere(B))
    node.say(A, Call(B))
    link.say(NoConversation(A, B))
    assert node.counts()["fences"] == 1
    link.say(FoundHere(B))
    assert link.take(CallRequest) == [CallRequest(A, B)], "each node once for one call"


def test_a_data_connection_closed_because_of_a_no_says_none() -> None:
    _, node, link, data = conversing()
    link.say(NoConversation(B, A))
    node.end(data)
    assert link.take() == []


def test_a_withdrawn_request_is_followed_by_a_fence() -> None:
    _, node, (link,) = node_and_peers()
    link.peer.pongs = False
    node.online(A)
    link.say(FoundHere(B))
    node.say(A, Call(B))
    link.heard.clear()
    node.offline(A)
    assert [type(message) for message in link.heard] == [NoConversation, Ping]
    link.take()
    link.say(CallReady(A, B))
    assert link.take() == [], "what crossed it is dropped"


def test_a_new_call_after_the_fence_sees_nothing_of_the_old() -> None:
    """The sentence that gives the reason: old bytes must not enter the new conversation, nor an old B8 end it."""
    world, node, (link,) = node_and_peers()
    node.online(A)
    link.say(FoundHere(B))
    first = calling(node, A, link, B)
    world.wait(11)
    link.peer.pongs = False
    node.end(first)
    ping = link.heard[-1]
    assert isinstance(ping, Ping)
    node.say(A, Call(B))
    link.say(RelayedData(B, A, b"old"), NoConversation(A, B), Pong(ping.token))
    link.say(CallReady(A, B), RelayedData(B, A, b"new"))
    second = node.data(A, B)
    assert node.told.written == {second: b"new"}


def test_a_restart_by_our_user_is_fenced() -> None:
    _, node, link, data = conversing()
    link.peer.pongs = False
    link.say(FoundHere(B))
    node.say(A, Call(B))
    assert node.told.ended == [data]
    no, ping = (message for message in link.heard if isinstance(message, NoConversation | Ping))
    assert no == NoConversation(B, A)
    assert isinstance(ping, Ping)
    assert link.take(CallRequest) == []
    link.say(Pong(ping.token))
    assert link.take() == [CallRequest(A, B)]


def test_what_waits_of_a_restarted_conversation_is_discarded() -> None:
    world, node, link, data = conversing()
    world.hold_back(link.connection)
    node.bring(data, b"old")
    node.say(A, Call(B))
    link.heard.clear()
    world.release(link.connection)
    assert not [message for message in link.heard if isinstance(message, RelayedData)]
    assert NoConversation(B, A) in link.heard


def test_nothing_is_left_of_a_fence() -> None:
    _, node, link, ping = hung_up()
    inner = node.board._links.get(link.connection)
    assert inner is not None
    assert len(inner.fence_of) == len(inner.fence_left) == len(inner.fences) == 1
    link.say(Pong(ping.token))
    assert len(inner.fence_of) == len(inner.fence_left) == len(inner.fences) == 0


def test_a_node_that_has_too_many_fences_loses_its_link() -> None:
    world, node, link, _ = conversing(SwitchboardSettings(links=LinkSettings(fences=5)))
    link.peer.pongs = False
    for caller in range(100, 106):
        world.wait(1)
        link.say(CallRequest(caller, A))
        link.say(NoConversation(caller, A))
    assert node.told.closed[link.connection] is Reason.FENCES_FULL
    assert node.counts()["fences"] == 0


def test_a_lost_link_takes_its_fences_with_it() -> None:
    _, node, link, _ = hung_up()
    link.close()
    assert node.counts()["fences"] == 0
    again = link.peer.dials(node)
    again.say(CallRequest(B, A))
    assert node.take() == [(A, IncomingCall(B))]
