"""Raw nodes understand one another: what is to measure the links of others is itself measured."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from e2e.raw_client import Closed, Conversation, Unexpected, exchange, handshake_together, pair, u32
from e2e.raw_federate import RawFederate
from e2e.raw_identity import identity, node_identity
from e2e.raw_link import RawLink, address_bytes, found_in_cache, node_list, relayed
from e2e.raw_node import echoing

ALICE, BOB = identity(2), identity(3)


@pytest.fixture
def nodes() -> Iterator[tuple[RawFederate, RawFederate]]:
    """One without users, and Bob's, who sends every text back."""
    with (
        RawFederate(node_identity(1), "127.0.3.1") as one,
        RawFederate(node_identity(2), "127.0.4.1", [BOB], echoing) as other,
    ):
        yield one, other


Nodes = tuple[RawFederate, RawFederate]


def call(link: RawLink) -> Conversation:
    """Alice's node calls Bob over this link."""
    link.unfenced(ALICE.uin, BOB.uin)
    link.call_request(ALICE.uin, BOB.uin)
    link.expect(0xAB, pair(ALICE.uin, BOB.uin))
    conversation = link.conversation(ALICE, BOB.uin, caller=True)
    conversation.tls.handshake()
    return conversation


def echo(conversation: Conversation, text: str) -> None:
    conversation.text(text)
    conversation.reported()
    assert conversation.read() == text


def test_a_link_stands(nodes: Nodes) -> None:
    """The dialling side announces its port and asks for the list; both sides see each other's key."""
    one, other = nodes
    other.known = (address_bytes("10.1.2.3", 8935), address_bytes("2001:db8::1", 1), address_bytes("node.example", 2))
    link = one.dial(other.address)
    assert link.expect(0xA4) == node_list(*other.known)
    accepted = other.link()
    assert accepted.expect(0xA2) == one.port.to_bytes(2, "big")
    assert link.peer_fingerprint == other.identity.fingerprint
    assert accepted.peer_fingerprint == one.identity.fingerprint
    assert accepted.sync() == link.sync() == []


def test_calls_across_in_both_directions_of_the_link(nodes: Nodes) -> None:
    one, other = nodes
    one.dial(other.address)
    other.dial(one.address)
    for link in (one.links[0], one.link()):
        assert link.asked(BOB.uin) == [(0xA8, u32(BOB.uin))]
        assert link.asked(ALICE.uin) == []
        conversation = call(link)
        echo(conversation, "hello")
        conversation.data.close()
        conversation = call(link)  # at once, but for the fence that keeps the two apart
        echo(conversation, "x" * 65535)
        echo(conversation, "x" * 65535)
        conversation.data.close()
        assert link.sync() == []


def test_both_ends_of_a_conversation_in_one_thread(nodes: Nodes) -> None:
    one, other = nodes
    other.talk = None
    ours = one.dial(other.address)
    theirs = other.link()
    a, b = ours.conversation(ALICE, BOB.uin, caller=True), theirs.conversation(BOB, ALICE.uin, caller=False)
    handshake_together(a.tls, b.tls)
    exchange(a, b)
    exchange(b, a, "привет")
    b.data.close()
    assert a.inbox.end() == []
    assert (0xB8, pair(BOB.uin, ALICE.uin)) in ours.heard
    with pytest.raises(Closed):
        a.text("too late")


def test_bulk_both_ways(nodes: Nodes) -> None:
    one, other = nodes
    ours = one.dial(other.address)
    ends = [ours.stream(ALICE.uin, BOB.uin), other.link().stream(BOB.uin, ALICE.uin)]
    size, block, received = 4 * 2**20, bytes(range(256)) * 1024, [b"", b""]

    def read(index: int) -> None:
        whole = bytearray()
        while len(whole) < size:
            whole += ends[index].receive()
        received[index] = bytes(whole)

    threads = [threading.Thread(target=read, args=(index,)) for index in (0, 1)]
    threads += [threading.Thread(target=end.send, args=(block * (size // len(block)),)) for end in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert received == [block * (size // len(block))] * 2


def test_what_belongs_to_an_ended_conversation_is_dropped(nodes: Nodes) -> None:
    """The fence of D19: from the B8 until the 69 behind it."""
    one, other = nodes
    other.talk = None
    ours = one.dial(other.address)
    theirs = other.link()
    stream = ours.stream(ALICE.uin, BOB.uin)
    theirs.pongs = False
    stream.close()
    theirs.expect(0xB8)
    fence = theirs.expect(0x68)
    theirs.relayed(BOB.uin, ALICE.uin, b"old")
    theirs.send(0x69, fence)
    theirs.relayed(BOB.uin, ALICE.uin, b"new")
    assert ours.expect(0xD0) == relayed(BOB.uin, ALICE.uin, b"new")


def test_a_lost_link_ends_its_conversations(nodes: Nodes) -> None:
    one, other = nodes
    conversation = call(one.dial(other.address))
    echo(conversation, "hello")
    other.link().reset()
    assert conversation.inbox.end() == []
    assert one.links[0].ended() == []


def test_another_version_is_refused(nodes: Nodes) -> None:
    one, other = nodes
    other.answer = (0x02, b"\x02\x00")
    with pytest.raises(Unexpected, match="02"):
        one.dial(other.address)
    assert other.greeted == [b"\x01\x00"]
    assert (other.dialled_by, other.met) == (1, 0)


def test_a_dial_that_says_nothing_is_no_link(nodes: Nodes) -> None:
    """A dial-back: it is met, and that is all."""
    one, other = nodes
    with RawLink.prepared(other.address, one.identity, "127.0.3.1"):
        other.wait(lambda: other.met == 1, "not met")
    other.wait(lambda: other.links[0].over, "not ended")
    assert other.accepted == []


def test_the_tails_are_those_of_the_document() -> None:
    """Section 2: an A9 counts itself, 13 … 263; ports are big-endian."""
    ipv4 = address_bytes("127.0.0.1", 8935)
    assert ipv4 == b"\xa0\x7f\x00\x00\x01\x22\xe7"
    assert found_in_cache(7, ipv4) == b"\x0d\x00\x07\x00\x00\x00" + ipv4
    assert found_in_cache(7, address_bytes("n" * 253, 1))[:2] == (263).to_bytes(2, "little")
    assert address_bytes("::1", 1) == b"\xa1" + bytes(15) + b"\x01\x00\x01"
    assert relayed(7, 8, b"")[:2] == b"\x08\x00"
