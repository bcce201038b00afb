"""Calls and conversations between our clients and users behind raw nodes (section 5, D12, D16, D17, D25)."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from e2e.cases_calls import fill
from e2e.linked import (
    ALICE,
    BACK,
    BOB,
    CAROL,
    DAVE,
    OUT,
    Linked,
    all_of,
    called_in,
    called_out,
    connected_in,
    connected_out,
    ended_with_a_fence,
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
from e2e.raw_identity import node_identity
from e2e.raw_link import RawLink, relayed
from e2e.raw_node import echoing
from e2e.stage import ended
from uzel.errors import Reason

QUICK = {"ring": 0.4, "data": 0.3}


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
