"""From node to node until the callee answers: fall-backs, what ranks last, and the end of patience (D20, D26)."""

from __future__ import annotations

import pytest

from node.federation import Federation, Node, PeerLink, called_by, calling, holders, node_and_peers
from uzel.errors import Reason
from uzel.node.settings import SearchSettings, SwitchboardSettings
from uzel.wire import (
    Address,
    Call,
    CallReady,
    CallRequest,
    FoundHere,
    FoundInCache,
    IncomingCall,
    NoConversation,
    NodeList,
    Ready,
    Search,
    Unavailable,
)

A, B, C = 11, 22, 33
NO = NoConversation(A, B)


def with_client(count: int, settings: SwitchboardSettings | None = None) -> tuple[Federation, Node, list[PeerLink]]:
    world, node, links = node_and_peers(count, settings)
    node.online(A)
    for link in links:
        link.take()
    return world, node, links


def asked(links: list[PeerLink]) -> list[PeerLink]:
    """Whom the node has sent its AA now."""
    return [link for link in links if CallRequest(A, B) in link.take()]


def searched(links: list[PeerLink]) -> list[PeerLink]:
    """Whom the node has sent A5."""
    return [link for link in links if Search(B) in link.take()]


# -- One node after the other -------------------------------------------------------------------------------------


def test_the_first_answer_is_taken_and_the_others_are_fall_backs() -> None:
    _, node, links = with_client(3)
    node.say(A, Call(B))
    assert searched(links) == links
    for link in (links[1], links[0], links[2]):
        link.say(FoundHere(B))
    assert asked(links) == [links[1]]
    links[1].say(NO)
    assert asked(links) == [links[0]]
    links[0].say(NO)
    assert asked(links) == [links[2]]
    links[2].say(CallReady(A, B))
    assert node.take() == [(A, Ready(B))]


def test_three_at_most() -> None:
    world, node, links = with_client(5)
    node.say(A, Call(B))
    world.wait(0.5)
    for link in links:
        link.say(FoundHere(B))
    tried = []
    for _ in range(3):
        (link,) = asked(links)
        tried.append(link)
        link.say(NO)
    assert node.take() == [(A, Unavailable(B))]
    assert len(set(map(id, tried))) == 3
    assert asked(links) == []


def test_each_node_once_whatever_it_answers() -> None:
    _, node, links = with_client(2)
    node.say(A, Call(B))
    links[0].say(FoundHere(B))
    assert asked(links) == [links[0]]
    links[0].say(NO, FoundHere(B))
    links[1].say(FoundInCache(B, links[0].peer.told))
    assert asked(links) == []
    world = links[0].peer.world
    world.wait(4)
    assert node.take() == [(A, Unavailable(B))]


def test_the_location_of_who_says_no_is_dropped() -> None:
    _, node, links = with_client(2)
    links[0].say(FoundHere(B))
    assert node.counts()["locations"] == 1
    node.say(A, Call(B))
    links[0].say(NO)
    assert node.counts()["locations"] == 0


def test_who_answered_this_very_search_and_refuses_ends_the_call_without_another_question() -> None:
    world, node, links = with_client(5)
    three = holders(links, B)
    node.say(A, Call(B))
    assert searched(links) == [link for link in links if link in three]
    three[0].say(FoundHere(B))
    three[0].say(NO)
    world.wait(1.25)
    assert node.take() == [(A, Unavailable(B))]
    world.wait(5)
    assert searched(links) == [], "everyone need not be asked"


def test_who_answered_this_very_search_and_refuses_ends_the_call_at_once_when_all_have_answered() -> None:
    _, node, (link,) = with_client(1)
    node.say(A, Call(B))
    link.say(FoundHere(B), NO)
    assert node.take() == [(A, Unavailable(B))]


def test_another_who_answers_within_a_second_is_tried_after_a_refusal() -> None:
    """A node that claims everyone must not keep others out by being first."""
    world, node, links = with_client(3)
    node.say(A, Call(B))
    links[0].say(FoundHere(B), NO)
    world.wait(0.5)
    assert node.take() == []
    links[1].say(FoundHere(B))
    assert links[1] in asked(links)


def test_when_all_was_hearsay_everyone_not_yet_asked_is_asked_once() -> None:
    world, node, links = with_client(6)
    three = holders(links, B)
    others = [link for link in links if link not in three]
    node.say(A, Call(B))
    world.wait(0.25)
    for link in links:
        link.take()
    three[0].say(FoundInCache(B, others[0].peer.told))
    assert asked(links) == [others[0]]
    others[0].say(NO)
    world.wait(3)
    assert searched(links) == others
    others[1].say(FoundHere(B))
    assert asked(links) == [others[1]]
    others[1].say(NO)
    world.wait(4)
    assert node.take() == [(A, Unavailable(B))]
    assert searched(links) == []


def test_a_cached_location_that_fails_leads_to_everyone() -> None:
    _, node, links = with_client(4)
    links[0].say(FoundHere(B))
    node.say(A, Call(B))
    assert (searched(links), CallRequest(A, B)) == ([], CallRequest(A, B))
    links[0].say(NO)
    assert searched(links) == links
    links[2].say(FoundHere(B))
    assert asked(links) == [links[2]]
    links[2].say(CallReady(A, B))
    assert node.take() == [(A, Ready(B))]


def test_a_cached_location_is_asked_without_any_search() -> None:
    _, node, links = with_client(3)
    links[1].say(FoundHere(B))
    node.say(A, Call(B))
    for link in links:
        wanted = [CallRequest(A, B)] if link is links[1] else []
        assert link.take() == wanted


def test_addresses_where_nobody_is_lead_to_everyone() -> None:
    world, node, links = with_client(5)
    three = holders(links, B)
    others = [link for link in links if link not in three]
    node.say(A, Call(B))
    for number, link in enumerate(three):
        link.say(FoundInCache(B, Address(f"30.0.{number}.1", 8935)))
    for link in links:
        link.take()
    world.wait(10)
    assert searched(links) == others
    assert len({address for address in node.told.dialled if address.host.startswith("30.")}) == 3


def test_an_address_that_is_not_open_is_dialled() -> None:
    world, node, links = with_client(1)
    there = world.peer()
    node.say(A, Call(B))
    links[0].say(FoundInCache(B, there.told))
    world.wait(1)
    there.link.say(CallReady(A, B))
    assert node.take() == [(A, Ready(B))]


def test_an_address_where_somebody_tried_already_is_counts_for_nothing() -> None:
    world, node, links = with_client(2)
    alias = world.peer(host="198.51.200.1")
    alias.fingerprint = links[0].peer.fingerprint
    node.say(A, Call(B))
    links[0].say(FoundHere(B))
    links[1].say(FoundInCache(B, alias.told))
    links[0].close()
    world.wait(5)
    assert alias.links, "it was dialled"
    assert all(CallRequest(A, B) not in link.heard for link in alias.links)
    assert node.take() == [(A, Unavailable(B))]


# -- Silence ------------------------------------------------------------------------------------------------------


def living(world: Federation, links: list[PeerLink], seconds: int) -> None:
    for _ in range(seconds // 5):
        world.wait(5)
        for link in links:
            if link.is_open:
                link.say(NodeList(()))


def test_a_node_that_says_nothing_is_told_no_and_the_next_is_tried() -> None:
    world, node, links = with_client(2)
    node.say(A, Call(B))
    links[0].say(FoundHere(B))
    links[1].say(FoundHere(B))
    assert asked(links) == [links[0]]
    living(world, links, 75)
    assert asked(links) == []
    living(world, links, 10)
    assert links[0].take() == [NO]
    assert asked(links) == [links[1]]


def test_every_call_is_answered_within_150_seconds() -> None:
    world, node, links = with_client(4)
    node.say(A, Call(B))
    for link in links:
        link.say(FoundHere(B))
    living(world, links, 145)
    assert node.take() == []
    living(world, links, 10)
    assert node.take() == [(A, Unavailable(B))]
    (last,) = [link for link in links if link.heard[-2:] and NO in link.heard and CallRequest(A, B) in link.heard][1:]
    assert last.heard.index(CallRequest(A, B)) < last.heard.index(NO)
    assert node.is_quiet()


def test_a_lost_link_leads_to_the_next_node() -> None:
    _, node, links = with_client(2)
    node.say(A, Call(B))
    links[0].say(FoundHere(B))
    links[1].say(FoundHere(B))
    assert asked(links) == [links[0]]
    links[0].close()
    assert asked(links) == [links[1]]
    links[1].close()
    links[0].peer.world.wait(4)
    assert node.take() == [(A, Unavailable(B))]
    assert node.is_quiet()


def test_after_ready_nothing_is_tried_any_more() -> None:
    _, node, links = with_client(2)
    node.say(A, Call(B))
    for link in links:
        link.say(FoundHere(B))
    assert asked(links) == [links[0]]
    links[0].say(CallReady(A, B))
    node.take()
    links[0].say(NO)
    assert node.take() == [(A, Unavailable(B))]
    assert asked(links) == []
    assert node.is_quiet()


def test_a_link_lost_after_ready_ends_the_call() -> None:
    world, node, links = with_client(2)
    node.say(A, Call(B))
    for link in links:
        link.say(FoundHere(B))
    links[0].say(CallReady(A, B))
    node.take()
    links[0].close()
    assert node.take() == [(A, Unavailable(B))]
    assert asked(links) == [links[0]], "as before"
    world.wait(4)
    assert node.is_quiet()


def test_the_caller_does_not_come_after_ready() -> None:
    world, node, (link,) = with_client(1)
    link.say(FoundHere(B))
    node.say(A, Call(B))
    link.say(CallReady(A, B))
    node.take()
    link.take()
    world.wait(16)
    assert node.take() == [(A, Unavailable(B))]
    assert link.take() == [NO]
    assert node.is_quiet()


def test_a_caller_who_leaves_ends_the_search_and_the_call() -> None:
    world, node, links = with_client(2)
    node.say(A, Call(B))
    node.offline(A)
    links[0].say(FoundHere(B))
    assert asked(links) == []
    world.wait(4)
    assert node.is_quiet()


# -- What ranks last ----------------------------------------------------------------------------------------------


def short_call(node: Node, link: PeerLink) -> None:
    data = calling(node, A, link, B)
    link.say(NO)
    assert node.told.ended[-1] == data
    link.take()
    node.take()


def test_after_a_short_conversation_another_node_is_preferred() -> None:
    _, node, links = with_client(2)
    links[0].say(FoundHere(B))
    short_call(node, links[0])
    links[1].say(FoundHere(B))
    node.say(A, Call(B))
    assert asked(links) == [links[1]]
    links[1].say(NO)
    assert links[0] in asked(links), "last, but not never"


def test_nobody_is_suspected_of_whom_our_own_users_were_called_by() -> None:
    _, node, links = with_client(2)
    called_by(links[0], B, node, A)
    links[0].say(NO)
    node.offline(A)
    links[0].say(FoundHere(A))
    links[1].take()
    links[1].say(Search(A))
    assert links[1].take() == [FoundInCache(A, links[0].peer.told)]


def test_after_a_longer_conversation_nothing_is_suspected() -> None:
    world, node, links = with_client(2)
    links[0].say(FoundHere(B))
    data = calling(node, A, links[0], B)
    world.wait(10.25)
    links[0].say(NO)
    assert data in node.told.ended
    links[1].say(FoundHere(B))
    links[0].take()
    node.say(A, Call(B))
    assert asked(links) == [links[0]]


@pytest.mark.parametrize(("later", "told"), [(599, False), (602, True)])
def test_a_suspected_location_is_told_to_nobody_for_ten_minutes(later: float, told: bool) -> None:
    world, node, links = with_client(2)
    links[0].say(FoundHere(B))
    short_call(node, links[0])
    world.wait(later, step=5)
    links[0].say(FoundHere(B))
    links[1].take()
    links[1].say(Search(B))
    assert (links[1].take() == [FoundInCache(B, links[0].peer.told)]) is told


def test_a_node_that_let_a_call_time_out_ranks_last() -> None:
    world, node, links = with_client(2)
    links[0].say(FoundHere(B))
    node.say(A, Call(B))
    living(world, links, 85)
    for link in links:
        link.say(FoundHere(B))
        link.take()
    world.wait(4)
    node.take()
    node.say(A, Call(B))
    assert asked(links) == [links[1]]


def test_a_suspected_one_is_tried_when_nothing_better_is_known() -> None:
    _, node, (link,) = with_client(1)
    link.say(FoundHere(B))
    short_call(node, link)
    node.say(A, Call(B))
    assert CallRequest(A, B) in link.take()


def test_after_its_second_failure_it_waits_a_second_for_something_better() -> None:
    world, node, links = with_client(2)
    links[0].say(FoundHere(B))
    short_call(node, links[0])
    short_call(node, links[0])
    node.say(A, Call(B))
    assert asked(links) == []
    links[1].say(FoundHere(B))
    assert asked(links) == [links[1]]
    links[1].say(CallReady(A, B))
    node.data(A, B)
    world.wait(20)
    assert node.counts()["conversations"] == 1


def test_nothing_better_comes() -> None:
    world, node, links = with_client(2)
    links[0].say(FoundHere(B))
    short_call(node, links[0])
    short_call(node, links[0])
    node.say(A, Call(B))
    world.wait(1.25)
    assert asked(links) == [links[0]]


def test_a_liar_who_claims_everyone_costs_two_tries() -> None:
    """It answers first and hands over a wrong certificate; the caller calls again at once (D20)."""
    world, node, (liar, honest) = with_client(2)
    reached = []
    for _ in range(3):
        node.say(A, Call(B))
        for _ in range(12):
            for link in (liar, honest):
                for message in link.take():
                    if message == Search(B):
                        link.say(FoundHere(B))
                    elif message == CallRequest(A, B):
                        reached.append(link)
                        link.say(CallReady(A, B))
            world.wait(0.25)
        data = node.data(A, B)
        if reached[-1] is honest:
            break
        node.end(data)
    assert honest in reached
    assert len(reached) <= 3


# -- Who is found here after all ----------------------------------------------------------------------------------


def test_the_callee_comes_online_here_while_it_is_looked_for() -> None:
    _, node, links = with_client(2)
    node.say(A, Call(B))
    node.online(B)
    assert node.take() == [(B, IncomingCall(A))]
    links[0].say(FoundHere(B))
    assert asked(links) == []


def test_the_callee_comes_online_here_while_another_node_is_asked() -> None:
    _, node, links = with_client(2)
    links[0].say(FoundHere(B))
    node.say(A, Call(B))
    node.online(B)
    assert node.take() == [(B, IncomingCall(A))]
    assert NO in links[0].take()


def test_too_many_answers_are_left_aside() -> None:
    world, node, links = with_client(40, SwitchboardSettings(search=SearchSettings(tries=20)))
    node.say(A, Call(B))
    world.wait(0.5)
    for link in links:
        link.say(FoundHere(B))
    tried = 0
    while (now := asked(links)) and tried < 40:
        tried += len(now)
        now[0].say(NO)
    assert tried <= 20
    world.wait(4)
    assert node.take() == [(A, Unavailable(B))]
    assert Reason.NODE_SAYS_NO in node.reasons()
