"""Meeting other nodes: announcements, dial-backs, own addresses, changed keys, what is known from before (D21, D22)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from node.federation import PORT, Federation, Node, Peer, PeerLink, node_and_peers
from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress
from uzel.node.limits import Rate
from uzel.node.settings import LinkSettings, SwitchboardSettings
from uzel.wire import Address, Call, FoundHere, NodeAnnouncement, NodeList, NodeListRequest, Search

A, B = 11, 22
STRANGER = Fingerprint(b"s" * 32)


def told(link: PeerLink) -> set[str]:
    """The hosts in the answer to a 90."""
    link.take()
    link.say(NodeListRequest(b"rr"))
    return {address.host for message in link.heard if isinstance(message, NodeList) for address in message.addresses}


def node_with_asker(settings: SwitchboardSettings | None = None) -> tuple[Federation, Node, PeerLink]:
    """A peer, met in the public range, that asks for lists."""
    world, node, (asker,) = node_and_peers(1, settings)
    return world, node, asker


# -- Announcements and dial-backs ---------------------------------------------------------------------------------


def test_an_announced_address_is_met_by_a_dial_back_and_then_told() -> None:
    world, node, asker = node_with_asker()
    newcomer = world.peer()
    newcomer.dials(node, announces=PORT)
    assert told(asker) == set()
    world.wait(1)
    assert len(newcomer.links) == 2
    assert node.told.closed[newcomer.link.connection] is None, "right after the handshake, nothing is wrong"
    assert newcomer.link.heard == []
    assert told(asker) == {newcomer.address.host}
    assert node.told.remembered[-1] == newcomer.address
    assert told(newcomer.links[0]) == {asker.peer.address.host}


def test_an_announced_address_where_nobody_is_is_told_to_nobody() -> None:
    world, node, asker = node_with_asker()
    newcomer = world.peer()
    world.unreachable.add(newcomer.address)
    newcomer.dials(node, announces=PORT)
    world.wait(5)
    assert newcomer.address in node.told.dialled
    assert told(asker) == set()


def test_an_announced_address_where_another_node_is_proves_only_that_one() -> None:
    world, node, asker = node_with_asker()
    victim = world.peer(host="198.51.50.1")
    liar = world.peer(host="198.51.50.1")
    liar.dials(node, announces=PORT)
    world.wait(2)
    assert len(victim.links) == 1
    assert told(liar.links[0]) == {asker.peer.address.host, "198.51.50.1"} - {liar.address.host}
    liar.links[0].say(FoundHere(B))
    asker.say(Search(B))
    assert told(asker) == {"198.51.50.1"}
    assert victim.fingerprint in {each.fingerprint for each in node.board.nodes() if each.proven}
    assert liar.fingerprint not in {each.fingerprint for each in node.board.nodes() if each.proven}


@pytest.mark.parametrize("port", [0, 65535])
def test_a_port_that_cannot_be_is_ignored(port: int) -> None:
    world, node, _ = node_with_asker()
    link = world.peer().dials(node, announces=port)
    world.wait(2)
    assert (link.is_open, len(link.peer.links)) == (True, 1)
    assert node.reasons() == [Reason.ANNOUNCEMENT_IGNORED]


def test_a_second_announcement_is_ignored() -> None:
    world, node, _ = node_with_asker()
    newcomer = world.peer()
    link = newcomer.dials(node, announces=PORT)
    link.say(NodeAnnouncement(9999))
    world.wait(3)
    assert link.is_open
    assert node.reasons() == [Reason.ANNOUNCEMENT_IGNORED]
    assert NodeAddress(newcomer.host, 9999) not in node.told.dialled


def test_an_announcement_by_the_node_that_we_dialled_is_ignored() -> None:
    world, node, asker = node_with_asker()
    asker.say(NodeAnnouncement(9999))
    world.wait(3)
    assert asker.is_open
    assert node.reasons() == [Reason.ANNOUNCEMENT_IGNORED]
    assert len(node.told.dialled) == 1


def test_whoever_announced_is_met_before_what_it_lists() -> None:
    world, node, _ = node_with_asker()
    newcomer = world.peer()
    link = newcomer.dials(node)
    link.say(NodeList(tuple(Address(f"30.0.0.{number}", PORT) for number in range(50))))
    link.say(NodeAnnouncement(PORT))
    world.wait(2.5)
    assert newcomer.address in node.told.dialled[:3]


def test_what_liars_told_gives_way_to_an_announcement() -> None:
    """A full table must not keep us from meeting anybody."""
    world, node, _ = node_with_asker(SwitchboardSettings(links=LinkSettings(learned=200, learned_per_giver=50)))
    for number in range(4):
        lies = tuple(Address(f"30.{number}.{index}.1", PORT) for index in range(60))
        world.peer().dials(node).say(NodeList(lies))
    assert node.counts()["known_nodes"] == 201, "with the configured one"
    honest = world.peer()
    honest.dials(node, announces=PORT)
    world.wait(20)
    assert honest.address in node.told.remembered
    assert node.counts()["known_nodes"] <= 201


def test_a_liar_finds_room_for_its_own_announcement() -> None:
    world, node, _ = node_with_asker(SwitchboardSettings(links=LinkSettings(learned_per_giver=50)))
    liar = world.peer()
    link = liar.dials(node)
    link.say(NodeList(tuple(Address(f"30.0.{index}.1", PORT) for index in range(60))))
    link.say(NodeAnnouncement(PORT))
    world.wait(2)
    assert liar.address in node.told.remembered
    assert node.counts()["known_nodes"] == 51


def test_one_that_had_to_give_way_while_it_was_dialled_is_not_known_by_half() -> None:
    world, node, asker = node_with_asker(SwitchboardSettings(links=LinkSettings(learned=3, kept=0)))
    slow = world.peer()
    world.hanging.add(slow.address)
    slow.dials(node, announces=PORT)
    world.wait(1)
    slow.dials(node, announces=PORT)
    for _ in range(6):
        other = world.peer()
        world.hanging.add(other.address)
        other.dials(node, announces=PORT)
    who, dial = world.hung[0]
    world.answer(who, dial)
    world.run()
    assert told(asker) <= {status.address.host for status in node.board.nodes()}


def test_a_full_table_costs_a_list_no_more_than_an_empty_one() -> None:
    """However many have told something, each address of a list is dealt with in constant time."""
    world, node, _ = node_with_asker(SwitchboardSettings(links=LinkSettings(learned=2000)))
    known = node.board._links.known
    for number in range(2000):
        address = Address(f"20.0.{number // 250}.{number % 250}", PORT)
        known.learn(address, Fingerprint(number.to_bytes(32, "big")), None)
    compared = 0

    class Watched(dict[Fingerprint, int]):
        def __getitem__(self, key: Fingerprint) -> int:
            nonlocal compared
            compared += 1
            return super().__getitem__(key)

        def get(self, key: Fingerprint, default: int = 0) -> int:  # type: ignore[override] # as it is used
            nonlocal compared
            compared += 1
            return super().get(key, default)

    known._told_by._counts = Watched(known._told_by._counts)
    link = world.peer().dials(node)
    link.say(NodeList(tuple(Address(f"30.0.{number // 250}.{number % 250}", PORT) for number in range(500))))
    assert compared < 20 * 500


# -- Ranges -------------------------------------------------------------------------------------------------------


def test_inside_addresses_are_told_inside_only() -> None:
    world, node, outside = node_with_asker()
    inside, neighbour = world.peer(host="10.0.0.5"), world.peer(host="10.0.7.7")
    inside.dials(node, announces=PORT)
    neighbour.dials(node, announces=PORT)
    world.wait(3)
    assert told(outside) == set()
    assert told(neighbour.links[0]) == {"10.0.0.5", outside.peer.address.host}


def test_inside_addresses_that_an_outsider_tells_are_never_dialled() -> None:
    world, node, outside = node_with_asker()
    outside.say(NodeList((Address("10.0.0.5", PORT), Address("127.0.0.1", PORT), Address("169.254.1.1", PORT))))
    world.wait(10)
    assert node.told.dialled == [outside.peer.address]


def test_an_answer_names_no_inside_address_to_an_outsider() -> None:
    world, node, outside = node_with_asker()
    inside = world.peer(host="10.0.0.5")
    link = inside.dials(node, announces=PORT)
    world.wait(2)
    link.say(FoundHere(B))
    outside.take()
    outside.say(Search(B))
    assert outside.take() == []


# -- Our own address, our own key ---------------------------------------------------------------------------------


def meets_itself(world: Federation, node: Node, address: NodeAddress) -> None:
    """At this address our own node listens as well."""
    mirror = Peer(world, 99, host=address.host)
    mirror.fingerprint = node.fingerprint
    world.peers.append(mirror)


def test_an_address_where_we_meet_ourselves_is_our_own() -> None:
    world, node, asker = node_with_asker()
    other_name = NodeAddress("198.51.77.7", PORT)
    meets_itself(world, node, other_name)
    asker.say(NodeList((Address(other_name.host, PORT),)))
    world.wait(2)
    assert node.told.closed[world.peers[-1].link.connection] is Reason.OWN_ADDRESS
    assert told(asker) == set()
    asker.say(NodeList((Address(other_name.host, PORT),)))
    world.wait(60)
    assert node.told.dialled.count(other_name) == 1


def test_a_configured_address_that_is_our_own_is_not_dialled_again() -> None:
    world = Federation(None)
    node = world.nodes[0]
    meets_itself(world, node, NodeAddress("198.51.77.7", PORT))
    node.configure(NodeAddress("198.51.77.7", PORT))
    world.wait(60)
    assert len(node.told.dialled) == 1
    assert node.board.dialling(world.now) == [], "nobody waits for it"


def test_an_own_address_that_was_another_node_before_is_told_to_nobody_and_dialled_rarely() -> None:
    world, node, asker = node_with_asker()
    address = NodeAddress("198.51.77.7", PORT)
    meets_itself(world, node, address)
    node.remember(address, STRANGER)
    node.online(A)
    node.configure(address)
    node.say(A, Call(B))
    world.wait(60)
    assert len(node.told.dialled) <= 4
    assert told(asker) == set()


def test_a_link_from_ourselves_is_refused() -> None:
    world = Federation(None)
    node, mirror = world.nodes[0], world.peer()
    mirror.fingerprint = node.fingerprint
    connection = world.connection()
    node.board.link_accepted(connection, "198.51.77.7", node.fingerprint, world.now)
    world.run()
    assert node.told.closed == {connection: Reason.OWN_ADDRESS}


# -- Pins and changed keys ----------------------------------------------------------------------------------------


def test_a_configured_node_is_pinned_at_first_sight() -> None:
    _, node, asker = node_with_asker()
    assert node.told.pinned == [(asker.peer.address, asker.peer.fingerprint)]


@pytest.mark.parametrize("how", ["pinned before", "given"])
def test_a_changed_key_at_a_configured_address_is_refused(how: str) -> None:
    world, node, asker = node_with_asker()
    changed = world.peer()
    if how == "given":
        node.configure(changed.address, given=STRANGER)
    else:
        node.configure(changed.address, pin=STRANGER)
    assert node.told.closed[changed.link.connection] is Reason.NODE_KEY_CHANGED
    assert Reason.NODE_KEY_CHANGED in {status.last_error for status in node.board.dialling(world.now)}
    world.wait(20)
    assert 4 <= len(changed.links) <= 6, "it is dialled again, ever more rarely"
    assert told(asker) == set()
    changed.fingerprint = STRANGER
    world.wait(40)
    assert changed.link.is_open


def test_a_given_fingerprint_wins_over_the_stored_and_is_stored() -> None:
    world = Federation(None)
    node, changed = world.nodes[0], world.peer()
    node.configure(changed.address, given=changed.fingerprint, pin=STRANGER)
    assert changed.link.is_open
    assert node.told.pinned == [(changed.address, changed.fingerprint)]


def test_a_stored_pin_is_not_stored_again() -> None:
    world = Federation(None)
    node, peer = world.nodes[0], world.peer()
    node.configure(peer.address, pin=peer.fingerprint)
    assert (peer.link.is_open, node.told.pinned) == (True, [])


def test_a_learned_address_may_change_its_key() -> None:
    world, node, asker = node_with_asker()
    other = world.peer()
    node.remember(other.address, STRANGER)
    world.wait(2)
    assert other.link.is_open
    assert told(asker) == {other.address.host}
    assert told(other.link) == {asker.peer.address.host}


# -- From before the start ----------------------------------------------------------------------------------------


def test_nodes_from_before_the_start_are_met_one_a_second() -> None:
    world = Federation(None)
    node = world.nodes[0]
    peers = [world.peer() for _ in range(5)]
    for peer in peers:
        node.remember(peer.address, peer.fingerprint)
    world.wait(10)
    assert all(peer.links for peer in peers)
    assert all(b - a >= 1 for a, b in pairwise(node.told.dialled_at))


def test_a_name_from_before_the_start_is_told_to_nobody_until_it_is_met() -> None:
    world, node, asker = node_with_asker()
    name = world.peer(host="inside.example")
    name.host = "10.0.0.5"
    node.remember(name.address, name.fingerprint)
    assert told(asker) == set()
    world.wait(2)
    assert told(asker) == set(), "it leads inside"
    name.link.close()
    outside = world.peer(host="outside.example")
    outside.host = "198.51.88.1"
    node.remember(outside.address, outside.fingerprint)
    world.wait(2)
    assert told(asker) == {"outside.example"}


def test_a_name_that_ends_with_a_digit_is_a_name() -> None:
    world, node, asker = node_with_asker()
    name = world.peer(host="node1")
    name.host = "198.51.88.1"
    node.configure(name.address)
    assert name.link.is_open
    assert told(asker) == {"node1"}


def test_a_configured_node_that_does_not_answer_is_told_to_nobody_until_it_does() -> None:
    world, node, asker = node_with_asker()
    peer = world.peer()
    peer.known_to(node)
    assert told(asker) == {peer.address.host}
    world.unreachable.add(peer.address)
    peer.link.close()
    world.wait(30)
    assert told(asker) == set()
    world.unreachable.clear()
    world.wait(60)
    assert told(asker) == {peer.address.host}


# -- Lists --------------------------------------------------------------------------------------------------------


def test_lists_are_bounded_by_the_askers_rate() -> None:
    _, node, asker = node_with_asker(SwitchboardSettings(links=LinkSettings(lists=Rate(60, 2))))
    node.remember(NodeAddress("20.0.0.1", PORT), STRANGER)
    answers = [bool(told(asker)) for _ in range(5)]
    assert answers == [True, True, False, False, False], "always answered, though"
    assert asker.is_open


def test_a_clients_list_is_short_and_within_its_rate() -> None:
    settings = SwitchboardSettings(links=LinkSettings(lists=Rate(60, 2), told_to_client=3))
    _, node, _ = node_with_asker(settings)
    for number in range(1, 9):
        node.remember(NodeAddress(f"20.0.{number}.1", PORT), Fingerprint(bytes([number]) * 32))
    node.online(A)
    for _ in range(4):
        node.say(A, NodeListRequest(b"rr"))
    assert [len(message.addresses) for _, message in node.take() if isinstance(message, NodeList)] == [3, 3, 0, 0]


def test_a_list_draws_no_more_than_it_tells() -> None:
    world = Federation(None)
    node = world.nodes[0]
    for number in range(2000):
        address = NodeAddress(f"20.{number // 250}.{number % 250}.1", PORT)
        node.board.remember(address, Fingerprint(number.to_bytes(32, "big")), 1.0, 0.0)
    world.run()
    node.online(A)
    drawn = 0

    def chance() -> float:
        nonlocal drawn
        drawn += 1
        return 0.5

    node.board._context.chance = chance
    node.say(A, NodeListRequest(b"rr"))
    assert drawn <= 200


# -- Stopping -----------------------------------------------------------------------------------------------------


def test_a_node_that_stops_dials_nobody_and_takes_no_links() -> None:
    world, node, (link,) = node_and_peers()
    world.hanging.add(NodeAddress("20.0.0.1", PORT))
    node.configure(NodeAddress("20.0.0.1", PORT))
    node.board.drain(world.now)
    world.run()
    assert node.counts()["dials"] == 0
    link.say(NodeList((Address("30.0.0.1", PORT),)))
    world.unreachable.add(link.peer.address)
    node.told.dialled.clear()
    refused = world.peer().dials(node)
    assert node.told.closed[refused.connection] is Reason.NODE_STOPPING
    link.close()
    world.wait(60)
    assert node.told.dialled == []
