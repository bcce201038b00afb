"""What must hold of a framer for any bytes at all: the check that the fuzzer calls, and where it starts from.

The first byte of an input says how the rest is cut into pieces. Whatever comes: messages, or one named fault of the
wire; no exception; never more held than the bound; the same however it is cut; and what was read can be written and
read again. Of an envelope its body is read too: a value, or the one fault with the id that is in it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from uzel.errors import Reason
from uzel.session.envelopes import EnvelopeFaultError, Hello, TextEnvelope, encode_hello, encode_other, encode_text
from uzel.session.envelopes import read_envelope as read_body
from uzel.wire import MAX_BUFFERED, MAX_PIECE, ONE_SHOT, TABLE, Channel, Envelope, Framer, Message, NodeList, encode
from vectors.read_vectors import envelope_vectors, fault_vectors, message_vectors

MAX_INPUT = 66_000
MOST_PIECES = 200
KEYS = ("id", "t", "at", "hello", "text", "reply", "caps", "agent", "invite", "gate")
WIRE_FAULTS = frozenset(
    {
        Reason.UNEQUAL_HEADER,
        Reason.UNKNOWN_CODE,
        Reason.MISPLACED_MESSAGE,
        Reason.SIZE_OUT_OF_RANGE,
        Reason.TEXT_NOT_UTF8,
        Reason.ADDRESS_MALFORMED,
        Reason.ACCEPTED_MALFORMED,
    }
)


class BrokenPromiseError(Exception):
    """Something that must hold of every framer does not."""


def check(channel: Channel, data: bytes) -> None:
    """Try one input. Raises `BrokenPromiseError`, or lets through what the framer itself raises."""
    step, body = (data[0], data[1:]) if data else (0, b"")
    size = max(1 + step, len(body) // MOST_PIECES)
    whole, cut = Framer(channel), Framer(channel)
    messages = _read(channel, whole, [body])
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    _hold(_read(channel, cut, pieces) == messages, "the cuts change the messages")
    _hold(_outcome(cut) == _outcome(whole), "the cuts change the outcome")
    _hold(channel in ONE_SHOT or not whole.rest(), "bytes are left over")
    _hold(channel not in ONE_SHOT or len(messages) <= 1, "a second message on a one-shot channel")
    for message in messages:
        _check_written_again(channel, message)
        if isinstance(message, Envelope):
            _check_body(message.body)


def _read(channel: Channel, framer: Framer, pieces: list[bytes]) -> list[Message]:
    """What comes out of the pieces, node lists joined, with the promises checked after each piece."""
    messages: list[Message] = []
    for piece in pieces:
        ended = framer.fault is not None
        for message in framer.feed(piece):
            _hold(not ended, "a message after the fault")
            _hold(isinstance(message, Message), "not a message")
            last = messages[-1] if messages else None
            if isinstance(message, NodeList):
                _hold(len(message.addresses) <= MAX_PIECE, "a piece is too long")
            if isinstance(message, NodeList) and isinstance(last, NodeList) and last.to_come:
                _hold(0 < len(message.addresses) == last.to_come - message.to_come, "a piece does not fit the last")
                messages[-1] = NodeList.join([last, message])
            else:
                messages.append(message)
        _hold(framer.fault is None or framer.fault in WIRE_FAULTS, "not a fault of the wire")
        _hold((framer.fault is None) == (not framer.fault_detail), "a fault without its particulars")
        _hold(framer.buffered <= (MAX_BUFFERED[channel] if framer.fault is None else 0), "too much is held")
        _hold(sys.getsizeof(framer._held) <= 2 * MAX_BUFFERED[channel], "too much memory is held")
    return messages


def _outcome(framer: Framer) -> tuple[object, ...]:
    return framer.fault, framer.fault_detail, framer.buffered, framer.eof()


def _check_written_again(channel: Channel, message: Message) -> None:
    if isinstance(message, NodeList):
        message = NodeList(message.addresses)
    _hold(_read(channel, Framer(channel), [encode(message)]) == [message], "what was read is written differently")


def _check_body(body: bytes) -> None:
    try:
        envelope = read_body(body)
    except EnvelopeFaultError as fault:
        _hold(bool(fault.detail), "a fault without its particulars")
        _hold(fault.id is None or fault.id in body, "an id out of nothing")
        return
    match envelope:
        case Hello():
            written = encode_hello(envelope)
        case TextEnvelope():
            written = encode_text(envelope)
        case _:
            written = encode_other(envelope)
    _hold(read_body(written) == envelope, "an envelope is written differently")


def _hold(promise: bool, what: str) -> None:
    if not promise:
        raise BrokenPromiseError(what)


def write_corpus(channel: Channel, folder: Path) -> None:
    """The golden vectors of the channel as seeds, alone and all the short ones in a row."""
    good = [vector.data for vector in message_vectors() if channel in vector.channels]
    if channel is Channel.CONVERSATION_2:
        good += [encode(Envelope(vector.data)) for vector in envelope_vectors()]
    bad = [vector.data for vector in fault_vectors() if vector.channel == channel]
    short = b"".join(data for data in good if len(data) < 1000)
    seeds = [data for data in (*good, *bad, short) if len(data) < MAX_INPUT]
    for number, data in enumerate(seeds):
        (folder / f"seed-{number:03}").write_bytes(bytes((number % 7,)) + data)


def write_dictionary(path: Path) -> None:
    """Every header, address type and key of an envelope, for the fuzzer to strew in."""
    words = [bytes((row.code, row.code)) for row in TABLE] + [b"\xa0", b"\xa1", b"\xa2", b"\xfc\xff", b"\x07\x01"]
    words += [bytes((0x60 | len(key),)) + key.encode("ascii") for key in KEYS]
    lines = ["".join(f"\\x{byte:02x}" for byte in word) for word in words]
    path.write_text("".join(f'"{line}"\n' for line in lines), encoding="ascii")
