"""The messages of PROTOCOL.md section 2, as values: one class each, with the fields that the wire carries.

They hold and compare, nothing more: `table` says how each is written and where it may appear, `framer` reads
them, `encode` writes them. UINs are plain integers 0 … 2³²-1, because a stranger can write any of them; whether one
is a user is judged above. A `token` is the two random bytes that an answer repeats.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from uzel.wire.fields import Address


@dataclass(frozen=True, slots=True)
class Message:
    """What every message is."""


@dataclass(frozen=True, slots=True)
class ClientHello(Message):
    """CA. The first bytes of a client: the version it speaks (section 3, D5)."""

    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class NodeHello(Message):
    """CB. The first bytes of a node that dials another (section 3, D5)."""

    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class Accepted(Message):
    """01. The hello is answered; TLS follows."""


@dataclass(frozen=True, slots=True)
class VersionMismatch(Message):
    """02. The answering node speaks this version, and closes (D5)."""

    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class Call(Message):
    """03. A client asks its node for a conversation with the callee (section 4)."""

    callee: int


@dataclass(frozen=True, slots=True)
class IncomingCall(Message):
    """04. The node tells the callee who calls."""

    caller: int


@dataclass(frozen=True, slots=True)
class Unavailable(Message):
    """05. To a caller: the other side is offline, unknown or refused. To a callee: that call has ended."""

    uin: int


@dataclass(frozen=True, slots=True)
class Accept(Message):
    """06. The callee takes the call; its data connection follows."""

    caller: int


@dataclass(frozen=True, slots=True)
class Ready(Message):
    """07. The callee's data connection stands: the caller opens its own."""

    callee: int


@dataclass(frozen=True, slots=True)
class Refuse(Message):
    """08. The callee does not take the call."""

    caller: int


@dataclass(frozen=True, slots=True)
class DataHello(Message):
    """20. The first bytes of a data connection, the same from both clients (section 4, D12)."""

    caller: int
    callee: int


@dataclass(frozen=True, slots=True)
class Text(Message):
    """30. A text inside the conversation, at most 65,535 bytes of UTF-8 (section 6)."""

    text: str


@dataclass(frozen=True, slots=True)
class Envelope(Message):
    """31. An envelope of `uzel/2`: 1 … 1,048,576 bytes that should be one CBOR map (section 6, D29)."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Delivered(Message):
    """40. The oldest unreported text has arrived and is safe (section 6)."""

    token: bytes


@dataclass(frozen=True, slots=True)
class EnvelopeDelivered(Message):
    """41. The envelope with this id, 16 bytes, is safe on disk (section 6)."""

    id: bytes


@dataclass(frozen=True, slots=True)
class EnvelopeRefused(Message):
    """42. The envelope with this id, 16 bytes, is not taken; `reason` is one byte (section 6)."""

    id: bytes
    reason: int


@dataclass(frozen=True, slots=True)
class Ping(Message):
    """68. Asks for a pong with the same token (D9, D11)."""

    token: bytes


@dataclass(frozen=True, slots=True)
class Pong(Message):
    """69. Answers the ping with this token."""

    token: bytes


@dataclass(frozen=True, slots=True)
class NodeListRequest(Message):
    """90. Asks for a node list; always answered."""

    token: bytes


@dataclass(frozen=True, slots=True)
class NodeAnnouncement(Message):
    """A2. The control port of the node that dialled (section 3)."""

    port: int


@dataclass(frozen=True, slots=True)
class NodeList(Message):
    """A4. Addresses of nodes, the answer to 90 (D4).

    Received in pieces as the bytes come, so that no list is ever held: `to_come` is how many addresses of this list
    are still missing. Only a list with nothing to come can be encoded.
    """

    addresses: tuple[Address, ...]
    to_come: int = 0

    @staticmethod
    def join(pieces: Iterable[NodeList]) -> NodeList:
        """Put consecutive pieces of one list together; `to_come` is the last one's. Nothing gives an empty list."""
        addresses: list[Address] = []
        to_come = 0
        for piece in pieces:
            addresses += piece.addresses
            to_come = piece.to_come
        return NodeList(tuple(addresses), to_come)


@dataclass(frozen=True, slots=True)
class Search(Message):
    """A5. Asks a node where this user is; never passed on (section 5)."""

    uin: int


@dataclass(frozen=True, slots=True)
class FoundHere(Message):
    """A8. The user is a client of the answering node; unasked, it is a hint (D23)."""

    uin: int


@dataclass(frozen=True, slots=True)
class FoundInCache(Message):
    """A9. The answering node remembers the user at that node (section 5, D2)."""

    uin: int
    address: Address


@dataclass(frozen=True, slots=True)
class CallRequest(Message):
    """AA. The caller's node asks the callee's node for the call (section 5)."""

    caller: int
    callee: int


@dataclass(frozen=True, slots=True)
class CallReady(Message):
    """AB. The callee's node says that the callee's data connection stands."""

    caller: int
    callee: int


@dataclass(frozen=True, slots=True)
class NoConversation(Message):
    """B8. There is no conversation, or no longer, between the two, named in either order (D16, D19)."""

    caller: int
    callee: int


@dataclass(frozen=True, slots=True)
class RelayedData(Message):
    """D0. A piece of the conversation between nodes: 0 … 65,524 bytes that no node can read (section 5)."""

    sender: int
    recipient: int
    data: bytes
