"""Two nodes and more tell stories: links, lists, searches, calls across, their endings (section 5)."""

from __future__ import annotations

from node.federation import Federation, Node, converse, refuse
from uzel.errors import Reason
from uzel.node.settings import LinkSettings, SwitchboardSettings
from uzel.session.ring import Ring
from uzel.wire import (
    Accept,
    Address,
    Call,
    CallReady,
    CallRequest,
    FoundHere,
    FoundInCache,
    IncomingCall,
    NoConversation,
    NodeAnnouncement,
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


def three() -> tuple[Federation, Node, Node, Node]:
    """The first and the third have dialled the second, and do not know one another. A and B are at the ends."""
    world = Federation(None, None, None)
    one, middle, other = world.nodes
    world.link(one, middle)
    world.wait(1)
    world.unreachable.add(one.address)
    world.link(other, middle)
    world.wait(6)
    world.unreachable.clear()
    assert one.links_to(other) == []
    one.online(A)
    other.online(B)
    world.passed.clear()
    return world, one, middle, other


# -- Links and lists ------------------------------------------------------------------------------------------------


def test_a_link_stands_and_both_know_one_another() -> None:
    world = Federation(None, None)
    one, other = world.nodes
    world.link(one, other)
    said = [message for node, _, message in world.passed if node is one]
    assert said[0] == NodeAnnouncement(8935)
    assert isinstance(said[1], NodeListRequest)
    world.wait(3)
    assert one.counts()["links"] == 1
    assert other.address in one.told.remembered
    assert one.address in other.told.remembered, "the announced address was met by a dial-back"


def test_lists_make_a_full_mesh() -> None:
    """Up to 65 nodes; here eight, all of which know the first at the start (D22)."""
    world = Federation(*[SwitchboardSettings(links=LinkSettings(giver_dials=60))] * 8)
    first, *others = world.nodes
    for node in others:
        world.link(node, first)
    world.wait(120, step=1)
    for node in world.nodes:
        linked = {link.fingerprint for link in node.links()}
        assert linked == {each.fingerprint for each in world.nodes} - {node.fingerprint}
        for link in node.links():
            assert len([each for each in node.links() if each.fingerprint == link.fingerprint]) <= 2


def test_a_lost_link_is_made_again_and_carries_calls() -> None:
    world, one, other = two()
    world.cut(one, one.links_to(other)[0])
    assert one.links_to(other) == []
    world.wait(2)
    assert len(one.links_to(other)) == 1
    converse(one, A, other, B)
    assert one.counts()["conversations"] == 1


# -- Calls ----------------------------------------------------------------------------------------------------------


def test_a_call_across_and_bytes_both_ways() -> None:
    world, one, other = two()
    ours, theirs = converse(one, A, other, B)
    assert one.take()[-1] == (A, Ready(B))
    assert other.take()[-1] == (B, IncomingCall(A))
    said = [message for _, _, message in world.passed if not isinstance(message, Ping | Pong)]
    assert said == [CallRequest(A, B), CallReady(A, B)], "the callee's hint was here before the call"
    one.bring(ours, b"hello")
    other.bring(theirs, b"hi")
    assert (other.told.written[theirs], one.told.written[ours]) == (b"hello", b"hi")
    assert world.messages(RelayedData)[0][2] == RelayedData(A, B, b"hello")
    one.end(ours)
    assert other.told.ended == [theirs]
    last = [type(message) for node, _, message in world.passed[-6:] if node is one]
    assert last[:2] == [NoConversation, Ping]
    assert Pong in last
    world.wait(3)
    assert one.is_quiet()
    assert other.is_quiet()


def test_the_callees_node_says_ready_only_once_its_data_connection_stands() -> None:
    world, one, other = two()
    one.say(A, Call(B))
    other.say(B, Accept(A))
    assert world.messages(CallReady) == []
    other.data(A, B)
    assert len(world.messages(CallReady)) == 1
    assert one.take() == [(A, Ready(B))]


def test_a_node_that_has_the_user_in_its_cache_names_its_node() -> None:
    world, one, middle, other = three()
    one.say(A, Call(B))
    searches = [(to, message) for _, to, message in world.messages(Search)]
    assert searches == [(middle, Search(B))], "one question, never passed on"
    answer = FoundInCache(B, Address(other.address.host, other.address.port))
    assert [message for _, _, message in world.messages(FoundInCache)] == [answer]
    world.wait(1)
    assert other.take() == [(B, IncomingCall(A))]
    assert one.links_to(other)
    other.say(B, Accept(A))
    theirs, ours = other.data(A, B), one.data(A, B)
    one.bring(ours, b"past the middle")
    assert other.told.written[theirs] == b"past the middle"
    assert middle.counts()["conversations"] == 0


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
    assert one.is_quiet()
    assert other.is_quiet()


def test_nobody_has_the_callee() -> None:
    world, one, _ = two()
    one.say(A, Call(C))
    world.wait(3.5)
    assert one.take()[-1] == (A, Unavailable(C))
    assert one.is_quiet()


def test_a_callee_that_has_moved_is_found_at_its_new_node() -> None:
    world, one, middle, other = three()
    other.offline(B)
    middle.online(B)
    world.wait(1)
    world.passed.clear()
    one.say(A, Call(B))
    world.wait(1)
    assert (B, IncomingCall(A)) in middle.take()
    middle.offline(B)
    other.online(B)
    world.wait(4)
    one.take()
    one.say(A, Call(B))
    world.wait(2)
    assert (B, IncomingCall(A)) in other.take()


def test_a_lost_link_ends_the_conversation_on_both_sides() -> None:
    world, one, other = two()
    ours, theirs = converse(one, A, other, B)
    world.cut(one, one.links_to(other)[0])
    assert one.told.ended == [ours]
    assert other.told.ended == [theirs]
    assert one.is_quiet()
    assert other.is_quiet()


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


def test_a_restart_by_the_callee() -> None:
    _, one, other = two()
    ours, theirs = converse(one, A, other, B)
    other.say(B, Call(A))
    assert (one.told.ended, other.told.ended) == ([ours], [theirs])
    assert one.take()[-1] == (A, IncomingCall(B))
    one.say(A, Accept(B))
    again, mine = one.data(B, A), other.data(B, A)
    other.bring(mine, b"new")
    assert one.told.written[again] == b"new"


def test_a_repeated_03_in_set_up_is_ignored() -> None:
    world, one, other = two()
    for _ in range(2):
        one.say(A, Call(B))
    other.say(B, Accept(A))
    one.say(A, Call(B))
    other.data(A, B)
    one.say(A, Call(B))
    assert one.take() == [(A, Ready(B))]
    assert other.take() == [(B, IncomingCall(A))]
    assert len(world.messages(CallRequest)) == 1


def test_data_of_nobody_is_answered() -> None:
    world, one, other = two()
    other.board.link_message(other.links_to(one)[0], RelayedData(A, B, b"x"), world.now)
    world.run()
    assert [message for _, _, message in world.messages(NoConversation)] == [NoConversation(A, B)]
    assert Reason.NO_CONVERSATION in other.reasons()
    assert one.is_quiet()


def test_two_conversations_share_a_link() -> None:
    world, one, other = two()
    one.online(C)
    bulk, _ = converse(one, A, other, B)
    small, theirs = converse(one, C, other, B)
    end = one.links_to(other)[0]
    world.hold_back(end)
    for _ in range(20):
        one.bring(bulk, bytes(10_000))
    one.bring(small, b"hi")
    assert one.told.paused == {bulk}
    world.release(end, at_most=2)
    assert other.told.written[theirs] == b"hi"
    world.release(end)
    assert one.told.paused == set()


# -- Hints ----------------------------------------------------------------------------------------------------------


def test_the_hints_of_a_user_are_at_three_nodes_that_all_others_ask_first() -> None:
    world = Federation(*[SwitchboardSettings(links=LinkSettings(giver_dials=60))] * 9)
    first, *others = world.nodes
    for node in others:
        world.link(node, first)
    world.wait(60, step=1)
    world.passed.clear()
    home, caller = world.nodes[3], world.nodes[7]
    home.online(B)
    ring = Ring()
    for node in world.nodes:
        if node is not home:
            ring.put(node.fingerprint, [node.address])
    held_by = [to.fingerprint for _, to, message in world.messages(FoundHere) if message == FoundHere(B)]
    assert held_by == ring.hint_nodes(B)
    caller.online(A)
    caller.say(A, Call(B))
    world.wait(1)
    assert (B, IncomingCall(A)) in home.take()
    assert len(world.messages(Search)) <= 3
