"""Two and three nodes tell stories: links, searches, calls across, their endings (section 5)."""

from __future__ import annotations

from node.federation import Federation, Node, converse, refuse
from uzel.errors import Reason
from uzel.wire import (
    Accept,
    Call,
    CallReady,
    CallRequest,
    IncomingCall,
    NoConversation,
    NodeList,
    NodeListRequest,
    Ping,
    Pong,
    Ready,
    RelayedData,
    Search,
    Unavailable,
)

A, B, C = 11, 22, 33


def two() -> tuple[Federation, Node, Node]:
    world = Federation(None, None)
    one, other = world.nodes
    world.link(one, other)
    world.wait(3)
    one.online(A)
    other.online(B)
    world.passed.clear()
    return world, one, other


def quiet(node: Node) -> bool:
    counts = node.counts()
    names = ("calls", "conversations", "data_waiting", "call_timers", "bridged", "fences", "flows", "searches")
    return not any(counts[name] for name in names)


def test_a_link_stands_and_both_know_one_another() -> None:
    world = Federation(None, None)
    one, other = world.nodes
    world.link(one, other)
    assert [message for node, _, message in world.passed if node is one][1:2] == [NodeListRequest(b"\0\1")]
    world.wait(3)
    assert one.counts()["links"] >= 1
    assert other.address in one.told.remembered
    assert one.address in other.told.remembered, "the announced address was met by a dial-back"


def test_a_call_across_and_bytes_both_ways() -> None:
    world, one, other = two()
    ours, theirs = converse(one, A, other, B)
    assert one.take()[-1] == (A, Ready(B))
    assert other.take()[-1] == (B, IncomingCall(A))
    kinds = [type(message) for _, _, message in world.passed]
    assert kinds == [CallRequest, CallReady], "the callee's hint was here before the call"
    one.bring(ours, b"hello")
    other.bring(theirs, b"hi")
    assert (other.told.written[theirs], one.told.written[ours]) == (b"hello", b"hi")
    one.end(ours)
    assert other.told.ended == [theirs]
    ours_sent = [type(message) for node, _, message in world.passed[-6:] if node is one]
    assert ours_sent[:2] == [NoConversation, Ping]
    assert Pong in ours_sent
    world.wait(3)
    assert quiet(one)
    assert quiet(other)


def test_the_second_call_is_answered_by_the_cache() -> None:
    world, one, other = two()
    ours, _ = converse(one, A, other, B)
    world.wait(20)
    one.end(ours)
    world.passed.clear()
    converse(one, A, other, B)
    assert not world.messages(Search)


def test_a_refusal_ends_the_call() -> None:
    world, one, other = two()
    one.say(A, Call(B))
    refuse(other, B, A)
    world.wait(4)
    assert one.take()[-1] == (A, Unavailable(B))
    assert quiet(one)
    assert quiet(other)


def test_nobody_has_the_callee() -> None:
    world, one, _ = two()
    one.say(A, Call(C))
    world.wait(3.5)
    assert one.take()[-1] == (A, Unavailable(C))
    assert quiet(one)


def test_a_lost_link_ends_the_conversation_on_both_sides() -> None:
    world, one, other = two()
    ours, theirs = converse(one, A, other, B)
    link = next(iter(one.board._links._links))
    world.cut(one, link)
    assert one.told.ended == [ours]
    assert other.told.ended == [theirs]
    assert quiet(one)
    assert quiet(other)


def test_glare_the_lower_caller_wins() -> None:
    world, one, other = two()
    ours, _ = converse(one, A, other, B)
    world.wait(20)
    one.end(ours)
    other.online(B)
    one.say(A, Call(B))
    world.wait(3)
    for end in (one, other):
        end.take()
    assert quiet(one) is False
    other.say(B, Accept(A))
    assert one.counts()["calls"] == 1


def test_a_restart_by_a_new_03() -> None:
    _, one, other = two()
    ours, theirs = converse(one, A, other, B)
    one.bring(ours, b"old")
    one.say(A, Call(B))
    assert one.told.ended == [ours]
    assert other.told.ended == [theirs]
    assert other.take()[-1] == (B, IncomingCall(A))
    other.say(B, Accept(A))
    again = other.data(A, B)
    mine = one.data(A, B)
    one.bring(mine, b"new")
    assert other.told.written[again] == b"new"


def test_lists_are_exchanged() -> None:
    world = Federation(None, None, None)
    one, other, third = world.nodes
    world.link(one, other)
    world.link(third, other)
    world.wait(20)
    assert third.address in one.told.dialled or one.address in third.told.dialled
    assert world.messages(NodeList)
    assert one.counts()["links"] >= 2


def test_data_of_nobody_is_answered() -> None:
    world, one, other = two()
    link = next(iter(other.board._links._links))
    other.board.link_message(link, RelayedData(A, B, b"x"), world.now)
    world.run()
    assert world.messages(NoConversation)
    assert Reason.NO_CONVERSATION in {note.reason for note in other.told.notes}
    assert quiet(one)
