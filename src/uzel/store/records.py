"""What is kept of texts and people, as values: one class for each thing that a face can show.

Nothing here does anything. Times are milliseconds since 1970, UTC, by our own clock unless a line says otherwise.
Counterparts: `texts`, `search`, `people`, `knocks`, `invites` and `journal`, which read and write them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from uzel.names import Fingerprint, NodeReference, Uin


class TextState(StrEnum):
    """How far a text has come (promise 1). All but the last are those of our own texts."""

    QUEUED = "queued"
    """It is on disk and waits to be sent; it may have been sent before, in a conversation that broke."""
    SENDING = "sending"
    """It is in a conversation, and nothing is known of its arrival yet."""
    DELIVERED = "delivered"
    """The other side has it on disk. Final."""
    FAILED = "failed"
    """It is not tried any more; the reason says why."""
    CANCELLED = "cancelled"
    """The person took it back before it was known to have arrived."""
    RECEIVED = "received"
    """The peer's text."""


@dataclass(frozen=True, slots=True)
class TextRecord:
    """One text of a chat. `number` orders all texts of the profile and never comes twice."""

    number: int
    chat: Uin
    """The other side."""
    outgoing: bool
    id: bytes
    """16 bytes, its sender's; made up here for what a base peer sent, which has none."""
    text: str
    reply: bytes | None
    """The id of the text that this one answers; nobody checked that there is one."""
    at: int
    """By its sender's clock, which may say anything between 1970 and the year 9999."""
    stored_at: int
    state: TextState
    reason: str
    """Why it failed; empty otherwise."""
    changed_at: int
    """When its state became what it is."""
    sent_as: int
    """0: never sent. Otherwise the code that it was last sent under: 0x30, or 0x31, which it then keeps (section 6)."""
    unread: bool
    handled: bool
    """False while a program that acknowledges by hand has not acknowledged it."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody whom the person knows. The pin and whether it was compared are the profile's (`uzel.identity.Pins`)."""

    uin: Uin
    name: str
    """At most 64 characters, no control characters; may be empty."""
    nodes: tuple[NodeReference, ...]
    """Where the contact link says that they can be found; at most 8."""
    invite: bytes | None
    """The token that their link carried, presented to them until they let us in; at most 256 bytes."""
    blocked: bool
    stopped: Fingerprint | None
    """Another key than the pinned one was shown, this one: nothing goes either way until the person decides."""
    speaks_envelopes: bool
    """They were met with `uzel/2`; offering less from then on is refused (D29)."""
    added_at: int
    last_seen: int | None
    draft: str
    retention_ms: int | None
    """How long texts of this chat are kept; None: for ever."""


@dataclass(frozen=True, slots=True)
class ChatSummary:
    """A line of the list of chats."""

    uin: Uin
    name: str
    """Empty when this is no contact, or one without a name."""
    last: TextRecord | None
    unread: int
    waiting: int
    """Own texts that are queued or being sent."""


@dataclass(frozen=True, slots=True)
class KnockRequest:
    """A stranger who wants to be let in. One for each UIN: the first key that knocked."""

    uin: Uin
    fingerprint: Fingerprint
    first_at: int
    last_at: int
    text: str
    """The one text of theirs that is kept, at most 1,000 characters; empty while they sent none."""
    id: bytes | None
    """The id of that text; None without one, or when a base peer sent it."""
    count: int
    """How often they knocked."""


@dataclass(frozen=True, slots=True)
class Invite:
    """A token that lets strangers in. Only its SHA-256 is kept: the contact link that carries it is shown once."""

    token_hash: bytes
    """32 bytes."""
    label: str
    """The person's own words, under the rule for contact names."""
    made_at: int
    expires_at: int | None
    uses_left: int | None
    """None: without limit."""
    revoked: bool


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """Something that happened, for faces that follow. `number` grows by one with each."""

    number: int
    at: int
    kind: str
    data: dict[str, Any]
