"""What the core does to the profile's tables: each function is one work of the `writer`, whole or not at all.

Rules: a text is in the outbox before anything of it is sent; what arrived, the memory of its id, and the news of it are
one commit; every change that a face may want to see is told in the journal, in the same commit. Times are milliseconds
since 1970, UTC. Counterparts: `conversation.Delivery`, whose effects these carry out; `messenger`, which asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from uzel.core.carriers import BASE_CODE
from uzel.core.conversation import Arrived, Outgoing, Settle, Take, Taken
from uzel.core.preferences import PREFERENCES
from uzel.errors import NotAContactError
from uzel.names import Fingerprint, NodeReference, Uin
from uzel.store.options import Option
from uzel.store.records import Invite, JournalEntry, TextRecord, TextState
from uzel.store.tables import Tables

FINISHED = frozenset({TextState.DELIVERED, TextState.FAILED, TextState.CANCELLED})
"""States in which nothing more happens to a text by itself."""
TIDIED = 500
"""Texts that are deleted in one commit: others wait meanwhile."""
MOST_TOLD = 1000
"""Texts that waited in a conversation when the core ended, told one by one at the next start. Of more it is told that
news were missed, so that whoever follows asks for everything anew."""
MOST_HANDED = 4096
"""Characters of a text that is handed to who waits for it; a longer one is looked up: many end in one commit."""
Done = TypeVar("Done")
"""What a work gives."""
Work = Callable[[Tables], Done]
"""Something to be done to the tables, whole or not at all."""
JOURNAL = 10_000
"""Entries of the journal that are kept: a face that was away for longer asks for everything anew."""
CONTENT = "text"
"""What a text says, where it is told."""
FOR_ONE: Option[list[str]] = Option("invites for one", list[str], [])
"""Hashes of invites that were made for one person, with a label, and were not used. An option, for a column would have
every profile copied and upgraded."""
TEXT, STATE, REMOVED = "text", "state", "removed"
"""Kinds of news about texts: one that came or was queued, another state of one, one that is gone."""


def as_news(record: TextRecord) -> dict[str, object]:
    """A text as the journal and the local interface tell it."""
    return {
        "number": record.number,
        "chat": int(record.chat),
        "outgoing": record.outgoing,
        "id": record.id.hex(),
        "text": record.text,
        "reply": record.reply.hex() if record.reply else None,
        "at": record.at,
        "stored_at": record.stored_at,
        "state": str(record.state),
        "reason": record.reason or None,
        "changed_at": record.changed_at,
        "unread": record.unread,
    }


def tell_text(tables: Tables, record: TextRecord, now: int) -> None:
    """Say in the journal that there is this text. What it says is not written there: a text that is deleted is gone."""
    news = {name: value for name, value in as_news(record).items() if name != CONTENT}
    tables.journal.append(TEXT, news, now)


def since(tables: Tables, after: int, limit: int) -> tuple[list[JournalEntry], bool]:
    """As `Journal.since`, with what the texts say; of one that is gone it is told that it is."""
    entries, missed = tables.journal.since(after, limit)
    return [_with_content(tables, entry) for entry in entries], missed


def _with_content(tables: Tables, entry: JournalEntry) -> JournalEntry:
    if entry.kind != TEXT:
        return entry
    record = tables.texts.get(entry.data["number"])
    if record is None:
        return replace(entry, kind=REMOVED, data={name: entry.data[name] for name in ("number", "chat")})
    return replace(entry, data={**as_news(record), **entry.data, CONTENT: record.text})


def tell_state(tables: Tables, number: int, now: int) -> None:
    """Say in the journal what became of this text."""
    record = tables.texts.get(number)
    if record is not None:
        state = {"state": str(record.state), "reason": record.reason or None, "changed_at": record.changed_at}
        handed = record if record.state in FINISHED and len(record.text) <= MOST_HANDED else None
        tables.journal.append(STATE, {"number": number, "chat": int(record.chat), **state}, now, handed)


def befriend(
    tables: Tables,
    uin: Uin,
    now: int,
    *,
    name: str = "",
    nodes: Sequence[NodeReference] = (),
    invite: bytes | None = None,
) -> bool:
    """Make this a contact, whose texts are kept as long as the person wants it of new ones. False when it is one: then
    nothing is changed. Raises `InvalidNameError`, and `ValueError` for what no contact link may carry.
    """
    if not tables.people.add(uin, now, name=name, nodes=nodes, invite=invite):
        return False
    tables.people.set_retention(uin, tables.options.get(PREFERENCES).retention_default_ms)
    return True


def keep_invite(tables: Tables, invite: Invite) -> None:
    """Keep a new one. Raises `InvalidNameError` for its label."""
    invites = tables.people.invites
    invites.add(invite)
    if invite.label and invite.uses_left == 1:
        known = {each.token_hash.hex() for each in invites.all() if each.uses_left and not each.revoked}
        unused = [each for each in tables.options.get(FOR_ONE) if each in known]
        tables.options.set(FOR_ONE, [*unused, invite.token_hash.hex()])


def admit(tables: Tables, uin: Uin, token_hash: bytes, now: int) -> bool:
    """Somebody comes by an invite: they are a contact. If it was for one person, they are called what it was labelled,
    which are the inviter's own words. False when it lets nobody in (any more): then nothing is changed.
    """
    invites = tables.people.invites
    if not invites.use(token_hash, now):
        return False
    invite = invites.by_hash(token_hash)
    is_theirs = invite is not None and token_hash.hex() in tables.options.get(FOR_ONE)
    befriend(tables, uin, now, name=invite.label if invite is not None and is_theirs else "")
    return True


# -- Out ------------------------------------------------------------------------------------------------------------


def queue(tables: Tables, chat: Uin, text_id: bytes, text: str, reply: bytes | None, now: int) -> TextRecord:
    """Put a text into the outbox: once this is committed it is not lost.

    Raises `NotAContactError` also when the contact was removed since whoever asked has looked: it would wait for ever.
    """
    _demand_contact(tables, chat)
    record = tables.texts.queue(chat, text_id, text, reply, now, now)
    tell_text(tables, record, now)
    return record


def answer(tables: Tables, number: int, texts: Sequence[tuple[bytes, str]], now: int) -> list[TextRecord] | None:
    """Queue answers, ids and texts, to a received text, and mark it as handled. None when it was, or is none."""
    question = tables.texts.get(number)
    if question is None or not tables.texts.handled(number):
        return None
    return [queue(tables, question.chat, text_id, text, question.id, now) for text_id, text in texts]


def take(tables: Tables, chat: Uin, wanted: Take, code: int, now: int) -> Taken:
    """The next texts of the outbox, marked as on their way. One that went as 31 is not taken for a base peer (D29)."""
    taken: list[Outgoing] = []
    for record in tables.texts.waiting(chat, wanted.most, wanted.after, most_bytes=wanted.most_bytes):
        if record.sent_as > code:
            return Taken(tuple(taken), more=False)
        if not tables.texts.sending(record.number, code, now):
            continue
        tell_state(tables, record.number, now)
        taken.append(Outgoing(record.number, record.id, record.text, record.reply, record.at))
    return Taken(tuple(taken), more=bool(taken) and tables.texts.is_waiting(chat, taken[-1].number))


def settle(tables: Tables, settled: Settle, now: int) -> None:
    """What was reported is delivered, what was refused has failed."""
    for number in settled.delivered:
        if tables.texts.delivered(number, now):
            tell_state(tables, number, now)
    for number, reason in settled.refused:
        if tables.texts.failed(number, reason, now):
            tell_state(tables, number, now)


def requeue(tables: Tables, chat: Uin, now: int) -> bool:
    """The conversation is over: what was on its way waits again. Whether anything waits."""
    for number in tables.texts.requeue(chat, now):
        _tell_queued(tables, number, chat, now)
    return tables.texts.is_waiting(chat)


def requeue_all(tables: Tables, now: int) -> list[Uin]:
    """At the start: whom texts wait for, all of them queued; whoever follows is told of those that were not."""
    waiting = tables.texts.chats_waiting()
    told = 0
    for chat in waiting:
        numbers = tables.texts.requeue(chat, now)
        for number in numbers[: max(0, MOST_TOLD - told)]:
            _tell_queued(tables, number, chat, now)
        told += len(numbers)
    if told > MOST_TOLD:
        tables.journal.trim(0)
    return waiting


def _tell_queued(tables: Tables, number: int, chat: Uin, now: int) -> None:
    """As `tell_state`, of one that waits again, without reading it."""
    state = {"state": str(TextState.QUEUED), "reason": None, "changed_at": now}
    tables.journal.append(STATE, {"number": number, "chat": int(chat), **state}, now)


def give_up(tables: Tables, chat: Uin, reason: str, now: int, *, only_envelopes: bool = False) -> None:
    """Everything that waits for this peer has failed, for this reason; or only what went as 31 before."""
    after = 0
    while waiting := tables.texts.waiting(chat, 256, after):
        for record in waiting:
            if not only_envelopes or record.sent_as > BASE_CODE:
                tables.texts.failed(record.number, reason, now)
                tell_state(tables, record.number, now)
        after = waiting[-1].number


def cancel(tables: Tables, number: int, now: int) -> bool:
    """Take a text back that is not on its way. False when it is, or does not wait."""
    done = tables.texts.cancel(number, now)
    if done:
        tell_state(tables, number, now)
    return done


def retry(tables: Tables, number: int, now: int) -> TextRecord | None:
    """Queue a text again that failed or was cancelled; it has a new number then. None when it did neither.

    Raises `NotAContactError`, as `queue`.
    """
    record = tables.texts.retry(number, now)
    if record is not None:
        _demand_contact(tables, record.chat)
        tables.journal.append(REMOVED, {"number": number, "chat": int(record.chat)}, now)
        tell_text(tables, record, now)
    return record


def _demand_contact(tables: Tables, chat: Uin) -> None:
    if tables.people.get(chat) is None:
        raise NotAContactError(f"UIN {chat}")


# -- In -------------------------------------------------------------------------------------------------------------


def keep(
    tables: Tables,
    chat: Uin,
    fingerprint: Fingerprint,
    texts: Sequence[Arrived],
    make_id: Callable[[], bytes],
    now: int,
) -> list[TextRecord]:
    """Store what arrived, each id once; returns what was new. A base peer's text has no id: it is given one."""
    kept: list[TextRecord] = []
    for text in texts:
        record = (
            tables.texts.receive_base(chat, make_id(), text.text, now, now)
            if text.id is None
            else tables.texts.receive(chat, fingerprint, text.id, text.text, text.reply, text.at or now, now)
        )
        if record is not None:
            tell_text(tables, record, now)
            kept.append(record)
    return kept


def tidy(tables: Tables, now: int) -> bool:
    """Now and then: what is kept no longer goes, and the journal stays short. True when there is more to do at once."""
    expired = tables.texts.expire(now, TIDIED)
    for number in expired:
        tables.journal.append(REMOVED, {"number": number}, now)
    forgotten = tables.texts.forget_seen(now, TIDIED)
    more = tables.search.tidy()
    tables.journal.trim(JOURNAL)
    return more or len(expired) == TIDIED or forgotten == TIDIED
