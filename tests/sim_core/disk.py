"""A disk and the thread that writes to it, without thread or file: the product's tables in a database in memory.

Whatever the database holds is committed, and outlives every crash. Works wait, share a commit that takes its time, and
their answers take theirs; a crash in between loses what was not committed, and an answer may be lost for what was. A
full disk takes nothing. Counterpart: `uzel.core.writer`, whose works these are.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from sqlcipher3 import dbapi2

from sim_core.loop import TICK
from uzel.core.writer import MOST_TOGETHER, Result, Work, Writer, _answer, _Asked, _Outcome
from uzel.errors import StorageError
from uzel.store.connection import Connection
from uzel.store.messages_schema import MESSAGE_TABLES
from uzel.store.pins import DatabasePins
from uzel.store.schema import PROFILE_TABLES
from uzel.store.search import Search
from uzel.store.tables import Tables

if TYPE_CHECKING:
    from uzel.store.cipher import CipherFile


class Disk:
    """What outlives crashes."""

    def __init__(self) -> None:
        self.db: Any = dbapi2.connect(":memory:", isolation_level=None)
        _empty().backup(self.db)
        self.db.execute("PRAGMA foreign_keys = ON")
        self.pins = DatabasePins(cast("CipherFile", self))
        self.tables = Tables(self.db, self.pins)
        self.tables.texts._search = _NoSearch(self.db)
        self.is_full = False

    @property
    def changes(self) -> int:
        """As `CipherFile.changes`."""
        return int(self.db.total_changes)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """As `CipherFile.errors`; reading always works."""
        yield

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """As `CipherFile.transaction`."""
        outer = not self.db.in_transaction
        self.db.execute("BEGIN IMMEDIATE" if outer else "SAVEPOINT part")
        try:
            yield self.db
            if outer and self.is_full:
                raise StorageError("the disk is full")  # noqa: TRY301 - undone as anything else
        except BaseException:
            self.db.execute("ROLLBACK" if outer else "ROLLBACK TO part")
            if not outer:
                self.db.execute("RELEASE part")
            raise
        self.db.execute("COMMIT" if outer else "RELEASE part")


class SimWriter(Writer):
    """The writer of one life. `slowest`: seconds that a commit takes at most, and an answer again."""

    def __init__(self, disk: Disk, chance: random.Random, slowest: float) -> None:
        self._file = disk
        self._tables = disk.tables
        self._loop = asyncio.get_running_loop()
        self._asked: deque[_Asked] = deque()
        self._chance = chance
        self._slowest = slowest
        self._busy = self._dead = False
        self.trouble = None
        self._told = []
        self._answered_at = 0.0

    def submit(self, work: Work[Result]) -> asyncio.Future[Result]:
        future: asyncio.Future[Result] = self._loop.create_future()
        if not self._dead:
            self._asked.append((work, future))
            self._begin()
        return future

    def die(self) -> None:
        """The process is gone: what was not committed never will be, and nobody is answered."""
        self._dead = True

    def _begin(self) -> None:
        if self._asked and not self._busy:
            self._busy = True
            batch = [self._asked.popleft() for _ in range(min(len(self._asked), MOST_TOGETHER))]
            self._loop.call_later(self._chance.random() * self._slowest + TICK, self._commit, batch)

    def _commit(self, batch: list[_Asked]) -> None:
        if self._dead:
            return
        outcomes = self._do(batch)
        self._told.clear()  # nobody waits for a text here
        now = self._loop.time()
        self._answered_at = max(self._answered_at + TICK, now + self._chance.random() * self._slowest)
        self._loop.call_at(self._answered_at, self._answer, outcomes)
        self._busy = False
        self._begin()

    def _answer(self, outcomes: list[_Outcome]) -> None:
        if not self._dead:
            _answer(outcomes)


class _NoSearch(Search):
    """Nobody searches here, and words take time."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)

    def add(self, number: int, chat: int, text: str) -> None:
        """Not indexed."""

    def remove(self, numbers: object) -> None:
        """It was not there."""


@cache
def _empty() -> Any:
    """An empty profile's tables, made once."""
    db = dbapi2.connect(":memory:", isolation_level=None)
    db.executescript(PROFILE_TABLES + MESSAGE_TABLES)
    return db
