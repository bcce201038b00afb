"""A row of the view `text_records` as a `TextRecord`: shared by who writes texts and who finds them."""

from __future__ import annotations

from typing import Any

from uzel.names import Uin
from uzel.store.records import TextRecord, TextState


def text_record(row: tuple[Any, ...]) -> TextRecord:
    """The row's fourteen columns are in the record's order."""
    number, chat, outgoing, text_id, text, reply, at, stored_at, state, *rest = row
    reason, changed_at, sent_as, unread, handled = rest
    return TextRecord(
        number,
        Uin(chat),
        bool(outgoing),
        text_id,
        text,
        reply,
        at,
        stored_at,
        TextState(state),
        reason,
        changed_at,
        sent_as,
        bool(unread),
        bool(handled),
    )
