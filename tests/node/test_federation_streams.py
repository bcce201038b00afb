"""Bytes of conversations over links: passed on, held, paused, cut, ended (D12, D16, D17, D25)."""

from __future__ import annotations

import pytest

from node.federation import Federation, Node, PeerLink, called_by, calling, node_and_peers, refuse
from uzel.errors import Reason
from uzel.node.settings import LinkSettings, SwitchboardSettings
from uzel.session.link_queue import FRAME_COST
from uzel.wire import (
    Accept,
    Call,
    CallReady,
    CallRequest,
    FoundHere,
    IncomingCall,
    NoConversation,
    Ready,
    RelayedData,
    Unavailable,
)

A, B, C, D = 11, 22, 33, 44
SMALL = SwitchboardSettings(
    held_per_conversation=1000, held_in_all=2500, links=LinkSettings(flow=4 * (100 + FRAME_COST))
)


def conversing(
    settings: SwitchboardSettings | None = None, clients: tuple[int, ...] = (A,)
) -> tuple[Federation, Node, PeerLink, list[int]]:
    """B behind the link converses with each of the clients here; the last are their data connections."""
    world, node, (link,) = node_and_peers(1, settings)
    node.online(*clients)
    data = [called_by(link, B, node, client) for client in clients]
    node.take()
    link.take()
    return world, node, link, data


def asked() -> tuple[Federation, Node, PeerLink]:
    """A here has called B."""
    world, node, (link,) = node_and_peers()
    node.online(A)
    link.say(FoundHere(B))
    node.say(A, Call(B))
    link.take()
    return world, node, link


# -- Back-pressure towards the link -------------------------------------------------------------------------------


def test_a_client_is_not_read_while_much_of_it_waits_for_the_link() -> None:
    world, node, link, (data,) = conversing(SMALL)
    world.hold_back(link.connection)
    for number in range(4):
        assert node.told.paused == set()
        node.bring(data, bytes([number]) * 100)
    assert node.told.paused == {data}
    node.bring(data, b"what was read already")
    link.heard.clear()
    world.release(link.connection, at_most=2)
    assert node.told.paused == {data}
    world.release(link.connection, at_most=2)
    assert node.told.paused == set()
    world.release(link.connection)
    assert b"".join(each.data for each in link.heard if isinstance(each, RelayedData)).endswith(b"read already")


def test_one_that_waits_does_not_pause_another() -> None:
    world, node, link, (first, second) = conversing(SMALL, (A, C))
    world.hold_back(link.connection)
    for _ in range(5):
        node.bring(first, bytes(100))
    node.bring(second, b"hi")
    assert node.told.paused == {first}
    link.heard.clear()
    world.release(link.connection)
    sent = [message for message in link.heard if isinstance(message, RelayedData)]
    assert sent.index(RelayedData(C, B, b"hi")) <= 1, "after one frame of the other at most"
    assert node.told.paused == set()


def test_single_bytes_pause_as_well() -> None:
    world, node, link, (data,) = conversing(SMALL)
    world.hold_back(link.connection)
    for _ in range(12):
        node.bring(data, b"x")
    assert node.told.paused == {data}
    assert link.is_open


def test_bytes_of_an_ended_conversation_are_of_nobody() -> None:
    _, node, link, (data,) = conversing()
    link.say(NoConversation(B, A))
    node.bring(data, b"late")
    node.board.data_backlog(data, 10**9, 0.0)
    assert link.take() == []
    assert node.counts()["held_bytes"] == 0


# -- What a client does not take ----------------------------------------------------------------------------------


def backlog(node: Node, connection: int, unsent: int) -> None:
    node.board.data_backlog(connection, unsent, node.world.now)
    node.world.run()


def test_what_a_client_does_not_take_is_counted() -> None:
    _, node, _, (first, second) = conversing(SMALL, (A, C))
    backlog(node, first, 600)
    backlog(node, second, 300)
    assert node.counts()["held_bytes"] == 900
    backlog(node, first, 0)
    assert node.counts()["held_bytes"] == 300
    node.end(second)
    assert node.counts()["held_bytes"] == 0


def test_past_its_bound_a_conversation_ends_and_the_link_goes_on() -> None:
    _, node, link, (first, second) = conversing(SMALL, (A, C))
    backlog(node, first, 1000)
    assert first not in node.told.closed
    backlog(node, first, 1001)
    assert node.told.closed == {first: Reason.HELD_FULL}, "closed now: what is held is discarded"
    assert first not in node.told.ended
    assert link.take() == [NoConversation(B, A)]
    link.say(RelayedData(B, C, b"well"))
    assert (node.told.written[second], node.counts()["conversations"]) == (b"well", 1)
    assert (node.counts()["held_bytes"], node.counts()["fences"]) == (0, 0)


def test_of_all_the_largest_ends_first() -> None:
    _, node, link, data = conversing(SMALL, (A, C, D))
    for connection, unsent in zip(data, (800, 900, 700), strict=True):
        backlog(node, connection, unsent)
    assert node.told.closed == {}
    backlog(node, data[2], 801)
    assert node.told.closed == {data[1]: Reason.HELD_ALL_FULL}
    assert link.take() == [NoConversation(B, C)]
    assert node.counts()["held_bytes"] == 1601


def test_it_may_be_the_one_that_grew() -> None:
    _, node, _, data = conversing(SMALL, (A, C, D))
    for connection, unsent in zip(data, (800, 800, 950), strict=True):
        backlog(node, connection, unsent)
    assert node.told.closed == {data[2]: Reason.HELD_ALL_FULL}


def test_before_the_callers_data_connection_stands_it_is_the_same() -> None:
    world, node, (link,) = node_and_peers(1, SMALL)
    node.online(A)
    link.say(FoundHere(B))
    node.say(A, Call(B))
    link.say(CallReady(A, B), RelayedData(B, A, bytes(1000)))
    node.take()
    link.take()
    assert node.counts()["held_bytes"] == 1000
    link.say(RelayedData(B, A, b"x"))
    assert node.take() == [(A, Unavailable(B))]
    assert link.take() == [NoConversation(A, B)]
    assert node.counts()["held_bytes"] == 0
    world.wait(4)
    assert node.is_quiet()


def test_an_early_one_may_be_the_largest_of_all() -> None:
    _, node, link, data = conversing(SMALL, (A, C))
    link.say(FoundHere(B + 100))
    node.say(A, Call(B + 100))
    link.say(CallReady(A, B + 100), RelayedData(B + 100, A, bytes(950)))
    node.take()
    backlog(node, data[0], 800)
    backlog(node, data[1], 800)
    assert node.take() == [(A, Unavailable(B + 100))]
    assert node.counts()["held_bytes"] == 1600
    assert node.told.closed == {}


# -- Ends ---------------------------------------------------------------------------------------------------------


def test_the_end_of_our_client_is_the_end_there() -> None:
    _, node, link, (data,) = conversing()
    node.bring(data, b"bye")
    node.end(data)
    assert link.take() == [RelayedData(A, B, b"bye"), NoConversation(B, A)]
    assert node.told.ended == [data]


def test_the_end_there_passes_on_what_came_before() -> None:
    _, node, link, (data,) = conversing()
    link.say(RelayedData(B, A, b"bye"), NoConversation(A, B))
    assert node.told.written[data] == b"bye"
    assert node.told.ended == [data]
    assert data not in node.told.closed


def test_a_lost_link_ends_all_its_conversations_and_passes_on_what_came() -> None:
    _, node, link, data = conversing(None, (A, C))
    link.say(RelayedData(B, A, b"bye"))
    link.close()
    assert sorted(node.told.ended) == sorted(data)
    assert node.told.written[data[0]] == b"bye"
    assert node.is_quiet()


def test_conversations_live_on_without_control_connections() -> None:
    _, node, link, (data,) = conversing()
    node.offline(A)
    link.say(RelayedData(B, A, b"still"))
    node.bring(data, b"here")
    assert node.told.written[data] == b"still"
    assert link.take() == [RelayedData(A, B, b"here")]


def test_a_stopping_node_ends_calls_in_set_up_and_lets_conversations_go_on() -> None:
    world, node, link, (data,) = conversing()
    node.online(C, D)
    link.say(CallRequest(B, C), FoundHere(B + 1))
    node.say(D, Call(B + 1))
    node.take()
    link.take()
    node.board.drain(world.now)
    world.run()
    assert node.take() == [(C, Unavailable(B)), (D, Unavailable(B + 1))]
    assert set(map(repr, link.take())) == {repr(NoConversation(B, C)), repr(NoConversation(D, B + 1))}
    node.bring(data, b"on")
    assert link.take() == [RelayedData(A, B, b"on")]
    link.say(CallRequest(B, D))
    assert link.take() == [NoConversation(B, D)]
    node.say(D, Call(B))
    assert node.take() == [(D, Unavailable(B))]


# -- Data connections of calls over links -------------------------------------------------------------------------


def test_a_20_that_overtakes_its_06_is_held() -> None:
    _, node, (link,) = node_and_peers()
    node.online(A)
    link.take()
    link.say(CallRequest(B, A))
    data = node.data(B, A)
    assert (node.told.held, link.take()) == ([data], [])
    node.say(A, Accept(B))
    assert (node.told.bridged, link.take()) == ([data], [CallReady(B, A)])


def test_a_held_one_is_closed_when_the_call_ends() -> None:
    _, node, (link,) = node_and_peers()
    node.online(A)
    link.say(CallRequest(B, A))
    data = node.data(B, A)
    link.say(NoConversation(B, A))
    assert node.told.closed == {data: Reason.DATA_CALL_ENDED}
    assert node.is_quiet()


def test_a_held_one_may_end_and_another_take_its_place() -> None:
    world, node, (link,) = node_and_peers()
    node.online(A)
    link.take()
    link.say(CallRequest(B, A))
    first = node.data(B, A)
    node.board.data_lost(first, world.now)
    second = node.data(B, A)
    node.say(A, Accept(B))
    assert (node.told.bridged, link.take()) == ([second], [CallReady(B, A)])


@pytest.mark.parametrize("side", ["callee", "caller"])
def test_from_another_address_only_the_connection_is_closed(side: str) -> None:
    if side == "callee":
        _, node, (link,) = node_and_peers()
        node.online(A)
        link.say(CallRequest(B, A))
        node.say(A, Accept(B))
        pair = (B, A)
    else:
        _, node, link = asked()
        link.say(CallReady(A, B))
        pair = (A, B)
    wrong = node.data(*pair, network="10.9.9.9")
    assert node.told.closed == {wrong: Reason.DATA_WRONG_ADDRESS}
    right = node.data(*pair)
    assert node.told.bridged == [right]


def test_each_opens_one_only() -> None:
    _, node, link, (data,) = conversing()
    second = node.data(B, A)
    assert node.told.closed == {second: Reason.DATA_TAKEN}
    node.bring(data, b"x")
    assert link.take() == [RelayedData(A, B, b"x")]


@pytest.mark.parametrize("state", ["locating", "asked"])
def test_the_caller_may_not_come_before_ready(state: str) -> None:
    world, node, (link,) = node_and_peers()
    node.online(A)
    if state == "asked":
        link.say(FoundHere(B))
    node.say(A, Call(B))
    data = node.data(A, B)
    assert node.told.closed == {data: Reason.DATA_NO_CALL}
    link.say(FoundHere(B), CallReady(A, B))
    assert (A, Ready(B)) in node.take()
    world.wait(1)


def test_a_callee_that_never_connects() -> None:
    world, node, (link,) = node_and_peers()
    node.online(A)
    link.take()
    link.say(CallRequest(B, A))
    node.say(A, Accept(B))
    node.take()
    world.wait(14.75)
    assert node.take() == []
    world.wait(0.5)
    assert node.take() == [(A, Unavailable(B))]
    assert link.take() == [NoConversation(B, A)]
    assert node.is_quiet()


def test_a_callee_that_never_answers() -> None:
    world, node, (link,) = node_and_peers()
    node.online(A)
    link.take()
    link.say(CallRequest(B, A))
    node.take()
    world.wait(60.25)
    assert node.take() == [(A, Unavailable(B))]
    assert link.take() == [NoConversation(B, A)]


def test_a_callee_that_goes_offline() -> None:
    world, node, (link,) = node_and_peers()
    node.online(A)
    link.take()
    link.say(CallRequest(B, A))
    node.offline(A)
    assert link.take() == [NoConversation(B, A)]
    world.wait(3)
    assert node.is_quiet()


def test_a_caller_that_goes_offline_after_ready() -> None:
    world, node, link = asked()
    link.say(CallReady(A, B))
    node.offline(A)
    assert link.take() == [NoConversation(A, B)]
    world.wait(3)
    assert node.is_quiet()


def test_a_late_accept_is_answered_once() -> None:
    _, node, (link,) = node_and_peers()
    node.online(A)
    link.say(CallRequest(B, A))
    link.say(NoConversation(B, A))
    assert node.take() == [(A, IncomingCall(B)), (A, Unavailable(B))]
    node.say(A, Accept(B))
    assert node.take() == [], "it was told already"
    node.say(A, Accept(C))
    assert node.take() == [(A, Unavailable(C))]


def test_our_own_user_calls_whom_another_node_says_it_is_calling() -> None:
    """A request that names our client as its caller must not swallow that client's own call."""
    world, node, (link,) = node_and_peers()
    node.online(A, C)
    link.say(CallRequest(A, C))
    assert node.take() == [(C, IncomingCall(A))]
    node.say(A, Call(C))
    assert node.take() == [(C, Unavailable(A)), (C, IncomingCall(A))]
    node.say(C, Accept(A))
    node.data(A, C)
    assert node.take() == [(A, Ready(C))]
    world.wait(20)
    assert (A, Unavailable(C)) in node.take()


def test_two_such_requests_swallow_it_no_more_than_one() -> None:
    world, node, (one, two) = node_and_peers(2)
    node.online(A, C)
    one.say(CallRequest(A, C))
    two.say(CallRequest(A, C))
    node.take()
    node.say(A, Call(C))
    assert node.take()[-1] == (C, IncomingCall(A))
    refuse(node, C, A)
    assert node.take() == [(A, Unavailable(C))]
    world.wait(3)
    assert node.is_quiet()


def test_calling_over_a_link_both_ways_in_turn() -> None:
    world, node, (link,) = node_and_peers()
    node.online(A)
    link.say(FoundHere(B))
    for _ in range(3):
        ours = calling(node, A, link, B)
        world.wait(11)
        node.end(ours)
        theirs = called_by(link, B, node, A)
        link.say(RelayedData(B, A, b"x"))
        assert node.told.written[theirs] == b"x"
        world.wait(11)
        link.say(NoConversation(B, A))
    assert node.is_quiet()
