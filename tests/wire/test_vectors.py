"""The golden vectors: each is tried whole, byte by byte, and with something valid behind it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from uzel.errors import Reason
from uzel.wire import MAX_BUFFERED, ONE_SHOT, TABLE, Channel, Framer, Message, NodeList, Ping, encode
from uzel.wire.fields import Plain, Variable
from vectors.read_vectors import FaultVector, Vector, fault_vectors, message_vectors

MESSAGES = [
    pytest.param(vector, channel, id=f"{vector.name}-{channel}")
    for vector in message_vectors()
    for channel in vector.channels
]
FAULTS = [pytest.param(vector, id=vector.name) for vector in fault_vectors()]
PING, PING_BYTES = Ping(b"\x12\x34"), b"\x68\x68\x12\x34"


def _joined(messages: list[Message]) -> Message:
    """The one message that came; a node list put together from its pieces."""
    if len(messages) == 1:
        return messages[0]
    pieces = [message for message in messages if isinstance(message, NodeList)]
    assert len(pieces) == len(messages)
    return NodeList.join(pieces)


@pytest.mark.parametrize(("vector", "channel"), MESSAGES)
def test_read_whole(vector: Vector, channel: Channel) -> None:
    framer = Framer(channel)
    assert _joined(framer.feed(vector.data)) == vector.message
    assert (framer.fault, framer.buffered, framer.rest(), framer.eof()) == (None, 0, b"", None)


@pytest.mark.parametrize(("vector", "channel"), MESSAGES)
def test_read_byte_by_byte(vector: Vector, channel: Channel) -> None:
    framer = Framer(channel)
    messages: list[Message] = []
    for index in range(len(vector.data)):
        assert framer.eof() == (Reason.TRUNCATED_MESSAGE if index else None)
        messages += framer.feed(vector.data[index : index + 1])
        assert framer.buffered <= MAX_BUFFERED[channel]
    assert _joined(messages) == vector.message
    assert (framer.fault, framer.buffered, framer.rest(), framer.eof()) == (None, 0, b"", None)


@pytest.mark.parametrize(("vector", "channel"), MESSAGES)
def test_read_with_something_behind(vector: Vector, channel: Channel) -> None:
    framer = Framer(channel)
    messages = framer.feed(vector.data + PING_BYTES + PING_BYTES[:3])
    if channel in ONE_SHOT:
        assert messages == [vector.message]
        assert framer.feed(b"\xff") == []
        assert framer.rest() == PING_BYTES + PING_BYTES[:3] + b"\xff"
        assert (framer.rest(), framer.buffered, framer.eof()) == (b"", 0, None)
    else:
        assert messages.pop() == PING
        assert _joined(messages) == vector.message
        assert (framer.buffered, framer.eof()) == (3, Reason.TRUNCATED_MESSAGE)
    assert framer.fault is None


@pytest.mark.parametrize(
    "vector", [pytest.param(vector, id=vector.name) for vector in message_vectors() if not vector.decode_only]
)
def test_written(vector: Vector) -> None:
    assert encode(vector.message) == vector.data


@pytest.mark.parametrize("vector", FAULTS)
def test_fault_whole(vector: FaultVector) -> None:
    framer = Framer(vector.channel)
    assert framer.feed(vector.data + PING_BYTES) == list(vector.before)
    assert framer.fault is vector.reason
    assert framer.fault_detail
    assert framer.feed(PING_BYTES) == []
    assert (framer.buffered, framer.rest(), framer.eof()) == (0, b"", None)


@pytest.mark.parametrize("vector", FAULTS)
def test_fault_byte_by_byte_is_known_at_once(vector: FaultVector) -> None:
    framer = Framer(vector.channel)
    messages: list[Message] = []
    for index in range(len(vector.data)):
        assert framer.fault is (vector.reason if index >= vector.known_after else None)
        messages += framer.feed(vector.data[index : index + 1])
    assert (framer.fault, framer.buffered) == (vector.reason, 0)
    assert messages == list(vector.before)


def test_every_message_has_a_vector_on_every_channel() -> None:
    seen = {(type(vector.message), channel) for vector in message_vectors() for channel in vector.channels}
    assert seen == {(row.cls, channel) for row in TABLE for channel in row.channels}


def test_every_wire_fault_has_a_vector() -> None:
    wire = list(Reason)[: list(Reason).index(Reason.TRUNCATED_MESSAGE)]
    assert {vector.reason for vector in fault_vectors()} == set(wire)


def test_names_are_unique() -> None:
    names = [vector.name for vector in message_vectors()] + [vector.name for vector in fault_vectors()]
    assert len(names) == len(set(names))


def test_layouts_name_the_fields_of_their_messages() -> None:
    for row in TABLE:
        named = [part.name for part in row.layout if isinstance(part, Plain | Variable)]
        assert named == [field.name for field in fields(row.cls) if field.name != "to_come"]
