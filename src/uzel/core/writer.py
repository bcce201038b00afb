"""The one thread that works on the profile's tables: whoever waits together shares one commit.

Rules: works are done in the order in which they were asked for, each whole or not at all; the answer comes only after
the commit is on disk. A work that raises is taken back alone. When the disk refuses (it is full, say) nothing of that
commit is there, and each of its works is tried alone, in the same order: those that it refuses fail with
`StorageError`. What a commit told in the journal is told on, in the same turn of the loop as its answers.
Counterparts: `messenger`, which asks; `works` and `uzel.store`, which do the work; `settling`, which listens.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from uzel.errors import ClientClosedError, ProfileError, StorageError
from uzel.store.journal import MANY, MOST_FRESH, Fresh
from uzel.store.tables import Tables

MOST_TOGETHER = 512
"""Works that share one commit: enough to make its cost small, few enough to answer soon."""

Result = TypeVar("Result")
Work = Callable[[Tables], Result]
_Asked = tuple[Work[Any], "asyncio.Future[Any]"]
_Outcome = tuple["asyncio.Future[Any]", Any, Exception | None]
Told = Callable[[list[Fresh]], None]


class File(Protocol):
    """What is needed of `uzel.store.cipher.CipherFile`."""

    @property
    def changes(self) -> int:
        """Rows that were changed so far."""

    def transaction(self) -> AbstractContextManager[object]:
        """All of it or nothing; inside another one, a part of it that can fail alone. Raises `StorageError`."""


@dataclass(frozen=True, slots=True, eq=False)
class _Halt:
    """Somebody wants the thread to stand still: told that it does, and telling that it may go on."""

    stands: asyncio.Future[None]
    goes_on: threading.Event


class Writer:
    """See the module's text. Belongs to one event loop; `file` and `tables` are touched on its thread alone."""

    def __init__(self, file: File, tables: Tables) -> None:
        self._file = file
        self._tables = tables
        self._loop = asyncio.get_running_loop()
        self._asked: deque[_Asked] = deque()
        self._condition = threading.Condition()
        self._closing = False
        self._halt: _Halt | None = None
        self.trouble: StorageError | ProfileError | None = None
        """What the disk refused last; None once it takes something again."""
        self.on_told: Told | None = None
        """Called with what a commit told in the journal, after the commit."""
        self._told: list[Fresh] = []
        self._thread = threading.Thread(target=self._run, name="uzel-store", daemon=True)
        self._thread.start()

    def submit(self, work: Work[Result]) -> asyncio.Future[Result]:
        """Ask for a work; the future is done once it is committed. Raises `ClientClosedError` after `close`."""
        future: asyncio.Future[Result] = self._loop.create_future()
        with self._condition:
            if self._closing:
                raise ClientClosedError
            self._asked.append((work, future))
            self._condition.notify()
        return future

    async def run(self, work: Work[Result]) -> Result:
        """The same, awaited. Cancelling does not take the work back."""
        return await asyncio.shield(self.submit(work))

    @asynccontextmanager
    async def standing_still(self) -> AsyncIterator[None]:
        """Meanwhile the thread stands still, and file and tables are the caller's, who may replace them with `use`.

        One caller at a time. Raises `ClientClosedError` after `close`.
        """
        halt = _Halt(self._loop.create_future(), threading.Event())
        with self._condition:
            if self._closing:
                raise ClientClosedError
            self._halt = halt
            self._condition.notify()
        try:
            await halt.stands
            yield
        finally:
            halt.goes_on.set()

    def use(self, file: File, tables: Tables) -> None:
        """Work with these from now on. Only while the thread stands still."""
        self._file, self._tables = file, tables

    async def close(self) -> None:
        """Finish what was asked for, and end the thread. May be called twice."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        await asyncio.to_thread(self._thread.join)

    # -- On the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            if isinstance(batch, _Halt):
                self._loop.call_soon_threadsafe(_stands, batch.stands)
                batch.goes_on.wait()
                continue
            outcomes = self._do(batch)
            told, self._told = self._told, []
            self._loop.call_soon_threadsafe(self._tell, outcomes, told)

    def _next(self) -> list[_Asked] | _Halt | None:
        with self._condition:
            while not self._asked or self._halt is not None:
                if self._halt is not None:
                    halt, self._halt = self._halt, None
                    return halt
                if self._closing:
                    return None
                self._condition.wait()
            return [self._asked.popleft() for _ in range(min(len(self._asked), MOST_TOGETHER))]

    def _do(self, batch: list[_Asked]) -> list[_Outcome]:
        outcomes: list[_Outcome]
        before = self._file.changes
        self._tables.journal.take()  # what a commit told that came to nothing
        try:
            with self._file.transaction():
                if len(batch) == 1:
                    outcomes = [(future, work(self._tables), None) for work, future in batch]
                else:
                    outcomes = [self._do_one(work, future) for work, future in batch]
        except (StorageError, ProfileError) as error:
            self.trouble = error
            if len(batch) == 1:
                return [(batch[0][1], None, error)]
            outcomes = [outcome for each in batch for outcome in self._do([each])]
            refused = [fault for _, _, fault in outcomes if isinstance(fault, StorageError | ProfileError)]
            self.trouble = refused[-1] if refused else self.trouble
            return outcomes
        except Exception as error:  # noqa: BLE001 - whoever asked is told; the thread must live on
            return [(future, None, error) for _, future in batch]
        self._told += self._tables.journal.take()
        if len(self._told) > MOST_FRESH:  # of works that were tried one by one
            self._told = [MANY]
        if self._file.changes != before:  # reading is no sign of room
            self.trouble = None
        return outcomes

    def _do_one(self, work: Work[Any], future: asyncio.Future[Any]) -> _Outcome:
        mark = self._tables.journal.mark()
        try:
            with self._file.transaction():
                return (future, work(self._tables), None)
        except (StorageError, ProfileError):
            raise
        except Exception as error:  # noqa: BLE001 - whoever asked is told, and nobody else; the thread must live on
            self._tables.journal.back_to(mark)
            return (future, None, error)

    def _tell(self, outcomes: list[_Outcome], told: list[Fresh]) -> None:
        _answer(outcomes)
        if told and self.on_told is not None:
            self.on_told(told)


def _answer(outcomes: list[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
            future.exception()  # looked at: nobody may be waiting any more
        else:
            future.set_result(result)


def _stands(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
