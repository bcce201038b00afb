"""The history as faces use it: chats, pages, search, marks, drafts, retention, export, acknowledgement by programs.

Rules: reads and writes go through the writer, in order with everything else; what changes is told in the journal.
Counterparts: `uzel.store.texts` and `uzel.store.search`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from uzel.core import works
from uzel.core.ledger import Ledger, wall_ms
from uzel.names import Uin
from uzel.store.options import Option
from uzel.store.records import ChatSummary, TextRecord
from uzel.store.search import Hit
from uzel.store.tables import Tables

READ, DRAFT, RETENTION, CHAT_DELETED = "read", "draft", "retention", "chat deleted"
"""Kinds of news about chats."""
EXPORT_PAGE = 500
ANSWERED_FROM: Option[int | None] = Option("answered_from", int | None, None)
"""The number of the last text before bots answer on this profile; None while none ever did."""


class ChatHistory:
    """See the module's text. Everything raises `StorageError`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._run = ledger.writer.run

    # -- Reading ----------------------------------------------------------------------------------------------

    async def chats(self, limit: int = 1000) -> list[ChatSummary]:
        """The chats, the latest first; contacts without a text come last."""
        return await self._run(lambda tables: tables.texts.chats(limit))

    async def text(self, number: int) -> TextRecord | None:
        """One text."""
        return await self._run(lambda tables: tables.texts.get(number))

    async def by_id(self, chat: Uin, text_id: bytes) -> TextRecord | None:
        """The text of this chat that a reply means; None when it is not there (any more)."""
        return await self._run(lambda tables: tables.texts.by_id(chat, text_id))

    async def page(
        self, chat: Uin, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> list[TextRecord]:
        """Texts of a chat, in order: the last ones, the last ones before a number, or the first ones after one."""
        return await self._run(lambda tables: tables.texts.page(chat, before, after, limit=limit))

    async def around(self, number: int, limit: int = 50) -> list[TextRecord]:
        """A text with those before and behind it; nothing when it is gone."""
        return await self._run(lambda tables: tables.texts.around(number, limit))

    async def search(
        self, query: str, chat: Uin | None = None, *, before: int | None = None, limit: int = 50
    ) -> list[Hit]:
        """Texts with all these words, newest first, and where they stand."""
        return await self._run(lambda tables: tables.search.find(query, chat, before, limit))

    async def export(self, chat: Uin) -> AsyncIterator[TextRecord]:
        """Every text of the chat, in order, a page at a time."""
        after = 0
        while texts := await self.page(chat, after=after, limit=EXPORT_PAGE):
            for text in texts:
                yield text
            after = texts[-1].number

    # -- Changing ---------------------------------------------------------------------------------------------

    async def mark_read(self, chat: Uin, up_to: int) -> int:
        """Everything up to this number was read; how many were not."""

        def work(tables: Tables) -> int:
            count = tables.texts.mark_read(chat, up_to)
            if count:
                tables.journal.append(READ, {"chat": int(chat), "up_to": up_to}, wall_ms())
            return count

        return await self._told(work)

    async def set_draft(self, chat: Uin, draft: str) -> bool:
        """What is typed and not sent. False when that is no contact. Raises `ValueError` when it is too long."""

        def work(tables: Tables) -> bool:
            done = tables.people.set_draft(chat, draft)
            if done:
                tables.journal.append(DRAFT, {"chat": int(chat)}, wall_ms())
            return done

        return await self._contact(chat, work)

    async def set_retention(self, chat: Uin, retention_ms: int | None) -> bool:
        """How long texts of the chat are kept; None: for ever. False when that is no contact."""

        def work(tables: Tables) -> bool:
            done = tables.people.set_retention(chat, retention_ms)
            if done:
                tables.journal.append(RETENTION, {"chat": int(chat), "ms": retention_ms}, wall_ms())
            return done

        return await self._contact(chat, work)

    async def delete(self, number: int) -> bool:
        """Delete a text. False when it was gone."""

        def work(tables: Tables) -> bool:
            record = tables.texts.get(number)
            if record is None or not tables.texts.delete(number, wall_ms()):
                return False
            tables.journal.append(works.REMOVED, {"number": number, "chat": int(record.chat)}, wall_ms())
            return True

        return await self._told(work)

    async def delete_chat(self, chat: Uin) -> int:
        """Delete every text of the chat that is there now; how many there were. In pieces: others write, too."""
        last = await self._run(lambda tables: tables.texts.page(chat, limit=1))
        count = 0
        while last and (some := await self._run(partial(_delete_some, chat=chat, up_to=last[0].number))):
            count += some
        await self._told(lambda tables: tables.journal.append(CHAT_DELETED, {"chat": int(chat)}, wall_ms()))
        return count

    # -- Acknowledgement by programs --------------------------------------------------------------------------

    async def unhandled(self, after: int = 0, limit: int = 100) -> list[TextRecord]:
        """Received texts that no program has acknowledged: they are given again after a restart."""
        return await self._run(lambda tables: tables.texts.unhandled(limit, after))

    async def begin_answering(self) -> int:
        """The number behind which a bot answers: what came before the first time that this was asked is not for it."""

        def work(tables: Tables) -> int:
            begun = tables.options.get(ANSWERED_FROM)
            if begun is None:
                begun = tables.texts.last_number()
                tables.options.set(ANSWERED_FROM, begun)
            return begun

        return await self._run(work)

    async def handled(self, number: int) -> bool:
        """A program has acknowledged it. False when there was nothing to acknowledge."""
        return await self._run(lambda tables: tables.texts.handled(number))

    # -- Inside -----------------------------------------------------------------------------------------------

    async def _told(self, work: works.Work[works.Done]) -> works.Done:
        result = await self._run(work)
        self._ledger.tell()
        return result

    async def _contact(self, chat: Uin, work: works.Work[bool]) -> bool:
        """Whoever is told of it must find the contact as it is now: it is read with the change, and known before."""
        done, contact = await self._run(lambda tables: (work(tables), tables.people.get(chat)))
        self._ledger.remember(chat, contact)
        return done


def _delete_some(tables: Tables, chat: Uin, up_to: int) -> int:
    numbers = [text.number for text in tables.texts.page(chat, after=0, limit=works.TIDIED) if text.number <= up_to]
    for number in numbers:
        tables.texts.delete(number, wall_ms())
    return len(numbers)
