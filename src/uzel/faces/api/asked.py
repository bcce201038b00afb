"""What programs send: one model for each body. Fields that are not named here are refused.

Counterparts: `shown`, what they get; the routes, which take these apart.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from uzel.faces.api.kinds import (
    MOST_MS,
    MOST_TEXT,
    Link,
    Name,
    NodeText,
    Number,
    Print,
    Secret,
    SentText,
    TextId,
    UinNumber,
)

MOST_USES = 1_000_000
"""People that one invite may let in."""

MOST_NODES = 16
"""Nodes of one person; a link names eight of them."""
MOST_ANSWERS = 16
"""Answers to one text: who has more to say sends texts of their own."""

MOST_REFERENCE = 320
"""Characters of a node: the longest name, a port, a fingerprint."""


class Asked(BaseModel):
    """A body."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NewText(Asked):
    """A text to be sent."""

    to: UinNumber
    text: SentText
    reply: TextId | None = None


class NodeToCheck(Asked):
    """A node, as HOST:PORT[,FINGERPRINT]; null: each of one's own."""

    node: Annotated[str, Field(min_length=1, max_length=MOST_REFERENCE)] | None = None


class NewAnswers(Asked):
    """The answers to a received text; none: it needs none."""

    texts: Annotated[list[SentText], Field(max_length=MOST_ANSWERS)]


class ReadMark(Asked):
    """Everything up to this number was read."""

    up_to: Number


class NewDraft(Asked):
    """What is typed and not sent; empty for none."""

    draft: Annotated[str, Field(max_length=MOST_TEXT)]


class NewRetention(Asked):
    """How long texts of the chat are kept, in milliseconds; null: for ever."""

    retention_ms: Annotated[int, Field(ge=1, le=MOST_MS)] | None


class NewContact(Asked):
    """Somebody to be added, or renewed. A name given here goes before the link's own."""

    link: Link
    name: Name = ""


class NewName(Asked):
    """What a contact, or a stranger who is let in, is called; may be empty."""

    name: Name


class Compared(Asked):
    """The safety number that was compared: what it belongs to is verified, and nothing else."""

    safety_number: Annotated[str, Field(max_length=100)]


class AcceptedKey(Asked):
    """The new key that the person knows of: it is accepted, and no other."""

    fingerprint: Print


class StrangerMode(Asked):
    """What becomes of people who are no contacts."""

    mode: Literal["contacts-only", "ask"]


class NewInvite(Asked):
    """An invite: how often it lets somebody in (null: without limit), and for how long (null: for ever)."""

    label: Name = ""
    uses: Annotated[int, Field(ge=1, le=MOST_USES)] | None = 1
    lasts_ms: Annotated[int, Field(ge=1, le=MOST_MS)] | None = None
    name: Name = ""


class DeviceName(Asked):
    """What a device is called."""

    name: Annotated[str, Field(min_length=1, max_length=64)]


class ProfileChange(Asked):
    """What one calls oneself in one's own links; and that the first steps are done."""

    name: Name | None = None
    set_up: Literal[True] | None = None


class NewPassphrase(Asked):
    """The new passphrase of the profile (null: none, a key file beside it), and the present one, if there is one."""

    new: Secret | None
    current: Secret | None = None


class BackupSecret(Asked):
    """The passphrase of a back-up; null: a recovery code."""

    passphrase: Secret | None = None


class NewNodes(Asked):
    """One's own nodes, in the order in which they are preferred; `roaming` stays as it is unless it is given."""

    nodes: Annotated[list[NodeText], Field(min_length=1, max_length=MOST_NODES)]
    roaming: bool | None = None


class ReadLink(Asked):
    """A link to be looked at."""

    link: Link
