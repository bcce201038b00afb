"""Contacts and blocks: kept as they were given, within the bounds of contact links."""

from __future__ import annotations

import pytest

from store.message_tables import ANN, BOB, EVE, KEY_A, KEY_B, NOW, Database
from uzel.errors import InvalidNameError
from uzel.names import MAX_CONTACT_NAME, MAX_LINK_NODES, NodeReference
from uzel.store.people import MOST_DRAFT, People
from uzel.store.records import Contact

NODES = (
    NodeReference.parse("node.example:8935"),
    NodeReference.parse(f"[2001:db8::1]:9000,{KEY_A}"),
    NodeReference.parse("192.0.2.1:1"),
)


@pytest.fixture
def people(db: Database) -> People:
    return People(db)


def ann(people: People) -> Contact:
    contact = people.get(ANN)
    assert contact is not None
    return contact


def test_a_contact_is_kept_as_it_was_added(people: People) -> None:
    assert people.add(ANN, NOW, name=" Аня ", nodes=NODES, invite=b"token")
    expected = Contact(ANN, "Аня", NODES, b"token", False, None, False, NOW, None, "", None)
    assert people.get(ANN) == expected
    assert people.add(EVE, NOW + 1)
    assert people.all() == [expected, Contact(EVE, "", (), None, False, None, False, NOW + 1, None, "", None)]
    assert people.get(BOB) is None


def test_adding_a_contact_again_changes_nothing(people: People) -> None:
    people.add(ANN, NOW, name="Аня")
    before = people.all()
    assert not people.add(ANN, NOW + 1, name="Mallory", nodes=NODES)
    assert people.all() == before


def test_everything_about_a_contact_can_be_changed(people: People) -> None:
    people.add(ANN, NOW, invite=b"token")
    people.add(BOB, NOW)
    bob = people.get(BOB)
    assert people.rename(ANN, "Anna")
    assert people.set_nodes(ANN, NODES[:1])
    assert people.set_invite(ANN, None)
    assert people.block(ANN, NOW)
    assert people.stop(ANN, KEY_B)
    assert people.speaks(ANN, envelopes=True)
    assert people.seen(ANN, NOW + 9)
    assert people.set_draft(ANN, "Дорогая\nАня\0")
    assert people.set_retention(ANN, 5)
    assert ann(people) == Contact(ANN, "Anna", NODES[:1], None, True, KEY_B, True, NOW, NOW + 9, "Дорогая\nАня\0", 5)
    assert people.unblock(ANN)
    assert people.unstop(ANN)
    assert people.speaks(ANN, envelopes=False)
    assert people.set_draft(ANN, "")
    assert people.set_retention(ANN, None)
    assert people.rename(ANN, "")
    assert ann(people) == Contact(ANN, "", NODES[:1], None, False, None, False, NOW, NOW + 9, "", None)
    assert people.get(BOB) == bob


def test_verbs_about_nobody_say_so(people: People) -> None:
    assert not people.rename(ANN, "Anna")
    assert not people.set_nodes(ANN, ())
    assert not people.set_invite(ANN, None)
    assert not people.stop(ANN, KEY_A)
    assert not people.unstop(ANN)
    assert not people.speaks(ANN, envelopes=True)
    assert not people.seen(ANN, NOW)
    assert not people.set_draft(ANN, "x")
    assert not people.set_retention(ANN, 1)
    assert not people.remove(ANN)
    assert not people.unblock(ANN)
    assert people.all() == []


def test_unstopping_what_was_not_stopped_says_so(people: People) -> None:
    people.add(ANN, NOW)
    assert not people.unstop(ANN)


def test_a_block_is_of_strangers_too_and_outlives_the_contact(people: People) -> None:
    assert people.block(EVE, NOW)
    assert not people.block(EVE, NOW + 1)
    assert people.is_blocked(EVE)
    assert people.get(EVE) is None, "a block makes nobody a contact"
    people.add(ANN, NOW)
    people.block(ANN, NOW)
    assert people.remove(ANN)
    assert people.blocked() == [ANN, EVE]
    people.add(ANN, NOW)
    assert ann(people).blocked
    assert people.unblock(EVE)
    assert not people.unblock(EVE)
    assert not people.is_blocked(EVE)


@pytest.mark.parametrize("name", ["x" * (MAX_CONTACT_NAME + 1), "a\u202eb", "a\nb", "a\0b", "\ud800"])
def test_a_name_is_one_that_a_contact_link_may_carry(people: People, name: str) -> None:
    with pytest.raises(InvalidNameError):
        people.add(ANN, NOW, name=name)
    people.add(ANN, NOW, name="x" * MAX_CONTACT_NAME)
    with pytest.raises(InvalidNameError):
        people.rename(ANN, name)
    assert ann(people).name == "x" * MAX_CONTACT_NAME


def test_bounds_of_the_rest(people: People) -> None:
    people.add(ANN, NOW, nodes=NODES[:1] * MAX_LINK_NODES, invite=b"x" * 256)
    with pytest.raises(ValueError, match="nodes"):
        people.set_nodes(ANN, NODES[:1] * (MAX_LINK_NODES + 1))
    with pytest.raises(ValueError, match="256"):
        people.set_invite(ANN, b"x" * 257)
    people.set_draft(ANN, "x" * MOST_DRAFT)
    with pytest.raises(ValueError, match="draft"):
        people.set_draft(ANN, "x" * (MOST_DRAFT + 1))
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="millisecond"):
            people.set_retention(ANN, wrong)
    contact = ann(people)
    assert (len(contact.nodes), contact.invite, len(contact.draft)) == (MAX_LINK_NODES, b"x" * 256, MOST_DRAFT)
