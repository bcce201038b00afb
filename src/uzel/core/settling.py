"""Who waits for a text to be over, each woken for its own text alone.

Rules: what becomes of a text is told with the commit that makes it so, so that nobody who waits looks for it, and a
thousand who wait cost no more than one. Whoever waits is noted down before it looks how the text is, so no change is
missed in between. Counterparts: `works`, which tells every change in the journal; `writer`, which tells it on;
`messenger.Messenger.wait_settled`.
"""

from __future__ import annotations

import asyncio

from uzel.core import works
from uzel.core.history import CHAT_DELETED
from uzel.core.ledger import Ledger
from uzel.errors import ClientClosedError
from uzel.store.journal import MANY, Fresh
from uzel.store.records import TextRecord


class _Waiter:
    """One who waits: woken with the text as it is now, or with nothing, to look itself."""

    def __init__(self) -> None:
        self.moved = asyncio.Event()
        self.record: TextRecord | None = None


class Settling:
    """See the module's text."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: dict[int, set[_Waiter]] = {}
        ledger.writer.on_told = self._hear

    async def wait(self, number: int, timeout: float | None) -> TextRecord | None:
        """Wait until it is over or gone; what it is now, also when time is up or the core closes."""
        until = None if timeout is None else asyncio.get_running_loop().time() + timeout
        waiter, in_time = _Waiter(), True
        record: TextRecord | None = None
        self._waiting.setdefault(number, set()).add(waiter)
        try:
            while True:
                waiter.moved.clear()
                record = await self._ledger.writer.run(lambda tables: tables.texts.get(number))
                if record is None or record.state in works.FINISHED or not in_time:
                    return record
                try:
                    async with asyncio.timeout_at(until):
                        await waiter.moved.wait()
                except TimeoutError:
                    in_time = False
                if waiter.record is not None:
                    return waiter.record
        except ClientClosedError:
            return record
        finally:
            self._forget(number, waiter)

    def close(self) -> None:
        """The writer has ended, nothing becomes of any text any more: everybody gets what they saw last."""
        self._wake_all()

    def _forget(self, number: int, waiter: _Waiter) -> None:
        waiting = self._waiting[number]
        waiting.discard(waiter)
        if not waiting:
            del self._waiting[number]

    def _hear(self, told: list[Fresh]) -> None:
        if not self._waiting:
            return
        for fresh in told:
            if fresh is MANY or fresh.kind == CHAT_DELETED:
                self._wake_all()
            elif fresh.kind == works.REMOVED or (fresh.kind == works.STATE and fresh.data["state"] in works.FINISHED):
                for waiter in self._waiting.get(fresh.data["number"], ()):
                    waiter.record = fresh.record
                    waiter.moved.set()

    def _wake_all(self) -> None:
        for waiting in self._waiting.values():
            for waiter in waiting:
                waiter.moved.set()
