"""What a call does when the node that it was sent to refuses, stalls, lies or is gone (D20, D26)."""

from __future__ import annotations

from e2e.linked import (
    ALICE,
    BOB,
    CAROL,
    OUT,
    Linked,
    connected_out,
    ended_with_a_fence,
    known_at,
)
from e2e.node_harness import until
from e2e.raw_client import (
    Conversation,
    RawClient,
    handshake_together,
    u32,
)
from e2e.raw_link import RawLink
from uzel.errors import Reason

# -- Fall-backs (D20) ---------------------------------------------------------------------------------------------


def found_by(linked: Linked, alice: RawClient, *numbers: int) -> list[RawLink]:
    """Alice calls Bob; these nodes say, in this order, that they have him."""
    links = [linked.dial(number) for number in numbers]
    alice.call(BOB.uin)
    for link in links:
        link.expect(0xA5, u32(BOB.uin))
    for link in links:
        link.found_here(BOB.uin)
        link.settle()
    return links


def asked_in_turn(link: RawLink) -> bool:
    return (0xAA, OUT) in link.heard


def test_the_next_node_is_tried_when_the_first_refuses(linked: Linked) -> None:
    """Each once, three at most, then 05 at once: nobody else is asked."""
    linked.start()
    alice = linked.login(ALICE)
    links = found_by(linked, alice, 1, 2, 3, 4)
    for number, link in enumerate(links[:3]):
        until("asked", lambda link=link: asked_in_turn(link))  # type: ignore[misc]  # bound now
        assert [asked_in_turn(each) for each in links] == [each <= number for each in range(4)]
        link.no_conversation(ALICE.uin, BOB.uin)
    alice.expect(0x05, u32(BOB.uin))
    assert not asked_in_turn(links[3])
    linked.counted(Reason.NODE_SAYS_NO, 3)


def test_05_at_once_when_the_only_node_that_answered_refuses(linked: Linked) -> None:
    """It had said A8 to this very search: nobody is asked once more."""
    linked.start()
    alice = linked.login(ALICE)
    (link,) = found_by(linked, alice, 1)
    link.expect(0xAA, OUT)
    link.no_conversation(ALICE.uin, BOB.uin)
    alice.expect(0x05, u32(BOB.uin))
    assert link.sync() == []


def test_the_next_node_is_tried_when_the_first_is_silent(linked: Linked) -> None:
    """After ring time, data time and a margin: B8 to the silent one, then the next."""
    linked.start(request_margin=0.1, ring=0.2, data=0.2)
    alice = linked.login(ALICE)
    silent, next_one = found_by(linked, alice, 1, 2)
    silent.expect(0xAA, OUT)
    silent.expect(0xB8, OUT)
    next_one.expect(0xAA, OUT)
    next_one.call_ready(ALICE.uin, BOB.uin)
    alice.expect(0x07)
    linked.counted(Reason.NODE_SILENT)


def test_the_next_node_is_tried_when_the_link_is_lost(linked: Linked) -> None:
    linked.start()
    alice = linked.login(ALICE)
    lost, next_one = found_by(linked, alice, 1, 2)
    until("asked", lambda: asked_in_turn(lost))
    lost.reset()
    until("the next is asked", lambda: asked_in_turn(next_one))


def test_a_node_that_hands_over_a_wrong_certificate_ranks_last(linked: Linked) -> None:
    """The conversation ends within 10 s of ready: the caller calls again at once, and reaches the true one."""
    linked.start(location_short=10.0)
    alice = linked.login(ALICE)
    liar, honest = found_by(linked, alice, 1, 2)
    liar.expect(0xAA, OUT)
    liar.call_ready(ALICE.uin, BOB.uin)
    alice.expect(0x07)
    conversation = Conversation(alice.data(ALICE.uin, BOB.uin), ALICE, caller=True)
    theirs = Conversation(liar.stream(BOB.uin, ALICE.uin), CAROL, caller=False)  # Carol's certificate, in Bob's name
    handshake_together(conversation.tls, theirs.tls)
    assert conversation.tls.peer_common_name == str(CAROL.uin)
    conversation.data.close()
    liar.expect(0xB8)
    alice.call(BOB.uin)
    until("the honest one is asked", lambda: asked_in_turn(honest))
    assert liar.sync() == []


def test_everyone_else_is_asked_when_the_cache_was_wrong(linked: Linked) -> None:
    """A moved callee: the old node says B8, a search finds the new one; the caller notices nothing."""
    linked.start()
    old, new = linked.dial(1), linked.dial(2)
    alice = linked.login(ALICE)
    data, _ = connected_out(alice, BOB.uin, old)
    data.close()
    old.expect(0xB8)
    alice.call(BOB.uin)
    old.expect(0xAA, OUT)
    old.no_conversation(ALICE.uin, BOB.uin)
    new.expect(0xA5, u32(BOB.uin))
    new.found_here(BOB.uin)
    new.expect(0xAA, OUT)
    new.call_ready(ALICE.uin, BOB.uin)
    alice.expect(0x07)
    assert alice.sync() == []


def test_nobody_is_asked_twice_for_one_call(linked: Linked) -> None:
    """When what an A9 named came to nothing, A5 goes to those alone who were not asked yet."""
    linked.start(search=0.4)
    named = linked.federate(1)
    teller = linked.dial(2)
    alice = linked.login(ALICE)
    alice.call(BOB.uin)
    teller.expect(0xA5)
    teller.found_in_cache(BOB.uin, named.host, named.port)
    named.link().expect(0xAA)
    named.link().no_conversation(ALICE.uin, BOB.uin)
    alice.expect(0x05, u32(BOB.uin))
    assert teller.sync() == []


def test_a_node_that_was_named_and_is_not_there(linked: Linked) -> None:
    """A9 to a dead port, then an A8: the second is tried."""
    linked.start()
    with linked.federate(5) as dead:
        gone = (dead.host, dead.port)
    alice = linked.login(ALICE)
    teller, honest = linked.dial(1), linked.dial(2)
    alice.call(BOB.uin)
    teller.expect(0xA5)
    honest.expect(0xA5)
    teller.found_in_cache(BOB.uin, *gone)
    linked.counted(Reason.NODE_UNREACHABLE)
    assert alice.sync() == []
    honest.found_here(BOB.uin)
    honest.expect(0xAA, OUT)


def test_every_03_is_answered_in_the_end(linked: Linked) -> None:
    """However long the chain of silent nodes could be (D26; here 0.5 s instead of 150)."""
    linked.start(every_call=0.5)
    alice = linked.login(ALICE)
    silent, other = found_by(linked, alice, 1, 2)
    silent.expect(0xAA, OUT)
    alice.expect(0x05, u32(BOB.uin))
    ended_with_a_fence(silent)
    assert not asked_in_turn(other)


def test_three_false_hints_do_not_hide_a_user(linked: Linked) -> None:
    """Each is tried once; then everyone who was not asked is, and the true node is found, all for one 03."""
    linked.start()
    alice = linked.login(ALICE)
    liars, honest = [linked.dial(number) for number in (1, 2, 3)], linked.dial(4)
    for liar in liars:
        known_at(liar, BOB.uin)
        liar.script = refusing
    alice.call(BOB.uin)
    honest.expect(0xA5, u32(BOB.uin))
    assert all(asked_in_turn(liar) for liar in liars)
    honest.found_here(BOB.uin)
    honest.expect(0xAA, OUT)
    assert [liar.heard.count((0xAA, OUT)) for liar in liars] == [1, 1, 1]


def refusing(link: RawLink, code: int, tail: bytes) -> bool:
    """The script of a node that refuses every call."""
    if code == 0xAA:
        link.send(0xB8, tail)
    return code == 0xAA
