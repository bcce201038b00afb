"""What programs get: one model for each answer, made from the core's records. Field names are a contract.

Nothing here carries a secret but a new invite's link, which is shown once. Counterparts: `asked`, what they send;
docs/api.md, which names the fields.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from uzel.client.node_check import NodeCheck
from uzel.core.gate import Gate
from uzel.core.messenger import Messenger
from uzel.core.works import as_news
from uzel.errors import UzelError
from uzel.faces.api.context import PageDevice
from uzel.faces.api.kinds import MOST_MS, Count, Number, Print, TextId, Time, UinNumber, time, time_or_none
from uzel.faces.http.problems import sayable
from uzel.names import ContactLink
from uzel.store.records import ChatSummary, Contact, Invite, JournalEntry, KnockRequest, TextRecord
from uzel.store.search import Hit

State = Literal["queued", "sending", "delivered", "failed", "cancelled", "received"]
_TIMES = ("at", "stored_at", "changed_at")


class Shown(BaseModel):
    """An answer, or a part of one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TroubleShown(Shown):
    """What the disk or the profile refuses, as a problem says it: `title` is for a person, with what to do."""

    code: str
    title: str
    detail: str

    @classmethod
    def of(cls, error: UzelError) -> Self:
        """As the answer to a request that met it."""
        return cls(code=str(error.reason), title=str(type(error)()), detail=sayable(error.detail))


class StatusShown(Shown):
    """How the core is. `reason` says why it is offline, `problem` the same for a person, `retry_at` when the next
    attempt comes; `trouble` is null while the disk takes everything; `key_agreement` is that of the connection to the
    node; `last_event` is where to follow the events from; `refusals` counts who was not let in to the page since the
    core began, by reason.
    """

    version: str
    uin: UinNumber
    fingerprint: Print
    online: bool
    node: str | None
    reason: str | None
    problem: str | None
    contested: bool
    trouble: TroubleShown | None
    conversations: Count
    waiting: Count
    last_event: Count
    key_agreement: str | None
    retry_at: Time | None
    refusals: dict[str, Count]


class MeShown(Shown):
    """Who one is, and the contact link to give to others."""

    uin: UinNumber
    fingerprint: Print
    link: str


class TextShown(Shown):
    """A text. `at` is its sender's word; `number` orders all texts of the profile."""

    number: Number
    chat: UinNumber
    outgoing: bool
    id: TextId
    text: str
    reply: TextId | None
    at: Time
    stored_at: Time
    state: State
    reason: str | None
    changed_at: Time
    unread: bool

    @classmethod
    def of(cls, record: TextRecord) -> Self:
        """As the event of the same text has it."""
        return cls.model_validate(with_times(as_news(record)))


class TextsShown(Shown):
    """Texts, in the order of their numbers."""

    texts: list[TextShown]

    @classmethod
    def of(cls, records: list[TextRecord]) -> Self:
        return cls(texts=[TextShown.of(record) for record in records])


class HitShown(Shown):
    """A text that was found, and the ranges of its characters (code points) that are meant, [start, end)."""

    text: TextShown
    spans: list[Annotated[list[Count], Field(min_length=2, max_length=2)]]

    @classmethod
    def of(cls, hit: Hit) -> Self:
        return cls(text=TextShown.of(hit.record), spans=[list(span) for span in hit.spans])


class HitsShown(Shown):
    """What was found, the newest first."""

    hits: list[HitShown]


class ChatShown(Shown):
    """A line of the list of chats. What is not known of somebody who is no contact is false, empty or null."""

    uin: UinNumber
    name: str
    last: TextShown | None
    unread: Count
    waiting: Count
    connected: bool
    verified: bool
    blocked: bool
    stopped: Print | None
    downgraded: bool
    draft: str
    last_seen: Time | None

    @classmethod
    def of(cls, messenger: Messenger, chat: ChatSummary) -> Self:
        pin = messenger.people.pin(chat.uin)
        contact = messenger.ledger.people.get(chat.uin)
        talk = messenger.talk_state(chat.uin)
        stopped = contact.stopped if contact is not None else None
        return cls(
            uin=chat.uin,
            name=chat.name,
            last=None if chat.last is None else TextShown.of(chat.last),
            unread=chat.unread,
            waiting=chat.waiting,
            connected=talk.key_agreement is not None,
            verified=contact is not None and pin is not None and pin.verified,
            blocked=chat.uin in messenger.ledger.blocked,
            stopped=None if stopped is None else str(stopped),
            downgraded=talk.downgraded,
            draft="" if contact is None else contact.draft,
            last_seen=None if contact is None else time_or_none(contact.last_seen),
        )


class ChatsShown(Shown):
    """The chats, the latest first."""

    chats: list[ChatShown]


class AnsweringShown(Shown):
    """The number of the text behind which a bot answers."""

    after: Count


class NodeStepShown(Shown):
    """One step of the way to a node: `connect`, then `login`. `ms` is null when it was not come to its end."""

    name: Literal["connect", "login"]
    ok: bool
    ms: float | None
    detail: str


class NodeCheckShown(Shown):
    """How a node was found. `problem` is a sentence, null when all is well; what was not come to is null."""

    node: str
    reachable: bool
    reason: str | None
    problem: str | None
    fingerprint: Print | None
    expected: Print | None
    key_agreement: str | None
    tls: str | None
    protocol: str | None
    connect_ms: float | None
    login_ms: float | None
    steps: list[NodeStepShown]

    @classmethod
    def of(cls, found: NodeCheck) -> Self:
        return cls(
            node=str(found.node.address),
            reachable=found.reachable,
            reason=found.reason or None,
            problem=found.problem or None,
            fingerprint=None if found.fingerprint is None else str(found.fingerprint),
            expected=None if found.expected is None else str(found.expected),
            key_agreement=found.key_agreement,
            tls=found.tls,
            protocol=found.protocol,
            connect_ms=found.connect_ms,
            login_ms=found.login_ms,
            steps=_steps(found),
        )


def _steps(found: NodeCheck) -> list[NodeStepShown]:
    """As far as it came: the step that failed is the last, and says why."""
    steps: list[NodeStepShown] = []
    ways: tuple[tuple[Literal["connect", "login"], float | None], ...] = (
        ("connect", found.connect_ms), ("login", found.login_ms),
    )  # fmt: skip
    for name, ms in ways:
        steps.append(NodeStepShown(name=name, ok=ms is not None, ms=ms, detail="" if ms is not None else found.problem))
        if ms is None:
            break
    return steps


class NodeChecksShown(Shown):
    """Each node that was looked at."""

    nodes: list[NodeCheckShown]


class CountShown(Shown):
    """How many texts it was about."""

    count: Count


class ContactShown(Shown):
    """A contact. `fingerprint`, `safety_number` and `link` with a key are null, or without one, until they were met.

    `stopped` is another key that was shown: nothing goes either way until the person decides. `connected`: a
    conversation stands now, on which `key_agreement` was agreed. `gate` is what they last said of one's texts: *open*,
    *asked* (one is not let in yet), *refused*; null when they said nothing since the core began. `downgraded`: they
    came with a program that offers less than before, and no conversation begins until the person agrees.
    """

    uin: UinNumber
    name: str
    verified: bool
    blocked: bool
    fingerprint: Print | None
    safety_number: str | None
    stopped: Print | None
    speaks_envelopes: bool
    link: str
    added_at: Time
    last_seen: Time | None
    draft: str
    retention_ms: int | None
    connected: bool
    key_agreement: str | None
    gate: Gate | None
    downgraded: bool

    @classmethod
    def of(cls, messenger: Messenger, contact: Contact) -> Self:
        pin = messenger.people.pin(contact.uin)
        fingerprint = None if pin is None else pin.fingerprint
        talk = messenger.talk_state(contact.uin)
        return cls(
            uin=contact.uin,
            name=contact.name,
            verified=pin is not None and pin.verified,
            blocked=contact.blocked,
            fingerprint=None if fingerprint is None else str(fingerprint),
            safety_number=messenger.people.safety_number(contact.uin),
            stopped=None if contact.stopped is None else str(contact.stopped),
            speaks_envelopes=contact.speaks_envelopes,
            link=str(ContactLink(contact.uin, fingerprint, contact.nodes, contact.name)),
            added_at=time(contact.added_at),
            last_seen=time_or_none(contact.last_seen),
            draft=contact.draft,
            retention_ms=contact.retention_ms,
            connected=talk.key_agreement is not None,
            key_agreement=talk.key_agreement,
            gate=talk.gate,
            downgraded=talk.downgraded,
        )


class ContactsShown(Shown):
    """Every contact, by number."""

    contacts: list[ContactShown]


class BlocksShown(Shown):
    """Every number that is refused, contact or not."""

    uins: list[UinNumber]


class RequestShown(Shown):
    """A stranger who knocked. What they said is no text before they are let in, so only whether is told."""

    uin: UinNumber
    fingerprint: Print
    first_at: Time
    last_at: Time
    has_text: bool
    count: Count

    @classmethod
    def of(cls, request: KnockRequest) -> Self:
        return cls(
            uin=request.uin,
            fingerprint=str(request.fingerprint),
            first_at=time(request.first_at),
            last_at=time(request.last_at),
            has_text=bool(request.text),
            count=request.count,
        )


class RequestsShown(Shown):
    """Who knocked, the latest first."""

    requests: list[RequestShown]


class StrangersShown(Shown):
    """What becomes of people who are no contacts."""

    mode: Literal["contacts-only", "ask"]


class InviteShown(Shown):
    """An invite. `id` is the hash of its token: whoever reads it cannot use it."""

    id: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    label: str
    made_at: Time
    expires_at: Time | None
    uses_left: Count | None
    revoked: bool

    @classmethod
    def of(cls, invite: Invite) -> Self:
        return cls(
            id=invite.token_hash.hex(),
            label=invite.label,
            made_at=time(invite.made_at),
            expires_at=time_or_none(invite.expires_at),
            uses_left=invite.uses_left,
            revoked=invite.revoked,
        )


class InvitesShown(Shown):
    """Every invite, the oldest first."""

    invites: list[InviteShown]


class NewInviteShown(Shown):
    """A new invite. The link is shown this once."""

    id: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    link: str


class AddressShown(Shown):
    """A one-time address of the page. It is shown this once."""

    address: str
    expires_at: Time


class PairingShown(Shown):
    """A pairing code, and where it is typed in. It is shown this once."""

    code: str
    expires_at: Time
    address: str


class DeviceShown(Shown):
    """A browser that is let in to the page; `current` is the one that asks."""

    id: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    name: str
    kind: Literal["local", "paired"]
    created_at: Time
    last_seen: Time
    current: bool

    @classmethod
    def of(cls, device: PageDevice, asker: object = None) -> Self:
        return cls(
            id=device.id,
            name=device.name,
            kind=device.kind,
            created_at=time(device.created_at),
            last_seen=time(device.last_seen),
            current=device.id == asker,
        )


class DevicesShown(Shown):
    """Every browser that is let in, the oldest first."""

    devices: list[DeviceShown]


class ProfileShown(Shown):
    """One's own profile. `name` stands in one's own links; `folder` is for the person's eyes alone."""

    name: str
    passphrase: bool
    backed_up_at: Time | None
    set_up: bool
    folder: Annotated[str, Field(description="Shown, never taken.")]


class NodeShown(Shown):
    """One of one's own nodes. `current` is the one at which one is logged in."""

    address: str
    fingerprint: Print | None
    current: bool


class NodesShown(Shown):
    """One's own nodes, in the order in which they are preferred."""

    nodes: list[NodeShown]
    roaming: bool


class LinkShown(Shown):
    """What a contact link says. Nothing of it is proved."""

    uin: UinNumber
    name: str
    fingerprint: Print | None
    nodes: list[str]
    invite: bool


class QrTextsShown(Shown):
    """What the QR codes of a picture say."""

    texts: list[str]


class PreferencesShown(Shown):
    """How the person wants the page, on all devices alike. Also what is sent to change them, whole."""

    language: Literal["auto", "en", "ru"] = "auto"
    theme: Literal["auto", "light", "dark"] = "auto"
    notifications: bool = False
    retention_default_ms: Annotated[int, Field(ge=1, le=MOST_MS)] | None = None


def with_times(values: dict[str, Any]) -> dict[str, Any]:
    """What the journal says, with its milliseconds as RFC 3339."""
    return {name: time(value) if name in _TIMES else value for name, value in values.items()}


def event_of(entry: JournalEntry) -> dict[str, Any]:
    """The data of an event: when, and what."""
    return {"event_at": time(entry.at), **with_times(entry.data)}
