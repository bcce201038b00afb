"""The history of a profile: texts as they are read, counted and deleted, in its database (issue 4, section 4).

Rules. Every verb runs inside the caller's transaction. A text's number is its place in the chat; pages are asked for by
number, so that they do not shift when texts come or go. The id of a deleted text of a peer is remembered for 90 days
more (section 6), lest the text comes back. Counterparts: `texts`, which writes; `search`; `people`, which knows the
names and how long each chat is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from uzel.names import Uin
from uzel.store.connection import Connection
from uzel.store.records import ChatSummary, TextRecord
from uzel.store.search import Search
from uzel.store.text_rows import text_record

SEEN_MS = 90 * 86_400_000
"""How long the id of a received text is remembered past the text's own deletion: 90 days (section 6)."""
_BATCH = 500
"""Texts deleted or exported at a time: memory does not grow with the chat."""
_LAST = 2**63 - 1

_GET = "SELECT * FROM text_records WHERE number = ?"
_BY_ID = "SELECT * FROM text_records WHERE chat = ? AND id = ? ORDER BY number DESC LIMIT 1"
_AFTER = "SELECT * FROM text_records WHERE chat = ? AND number > ? AND number < ? ORDER BY number LIMIT ?"
_BEFORE = "SELECT * FROM text_records WHERE chat = ? AND number < ? ORDER BY number DESC LIMIT ?"
_CHATS = """
    SELECT chats.uin, coalesce(contacts.name, ''), chats.unread, chats.waiting, text_records.*
    FROM chats
    LEFT JOIN contacts ON contacts.uin = chats.uin
    LEFT JOIN text_records ON text_records.number = chats.last
    ORDER BY chats.last DESC LIMIT ?
"""
_UNREAD = "SELECT unread FROM chats WHERE uin = ?"
_MARK_READ = "UPDATE texts SET unread = 0 WHERE chat = ? AND unread = 1 AND number <= ?"

_FORGET_LATER = """
    UPDATE seen SET forget_at = ? WHERE (sender, id) = (SELECT sender, id FROM texts WHERE number = ?)
"""
_OF_CHAT = "SELECT number FROM texts WHERE chat = ? LIMIT ?"
_KEPT = "SELECT uin, retention_ms FROM contacts WHERE retention_ms IS NOT NULL ORDER BY uin"
_OUTLIVED = """
    SELECT number FROM texts
    WHERE chat = ? AND stored_at < ? AND state NOT IN ('queued', 'sending') ORDER BY stored_at LIMIT ?
"""
_DELETE = "DELETE FROM texts WHERE number = ?"


class History:
    """See the module's text. What the disk refuses passes through (`connection`)."""

    def __init__(self, connection: Connection, search: Search) -> None:
        self._db = connection
        self._search = search

    # -- Reading ----------------------------------------------------------------------------------------------

    def get(self, number: int) -> TextRecord | None:
        """The text with this number."""
        return self._record(_GET, (number,))

    def by_id(self, chat: Uin, text_id: bytes) -> TextRecord | None:
        """The text of this chat that a reply means; the newest, should a peer have used an id of ours."""
        return self._record(_BY_ID, (chat, text_id))

    def page(self, chat: Uin, before: int | None = None, after: int | None = None, *, limit: int) -> list[TextRecord]:
        """Texts of a chat, in order: the last ones, the last ones before a number, or the first ones after one.

        With both it is the first ones between the two.
        """
        upto = _LAST if before is None else before
        if after is not None:
            return self._records(_AFTER, (chat, after, upto, limit))
        return self._records(_BEFORE, (chat, upto, limit))[::-1]

    def around(self, number: int, limit: int) -> list[TextRecord]:
        """A text with those before and behind it, at most `limit` in all, in order; nothing when it is gone."""
        text = self.get(number)
        if text is None or limit < 1:
            return []
        before = self.page(text.chat, before=number, limit=(limit - 1) // 2)
        return [*before, text, *self.page(text.chat, after=number, limit=limit - 1 - len(before))]

    def chats(self, limit: int) -> list[ChatSummary]:
        """The chats with the latest texts, the latest first; contacts without a text come last."""
        return [
            ChatSummary(Uin(uin), name, None if row[0] is None else text_record(tuple(row)), unread, waiting)
            for uin, name, unread, waiting, *row in self._db.execute(_CHATS, (limit,))
        ]

    def unread(self, chat: Uin) -> int:
        """How many texts of the chat nobody has read."""
        row = self._db.execute(_UNREAD, (chat,)).fetchone()
        return row[0] if row else 0

    def mark_read(self, chat: Uin, up_to: int) -> int:
        """Everything in the chat up to this number was read. Returns how many texts were not, before."""
        return self._db.execute(_MARK_READ, (chat, up_to)).rowcount

    def export(self, chat: Uin) -> Iterator[TextRecord]:
        """Every text of the chat, in order, in constant memory. What is deleted or comes meanwhile may be missed."""
        after = 0
        while page := self.page(chat, after=after, limit=_BATCH):
            yield from page
            after = page[-1].number

    # -- Deletion ---------------------------------------------------------------------------------------------

    def delete(self, number: int, now: int) -> bool:
        """Delete a text, one that waits too: it is not sent then, unless it was already. False when it was gone."""
        if self.get(number) is None:
            return False
        self._remove([number], now)
        return True

    def delete_chat(self, chat: Uin, now: int) -> int:
        """Delete every text of the chat. Returns how many. Some 0.1 ms each."""
        count = 0
        while numbers := self._numbers(_OF_CHAT, (chat, _BATCH)):
            self._remove(numbers, now)
            count += len(numbers)
        return count

    def expire(self, now: int, limit: int) -> list[int]:
        """Delete texts kept for longer than their chat keeps them, at most `limit`; those that wait are not touched.

        Returns their numbers; as many as `limit` mean that there may be more.
        """
        gone: list[int] = []
        for chat, retention in self._db.execute(_KEPT).fetchall():
            gone += self._numbers(_OUTLIVED, (chat, now - retention, limit - len(gone)))
        self._remove(gone, now)
        return gone

    def _remove(self, numbers: Sequence[int], now: int) -> None:
        """Delete texts; from now on the ids of those received have their 90 days."""
        self._db.executemany(_FORGET_LATER, [(now + SEEN_MS, number) for number in numbers])
        self._search.remove(numbers)
        self._db.executemany(_DELETE, [(number,) for number in numbers])

    def _changes(self, sql: str, values: Sequence[Any]) -> bool:
        return self._db.execute(sql, values).rowcount > 0

    def _record(self, sql: str, values: Sequence[Any]) -> TextRecord | None:
        row = self._db.execute(sql, values).fetchone()
        return text_record(row) if row else None

    def _records(self, sql: str, values: Sequence[Any]) -> list[TextRecord]:
        return [text_record(row) for row in self._db.execute(sql, values)]

    def _numbers(self, sql: str, values: Sequence[Any]) -> list[int]:
        return [number for (number,) in self._db.execute(sql, values)]
