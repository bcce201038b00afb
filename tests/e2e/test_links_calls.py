"""Calls and conversations between our clients and users behind raw nodes (section 5, D12–D20, D25, D26)."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

import pytest

from e2e.cases_calls import fill
from e2e.linked import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    Linked,
    called_in,
    called_out,
    connected_in,
    connected_out,
    known_at,
    meet,
)
from e2e.node_harness import until
from e2e.raw_client import (
    Closed,
    Conversation,
    RawClient,
    Stream,
    Tcp,
    exchange,
    handshake_together,
    pair,
    u32,
)
from e2e.raw_identity import RawIdentity, node_identity
from e2e.raw_link import RawLink, relayed
from e2e.raw_node import echoing
from e2e.stage import ended
from uzel.errors import Reason

OUT, BACK = pair(ALICE.uin, BOB.uin), pair(BOB.uin, ALICE.uin)
"""Alice is always our client, Bob always behind a link."""
QUICK = {"ring": 0.4, "data": 0.3}


def all_of(stream: Stream, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        data = stream.receive()
        assert data, f"the end after {len(received)} of {size} bytes"
        received += data
    return bytes(received)


def ended_with_a_fence(link: RawLink) -> None:
    """B8 for Alice and Bob, and the 68 behind it."""
    assert link.expect(0xB8) in {OUT, BACK}
    link.expect(0x68)


# -- Calls that succeed -------------------------------------------------------------------------------------------


def test_our_client_calls_across(linked: Linked) -> None:
    """Search, AA, AB, 07, and a whole conversation end to end, texts both ways; then B8."""
    linked.start()
    federate = linked.federate(1, [BOB], echoing)
    link = federate.dial(linked.node.address)
    alice = linked.login(ALICE)
    for text in ("hello", "привет", "x" * 65535):
        alice.call(BOB.uin)
        alice.expect(0x07, u32(BOB.uin))
        conversation = Conversation(alice.data(ALICE.uin, BOB.uin), ALICE, caller=True)
        conversation.tls.handshake()
        assert conversation.tls.peer_common_name == str(BOB.uin)
        conversation.text(text)
        conversation.reported()
        assert conversation.read() == text
        conversation.data.close()
        until("B8", lambda: any(code == 0xB8 and tail in {OUT, BACK} for code, tail in link.heard))
        assert alice.sync() == []


def test_our_client_is_called_from_across(linked: Linked) -> None:
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    called_in(link, BOB.uin, alice)
    alice.accept(BOB.uin)
    data = alice.data(BOB.uin, ALICE.uin)
    link.expect(0xAB, BACK)
    a = Conversation(data, ALICE, caller=False)
    b = link.conversation(BOB, ALICE.uin, caller=True)
    handshake_together(a.tls, b.tls)
    exchange(a, b)
    exchange(b, a, "привет")
    b.data.close()
    assert a.inbox.end() == []
    assert link.sync() == alice.sync() == []


def test_calls_go_over_a_link_in_either_direction(linked: Linked) -> None:
    """Over links that our node dialled as over those that it accepted."""
    dialled = linked.federate(1)
    linked.start(f"{dialled.host}:{dialled.port}")
    alice = linked.login(ALICE)
    for link, other in ((dialled.link(), BOB.uin), (linked.dial(2), CAROL.uin)):
        data, stream = connected_out(alice, other, link)
        stream.close()
        assert ended(data) == b""
        stream, data = connected_in(link, other, alice)
        data.close()
        assert stream.receive() == b""
        link.expect(0xB8)
        assert link.sync() == alice.sync() == []


def test_people_can_call_again_at_once(linked: Linked) -> None:
    """The callee's side or the caller's ends it; the next call is made with nothing in between."""
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    for turn in range(6):
        data, stream = connected_out(alice, BOB.uin, link)
        (data if turn % 2 else stream).close()
        assert (stream if turn % 2 else data).receive() == b""
        if turn % 2:
            link.expect(0xB8)


def test_several_users_over_one_link(linked: Linked) -> None:
    """Every pair has its own stream."""
    linked.start()
    link = linked.dial(1)
    ours = [linked.login(who) for who in (ALICE, CAROL, DAVE)]
    talks = [connected_out(each, uin, link) for each in ours for uin in (1001, 1002)]
    for number, (data, stream) in enumerate(talks):
        data.send(b"out %d" % number)
        stream.send(b"in %d" % number)
    for number, (data, stream) in enumerate(talks):
        assert (data.receive(), stream.receive()) == (b"in %d" % number, b"out %d" % number)


def test_a_call_to_somebody_here_touches_no_link(linked: Linked) -> None:
    linked.start()
    link = linked.dial(1)
    alice, carol = linked.login(ALICE), linked.login(CAROL)
    alice.call(CAROL.uin)
    carol.expect(0x04, u32(ALICE.uin))
    assert link.sync() == []


# -- Bytes --------------------------------------------------------------------------------------------------------


def test_frames_of_every_size(linked: Linked) -> None:
    """8 … 65,532: an empty D0 is legal and carries nothing."""
    linked.start()
    link = linked.dial(1)
    data, stream = connected_out(linked.login(ALICE), BOB.uin, link)
    sent = b""
    for size in (0, 1, 2, 65523, 65524, 0, 3):
        link.relayed(BOB.uin, ALICE.uin, bytes((size % 251,)) * size)
        sent += bytes((size % 251,)) * size
    assert all_of(data, len(sent)) == sent
    data.send(sent)
    assert all_of(stream, len(sent)) == sent
    assert link.sync() == []


def test_a_long_stream_both_ways(linked: Linked) -> None:
    linked.start()
    data, stream = connected_out(linked.login(ALICE), BOB.uin, linked.dial(1))
    whole = bytes(range(256)) * 1024 * 16
    received: dict[Stream, bytes] = {}
    ends: tuple[Stream, Stream] = (data, stream)

    def read(end: Stream) -> None:
        received[end] = all_of(end, len(whole))

    threads = [threading.Thread(target=read, args=(end,)) for end in ends]
    threads += [threading.Thread(target=end.send, args=(whole,)) for end in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert received == {data: whole, stream: whole}


def test_what_was_sent_before_the_end_arrives(linked: Linked) -> None:
    """The last D0 comes before the B8; what came before a B8 is passed on (D17)."""
    linked.start()
    link = linked.dial(1)
    data, stream = connected_out(linked.login(ALICE), BOB.uin, link)
    data.send(b"x" * 100_000)
    data.close()
    assert all_of(stream, 100_000) == b"x" * 100_000
    assert stream.receive() == b""
    link.expect(0xB8)
    data, stream = connected_in(link, CAROL.uin, linked.login(DAVE))[::-1]
    stream.send(b"y" * 100_000)
    stream.close()
    assert ended(data) == b"y" * 100_000


def test_all_that_was_sent_before_the_end_arrives_over_a_slow_link(linked: Linked) -> None:
    """More than the link's queue, the data connection's end, then the bytes and the B8 behind them (D17, D19)."""
    linked.start()
    link = linked.dial(1)
    data, stream = connected_out(linked.login(ALICE), BOB.uin, link)
    with link.unread():
        sent = fill(data)
        data.end()
    assert all_of(stream, sent) == bytes(sent)
    assert stream.receive() == b""
    link.expect(0xB8)


def test_what_waits_for_a_pair_is_discarded_by_its_b8(linked: Linked) -> None:
    """They hang up while our bytes wait: none of them is sent after that, and the next call begins with its own."""
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    data, stream = connected_out(alice, BOB.uin, link)
    with link.unread():
        fill(data)
        link.no_conversation(ALICE.uin, BOB.uin)
        data.close()
        until("ended", lambda: linked.counts()["conversations"] == 0)
    stream.end()
    again, new = connected_out(alice, BOB.uin, link)
    again.send(b"new")
    assert new.receive() == b"new"


def test_bytes_that_come_before_the_callers_data_connection_wait_for_it(linked: Linked) -> None:
    """Between AB and the caller's 20 the other side may send already."""
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    called_out(alice, BOB.uin, link)
    link.call_ready(ALICE.uin, BOB.uin)
    link.relayed(BOB.uin, ALICE.uin, b"early " * 10_000)
    link.settle()
    alice.expect(0x07)
    data = alice.data(ALICE.uin, BOB.uin)
    link.relayed(BOB.uin, ALICE.uin, b"late")
    assert all_of(data, 60_004) == b"early " * 10_000 + b"late"


def test_bytes_that_nobody_takes_yet_are_bounded(linked: Linked) -> None:
    """The same without end, before the caller's 20: the conversation goes, 05 to the caller."""
    linked.start(held_per_conversation=262_144)
    link = linked.dial(1)
    alice = linked.login(ALICE)
    called_out(alice, BOB.uin, link)
    link.call_ready(ALICE.uin, BOB.uin)
    alice.expect(0x07)
    for _ in range(6):
        link.relayed(BOB.uin, ALICE.uin, bytes(65524))
    ended_with_a_fence(link)
    alice.expect(0x05, u32(BOB.uin))
    linked.counted(Reason.HELD_FULL)


def test_a_small_text_does_not_wait_behind_a_bulk(linked: Linked) -> None:
    """D25: conversations share a link frame by frame; only what is on its way already comes first."""
    linked.start(link_buffer=16_384)
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    small.connect(linked.node.address)
    link = RawLink(Tcp.over(small), node_identity(1), dialled=True)
    linked.enter_context(link)
    link.hello()
    link.handshake()
    link.start()
    link.sync()
    alice, carol = linked.login(ALICE), linked.login(CAROL)
    bulk, text = (ready_out(who, BOB.uin, link) for who in (alice, carol))
    with link.unread():
        sent = fill(bulk)
        text.send(b"a small text")
        until("it waits", lambda: linked.counts()["flows"] == 2)
    before = 0
    while (tail := link.expect(0xD0))[2:10] == OUT:
        before += len(tail) - 10
    assert tail == relayed(CAROL.uin, BOB.uin, b"a small text")
    assert sent > 1_000_000
    assert before < 400_000


def ready_out(caller: RawClient, callee: int, link: RawLink) -> Tcp:
    """As `connected_out`, but what comes is left to be expected as D0."""
    called_out(caller, callee, link)
    link.call_ready(caller.uin, callee)
    caller.expect(0x07, u32(callee))
    return caller.data(caller.uin, callee)


# -- Calls that do not succeed ------------------------------------------------------------------------------------


def test_b8_answers_a_call_to_nobody(linked: Linked) -> None:
    """Offline, unknown, 0, and a caller of 0 or of our own."""
    linked.start()
    link = linked.dial(1)
    linked.login(ALICE)
    for caller, callee in ((BOB.uin, 7), (BOB.uin, 0), (0, ALICE.uin), (BOB.uin, CAROL.uin), (ALICE.uin, ALICE.uin)):
        link.call_request(caller, callee)
        assert link.expect(0xB8) == pair(caller, callee)
    assert link.sync() == []


def test_b8_answers_a_refused_call(linked: Linked) -> None:
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    called_in(link, BOB.uin, alice)
    alice.refuse(BOB.uin)
    ended_with_a_fence(link)
    assert alice.sync() == []


def test_b8_answers_a_call_that_rings_too_long(linked: Linked) -> None:
    linked.start(**QUICK)
    link = linked.dial(1)
    alice = linked.login(ALICE)
    called_in(link, BOB.uin, alice)
    ended_with_a_fence(link)
    alice.expect(0x05, u32(BOB.uin))
    linked.counted(Reason.RING_TIMEOUT)


def test_b8_when_the_callees_data_connection_never_comes(linked: Linked) -> None:
    linked.start(**QUICK)
    link = linked.dial(1)
    alice = linked.login(ALICE)
    called_in(link, BOB.uin, alice)
    alice.accept(BOB.uin)
    ended_with_a_fence(link)
    alice.expect(0x05, u32(BOB.uin))
    linked.counted(Reason.CALLEE_DATA_TIMEOUT)


def test_b8_when_the_callers_data_connection_never_comes(linked: Linked) -> None:
    """05 after the 07 (D12)."""
    linked.start(**QUICK)
    link = linked.dial(1)
    alice = linked.login(ALICE)
    called_out(alice, BOB.uin, link)
    link.call_ready(ALICE.uin, BOB.uin)
    alice.expect(0x07)
    alice.expect(0x05, u32(BOB.uin))
    ended_with_a_fence(link)
    linked.counted(Reason.CALLER_DATA_TIMEOUT)


def test_b8_when_a_control_connection_ends_in_set_up(linked: Linked) -> None:
    """The caller's, searching included, and the callee's (D16)."""
    linked.start()
    link = linked.dial(1)
    alice, carol = linked.login(ALICE), linked.login(CAROL)
    called_out(alice, BOB.uin, link)
    called_in(link, DAVE.uin, carol)
    alice.close()
    ended_with_a_fence(link)
    carol.close()
    assert link.expect(0xB8) == pair(DAVE.uin, CAROL.uin)
    alice = linked.login(ALICE)
    alice.call(1001)
    link.expect(0xA5)
    alice.close()
    until("offline", lambda: link.asked(ALICE.uin) == [])
    link.found_here(1001)
    assert link.sync() == []


def test_a_caller_who_gives_up_elsewhere(linked: Linked) -> None:
    """A B8 while it rings: the callee gets 05, and its late 06 nothing more."""
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    called_in(link, BOB.uin, alice)
    link.no_conversation(BOB.uin, ALICE.uin)
    alice.expect(0x05, u32(BOB.uin))
    alice.accept(BOB.uin)
    assert alice.sync() == []
    link.expect(0x68)
    assert link.sync() == []


def test_conversations_outlive_their_control_connections(linked: Linked) -> None:
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    data, stream = connected_out(alice, BOB.uin, link)
    alice.tcp.close()
    until("offline", lambda: link.asked(ALICE.uin) == [])
    meet(data, stream)


def test_a_repeated_03_in_set_up_is_ignored(linked: Linked) -> None:
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    called_out(alice, BOB.uin, link)
    for _ in range(3):
        alice.call(BOB.uin)
    assert alice.sync() == link.sync() == []


def test_a_03_for_somebody_who_rings_from_elsewhere_is_ignored(linked: Linked) -> None:
    """Its wish is being granted; when the call comes to nothing, it is told of its own wish too (D14)."""
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    called_in(link, BOB.uin, alice)
    alice.call(BOB.uin)
    assert alice.sync() == link.sync() == []
    link.no_conversation(BOB.uin, ALICE.uin)
    alice.expect(0x05, u32(BOB.uin))
    assert alice.sync() == []


def test_a_new_03_ends_the_old_conversation(linked: Linked) -> None:
    """B8 for the old one, and only behind its fence AA for the new (D13, D19)."""
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    data, _ = connected_out(alice, BOB.uin, link)
    link.pongs = False
    alice.call(BOB.uin)
    assert ended(data) == b""
    assert link.expect(0xB8) in {OUT, BACK}
    fence = link.expect(0x68)
    assert link.sync() == []
    link.send(0x69, fence)
    link.expect(0xAA, OUT)


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


# -- Lost links ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rudely", [False, True])
def test_a_lost_link_ends_its_conversations(linked: Linked, rudely: bool) -> None:
    linked.start()
    link, other = linked.dial(1), linked.dial(2)
    alice, carol = linked.login(ALICE), linked.login(CAROL)
    out, _ = connected_out(alice, BOB.uin, link)
    _, into = connected_in(link, BOB.uin, carol)
    lives, stream = connected_out(alice, DAVE.uin, other)
    if rudely:
        link.reset()
    else:
        link.end()
    assert ended(out) == ended(into) == b""
    meet(lives, stream)
    assert alice.sync() == carol.sync() == other.sync() == []
    linked.counted(Reason.LINK_LOST)


def test_what_came_before_a_link_was_lost_is_passed_on(linked: Linked) -> None:
    linked.start()
    link = linked.dial(1)
    data, stream = connected_out(linked.login(ALICE), BOB.uin, link)
    stream.send(b"x" * 300_000)
    link.settle()
    link.reset()
    assert ended(data) == b"x" * 300_000


def test_a_lost_link_ends_calls_in_set_up(linked: Linked) -> None:
    """The called get 05; the caller's call goes on to a search, and ends with it."""
    linked.start(search=0.3)
    link = linked.dial(1)
    alice, carol = linked.login(ALICE), linked.login(CAROL)
    called_in(link, BOB.uin, carol)
    called_out(alice, BOB.uin, link)
    link.reset()
    carol.expect(0x05, u32(BOB.uin))
    alice.expect(0x05, u32(BOB.uin))


# -- Slow readers (D25) -------------------------------------------------------------------------------------------


def test_a_client_that_does_not_read_loses_its_conversation_alone(linked: Linked) -> None:
    """Past the bound: B8, the rest is discarded, the link and all else on it go on."""
    linked.start(held_per_conversation=256 * 1024)
    link = linked.dial(1)
    alice, carol = linked.login(ALICE), linked.login(CAROL)
    _, stream = connected_out(alice, BOB.uin, link)
    data, lives = connected_out(carol, BOB.uin, link)
    with contextlib.suppress(Closed):
        while True:
            stream.send(bytes(65524))
            meet(data, lives)
    ended_with_a_fence(link)
    linked.counted(Reason.HELD_FULL)
    meet(data, lives)
    assert link.sync() == []


def test_all_that_is_held_has_a_bound_too(linked: Linked) -> None:
    """The conversation that holds most goes first."""
    linked.start(held=512 * 1024)
    link = linked.dial(1)
    alice, carol = linked.login(ALICE), linked.login(CAROL)
    _, stream = connected_out(alice, BOB.uin, link)
    data, lives = connected_out(carol, BOB.uin, link)
    with contextlib.suppress(Closed):
        while True:
            stream.send(bytes(65524))
    ended_with_a_fence(link)
    linked.counted(Reason.HELD_ALL_FULL)
    meet(data, lives)


def test_a_link_that_is_not_read_holds_back_only_its_own(linked: Linked) -> None:
    """Our client is not read when its bytes cannot go; nobody else notices, and nothing is lost."""
    linked.start()
    alice, carol = linked.login(ALICE), linked.login(CAROL)
    slow, quick = linked.dial(1), linked.dial(2)
    data, stream = connected_out(alice, BOB.uin, slow)
    other, lives = connected_out(carol, DAVE.uin, quick)
    with slow.unread():
        sent = fill(data)
        meet(other, lives)
    assert sent < 64 * 2**20
    assert all_of(stream, sent) == bytes(sent)
    meet(data, stream)
