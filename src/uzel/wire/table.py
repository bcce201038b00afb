"""The one table of the protocol's messages (PROTOCOL.md section 2), from which everything else is derived.

A row says a message's code, its class, the layout of its tail, where it may appear and where it comes from. `encode`,
the framer's decoders for each channel and docs/protocol-tables.md are made from the rows, so they cannot disagree;
a test compares the rows with a transcription of section 2 made by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from uzel.errors import Reason
from uzel.wire import messages as m
from uzel.wire.codec import Codec, codec_for
from uzel.wire.fields import Constant, Count, Layout, Size, Variable, opaque, u8, u16be, u32

MAX_TEXT = 65535
"""Longest text, in bytes of UTF-8."""
MAX_ENVELOPE = 1024 * 1024
"""Longest envelope, in bytes of its CBOR map (section 6)."""
MAX_RELAYED = 65532 - 8
"""Most bytes that one relayed data carries: its size counts two UINs as well (D1)."""
MAX_NODE_LIST = 65532
"""Most addresses in a node list (D4)."""


class Channel(StrEnum):
    """One direction of one kind of connection: what decides which messages may come (D6)."""

    CONTROL_HELLO = "control_hello"
    """First bytes to a node's control port, of a client or a node."""
    HELLO_ANSWER = "hello_answer"
    """The node's answer to them."""
    CONTROL_TO_NODE = "control_to_node"
    """Client → node, inside TLS."""
    CONTROL_TO_CLIENT = "control_to_client"
    """Node → client, inside TLS."""
    LINK = "link"
    """Node → node, inside TLS, either way."""
    DATA_HELLO = "data_hello"
    """First bytes to a node's data port."""
    CONVERSATION = "conversation"
    """Client → client, inside the TLS from end to end, either way."""
    CONVERSATION_2 = "conversation_2"
    """The same for a conversation that agreed on `uzel/2` (D29)."""


ONE_SHOT = frozenset({Channel.CONTROL_HELLO, Channel.HELLO_ANSWER, Channel.DATA_HELLO})
"""Channels of one single message, behind which other bytes follow (TLS, or the relayed stream)."""


MAX_BUFFERED = dict.fromkeys(Channel, 4 + MAX_TEXT) | {Channel.CONVERSATION_2: 6 + MAX_ENVELOPE}
"""Most bytes that a framer ever holds of an unfinished message, on each channel: its longest message fits."""


@dataclass(frozen=True, slots=True)
class Row:
    """One message: `source` names the sections and decisions of PROTOCOL.md that define it."""

    code: int
    cls: type[m.Message]
    layout: Layout
    channels: tuple[Channel, ...]
    source: str


_HELLO, _ANSWER, _DATA = Channel.CONTROL_HELLO, Channel.HELLO_ANSWER, Channel.DATA_HELLO
_TO_NODE, _TO_CLIENT = Channel.CONTROL_TO_NODE, Channel.CONTROL_TO_CLIENT
_LINK, _TALK, _TALK_2 = Channel.LINK, Channel.CONVERSATION, Channel.CONVERSATION_2
_ALIVE = (_TO_NODE, _TO_CLIENT, _LINK, _TALK, _TALK_2)
_VERSION = (u8("major"), u8("minor"))
_TOKEN = (opaque("token", 2),)
_ID = opaque("id", 16)
_PAIR = (u32("caller"), u32("callee"))

TABLE: tuple[Row, ...] = (
    Row(0xCA, m.ClientHello, _VERSION, (_HELLO,), "3, D5, D7"),
    Row(0xCB, m.NodeHello, _VERSION, (_HELLO,), "3, D5, D7"),
    Row(0x01, m.Accepted, (Constant(b"OK", Reason.ACCEPTED_MALFORMED),), (_ANSWER,), "3"),
    Row(0x02, m.VersionMismatch, _VERSION, (_ANSWER,), "3, D5"),
    Row(0x03, m.Call, (u32("callee"),), (_TO_NODE,), "4, D13, D14"),
    Row(0x04, m.IncomingCall, (u32("caller"),), (_TO_CLIENT,), "4, D14"),
    Row(0x05, m.Unavailable, (u32("uin"),), (_TO_CLIENT,), "4, D12, D15, D16"),
    Row(0x06, m.Accept, (u32("caller"),), (_TO_NODE,), "4, D14, D15"),
    Row(0x07, m.Ready, (u32("callee"),), (_TO_CLIENT,), "4, D15"),
    Row(0x08, m.Refuse, (u32("caller"),), (_TO_NODE,), "4, D15"),
    Row(0x20, m.DataHello, _PAIR, (_DATA,), "4, D12"),
    Row(0x30, m.Text, (Size(0, MAX_TEXT), Variable("text", "utf8")), (_TALK, _TALK_2), "6"),
    Row(0x31, m.Envelope, (Size(1, MAX_ENVELOPE, width=4), Variable("body", "bytes")), (_TALK_2,), "6, D28, D29"),
    Row(0x40, m.Delivered, _TOKEN, (_TALK, _TALK_2), "6"),
    Row(0x41, m.EnvelopeDelivered, (_ID,), (_TALK_2,), "6, D29"),
    Row(0x42, m.EnvelopeRefused, (_ID, u8("reason")), (_TALK_2,), "6, D29"),
    Row(0x68, m.Ping, _TOKEN, _ALIVE, "D9, D11, D19"),
    Row(0x69, m.Pong, _TOKEN, _ALIVE, "D9, D11, D19"),
    Row(0x90, m.NodeListRequest, _TOKEN, (_TO_NODE, _LINK), "3, D4, D11"),
    Row(0xA2, m.NodeAnnouncement, (u16be("port"),), (_LINK,), "3, D6, D22"),
    Row(
        0xA4, m.NodeList, (Count(MAX_NODE_LIST), Variable("addresses", "addresses")), (_TO_CLIENT, _LINK), "D3, D4, D22"
    ),
    Row(0xA5, m.Search, (u32("uin"),), (_LINK,), "5, D23"),
    Row(0xA8, m.FoundHere, (u32("uin"),), (_LINK,), "5, D23"),
    Row(
        0xA9,
        m.FoundInCache,
        (Size(9, 263, counts_itself=True), u32("uin"), Variable("address", "address")),
        (_LINK,),
        "5, D2, D3, D24",
    ),
    Row(0xAA, m.CallRequest, _PAIR, (_LINK,), "5, D18, D26"),
    Row(0xAB, m.CallReady, _PAIR, (_LINK,), "5, D18"),
    Row(0xB8, m.NoConversation, _PAIR, (_LINK,), "5, D16, D18, D19"),
    Row(
        0xD0,
        m.RelayedData,
        (Size(8, MAX_RELAYED + 8), u32("sender"), u32("recipient"), Variable("data", "bytes")),
        (_LINK,),
        "5, D1, D18",
    ),
)

_CODECS = {row.cls: codec_for(row.code, row.cls, row.layout) for row in TABLE}
CODES = {row.code: row.cls for row in TABLE}
"""Every known code, and its message."""
DECODERS: dict[Channel, dict[bytes, Codec]] = {
    channel: {bytes((row.code, row.code)): _CODECS[row.cls] for row in TABLE if channel in row.channels}
    for channel in Channel
}
"""For each channel the codecs of what may come there, by header."""


def encode(message: m.Message) -> bytes:
    """The message as bytes. An A9 is written with its size counting itself (D2).

    Raises `ValueError` when a value does not fit its field, and for a piece of a node list. Where a message may be
    sent is not judged here: the receiving framer does.
    """
    return _CODECS[type(message)].encode(message)
