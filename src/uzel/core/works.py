"""What the core does to the profile's tables: each function is one work of the `writer`, whole or not at all.

Rules: a text is in the outbox before anything of it is sent; what arrived, the memory of its id, and the news of it are
one commit; every change that a face may want to see is told in the journal, in the same commit. Times are milliseconds
since 1970, UTC. Counterparts: `conversation.Delivery`, whose effects these carry out; `messenger`, which asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from uzel.core.conversation import Arrived, Outgoing, Settle, Take
from uzel.names import Fingerprint, Uin
from uzel.store.records import TextRecord, TextState
from uzel.store.tables import Tables

FINISHED = frozenset({TextState.DELIVERED, TextState.FAILED, TextState.CANCELLED})


def queue(
    tables: Tables, chat: Uin, envelope_id: bytes, text: str, reply: bytes | None, now: int
) -> TextRecord:
    """Put a text into the outbox: once this is committed it is not lost."""
    record = tables.texts.queue(chat, envelope_id, text, reply, now, now)
    tell_state(tables, record, now)
    return record


def take(tables: Tables, chat: Uin, wanted: Take, code: int, now: int) -> list[Outgoing]:
    """The next texts of the outbox, marked as on their way. One that went as 31 is not taken for a base peer."""
    taken: list[Outgoing] = []
    size = 0
    for record in tables.texts.waiting(chat, wanted.most, after=wanted.after):
        size += len(record.text.encode("utf-8"))
        if taken and size > wanted.most_bytes:
            break
        if record.sent_as > code:
            break
        tables.texts.sending(record.number, code, now)
        if record.state is not TextState.SENDING:
            tell_state(tables, tables.texts.get(record.number), now)
        taken.append(Outgoing(record.number, record.id, record.text, record.reply, record.at))
    return taken
