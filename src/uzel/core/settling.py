"""Who waits for a text to be over, each woken for its own text alone.

Rules: one task follows the journal while anybody waits, so that a thousand who wait cost one look at each news, not a
thousand. Whoever waits looks after it is noted down, so no change is missed in between. Counterparts: `works`, which
tells every change in the journal; `messenger.Messenger.wait_settled`.
"""

from __future__ import annotations

import asyncio
from functools import partial

from uzel.core import works
from uzel.core.history import CHAT_DELETED
from uzel.core.ledger import Ledger
from uzel.errors import ClientClosedError, StorageError
from uzel.store.records import JournalEntry, TextRecord
from uzel.store.tables import Tables

PAGE = 256
"""Entries of the journal that are read at a time."""


class Settling:
    """See the module's text."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: dict[int, set[asyncio.Event]] = {}
        self._follower: asyncio.Task[None] | None = None
        self._begun: asyncio.Future[None] | None = None

    async def wait(self, number: int, timeout: float | None) -> TextRecord | None:
        """Wait until it is over or gone; what it is now, also when time is up or the core closes."""
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + timeout
        moved = asyncio.Event()
        record: TextRecord | None = None
        in_time = True
        self._waiting.setdefault(number, set()).add(moved)
        try:
            while True:
                await self._follows()  # anew, should the disk have refused it meanwhile
                moved.clear()
                record = await self._ledger.writer.run(lambda tables: tables.texts.get(number))
                if record is None or record.state in works.FINISHED or not in_time:
                    return record
                try:
                    async with asyncio.timeout_at(until):
                        await moved.wait()
                except TimeoutError:
                    in_time = False
        except ClientClosedError:
            return record
        finally:
            self._forget(number, moved)

    def close(self) -> None:
        """The core ends: everybody looks once more."""
        if self._follower is not None:
            self._follower.cancel()
        self._wake_all()

    def _forget(self, number: int, moved: asyncio.Event) -> None:
        waiting = self._waiting[number]
        waiting.discard(moved)
        if not waiting:
            del self._waiting[number]
        if not self._waiting and self._follower is not None:
            self._follower.cancel()
            self._follower = self._begun = None

    async def _follows(self) -> None:
        """The journal is followed from before this returns. Raises `ClientClosedError`, `StorageError`."""
        if self._follower is None or self._follower.done():
            loop = asyncio.get_running_loop()
            self._begun = loop.create_future()
            self._follower = loop.create_task(self._follow(self._begun))
        assert self._begun is not None
        await asyncio.wait({self._begun, self._follower}, return_when=asyncio.FIRST_COMPLETED)

    async def _follow(self, begun: asyncio.Future[None]) -> None:
        writer = self._ledger.writer
        try:
            after = await writer.run(lambda tables: tables.journal.last())
            begun.set_result(None)
            while True:
                upcoming = self._ledger.upcoming()
                entries, missed = await writer.run(partial(_since, after=after))
                if missed:
                    after = await writer.run(lambda tables: tables.journal.last())
                    self._wake_all()
                    continue
                for entry in entries:
                    after = entry.number
                    self._wake(entry)
                if not entries:
                    await upcoming.wait()
        except (ClientClosedError, StorageError):
            self._wake_all()  # they look themselves, and find the same

    def _wake(self, entry: JournalEntry) -> None:
        if entry.kind == CHAT_DELETED:
            self._wake_all()
        elif entry.kind in {works.STATE, works.REMOVED}:
            for moved in self._waiting.get(entry.data["number"], ()):
                moved.set()

    def _wake_all(self) -> None:
        for waiting in self._waiting.values():
            for moved in waiting:
                moved.set()


def _since(tables: Tables, after: int) -> tuple[list[JournalEntry], bool]:
    return tables.journal.since(after, PAGE)
