"""Bytes in any pieces → messages, for one channel. The counterpart of `encode`.

Rules (D4, D6): a code is judged when its two bytes are there, a size when its field is there, always before the
body is held. Never more than one unfinished message is held (the channel's `MAX_BUFFERED` at most: 65,539 bytes, and
1 MiB where envelopes may come), and of a node list never more than one unfinished address. The first fault ends
everything: it is named, what was held is dropped, and nothing more is returned, whatever comes. However the bytes are
cut, the messages and the fault are the same, except that a node list comes in pieces that follow the cuts.
"""

from __future__ import annotations

from uzel.errors import Reason
from uzel.wire.fields import Address, MalformedError, measure_address, read_address
from uzel.wire.messages import Message, NodeList
from uzel.wire.table import CODES, DECODERS, ONE_SHOT, Channel

MAX_PIECE = 64
"""Most addresses in one piece of a node list."""
_HEADER = 2


class Framer:
    """Reads what comes on one channel.

    Remote faults never raise: see `fault`. On a one-shot channel (CONTROL_HELLO, HELLO_ANSWER, DATA_HELLO) a framer
    reads one message and keeps what follows for `rest`, untouched and without a bound: stop feeding it then.
    """

    __slots__ = (
        "_channel",
        "_decoders",
        "_done",
        "_held",
        "_left",
        "_need",
        "_one_shot",
        "_rest",
        "fault",
        "fault_detail",
    )

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._decoders = DECODERS[channel]
        self._one_shot = channel in ONE_SHOT
        self._done = False
        self._rest = b""
        self._held = bytearray()
        self._need = _HEADER
        """How many bytes must be held before it is worth looking again."""
        self._left = 0
        """How many addresses of the node list being read have not come yet."""
        self.fault: Reason | None = None
        """Why nothing more is read; None while all is well."""
        self.fault_detail = ""
        """The fault's particulars for the log, such as "code 0x99"."""

    @property
    def buffered(self) -> int:
        """How many bytes of an unfinished message are held, at most the channel's `MAX_BUFFERED`; `rest` is not."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Message]:
        """Take the next bytes and return the messages that are complete now, also those before a fault.

        A node list is returned as `NodeList` pieces of at most 64 addresses, as far as they came; an empty list as
        one empty piece.
        """
        messages: list[Message] = []
        if self.fault is not None:
            return messages
        addresses: list[Address] = []
        try:
            at = self._fill(data, messages, addresses) if self._held else 0
            end = len(data)
            while at < end and not self._done:
                after = self._take(data, at, end, messages, addresses)
                if after == at:
                    self._held += data[at:]
                    return messages
                at = after
            if self._done:
                self._rest += data[at:]
        except MalformedError as error:
            self.fault, self.fault_detail = error.reason, error.detail
            self._held.clear()
        finally:
            if addresses:
                messages.append(NodeList(tuple(addresses), self._left))
        return messages

    def eof(self) -> Reason | None:
        """The stream has ended: TRUNCATED_MESSAGE in the middle of a message, None between two or after a fault."""
        if self.fault is None and (self._held or self._left):
            return Reason.TRUNCATED_MESSAGE
        return None

    def rest(self) -> bytes:
        """Take out what followed the one message of a one-shot channel; empty on others and before it came."""
        rest, self._rest = self._rest, b""
        return rest

    def _fill(self, data: bytes, messages: list[Message], addresses: list[Address]) -> int:
        """Complete the held message from the front of `data`; returns how much of it that took."""
        at = 0
        while at < len(data):
            piece = data[at : at + self._need - len(self._held)]
            self._held += piece
            at += len(piece)
            if len(self._held) < self._need:
                break
            unit = bytes(self._held)
            if self._take(unit, 0, len(unit), messages, addresses):
                self._held.clear()
                break
        return at

    def _take(self, data: bytes, at: int, end: int, messages: list[Message], addresses: list[Address]) -> int:
        """Read one message, or one address of a list, at `at`; returns where it ends.

        Returns `at` itself when it is not all there, and notes how many bytes are needed.
        """
        have = end - at
        if self._left:
            return self._take_address(data, at, have, messages, addresses)
        if have < _HEADER:
            self._need = _HEADER
            return at
        codec = self._decoders.get(data[at : at + _HEADER])
        if codec is None:
            raise self._bad_header(data[at], data[at + 1])
        length = codec.length or codec.measure(data, at, have)
        if length > have:
            self._need = length
            return at
        message = codec.decode(data, at, length)
        if type(message) is NodeList and message.to_come:
            self._left = message.to_come
        else:
            messages.append(message)
            self._done = self._one_shot
        return at + length

    def _take_address(self, data: bytes, at: int, have: int, messages: list[Message], addresses: list[Address]) -> int:
        length = measure_address(data, at, have)
        if length > have:
            self._need = length
            return at
        addresses.append(read_address(data, at, length))
        self._left -= 1
        if len(addresses) == MAX_PIECE or not self._left:
            messages.append(NodeList(tuple(addresses), self._left))
            addresses.clear()
        return at + length

    def _bad_header(self, first: int, second: int) -> MalformedError:
        if first != second:
            return MalformedError(Reason.UNEQUAL_HEADER, f"header 0x{first:02X} 0x{second:02X}")
        if first not in CODES:
            return MalformedError(Reason.UNKNOWN_CODE, f"code 0x{first:02X}")
        return MalformedError(Reason.MISPLACED_MESSAGE, f"code 0x{first:02X} on {self._channel}")
