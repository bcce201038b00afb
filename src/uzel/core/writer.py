"""The one thread that works on the profile's tables: whoever waits together shares one commit.

Rules: works are done in the order in which they were asked for, each whole or not at all; the answer comes only after
the commit is on disk. A work that raises an error of ours is taken back alone. When the commit itself fails (a full
disk, say) every work of it fails with `StorageError`, and nothing of it is there. Counterparts: `messenger`, which asks;
`uzel.store`, whose repositories do the work.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from uzel.errors import ClientClosedError, StorageError, UzelError

MOST_TOGETHER = 512
"""Works that share one commit: enough to make its cost small, few enough to answer soon."""

Tables_contra = TypeVar("Tables_contra", contravariant=True)
Tables = TypeVar("Tables")
Result = TypeVar("Result")


class Transactions(Protocol[Tables_contra]):
    """What the thread needs of the profile."""

    def begin(self) -> None:
        """Begin a transaction that may write. Raises `StorageError`."""

    def commit(self) -> None:
        """Make it durable. Raises `StorageError`; then nothing of it holds."""

    def rollback(self) -> None:
        """Take it back, as far as there is one."""

    def savepoint(self) -> None:
        """What follows can be taken back alone."""

    def release(self) -> None:
        """Keep what followed the savepoint."""

    def back_to_savepoint(self) -> None:
        """Take back what followed it."""


class Writer(Generic[Tables]):
    """See the module's text. Belongs to one event loop; `tables` and `transactions` are touched on the thread alone."""

    def __init__(self, tables: Tables, transactions: Transactions[Tables]) -> None:
        self._tables = tables
        self._transactions = transactions
        self._loop = asyncio.get_running_loop()
        self._works: deque[tuple[Callable[[Tables], Any], asyncio.Future[Any]]] = deque()
        self._condition = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="uzel-store", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Tables], Result]) -> asyncio.Future[Result]:
        """Ask for a work; the future is done once it is committed. Raises `ClientClosedError` after `close`."""
        future: asyncio.Future[Result] = self._loop.create_future()
        with self._condition:
            if self._closing:
                raise ClientClosedError
            self._works.append((work, future))
            self._condition.notify()
        return future

    async def run(self, work: Callable[[Tables], Result]) -> Result:
        """The same, awaited. Cancelling does not take the work back."""
        return await asyncio.shield(self.submit(work))

    async def close(self) -> None:
        """Finish what was asked for, and end the thread."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        await asyncio.to_thread(self._thread.join)

    # -- On the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            outcomes = self._do(batch)
            self._loop.call_soon_threadsafe(_answer, outcomes)

    def _next(self) -> list[tuple[Callable[[Tables], Any], asyncio.Future[Any]]] | None:
        with self._condition:
            while not self._works:
                if self._closing:
                    return None
                self._condition.wait()
            return [self._works.popleft() for _ in range(min(len(self._works), MOST_TOGETHER))]

    def _do(self, batch: list[tuple[Callable[[Tables], Any], asyncio.Future[Any]]]) -> list[_Outcome]:
        transactions = self._transactions
        outcomes: list[_Outcome] = []
        try:
            transactions.begin()
            for work, future in batch:
                outcomes.append(self._do_one(work, future))
            transactions.commit()
        except StorageError as error:
            transactions.rollback()
            return [(future, None, error) for _, future in batch]
        return outcomes

    def _do_one(self, work: Callable[[Tables], Any], future: asyncio.Future[Any]) -> _Outcome:
        transactions = self._transactions
        transactions.savepoint()
        try:
            result = work(self._tables)
        except StorageError:
            raise
        except (UzelError, ValueError, LookupError) as error:
            transactions.back_to_savepoint()
            return (future, None, error)
        transactions.release()
        return (future, result, None)


_Outcome = tuple["asyncio.Future[Any]", Any, Exception | None]


def _answer(outcomes: list[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
            future.exception()  # looked at: nobody may be waiting any more
        else:
            future.set_result(result)
