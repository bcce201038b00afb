"""Calls that are bound to their link, fenced, made again, and that cross (D13, D14, D18, D19, D26)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.linked import (
    ALICE,
    BACK,
    BOB,
    CAROL,
    OUT,
    Linked,
    called_in,
    called_out,
    connected_in,
    connected_out,
    ended_with_a_fence,
    known_at,
    meet,
)
from e2e.raw_client import (
    RawClient,
    Stream,
    pair,
    u32,
)
from e2e.raw_identity import RawIdentity, node_identity
from e2e.raw_link import RawLink, relayed
from e2e.stage import ended
from uzel.errors import Reason

# -- Bound to their link (D18) ------------------------------------------------------------------------------------


def test_another_link_cannot_touch_a_call(linked: Linked) -> None:
    """AB and B8 from there are counted and ignored, D0 is answered B8."""
    linked.start()
    link, other = linked.dial(1), linked.dial(2)
    alice = linked.login(ALICE)
    called_out(alice, BOB.uin, link)
    other.call_ready(ALICE.uin, BOB.uin)
    other.no_conversation(ALICE.uin, BOB.uin)
    other.no_conversation(BOB.uin, ALICE.uin)
    other.relayed(BOB.uin, ALICE.uin, b"false")
    assert other.sync() == [(0xB8, BACK)]
    linked.counted(Reason.OTHER_LINK, 3)
    assert alice.sync() == link.sync() == []
    link.call_ready(ALICE.uin, BOB.uin)
    alice.expect(0x07)


def test_another_link_cannot_touch_a_conversation(linked: Linked) -> None:
    linked.start()
    link, other = linked.dial(1), linked.dial(2)
    data, stream = connected_out(linked.login(ALICE), BOB.uin, link)
    other.relayed(BOB.uin, ALICE.uin, b"false")
    other.relayed(ALICE.uin, BOB.uin, b"false")
    other.no_conversation(ALICE.uin, BOB.uin)
    other.call_ready(ALICE.uin, BOB.uin)
    assert [code for code, _ in other.sync() if code == 0xB8] == [0xB8, 0xB8]
    meet(data, stream)
    assert link.sync() == []


def test_not_even_another_link_of_the_same_node(linked: Linked) -> None:
    linked.start()
    link, other = linked.dial(1), linked.dial(1)
    data, stream = connected_out(linked.login(ALICE), BOB.uin, other)
    link.relayed(BOB.uin, ALICE.uin, b"false")
    link.no_conversation(ALICE.uin, BOB.uin)
    assert link.sync() == [(0xB8, BACK)]
    meet(data, stream)


def test_relayed_data_in_the_wrong_direction(linked: Linked) -> None:
    """From our user to theirs: answered B8 with the two UINs as they came; what stands here is not touched."""
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    called_out(alice, BOB.uin, link)
    link.call_ready(ALICE.uin, BOB.uin)
    alice.expect(0x07)
    data = alice.data(ALICE.uin, BOB.uin)
    wrong = [(ALICE, BOB), (CAROL, ALICE), (BOB, CAROL), (ALICE, ALICE)]
    for sender, recipient in wrong:
        link.relayed(sender.uin, recipient.uin, b"false")
    for sender, recipient in wrong:
        link.expect(0xB8, pair(sender.uin, recipient.uin))
    link.relayed(BOB.uin, ALICE.uin, b"true")
    assert data.receive() == b"true"
    data.send(b"and back")
    link.expect(0xD0, relayed(ALICE.uin, BOB.uin, b"and back"))


def test_messages_about_nothing(linked: Linked) -> None:
    """AB for no call: B8. D0 for none: B8 with its two UINs. B8 for none: nothing, and no fence."""
    linked.start()
    link = linked.dial(1)
    link.call_ready(7, 8)
    assert link.expect(0xB8) == pair(7, 8)
    link.relayed(8, 7, b"x")
    assert link.expect(0xB8) == pair(8, 7)
    link.relayed(8, 7, b"")
    assert link.expect(0xB8) == pair(8, 7)
    before = link.pings
    link.no_conversation(7, 8)
    assert link.sync() == []
    assert link.pings == before


def test_relayed_data_before_the_callees_connection_stands(linked: Linked) -> None:
    """It can only be of an older conversation: dropped. A B8 would end the call at the other node."""
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    called_in(link, BOB.uin, alice)
    link.relayed(BOB.uin, ALICE.uin, b"old")
    assert link.sync() == alice.sync() == []
    alice.accept(BOB.uin)
    data = alice.data(BOB.uin, ALICE.uin)
    link.expect(0xAB, BACK)
    meet(data, link.stream(BOB.uin, ALICE.uin))


def test_an_ab_twice(linked: Linked) -> None:
    """The second ends nothing."""
    linked.start()
    link = linked.dial(1)
    data, stream = connected_out(linked.login(ALICE), BOB.uin, link)
    link.call_ready(ALICE.uin, BOB.uin)
    assert link.sync() == []
    meet(data, stream)


# -- The fence (D19) ----------------------------------------------------------------------------------------------


Ends = Callable[[RawClient, RawLink], None]


def by_us(alice: RawClient, link: RawLink) -> None:
    """Our client hangs up: B8 from our node."""
    data, _ = connected_out(alice, BOB.uin, link)
    link.pongs = link.fences = False
    data.close()
    link.expect(0xB8)


def by_them(alice: RawClient, link: RawLink) -> None:
    """They hang up: B8 from the raw node."""
    data, _ = connected_out(alice, BOB.uin, link)
    link.pongs = link.fences = False
    link.no_conversation(ALICE.uin, BOB.uin)
    assert ended(data) == b""


def refused_by_us(alice: RawClient, link: RawLink) -> None:
    called_in(link, BOB.uin, alice)
    link.pongs = link.fences = False
    alice.refuse(BOB.uin)
    link.expect(0xB8)


@pytest.mark.parametrize("ends", [by_us, by_them, refused_by_us])
def test_until_the_69_nothing_counts_for_that_pair(linked: Linked, ends: Ends) -> None:
    """AA, AB, B8 and D0 are dropped without an answer, other pairs are served; then all is as ever."""
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    ends(alice, link)
    fence = link.expect(0x68)
    link.call_request(BOB.uin, ALICE.uin)
    link.call_ready(ALICE.uin, BOB.uin)
    link.no_conversation(BOB.uin, ALICE.uin)
    link.relayed(BOB.uin, ALICE.uin, b"old")
    assert link.sync() == alice.sync() == []
    link.call_request(CAROL.uin, ALICE.uin)
    alice.expect(0x04, u32(CAROL.uin))
    link.send(0x69, fence)
    link.call_request(BOB.uin, ALICE.uin)
    alice.expect(0x04, u32(BOB.uin))
    alice.accept(BOB.uin)
    data = alice.data(BOB.uin, ALICE.uin)
    link.expect(0xAB, BACK)
    link.relayed(BOB.uin, ALICE.uin, b"new")
    assert data.receive() == b"new"


@pytest.mark.parametrize("ends", [by_us, by_them])
def test_our_own_call_waits_for_the_fence(linked: Linked, ends: Ends) -> None:
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    ends(alice, link)
    fence = link.expect(0x68)
    known_at(link, BOB.uin)
    alice.call(BOB.uin)
    assert alice.sync() == link.sync() == []
    link.send(0x69, fence)
    link.expect(0xAA, OUT)


def test_the_fence_falls_by_itself_where_68_was_never_answered(linked: Linked) -> None:
    """After 2 s (here less) on a link to a node that knows no 68."""
    linked.start(fence=0.3)
    link = RawLink.prepared(linked.node.address, node_identity(1))
    linked.enter_context(link)
    link.pongs = link.fences = False
    link.start()
    link.introduce(None)
    alice = linked.login(ALICE)
    link.call_request(BOB.uin, ALICE.uin)
    alice.expect(0x04)
    alice.refuse(BOB.uin)
    ended_with_a_fence(link)
    link.found_here(BOB.uin)
    alice.call(BOB.uin)
    link.expect(0xAA, OUT)


def test_a_fence_is_on_its_link_alone(linked: Linked) -> None:
    """From another node the same user can call at once."""
    linked.start()
    link, other = linked.dial(1), linked.dial(2)
    alice = linked.login(ALICE)
    by_us(alice, link)
    other.call_request(BOB.uin, ALICE.uin)
    alice.expect(0x04, u32(BOB.uin))


def test_a_69_with_other_bytes_lowers_no_fence(linked: Linked) -> None:
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    by_us(alice, link)
    fence = link.expect(0x68)
    link.send(0x69, bytes((fence[0] ^ 1, fence[1])))
    link.call_request(BOB.uin, ALICE.uin)
    assert link.sync() == alice.sync() == []


# -- Called again -------------------------------------------------------------------------------------------------


def test_a_repeated_aa_in_set_up_is_ignored(linked: Linked) -> None:
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    called_in(link, BOB.uin, alice)
    for _ in range(3):
        link.call_request(BOB.uin, ALICE.uin)
    assert link.sync() == alice.sync() == []
    alice.accept(BOB.uin)
    link.call_request(BOB.uin, ALICE.uin)
    assert link.sync() == alice.sync() == []
    alice.data(BOB.uin, ALICE.uin)
    link.expect(0xAB, BACK)


def test_a_repeated_aa_restarts_a_relaying_pair(linked: Linked) -> None:
    """The caller's side lost it: the callee is asked anew, and gets a new conversation."""
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    _, data = connected_in(link, BOB.uin, alice)
    link.call_request(BOB.uin, ALICE.uin)
    alice.expect(0x04, u32(BOB.uin))
    assert ended(data) == b""
    alice.accept(BOB.uin)
    again = alice.data(BOB.uin, ALICE.uin)
    link.expect(0xAB, BACK)
    link.relayed(BOB.uin, ALICE.uin, b"new")
    assert again.receive() == b"new"


def test_a_pair_held_by_another_link_is_put_to_the_callee(linked: Linked) -> None:
    """The old conversation ends only when the callee's new data connection stands."""
    linked.start()
    old, new = linked.dial(1), linked.dial(2)
    alice = linked.login(ALICE)
    stream, data = connected_in(old, BOB.uin, alice)
    called_in(new, BOB.uin, alice)
    meet(data, stream)
    alice.accept(BOB.uin)
    meet(data, stream)
    again = alice.data(BOB.uin, ALICE.uin)
    new.expect(0xAB, BACK)
    assert ended(data) == b""
    ended_with_a_fence(old)
    meet(again, new.stream(BOB.uin, ALICE.uin))


def test_a_pair_held_by_another_link_lives_on_when_the_callee_refuses(linked: Linked) -> None:
    """D13: a client that is called by whom it talks to asks that one first; here the answer was a pong."""
    linked.start()
    old, new = linked.dial(1), linked.dial(2)
    alice = linked.login(ALICE)
    stream, data = connected_in(old, BOB.uin, alice)
    called_in(new, BOB.uin, alice)
    alice.refuse(BOB.uin)
    ended_with_a_fence(new)
    meet(data, stream)
    assert old.sync() == []


def test_a_pair_held_here_is_put_to_the_callee_too(linked: Linked) -> None:
    """A node claims a user who is here and talks: her conversation goes on unless the callee takes the other."""
    linked.start()
    link = linked.dial(1)
    alice, carol = linked.login(ALICE), linked.login(CAROL)
    ours = carol_calls(carol, alice)
    link.call_request(CAROL.uin, ALICE.uin)
    alice.expect(0x04, u32(CAROL.uin))
    alice.refuse(CAROL.uin)
    ended_code = link.expect(0xB8)
    assert ended_code in {pair(CAROL.uin, ALICE.uin), pair(ALICE.uin, CAROL.uin)}
    for one, other in (ours, ours[::-1]):
        one.send(b"there")
        assert other.receive() == b"there"


def test_a_user_who_moved_away_is_taken_from_a_link(linked: Linked) -> None:
    """The callee takes the call from elsewhere: the conversation with the same user here ends then, not before."""
    linked.start()
    link = linked.dial(1)
    alice, carol = linked.login(ALICE), linked.login(CAROL)
    ours, theirs = carol_calls(carol, alice)
    link.call_request(CAROL.uin, ALICE.uin)
    alice.expect(0x04, u32(CAROL.uin))
    alice.accept(CAROL.uin)
    ours.send(b"still here")
    assert theirs.receive() == b"still here"
    again = alice.data(CAROL.uin, ALICE.uin)
    link.expect(0xAB, pair(CAROL.uin, ALICE.uin))
    assert theirs.receive() == ours.receive() == b""
    meet(again, link.stream(CAROL.uin, ALICE.uin))


def carol_calls(carol: RawClient, alice: RawClient) -> tuple[Stream, Stream]:
    carol.call(alice.uin)
    alice.expect(0x04)
    alice.accept(carol.uin)
    theirs = alice.data(carol.uin, alice.uin)
    carol.expect(0x07)
    ours = carol.data(carol.uin, alice.uin)
    ours.send(b"!")
    assert theirs.receive() == b"!"
    return ours, theirs


# -- Glare (D14, D26) ---------------------------------------------------------------------------------------------


LOW, HIGH = sorted((ALICE, BOB), key=lambda who: who.uin)


def glare(linked: Linked, ours: RawIdentity, theirs: RawIdentity) -> tuple[RawClient, RawLink]:
    """Our client calls somebody who at the same time calls it, over the same link."""
    linked.start()
    link = linked.dial(1)
    client = linked.login(ours)
    called_out(client, theirs.uin, link)
    link.call_request(theirs.uin, ours.uin)
    return client, link


def test_glare_is_won_by_the_lower_uin(linked: Linked) -> None:
    """Ours is lower: their AA is ignored, our call goes on."""
    client, link = glare(linked, LOW, HIGH)
    assert link.sync() == client.sync() == []
    link.call_ready(LOW.uin, HIGH.uin)
    client.expect(0x07, u32(HIGH.uin))
    meet(client.data(LOW.uin, HIGH.uin), link.stream(HIGH.uin, LOW.uin))


def test_glare_is_lost_by_the_higher_uin(linked: Linked) -> None:
    """Ours is higher: our call is dropped without a word, theirs is served, and ours is the callee now."""
    client, link = glare(linked, HIGH, LOW)
    client.expect(0x04, u32(LOW.uin))
    assert link.sync() == []
    client.accept(LOW.uin)
    data = client.data(LOW.uin, HIGH.uin)
    link.expect(0xAB, pair(LOW.uin, HIGH.uin))
    meet(data, link.stream(LOW.uin, HIGH.uin))
    assert client.sync() == []


def test_a_lost_glare_that_fails_is_told_to_the_absorbed_caller(linked: Linked) -> None:
    """It asked for a call too: 05 when the surviving one comes to nothing (D14)."""
    client, link = glare(linked, HIGH, LOW)
    client.expect(0x04, u32(LOW.uin))
    link.no_conversation(LOW.uin, HIGH.uin)
    client.expect(0x05, u32(LOW.uin))
    assert client.sync() == []


@pytest.mark.parametrize(("ours", "theirs"), [(LOW, HIGH), (HIGH, LOW)], ids=["lower", "higher"])
def test_a_call_from_elsewhere_is_served_and_our_own_withdrawn(
    linked: Linked, ours: RawIdentity, theirs: RawIdentity
) -> None:
    linked.start()
    asked, elsewhere = linked.dial(1), linked.dial(2)
    client = linked.login(ours)
    called_out(client, theirs.uin, asked)
    elsewhere.call_request(theirs.uin, ours.uin)
    client.expect(0x04, u32(theirs.uin))
    assert asked.expect(0xB8) == pair(ours.uin, theirs.uin)
    client.accept(theirs.uin)
    data = client.data(theirs.uin, ours.uin)
    elsewhere.expect(0xAB, pair(theirs.uin, ours.uin))
    meet(data, elsewhere.stream(theirs.uin, ours.uin))


@pytest.mark.parametrize(("ours", "theirs"), [(LOW, HIGH), (HIGH, LOW)], ids=["lower", "higher"])
def test_a_call_that_comes_while_we_search_is_served(linked: Linked, ours: RawIdentity, theirs: RawIdentity) -> None:
    linked.start()
    link = linked.dial(1)
    client = linked.login(ours)
    client.call(theirs.uin)
    link.expect(0xA5)
    link.call_request(theirs.uin, ours.uin)
    client.expect(0x04, u32(theirs.uin))
    link.found_here(theirs.uin)
    assert link.sync() == []
    client.accept(theirs.uin)
    client.data(theirs.uin, ours.uin)
    link.expect(0xAB, pair(theirs.uin, ours.uin))


def test_who_logs_in_while_a_call_searches_is_rung(linked: Linked) -> None:
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    alice.call(BOB.uin)
    link.expect(0xA5)
    bob = linked.client(BOB)
    bob.connect()
    bob.hello()
    bob.handshake()
    bob.expect(0x04, u32(ALICE.uin))  # perhaps before the first pong (D9)
    bob.accept(ALICE.uin)
    bob.data(ALICE.uin, BOB.uin)
    alice.expect(0x07, u32(BOB.uin))
