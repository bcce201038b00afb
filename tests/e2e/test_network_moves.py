"""People and nodes that move: to another node of one's own, to one that was told of, to another address.

Whoever talks with them finds them again; what was being said comes through (`netns_two`).
"""

from __future__ import annotations

from e2e.netns_processes import PORT, Field
from e2e.netns_two import MANY, SIZE, SOON, Two


def test_a_client_moves_to_its_next_node_and_is_found_there(field: Field) -> None:
    """Bob's node knows where Alice was, and learns where she is."""
    two = Two(field, SOON)
    three = field.host("three", "192.0.2.3", "2001:db8:3::3")
    third = field.node(three, f"{two.two.ipv4}:{PORT}", settings=two.times)
    third.waits_linked(two.first, two.second)
    carol = field.talker(two.alices, "carol", f"{two.one.ipv4}:{PORT}", f"{three.ipv4}:{PORT}")
    two.bob.says(carol.person, MANY, size=SIZE)
    carol.waits_heard(MANY // 4)
    two.first.kill()
    carol.waits_for("online", node=f"{three.ipv4}:{PORT}")
    two.bob.waits_said(carol.person, MANY - 1)
    carol.heard_it_all(two.bob.person, MANY)


def test_a_client_that_roams_goes_to_a_node_that_its_own_told_of(field: Field) -> None:
    """When its own is gone; one that does not roam waits (D22)."""
    two = Two(field, SOON)
    home = f"{two.one.ipv4}:{PORT}"
    two.first.waits_until("the other is proven", lambda: two.first.knows(two.two.ipv4))
    carol = field.talker(two.alices, "carol", home, roaming=True)
    carol.waits_for("online", node=home)
    carol.says(two.alice.person)
    carol.waits_said(two.alice.person, 0)
    two.first.kill()
    carol.waits_for("online", node=f"{two.two.ipv4}:{PORT}")
    two.bob.says(carol.person)
    two.bob.waits_said(carol.person, 0)
    assert {event["node"] for event in two.alice.all("online")} == {home}


def test_a_node_moves_to_another_address_behind_its_name(field: Field) -> None:
    """The name is asked anew for every dial; the key says that it is the same node."""
    old, new = field.host("old", "198.51.100.1"), field.host("new", "192.0.2.1", "2001:db8:1::1")
    two = field.host("two", "203.0.113.2", "2001:db8:2::2")
    field.network.name("one.example", old.ipv4)
    first, second = field.node(old), field.node(two, "one.example")
    second.waits_linked(first)
    first.end()
    second.waits_until("the link is lost", second.is_alone)
    field.network.name("one.example", *new.addresses)
    moved = field.node(new, state="old")
    second.waits_linked(moved)
    alice, bob = field.talker(new, "alice", "one.example"), field.talker(two, "bob", f"{two.ipv4}:{PORT}")
    alice.says(bob.person)
    alice.waits_said(bob.person, 0)
