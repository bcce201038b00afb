"""What breaks on the way between people: cables, nodes, packets, time, half of the network.

Each test lets somebody say many texts, breaks something in the middle, and demands that the rest comes through by
itself once it is mended: nothing that was reported delivered is missing, and within one conversation nothing comes
twice or out of order. How soon a break is noticed is a setting (`silence`), short here. Who moves away for good:
`test_network_moves.py`.
"""

from __future__ import annotations

import pytest

from e2e.netns_processes import PORT, Field
from e2e.netns_two import MANY, PATIENT, SIZE, SOON, Two


def test_a_cable_that_is_soon_back_ends_nothing(field: Field) -> None:
    two = Two(field, PATIENT)
    two.half_said()
    with two.two.unplugged():
        heard = len(two.bob.all("text"))
        two.first.waits_until("the link is quiet", lambda: two.first.status()["links"][0]["idle"] > 0.2)
    two.all_said()
    assert heard < MANY, "it was over before the cable was pulled"
    assert len(two.bob.all("open")) == 1


def test_a_cable_that_stays_out_ends_the_conversation_and_all_comes_back(field: Field) -> None:
    """The node's cable: its link and its client are cut off."""
    two = Two(field, SOON)
    two.half_said()
    with two.two.unplugged():
        two.alice.waits_for("closed")
        two.bob.waits_for("closed")
        two.bob.waits_for("offline")
        for node in (two.first, two.second):
            node.waits_until("the link is given up", node.is_alone)
    two.all_said()
    assert two.second.is_linked(two.first)


def test_a_client_whose_cable_was_out_is_called_again(field: Field) -> None:
    two = Two(field, SOON)
    two.half_said()
    with two.bobs.unplugged():
        two.alice.waits_for("closed")
        two.bob.waits_for("offline")
    two.all_said()


@pytest.mark.parametrize("which", ["the caller's", "the callee's"])
def test_a_node_killed_in_the_middle_comes_back_with_the_nodes_that_it_knew(field: Field, which: str) -> None:
    """Started again without `--peer`: it dials those that it knew, configured or met.

    Not that its dial makes the link: the other node dials it too, and whose link stands is a matter of who was first.
    """
    two = Two(field, SOON)
    two.half_said()
    if which == "the caller's":
        killed, other, client = two.first, two.second, two.alice
    else:
        killed, other, client = two.second, two.first, two.bob
    killed.kill()
    client.waits_for("offline")
    two.alice.waits_for("closed")
    again = field.node(killed.host, settings=two.times)
    assert again.fingerprint == killed.fingerprint
    known = again.peers()[f"{other.host.ipv4}:{PORT}"]
    assert known["fingerprint"] == other.fingerprint
    assert known["last_answered"]
    assert not known["configured"]
    two.all_said()
    again.waits_until("it has dialled", lambda: again.status()["searches"].get("dials", 0) > 0)
    assert again.is_linked(other)


def test_two_percent_of_the_packets_lost(field: Field) -> None:
    two = Two(field, PATIENT)
    for host in (two.one, two.two, two.alices, two.bobs):
        host.lose(2)
    two.half_said()
    two.all_said()
    assert len(two.bob.all("open")) == 1
    assert two.one.lost() + two.two.lost() + two.alices.lost() + two.bobs.lost() > 0


def test_a_long_way_between_nodes(field: Field) -> None:
    """100 ms each way, as over an ocean. Two people who call each other at once talk in one conversation (D26)."""
    way = field.host("way", "192.0.2.50")
    field.forwarder(way, f"{way.ipv4}:{PORT}", f"198.51.100.1:{PORT}", 0.1)
    two = Two(field, PATIENT, way)
    two.bob.says(two.alice.person, 3, size=SIZE)
    two.half_said()
    two.bob.waits_said(two.alice.person, 2)
    two.alice.heard_it_all(two.bob.person, 3)
    two.all_said()
    for talker in (two.alice, two.bob):
        assert [len(talker.all(event)) for event in ("open", "closed", "uncalled", "missed")] == [1, 0, 0, 0]
    link = next(link for link in two.second.status()["links"] if link["address"] == f"{way.ipv4}:{PORT}")
    assert link["round_trip_ms"] >= 200
    assert link["conversations"] == 1


def test_a_partition_heals(field: Field) -> None:
    """Alice and her node on one side, two nodes with Bob and Carol on the other: those two talk on, and it heals."""
    two = Two(field, SOON)
    three = field.host("three", "192.0.2.3", "2001:db8:3::3")
    third = field.node(three, f"{two.one.ipv6}:{PORT}", f"{two.two.ipv6}:{PORT}", settings=two.times)
    third.waits_linked(two.first, two.second)
    carol = field.talker(three, "carol", f"{three.ipv4}:{PORT}")
    two.half_said()
    with field.network.parted([two.one, two.alices], [two.two, two.bobs, three]):
        two.alice.waits_for("closed")
        two.bob.waits_for("closed")
        two.first.waits_until("it is alone", two.first.is_alone)
        carol.says(two.bob.person, 3)
        carol.waits_said(two.bob.person, 2)
    two.all_said()
    two.bob.heard_it_all(carol.person, 3)
    two.first.waits_linked(two.second, third)
    carol.says(two.alice.person)
    carol.waits_said(two.alice.person, 0)
