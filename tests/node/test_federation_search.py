"""Searches and hints: who is asked when, who is told what, and how little it may cost (D23, D24, section 5)."""

from __future__ import annotations

import math

import pytest

from node.federation import PORT, Federation, Node, Peer, PeerLink, holders, node_and_peers
from uzel.errors import Reason
from uzel.names import NodeAddress
from uzel.node.limits import Rate
from uzel.node.settings import LinkSettings, SearchSettings, SwitchboardSettings
from uzel.session.ring import Ring
from uzel.wire import (
    Address,
    Call,
    CallReady,
    CallRequest,
    FoundHere,
    FoundInCache,
    IncomingCall,
    NoConversation,
    Search,
    Unavailable,
)

A, B, C, D = 11, 22, 33, 44


def asked(links: list[PeerLink], uin: int = B) -> list[PeerLink]:
    return [link for link in links if Search(uin) in link.take()]


def with_client(count: int, settings: SwitchboardSettings | None = None) -> tuple[Federation, Node, list[PeerLink]]:
    world, node, links = node_and_peers(count, settings)
    node.online(A, D)
    for link in links:
        link.take()
    return world, node, links


# -- Who is asked -------------------------------------------------------------------------------------------------


def test_the_hint_nodes_first_and_everyone_300_milliseconds_later() -> None:
    world, node, links = with_client(6)
    three = [link for link in links if link in holders(links, B)]
    others = [link for link in links if link not in three]
    node.say(A, Call(B))
    assert asked(links) == three
    world.wait(0.25, step=0.05)
    assert asked(links) == []
    world.wait(0.1, step=0.05)
    assert asked(links) == others


def test_everyone_is_left_alone_when_a_hint_node_has_answered() -> None:
    world, node, links = with_client(6)
    node.say(A, Call(B))
    holders(links, B)[0].say(FoundHere(B))
    for link in links:
        link.take()
    world.wait(5)
    assert asked(links) == []


def test_no_answer_in_the_search_time() -> None:
    world, node, links = with_client(4)
    node.say(A, Call(B))
    world.wait(2.75)
    assert node.take() == []
    world.wait(0.5)
    assert node.take() == [(A, Unavailable(B))]
    links[0].say(FoundHere(B))
    assert links[0].take(CallRequest) == [], "too late for this call, known for the next"
    node.say(A, Call(B))
    assert links[0].take() == [CallRequest(A, B)]


def test_everyone_is_asked_once_a_minute_for_one_user() -> None:
    world, node, links = with_client(5)
    three = [link for link in links if link in holders(links, B)]
    node.say(A, Call(B))
    world.wait(4)
    assert asked(links) == links
    world.wait(10)
    node.say(A, Call(B))
    world.wait(4)
    assert asked(links) == three
    world.wait(50)
    node.say(A, Call(B))
    world.wait(4)
    assert asked(links) == links


def test_the_second_question_of_a_call_counts_against_the_same_minute() -> None:
    world, node, links = with_client(5)
    node.say(A, Call(B))
    world.wait(4)
    asked(links)
    world.wait(6)
    links[0].say(FoundHere(B))
    node.say(A, Call(B))
    links[0].say(NoConversation(A, B))
    assert asked(links) == []
    world.wait(4)
    assert node.take()[-1] == (A, Unavailable(B))


def test_one_search_however_many_call_the_same_user() -> None:
    world, node, links = with_client(3)
    node.say(A, Call(B))
    node.say(D, Call(B))
    for link in links:
        assert link.take() == [Search(B)]
    links[0].say(FoundHere(B))
    assert links[0].take() == [CallRequest(A, B), CallRequest(D, B)]
    assert node.counts()["searches"] == 1
    world.wait(4)
    assert node.counts()["searches"] == 0


def test_one_who_joins_a_search_is_told_what_was_found_before() -> None:
    _, node, links = with_client(3)
    node.say(A, Call(B))
    links[0].say(FoundInCache(B, links[1].peer.told))
    assert links[1].take() == [Search(B), CallRequest(A, B)]
    node.say(D, Call(B))
    assert links[1].take() == [CallRequest(D, B)]


def test_nobody_is_asked_again_for_five_seconds_when_nobody_knew() -> None:
    world, node, links = with_client(3)
    node.say(A, Call(B))
    world.wait(4)
    node.take()
    asked(links)
    node.say(D, Call(B))
    assert node.take() == [(D, Unavailable(B))]
    assert asked(links) == []
    world.wait(5)
    node.say(D, Call(B))
    assert asked(links) == links


def test_who_has_just_come_online_elsewhere_is_found_all_the_same() -> None:
    world, node, links = with_client(3)
    node.say(A, Call(B))
    world.wait(4)
    node.take()
    links[2].say(FoundHere(B))
    node.say(A, Call(B))
    assert CallRequest(A, B) in links[2].take()


def test_a_hint_node_without_a_link_is_dialled_for_a_second_at_most() -> None:
    world, node, links = with_client(1)
    far = world.peer()
    node.remember(far.address, far.fingerprint)
    world.hanging.add(far.address)
    node.say(A, Call(B))
    assert asked(links) == links
    assert world.hung == [], "the other may answer at once"
    world.wait(0.25)
    assert [dial.address for _, dial in world.hung] == [far.address]
    world.wait(0.5)
    who, dial = world.hung[0]
    world.answer(who, dial)
    world.run()
    assert Search(B) in far.link.take()
    far.link.say(FoundHere(B))
    assert CallRequest(A, B) in far.link.take()


def test_a_hint_node_that_takes_longer_is_not_waited_for() -> None:
    world, node, links = with_client(1)
    far = world.peer()
    node.remember(far.address, far.fingerprint)
    world.hanging.add(far.address)
    node.say(A, Call(B))
    links[0].say(FoundInCache(B, Address("10.9.9.9", PORT)))  # of another range: an answer that counts for nothing
    world.wait(1.25)
    assert node.take() == [(A, Unavailable(B))]


def far_holders(*distances: float, hint_dial: float = 1.0) -> tuple[Federation, Node, list[Peer]]:
    """Nobody has a link; the hint nodes of B, whose dials took so long before, hang until the story answers them."""
    world = Federation(SwitchboardSettings(links=LinkSettings(kept=0), search=SearchSettings(hint_dial=hint_dial)))
    node, ring = world.nodes[0], Ring()
    node.online(A, D)
    world.wait(1)
    peers = {peer.fingerprint: peer for peer in (world.peer() for _ in range(3))}
    for peer in peers.values():
        node.remember(peer.address, peer.fingerprint)
        ring.put(peer.fingerprint, [peer.address])
    far = [peers[each] for each in ring.hint_nodes(B)]
    world.wait(200, step=5)  # they are met, and get the hints of A
    for peer, took in zip(far, distances, strict=True):
        known = node.board._links.known.get(peer.address)
        assert known is not None
        known.took = took
    assert node.links() == []
    world.hanging.update(peer.address for peer in far)
    node.told.dialled.clear()
    node.say(A, Call(B))
    return world, node, far


def answer_first(world: Federation) -> Peer:
    """The dial that hangs longest finds its node."""
    who, dial = world.hung.pop(0)
    world.answer(who, dial)
    world.run()
    return next(peer for peer in world.peers if peer.address == dial.address)


def test_of_hint_nodes_without_a_link_the_nearest_is_dialled_and_no_other_when_it_answers() -> None:
    world, node, far = far_holders(0.3, 0.1, 0.2)
    assert node.told.dialled == [far[1].address]
    world.wait(0.25)
    link = answer_first(world).link
    assert Search(B) in link.take()
    link.say(FoundHere(B))
    world.wait(5)
    assert CallRequest(A, B) in link.take()
    assert node.told.dialled == [far[1].address]


def test_the_others_are_dialled_when_it_does_not_answer_soon() -> None:
    world, node, far = far_holders(0.3, 0.1, 0.2)
    answer_first(world)
    world.wait(0.1, step=0.05)
    assert len(node.told.dialled) == 1
    world.wait(0.1, step=0.05)
    assert node.told.dialled == [far[1].address, far[2].address, far[0].address]
    for _ in range(2):
        assert Search(B) in answer_first(world).link.take()
    assert node.counts()["searches"] == 1


def test_or_when_it_cannot_be_reached_soon() -> None:
    world, node, far = far_holders(0.3, 0.1, 0.2)
    world.wait(0.35, step=0.05)
    assert len(node.told.dialled) == 1
    world.wait(0.1, step=0.05)
    assert node.told.dialled == [far[1].address, far[2].address, far[0].address]
    world.wait(0.7)
    assert node.take() == [(A, Unavailable(B))], "one second in all"


def test_but_nobody_is_dialled_any_more_when_the_time_for_dials_is_over() -> None:
    world, node, far = far_holders(0.3, 0.1, 0.2, hint_dial=0.3)
    world.wait(1)
    assert node.told.dialled == [far[1].address]
    assert node.take() == [(A, Unavailable(B))]


def test_or_at_once_when_nobody_is_there() -> None:
    world, node, far = far_holders(0.3, 0.1, 0.2)
    who, dial = world.hung.pop()
    who.board.dial_failed(dial.dial, Reason.NODE_UNREACHABLE, world.now)
    world.run()
    assert node.told.dialled == [far[1].address, far[2].address]


def test_or_when_what_it_told_does_not_hold() -> None:
    """It has not heard yet that the user moved; another one has."""
    world, node, far = far_holders(0.3, 0.1, 0.2)
    link = answer_first(world).link
    left = world.peer()
    link.say(FoundInCache(B, left.told))
    world.wait(2)
    assert len(far) == 3
    assert node.told.dialled == [far[1].address, left.address]
    left.link.say(NoConversation(A, B))
    assert node.told.dialled[2:] == [far[0].address, far[2].address]
    told = answer_first(world).link
    assert Search(B) in told.take()
    told.say(FoundHere(B))
    assert CallRequest(A, B) in told.take()


def test_when_nobody_knows_how_far_they_are_two_are_dialled() -> None:
    world, node, far = far_holders(math.inf, math.inf, math.inf)
    assert node.told.dialled == [far[0].address, far[1].address]
    answer_first(world).link.say(FoundHere(B))
    assert Search(B) not in answer_first(world).link.take(), "it is known already"


def test_a_call_that_joins_with_what_did_not_hold_has_the_rest_asked() -> None:
    world, node, far = far_holders(math.inf, math.inf, math.inf)
    left = world.peer()
    link = answer_first(world).link
    answer_first(world)
    link.say(FoundInCache(B, left.told))
    world.wait(1.2)
    left.link.say(FoundHere(B))
    node.say(D, Call(B))
    assert node.counts()["searches"] == 1
    left.link.say(NoConversation(D, B))
    assert node.told.dialled[-1] == far[2].address
    assert Search(B) in answer_first(world).link.take()


def test_with_nobody_to_ask_the_caller_hears_at_once() -> None:
    world = Federation(None)
    node = world.nodes[0]
    node.online(A)
    node.say(A, Call(B))
    assert node.take() == [(A, Unavailable(B))]
    assert node.is_quiet()


def test_a_lost_link_is_not_waited_for() -> None:
    world, node, links = with_client(2)
    node.say(A, Call(B))
    for link in links:
        link.close()
    world.wait(0.5)
    assert node.take() == [(A, Unavailable(B))]


# -- What is answered ---------------------------------------------------------------------------------------------


def test_our_own_client_is_here() -> None:
    _, node, links = with_client(2)
    links[0].say(Search(A))
    assert links[0].take() == [FoundHere(A)]
    node.offline(A)
    links[0].say(Search(A))
    assert links[0].take() == []


def test_a_search_is_never_passed_on() -> None:
    world, _, links = with_client(3)
    links[0].say(Search(B))
    world.wait(3)
    assert asked(links) == []


def test_what_led_to_a_conversation_is_told_and_an_answer_alone_is_not() -> None:
    world, node, links = with_client(3)
    there = world.peer()
    node.remember(there.address, there.fingerprint)
    node.say(A, Call(B))
    links[0].say(FoundInCache(B, there.told))
    assert CallRequest(A, B) in there.link.take()
    links[1].take()
    links[1].say(Search(B))
    assert links[1].take() == [], "hearsay is not passed on"
    there.link.say(CallReady(A, B))
    links[1].say(Search(B))
    assert links[1].take() == [FoundInCache(B, there.told)]


def test_whom_somebody_called_from_is_known_for_our_own_use_only() -> None:
    _, node, links = with_client(2)
    links[0].say(CallRequest(B, A))
    links[0].say(NoConversation(B, A))
    node.take()
    links[1].say(Search(B))
    assert links[1].take() == []
    links[0].take()
    node.say(A, Call(B))
    assert links[0].take() == [CallRequest(A, B)]


def test_an_unproven_address_is_told_to_nobody() -> None:
    world, _, links = with_client(1)
    hidden = world.peer()
    link = hidden.dials(world.nodes[0])  # it announced nothing
    link.say(FoundHere(B))
    links[0].say(Search(B))
    assert links[0].take() == []


def test_what_was_said_of_others_is_forgotten_when_the_user_is_here() -> None:
    _, node, links = with_client(2)
    links[0].say(FoundHere(B))
    node.online(B)
    assert node.counts()["locations"] == 0
    links[0].say(FoundHere(B))
    assert node.counts()["locations"] == 0
    node.say(A, Call(B))
    assert (B, IncomingCall(A)) in node.take()


def test_zero_is_nobody() -> None:
    _, node, links = with_client(1)
    links[0].say(FoundHere(0), Search(0))
    assert (links[0].take(), node.counts()["locations"]) == ([], 0)


@pytest.mark.parametrize("host", ["198.51.1.1", "10.0.0.1", "0.0.0.0", "a..b"])
def test_an_unasked_answer_is_ignored(host: str) -> None:
    world, node, links = with_client(1)
    links[0].say(FoundInCache(B, Address(host, PORT)))
    world.wait(2)
    assert (links[0].is_open, node.counts()["locations"]) == (True, 0)
    assert len(node.told.dialled) == 1
    assert node.board.stats["answers_ignored"] == 1


def test_one_answer_for_each_question() -> None:
    world, node, links = with_client(2)
    node.say(A, Call(B))
    for number in range(10):
        links[0].say(FoundInCache(B, Address(f"30.0.0.{number}", PORT)))
    world.wait(3)
    assert {each.host for each in node.told.dialled if each.host.startswith("30")} == {"30.0.0.0"}


def test_an_answer_that_names_ourselves_counts_for_nothing() -> None:
    world, node, links = with_client(1)
    node.board._links.known.note_own(node.address)
    node.say(A, Call(B))
    links[0].say(FoundInCache(B, Address(node.address.host, PORT)))
    world.wait(0.5)
    assert node.take() == [(A, Unavailable(B))]
    assert len(node.told.dialled) == 1


def test_a_stopping_node_answers_no_search() -> None:
    world, node, links = with_client(1)
    node.board.drain(world.now)
    links[0].say(Search(A))
    assert links[0].take() == []


def test_an_answer_names_no_address_of_the_asker() -> None:
    _, node, links = with_client(1)
    node.remember(NodeAddress("1.2.3.4", PORT), links[0].peer.fingerprint)
    links[0].say(FoundHere(B), Search(B))
    assert links[0].take(FoundInCache) == []


# -- Hints of others ----------------------------------------------------------------------------------------------


def test_a_hint_lasts_an_hour() -> None:
    world, node, links = with_client(2)
    links[0].say(FoundHere(B))
    world.wait(3590, step=10)
    links[1].take()
    links[1].say(Search(B))
    assert FoundInCache(B, links[0].peer.told) in links[1].take()
    world.wait(20, step=10)
    links[1].say(Search(B))
    assert FoundInCache(B, links[0].peer.told) not in links[1].take()
    assert node.counts()["locations"] == 0


def test_a_hint_holds_although_its_user_calls_from_there() -> None:
    _, _, links = with_client(2)
    links[0].say(FoundHere(B), CallRequest(B, A))
    links[1].say(Search(B))
    assert FoundInCache(B, links[0].peer.told) in links[1].take()


def test_one_node_has_so_many_hints_and_all_have_their_share() -> None:
    settings = SwitchboardSettings(search=SearchSettings(cache=20, hint_share=0.5, hints_per_link=6))
    _, node, links = with_client(3, settings)
    for number in range(20):
        links[0].say(FoundHere(1000 + number))
    assert node.counts()["locations"] == 6
    for number in range(20):
        links[1].say(FoundHere(2000 + number))
    assert node.counts()["locations"] == 10
    assert node.board.stats["hints_refused"] == 30


# -- Budgets ------------------------------------------------------------------------------------------------------


def test_searches_of_a_client_are_bounded() -> None:
    _, node, links = with_client(1, SwitchboardSettings(search=SearchSettings(searches_of_client=Rate(60, 2))))
    for number in range(4):
        node.say(A, Call(1000 + number))
    assert node.take() == [(A, Unavailable(1002)), (A, Unavailable(1003))]
    assert len(links[0].take(Search)) == 2
    assert Reason.SEARCH_RATE in node.reasons()
    node.say(D, Call(1002))
    assert len(links[0].take(Search)) == 1, "another client's is another's"


def test_questions_of_a_node_beyond_its_rate_are_ignored() -> None:
    world, node, links = with_client(2, SwitchboardSettings(search=SearchSettings(searches_of_link=Rate(60, 2))))
    links[0].say(Search(A), Search(A), Search(A))
    assert links[0].take() == [FoundHere(A)] * 2
    again = links[0].peer.dials(node)
    again.say(Search(A))
    assert again.take() == [], "another link is no other node"
    links[1].say(Search(A))
    assert links[1].take() == [FoundHere(A)]
    world.wait(1)
    links[0].say(Search(A))
    assert links[0].take() == [FoundHere(A)]


def test_requests_of_a_node_beyond_its_rate_are_answered_no() -> None:
    _, node, links = with_client(2, SwitchboardSettings(link_calls=Rate(60, 2)))
    links[0].say(CallRequest(B, A), CallRequest(C, A), CallRequest(B, D))
    assert links[0].take() == [NoConversation(B, D)]
    assert Reason.LINK_CALL_RATE in node.reasons()
    links[1].say(CallRequest(B, D))
    assert (D, IncomingCall(B)) in node.take()


def test_one_node_rings_at_a_callee_so_often_only_whatever_its_links() -> None:
    _, node, links = with_client(2)
    second = links[0].peer.dials(node)
    for number in range(10):
        links[0].say(CallRequest(1000 + number, A))
        second.say(CallRequest(2000 + number, A))
    assert len(node.take()) == 8
    assert len(links[0].take(NoConversation)) + len(second.take(NoConversation)) == 12
    links[1].say(CallRequest(B, A))
    assert node.take() == [(A, IncomingCall(B))]


@pytest.mark.parametrize(("caller", "callee"), [(B, 0), (0, A), (A, A), (B, C)])
def test_a_request_that_cannot_be_is_answered_no(caller: int, callee: int) -> None:
    _, node, links = with_client(1)
    links[0].say(CallRequest(caller, callee))
    assert links[0].take() == [NoConversation(caller, callee)]
    assert (node.take(), node.counts()["calls"], node.counts()["fences"]) == ([], 0, 0)


def test_what_is_remembered_of_users_nobody_knows_is_bounded() -> None:
    settings = SwitchboardSettings(
        search=SearchSettings(searches_of_client=Rate(100_000, 100_000)),
        calls=Rate(1_000_000, 1_000_000),
        unanswered_per_caller=100_000,
        links=LinkSettings(queue=100_000),
    )
    world, node, links = with_client(0, settings)
    link = world.peer().dials(node)
    for number in range(300):
        node.board.client_message(A, Call(1000 + number), world.now)
    world.run()
    assert len(link.take(Search)) == 300
    world.wait(4)
    assert node.is_quiet()
    assert links == []
    assert len(node.take()) == 300
