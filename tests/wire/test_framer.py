"""What the vectors do not show of the framer: pieces of node lists, bounds, and linear work."""

from __future__ import annotations

import tracemalloc

import pytest

from uzel.errors import Reason
from uzel.wire import (
    MAX_BUFFERED,
    MAX_ENVELOPE,
    MAX_TEXT,
    TABLE,
    Address,
    Channel,
    Envelope,
    Framer,
    Message,
    NodeList,
    Ping,
    Ready,
    Text,
    encode,
)

ADDRESS = Address("192.0.2.1", 8935)
ADDRESS_BYTES = bytes.fromhex("A0C0000201 22E7")


def test_a_node_list_comes_as_its_bytes_come() -> None:
    framer = Framer(Channel.CONTROL_TO_CLIENT)
    assert framer.feed(b"\xa4\xa4\x03\x00") == []
    assert framer.eof() is Reason.TRUNCATED_MESSAGE
    assert framer.feed(ADDRESS_BYTES[:6]) == []
    assert framer.feed(ADDRESS_BYTES[6:] + ADDRESS_BYTES[:1]) == [NodeList((ADDRESS,), 2)]
    assert framer.buffered == 1
    assert framer.feed(ADDRESS_BYTES[1:] + ADDRESS_BYTES + encode(Ready(5))) == [NodeList((ADDRESS,) * 2, 0), Ready(5)]
    assert framer.eof() is None


def test_a_long_node_list_comes_in_pieces_of_64() -> None:
    pieces = Framer(Channel.LINK).feed(encode(NodeList((ADDRESS,) * 130)) + encode(Ping(b"ab")))
    assert pieces == [
        NodeList((ADDRESS,) * 64, 66),
        NodeList((ADDRESS,) * 64, 2),
        NodeList((ADDRESS,) * 2, 0),
        Ping(b"ab"),
    ]


def test_pieces_are_joined() -> None:
    assert NodeList.join([]) == NodeList(())
    assert NodeList.join([NodeList((ADDRESS,), 3), NodeList((ADDRESS, ADDRESS), 1)]) == NodeList((ADDRESS,) * 3, 1)


def test_messages_before_a_fault_are_returned_and_none_after() -> None:
    framer = Framer(Channel.CONTROL_TO_CLIENT)
    ping, ready = encode(Ping(b"ab")), encode(Ready(5))
    assert framer.feed(ping[:3]) == []
    assert framer.feed(ping[3:] + ready + b"\x99\x99" + ready) == [Ping(b"ab"), Ready(5)]
    assert (framer.fault, framer.fault_detail, framer.buffered) == (Reason.UNKNOWN_CODE, "code 0x99", 0)
    assert framer.feed(ready) == []


def test_a_fault_split_over_feeds_drops_what_was_held() -> None:
    framer = Framer(Channel.CONVERSATION)
    text = b"\x30\x30\xff\xff" + b"a" * 65534
    assert framer.feed(text) == []
    assert framer.buffered == len(text) == MAX_BUFFERED[Channel.CONVERSATION] - 1
    assert framer.feed(b"\xff" + encode(Ping(b"ab"))) == []
    assert (framer.fault, framer.buffered) == (Reason.TEXT_NOT_UTF8, 0)


@pytest.mark.parametrize(
    ("channel", "first"), [(Channel.CONTROL_HELLO, "cbcb0100"), (Channel.HELLO_ANSWER, "01014f4b")]
)
def test_what_follows_a_hello_is_kept_untouched(channel: Channel, first: str) -> None:
    framer = Framer(channel)
    assert framer.feed(bytes.fromhex(first)[:3]) == []
    assert framer.rest() == b""
    assert len(framer.feed(bytes.fromhex(first)[3:] + b"\x16\x03")) == 1
    assert framer.feed(b"\x01") == []
    assert (framer.rest(), framer.rest(), framer.fault) == (b"\x16\x03\x01", b"", None)


def test_an_endless_node_list_holds_next_to_nothing() -> None:
    """The bound of D4: 65,532 addresses pass, one piece at a time."""
    framer = Framer(Channel.LINK)
    framer.feed(b"\xa4\xa4\xfc\xff")
    tracemalloc.start()
    try:
        for _ in range(6553):
            framer.feed(ADDRESS_BYTES * 10)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20  # the whole list would take twelve times as much; other threads allocate a little
    assert framer.feed(ADDRESS_BYTES * 2) == [NodeList((ADDRESS, ADDRESS), 0)]


def test_only_where_envelopes_may_come_is_more_held_than_a_text() -> None:
    with_envelopes = {channel for row in TABLE if row.cls is Envelope for channel in row.channels}
    assert {channel: bound for channel, bound in MAX_BUFFERED.items() if bound != 65_539} == {
        channel: len(encode(Envelope(bytes(MAX_ENVELOPE)))) for channel in with_envelopes
    }


@pytest.mark.parametrize("size", [0, MAX_ENVELOPE + 1, 2**24 + 1, 2**32 - 1])
def test_an_envelope_of_a_size_out_of_range_is_never_held(size: int) -> None:
    framer = Framer(Channel.CONVERSATION_2)
    assert framer.feed(b"\x31\x31" + size.to_bytes(4, "little")[:3]) == []
    assert (framer.fault, framer.buffered) == (None, 5)
    assert framer.feed(size.to_bytes(4, "little")[3:] + b"a") == []
    assert (framer.fault, framer.buffered) == (Reason.SIZE_OUT_OF_RANGE, 0)


def test_the_largest_envelope_is_held_up_to_its_last_byte() -> None:
    framer = Framer(Channel.CONVERSATION_2)
    data = encode(Envelope(bytes(MAX_ENVELOPE)))
    assert framer.feed(data[:-1]) == []
    assert framer.buffered == len(data) - 1 < MAX_BUFFERED[Channel.CONVERSATION_2]
    assert framer.eof() is Reason.TRUNCATED_MESSAGE
    assert framer.feed(data[-1:] + encode(Ping(b"ab"))) == [Envelope(bytes(MAX_ENVELOPE)), Ping(b"ab")]
    assert (framer.buffered, framer.eof()) == (0, None)


@pytest.mark.parametrize(
    ("channel", "message", "piece"),
    [
        (Channel.CONVERSATION, Text("a" * MAX_TEXT), 1),
        (Channel.CONVERSATION_2, Text("a" * MAX_TEXT), 1),
        (Channel.CONVERSATION_2, Envelope(b"a" * MAX_ENVELOPE), 100),
    ],
    ids=["text", "text_beside_envelopes", "envelope"],
)
def test_a_message_in_small_pieces_is_copied_once(channel: Channel, message: Message, piece: int) -> None:
    """Linear work: however small the pieces, the held bytes are turned into a message once, not at each feed."""

    class Counting(bytearray):
        copied = 0

        def __bytes__(self) -> bytes:
            Counting.copied += len(self)
            return bytes(memoryview(self))

    framer = Framer(channel)
    framer._held = Counting()
    data = encode(message)
    assert [read for at in range(0, len(data), piece) for read in framer.feed(data[at : at + piece])] == [message]
    assert Counting.copied <= len(data) + 128
