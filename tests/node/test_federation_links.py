"""Links: when a connection is one, which is used, how they are kept alive, replaced and let go (D6, D11, D21, D22)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from node.federation import PORT, Federation, Peer, PeerLink, called_by, calling, node_and_peers
from uzel.errors import Reason
from uzel.names import NodeAddress
from uzel.node.limits import Rate
from uzel.node.settings import LinkSettings, SwitchboardSettings
from uzel.wire import (
    Address,
    Call,
    CallReady,
    CallRequest,
    FoundHere,
    FoundInCache,
    NoConversation,
    NodeAnnouncement,
    NodeList,
    NodeListRequest,
    Ping,
    Pong,
    RelayedData,
    Search,
    Unavailable,
)

A, B, C = 11, 22, 33


def settings(**links: object) -> SwitchboardSettings:
    return SwitchboardSettings(links=LinkSettings(**links))  # type: ignore[arg-type] # names and types of LinkSettings


def silent_dial(world: Federation, peer: Peer) -> int:
    """A connection that has said CB and shown its certificate, and says nothing more."""
    connection = world.connection()
    node = world.nodes[0]
    node.board.link_accepted(connection, peer.host, peer.fingerprint, world.now)
    world.run()
    return connection


def stands(link: PeerLink) -> bool:
    return link.is_open


# -- Becoming a link ----------------------------------------------------------------------------------------------


def test_what_a_dialler_says_first() -> None:
    world = Federation(None)
    link = world.peer().known_to(world.nodes[0])
    assert isinstance(link.heard[1], NodeListRequest)
    assert link.heard[0] == NodeAnnouncement(PORT)


def test_an_accepted_connection_is_a_link_at_its_first_message_only() -> None:
    world = Federation(None)
    node, peer = world.nodes[0], world.peer()
    node.online(A)
    connection = silent_dial(world, peer)
    assert [link.state for link in node.links()] == ["opening"]
    node.say(A, Call(B))
    assert (node.take(), node.counts()["searches"]) == ([(A, Unavailable(B))], 0), "nobody is there to be asked"
    node.board.link_message(connection, NodeAnnouncement(PORT), world.now)
    assert [link.state for link in node.links()] == ["up"]
    world.wait(15)
    assert connection not in node.told.closed


def test_a_connection_that_never_says_anything_is_closed() -> None:
    world = Federation(None)
    node = world.nodes[0]
    connection = silent_dial(world, world.peer())
    world.wait(9.75)
    assert connection not in node.told.closed
    world.wait(0.5)
    assert node.told.closed[connection] is Reason.LINK_UNUSED
    assert (node.counts()["links"], node.counts()["timers"]) == (0, 0)


def test_messages_of_a_closed_link_are_of_nobody() -> None:
    world, node, (link,) = node_and_peers()
    node.online(A)
    link.close()
    node.board.link_heard(link.connection, world.now)
    node.board.link_message(link.connection, CallRequest(B, A), world.now)
    assert node.board.link_output(link.connection, world.now) is None
    assert node.take() == []


def test_nothing_is_left_of_a_lost_link() -> None:
    world = Federation(None)
    node = world.nodes[0]
    link = world.peer().dials(node)
    node.online(A)
    data = called_by(link, B, node, A)
    world.hold_back(link.connection)
    node.bring(data, b"x")
    node.end(data)
    node.offline(A)
    link.close()
    assert (node.counts()["links"], node.counts()["timers"]) == (0, 0)
    assert node.is_quiet()


# -- Which is used ------------------------------------------------------------------------------------------------


def test_one_in_each_direction_and_a_new_call_takes_the_newest() -> None:
    world, node, (dialled,) = node_and_peers()
    accepted = dialled.peer.dials(node)
    world.wait(10)
    assert (dialled.is_open, accepted.is_open) == (True, True)
    node.online(A)
    dialled.say(FoundHere(B))
    calling(node, A, accepted, B)
    assert CallRequest(A, B) in accepted.heard
    assert CallRequest(A, B) not in dialled.heard


def test_a_call_stays_on_the_link_of_its_request() -> None:
    world, node, (first,) = node_and_peers()
    node.online(A)
    data = called_by(first, B, node, A)
    second = first.peer.dials(node)
    world.wait(1)
    node.bring(data, b"x")
    assert RelayedData(A, B, b"x") in first.heard
    assert RelayedData(A, B, b"x") not in second.heard


def test_of_two_that_we_dialled_the_older_is_closed_once_it_carries_no_call() -> None:
    world, node, (first,) = node_and_peers()
    node.online(A)
    data = called_by(first, B, node, A)
    first.peer.address = NodeAddress("198.51.1.2", PORT)
    node.configure(first.peer.address)
    second = first.peer.link
    assert second is not first
    world.wait(10)
    assert stands(first), "a conversation runs over it"
    node.end(data)
    assert not stands(first)
    assert stands(second)
    assert node.told.closed[first.connection] is Reason.LINK_REPLACED
    world.wait(60)
    assert len(first.peer.links) == 2, "it is not dialled again"


def test_the_last_words_of_a_conversation_leave_before_its_link_is_closed() -> None:
    world, node, (first,) = node_and_peers()
    node.online(A)
    data = called_by(first, B, node, A)
    world.hold_back(first.connection)
    node.bring(data, b"last words")
    node.end(data)
    first.peer.address = NodeAddress("198.51.1.2", PORT)
    node.configure(first.peer.address)
    assert stands(first)
    world.release(first.connection)
    assert first.take()[-2:] == [RelayedData(A, B, b"last words"), NoConversation(B, A)]
    assert not stands(first)


def test_an_older_link_that_is_silent_for_five_seconds_is_ended_by_a_newer() -> None:
    world, node, (older,) = node_and_peers()
    node.online(A)
    data = called_by(older, B, node, A)
    older.peer.pongs = False
    older.take()
    older.peer.dials(node)
    assert older.take(Ping)
    world.wait(4.75)
    assert stands(older)
    world.wait(0.5)
    assert node.told.closed[older.connection] is Reason.LINK_REPLACED
    assert node.told.ended == [data], "its conversation is over on this side, too"


def test_an_older_link_that_answers_stays_even_if_it_answers_in_no_time() -> None:
    world, node, (older,) = node_and_peers()
    older.peer.dials(node)
    world.wait(20)
    assert stands(older)


def test_a_node_that_does_not_know_68_is_asked_with_90() -> None:
    world, node, (older,) = node_and_peers(pongs=False)
    older.heard.clear()
    older.peer.dials(node)
    assert [type(message) for message in older.heard] == [NodeListRequest]
    older.say(NodeList(()))
    world.wait(20)
    assert stands(older)


# -- Keeping alive ------------------------------------------------------------------------------------------------


def test_a_quiet_link_is_pinged_and_a_silent_one_ended() -> None:
    world, node, (link,) = node_and_peers(1, settings(relist=10_000.0))
    world.wait(90)
    link.heard.clear()
    link.say(Ping(b"xx"))
    link.peer.pongs = False
    link.heard.clear()
    world.wait(29.5)
    assert link.take(Ping) == []
    world.wait(1)
    assert len(link.take(Ping)) == 1
    world.wait(30)
    assert len(link.take(Ping)) == 1
    world.wait(28)
    assert stands(link)
    world.wait(2)
    assert node.told.closed[link.connection] is Reason.SILENCE


def test_any_byte_is_life() -> None:
    world, node, (link,) = node_and_peers(pongs=False)
    for _ in range(20):
        world.wait(20)
        node.board.link_heard(link.connection, world.now)
    assert stands(link)


def test_a_link_that_never_answered_68_is_probed_with_90() -> None:
    world, _, (link,) = node_and_peers(1, settings(relist=10_000.0), pongs=False)
    world.wait(100, step=1)
    assert not stands(link), "and one that answers nothing is ended"
    world, _, (link,) = node_and_peers(1, settings(relist=10_000.0), pongs=False)
    for _ in range(10):
        world.wait(31)
        assert link.take(Ping) == []
        if link.is_open:
            link.say(NodeList(()))
    assert stands(link)


def test_how_long_a_ping_takes_is_known() -> None:
    world, node, (link,) = node_and_peers(pongs=False)
    (ping,) = (message for message in link.heard if isinstance(message, Ping)) if link.heard else (None,)
    assert ping is None, "taken already"
    again = link.peer.dials(node)
    (ping,) = (message for message in again.heard if isinstance(message, Ping))
    world.wait(0.25)
    again.say(Pong(ping.token))
    assert [each.round_trip for each in node.links()] == [None, 0.25]
    again.say(Pong(ping.token))
    assert [each.round_trip for each in node.links()] == [None, 0.25], "an unasked pong is ignored"


def test_a_link_that_is_dialled_for_a_search_is_pinged_when_it_first_carries_a_call() -> None:
    world, node, (teller,) = node_and_peers(1, settings(kept=0))
    there = world.peer()
    node.online(A)
    node.say(A, Call(B))
    teller.say(FoundInCache(B, there.told))
    world.wait(2)
    links = [link for link in there.links if CallRequest(A, B) in link.heard]
    assert links, "it was dialled, and asked"
    heard = [type(message) for message in links[-1].heard]
    assert heard.index(Ping) < heard.index(CallRequest)
    assert heard.count(Ping) == 1


def test_one_that_is_accepted_is_pinged_then_as_well_where_nodes_are_more_than_are_kept() -> None:
    world, node, _ = node_and_peers(1, settings(kept=1))
    node.online(A)
    assert len(world.peer().dials(node).take(Ping)) == 1
    link = world.peer().dials(node)
    assert link.take(Ping) == []
    link.say(CallRequest(B, A))
    assert len(link.take(Ping)) == 1


def list_times(told: list[Address]) -> list[int]:
    """When a dialled node is asked for its list, within ten hours; each time it tells one of these."""
    world, _, (link,) = node_and_peers()
    link.heard.clear()
    asked = []
    for second in range(0, 36_000, 10):
        world.wait(10, step=10)
        for _ in link.take(NodeListRequest):
            asked.append(second)
            link.say(NodeList((told.pop(),) if told else ()))
    return [later - earlier for earlier, later in pairwise(asked)]


def test_a_dialled_node_is_asked_for_its_list_again_and_again() -> None:
    intervals = list_times([Address(f"30.0.0.{number}", PORT) for number in range(200)])
    assert len(intervals) > 50
    assert intervals[0] == 60
    assert {round(each, -2) for each in intervals[1:]} == {600}


def test_and_more_rarely_while_it_tells_nothing_new() -> None:
    minutes = [round(each / 60) for each in list_times([])]
    assert minutes[:4] == [1, 10, 20, 40]
    assert set(minutes[4:]) == {40}


# -- Dialling again -----------------------------------------------------------------------------------------------


def dial_times(world: Federation, peer: Peer, seconds: float) -> list[float]:
    """Every link is lost as soon as it stands."""
    since = world.now
    for _ in range(int(seconds * 4)):
        if peer.link.is_open:
            peer.link.close()
        world.wait(0.25)
    return [moment - since for moment in world.nodes[0].told.dialled_at if moment >= since]


def test_a_kept_link_is_dialled_again_with_growing_delays() -> None:
    world, node, (link,) = node_and_peers()
    world.unreachable.add(link.peer.address)
    moments = dial_times(world, link.peer, 1000)
    gaps = [later - earlier for earlier, later in zip([0.0, *moments], moments, strict=False)]
    assert [round(gap) for gap in gaps][:9] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert max(gaps) <= 301
    world.unreachable.clear()
    world.wait(310)
    assert stands(link.peer.link)
    assert node.counts()["links"] == 1


def test_delays_grow_as_well_for_a_node_that_takes_links_and_closes_them() -> None:
    world, _, (link,) = node_and_peers()
    assert len(dial_times(world, link.peer, 120)) <= 8


def test_a_link_that_stood_long_is_dialled_again_soon() -> None:
    world, node, (link,) = node_and_peers()
    dial_times(world, link.peer, 120)
    world.wait(130)
    assert stands(link.peer.link)
    world.wait(301, step=1)
    link.peer.link.close()
    node.told.dialled.clear()
    world.wait(1.5)
    assert node.told.dialled == [link.peer.address]


def test_a_failure_now_and_then_does_not_lock_a_node_out() -> None:
    """One that is not kept: weeks of rare failures, each followed by a link, leave no long delay behind."""
    world, node, _ = node_and_peers(1, settings(kept=0))
    node.online(A)
    there = world.peer()
    node.remember(there.address, there.fingerprint)
    world.wait(160, step=10)
    for number in range(8):
        world.unreachable.add(there.address)
        node.say(A, Call(B + number))
        world.wait(0.25)
        world.unreachable.clear()
        world.wait(2)
        opened = len(there.links)
        node.say(A, Call(1000 + number))
        world.wait(0.25)
        assert len(there.links) > opened, "two seconds later it is dialled"
        world.wait(150, step=10)


def test_delays_are_jittered_by_half() -> None:
    moments = []
    for random in (0.0, 0.999):
        world, node, (link,) = node_and_peers()
        node.random = random
        world.unreachable.add(link.peer.address)
        moments.append(dial_times(world, link.peer, 20)[0])
    assert moments == [0.5, 1.5]


# -- Kept, and on demand ------------------------------------------------------------------------------------------


def listed(world: Federation, count: int) -> list[Peer]:
    """So many nodes, of which the first peer tells."""
    peers = [world.peer() for _ in range(count)]
    world.peers[0].link.say(NodeList(tuple(peer.told for peer in peers)))
    return peers


def test_nodes_that_others_tell_are_met_and_kept_up_to_a_bound() -> None:
    world, node, _ = node_and_peers(1, settings(kept=3, giver_dials=60))
    peers = listed(world, 6)
    world.wait(20)
    assert all(peer.address in node.told.remembered for peer in peers), "all are met"
    kept = [link for link in node.links() if link.kept]
    assert len(kept) == 1 + 3, "the configured one, and three others"
    assert node.counts()["links"] == 4, "the rest are closed right after their handshake"


def test_a_freed_place_is_given_to_another() -> None:
    world, node, _ = node_and_peers(1, settings(kept=1, giver_dials=60))
    one, other = listed(world, 2)
    world.wait(10)
    assert stands(one.link)
    assert not stands(other.link)
    world.unreachable.add(one.address)
    one.link.close()
    world.wait(30)
    assert node.told.forgotten == [one.address]
    assert stands(other.link)


def test_a_node_that_changes_its_key_keeps_one_place_only() -> None:
    world, node, _ = node_and_peers(1, settings(kept=3, giver_dials=60))
    (liar,) = listed(world, 1)
    world.wait(3)
    for number in range(10):
        liar.fingerprint = type(liar.fingerprint)(bytes([200 + number]) * 32)
        if liar.link.is_open:
            liar.link.close()
        world.wait(10)
    assert len(liar.links) >= 4
    honest = listed(world, 2)
    world.wait(10)
    assert all(peer.link.is_open for peer in honest)
    assert len([link for link in node.links() if link.kept]) <= 4


def on_demand() -> tuple[Federation, Peer]:
    """A call made the node dial one that it does not keep."""
    world, node, (link,) = node_and_peers(1, settings(kept=0))
    node.online(A)
    there = world.peer()
    node.remember(there.address, there.fingerprint)
    world.wait(3)
    node.say(A, Call(B))
    world.wait(0.25)
    there.link.say(FoundHere(B))
    assert stands(there.link)
    assert stands(link)
    return world, there


def test_a_link_dialled_on_demand_is_let_go_after_two_idle_minutes() -> None:
    world, there = on_demand()
    there.link.say(NoConversation(A, B))
    world.wait(115, step=1)
    assert stands(there.link)
    world.wait(20, step=1)  # A's hint went over it as well, a moment after it was known
    assert not stands(there.link)
    assert world.nodes[0].told.closed[there.link.connection] is None
    world.wait(60, step=1)
    assert not stands(there.link), "nobody needs it"


def test_not_while_it_carries_a_call() -> None:
    world, there = on_demand()
    node = world.nodes[0]
    there.link.say(CallReady(A, B))
    data = node.data(A, B)
    world.wait(300, step=1)
    assert stands(there.link)
    node.end(data)
    world.wait(110, step=1)
    assert stands(there.link)
    world.wait(15, step=1)
    assert not stands(there.link)


def test_a_call_dials_whom_it_needs() -> None:
    world, there = on_demand()
    there.link.say(NoConversation(A, B))
    world.wait(130, step=1)
    count = len(there.links)
    node = world.nodes[0]
    node.say(A, Call(B))
    world.wait(0.25)
    assert len(there.links) == count + 1
    assert Search(B) in there.link.heard


# -- Bounds -------------------------------------------------------------------------------------------------------


def test_links_are_bounded_in_all() -> None:
    world, node, _ = node_and_peers(2, settings(in_all=3))
    one, other = world.peer(), world.peer()
    one.dials(node)
    assert node.counts()["links"] == 3
    connection = silent_dial(world, other)
    assert node.told.closed[connection] is Reason.LINKS_FULL


def test_the_longest_unused_on_demand_makes_room() -> None:
    world, there = on_demand()
    node = world.nodes[0]
    there.link.say(NoConversation(A, B))
    object.__setattr__(node.board._context.settings.links, "in_all", 2)
    world.wait(5)
    newcomer = world.peer()
    newcomer.dials(node)
    assert stands(newcomer.link)
    assert not stands(there.link)


def test_links_of_one_address_are_bounded() -> None:
    world = Federation(settings(per_address=2))
    node = world.nodes[0]
    peers = [world.peer(host="198.51.9.9") for _ in range(3)]
    connections = [silent_dial(world, peer) for peer in peers]
    assert node.told.closed == {connections[2]: Reason.LINKS_ADDRESS_FULL}


def test_links_of_one_key_are_bounded_in_time() -> None:
    world = Federation(settings(logins=Rate(60, 2)))
    node, peer = world.nodes[0], world.peer()
    for _ in range(2):
        peer.dials(node).close()
    assert node.told.closed[silent_dial(world, peer)] is Reason.LINK_RATE
    world.wait(1)
    assert silent_dial(world, peer) not in node.told.closed


def test_who_asks_and_does_not_read_loses_the_link() -> None:
    world, node, (link,) = node_and_peers(1, settings(queue=50))
    world.hold_back(link.connection)
    for _ in range(60):
        if link.is_open:
            link.say(Ping(b"xx"))
    assert node.told.closed[link.connection] is Reason.LINK_QUEUE_FULL


@pytest.mark.parametrize(
    "message", [RelayedData(A, B, b"x"), CallRequest(B, A), NodeListRequest(b"rr"), CallReady(A, B)]
)
def test_whatever_it_asks(message: RelayedData | CallRequest | NodeListRequest | CallReady) -> None:
    world, node, (link,) = node_and_peers(1, settings(queue=50))
    world.hold_back(link.connection)
    for _ in range(60):
        if link.is_open:
            link.say(message)
    assert node.told.closed[link.connection] is Reason.LINK_QUEUE_FULL
