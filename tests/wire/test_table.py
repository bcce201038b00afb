"""The table against PROTOCOL.md sections 2 and 6, copied by hand: code, tail length, where each may appear."""

from __future__ import annotations

import pytest

from uzel import wire
from uzel.errors import Reason
from uzel.wire import ONE_SHOT, TABLE, Channel, Framer, Message

# Where the document says …                                … a message may come
HELLO = {Channel.CONTROL_HELLO}  #                         first bytes on the control port
ANSWER = {Channel.HELLO_ANSWER}  #                         answer to CA or CB
UP = {Channel.CONTROL_TO_NODE}  #                          client → node; callee → node
DOWN = {Channel.CONTROL_TO_CLIENT}  #                      node → client, → caller, → callee
LINK = {Channel.LINK}  #                                   node → node
DATA = {Channel.DATA_HELLO}  #                             first bytes on the data port
TALK = {Channel.CONVERSATION}  #                           client ↔ client
TALK_2 = {Channel.CONVERSATION_2}  #                       the same after uzel/2 was agreed on

# code: (name, bytes behind the header, None where they vary; where)
SECTION_2: dict[int, tuple[str, int | None, set[Channel]]] = {
    0xCA: ("ClientHello", 2, HELLO),
    0xCB: ("NodeHello", 2, HELLO),
    0x01: ("Accepted", 2, ANSWER),
    0x02: ("VersionMismatch", 2, ANSWER),
    0x03: ("Call", 4, UP),
    0x04: ("IncomingCall", 4, DOWN),
    0x05: ("Unavailable", 4, DOWN),
    0x06: ("Accept", 4, UP),
    0x07: ("Ready", 4, DOWN),
    0x08: ("Refuse", 4, UP),
    0x20: ("DataHello", 8, DATA),
    0x30: ("Text", None, TALK | TALK_2),
    0x31: ("Envelope", None, TALK_2),
    0x40: ("Delivered", 2, TALK | TALK_2),
    0x41: ("EnvelopeDelivered", 16, TALK_2),
    0x42: ("EnvelopeRefused", 17, TALK_2),
    0x68: ("Ping", 2, UP | DOWN | LINK | TALK | TALK_2),
    0x69: ("Pong", 2, UP | DOWN | LINK | TALK | TALK_2),
    0x90: ("NodeListRequest", 2, UP | LINK),
    0xA2: ("NodeAnnouncement", 2, LINK),
    0xA4: ("NodeList", None, DOWN | LINK),
    0xA5: ("Search", 4, LINK),
    0xA8: ("FoundHere", 4, LINK),
    0xA9: ("FoundInCache", None, LINK),
    0xAA: ("CallRequest", 8, LINK),
    0xAB: ("CallReady", 8, LINK),
    0xB8: ("NoConversation", 8, LINK),
    0xD0: ("RelayedData", None, LINK),
}


def test_codes_names_and_places_are_those_of_the_document() -> None:
    assert {row.code: (row.cls.__name__, set(row.channels)) for row in TABLE} == {
        code: (name, where) for code, (name, _, where) in SECTION_2.items()
    }
    assert len(TABLE) == len(SECTION_2)


def test_every_message_class_has_a_row() -> None:
    exported = {getattr(wire, name) for name in wire.__all__ if isinstance(getattr(wire, name), type)}
    assert {row.cls for row in TABLE} == {cls for cls in exported if issubclass(cls, Message)} - {Message}


@pytest.mark.parametrize("channel", Channel)
def test_every_code_on_every_channel(channel: Channel) -> None:
    """All 256 codes: read where they have their place, refused by name at the second byte elsewhere."""
    for code in range(256):
        framer = Framer(channel)
        assert framer.feed(bytes((code, code))) == []
        _, _, where = SECTION_2.get(code, ("", None, set()))
        if channel in where:
            expected, detail = None, ""
        elif where:
            expected, detail = Reason.MISPLACED_MESSAGE, f"code 0x{code:02X} on {channel.value}"
        else:
            expected, detail = Reason.UNKNOWN_CODE, f"code 0x{code:02X}"
        assert (framer.fault, framer.fault_detail) == (expected, detail)


@pytest.mark.parametrize("code", [code for code, (_, length, _) in SECTION_2.items() if length])
def test_fixed_tails_have_the_length_of_the_document(code: int) -> None:
    _, length, where = SECTION_2[code]
    assert length is not None
    for channel in where:
        framer = Framer(channel)
        tail = b"OK" if code == 0x01 else bytes(length)
        assert framer.feed(bytes((code, code)) + tail[:-1]) == []
        assert len(framer.feed(tail[-1:])) == 1
        assert framer.buffered == 0


def test_one_shot_channels_are_those_of_the_first_bytes() -> None:
    assert {Channel.CONTROL_HELLO, Channel.HELLO_ANSWER, Channel.DATA_HELLO} == ONE_SHOT
