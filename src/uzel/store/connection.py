"""What the tables of a profile use of a database's connection: the library that gives it has no types.

It is in autocommit mode and its owner opens transactions; the tables only ever run inside one. What the disk refuses
comes out as the library's own exception, for the owner of the transaction to name and to roll back. Counterpart: the
profile, which opens the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol


class Cursor(Protocol):
    """The rows of one statement, and what it did."""

    @property
    def lastrowid(self) -> int: ...
    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...
    def close(self) -> None: ...


class Connection(Protocol):
    """An open database with `MESSAGE_TABLES` in it and foreign keys checked. For use from one thread at a time."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor: ...
    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor: ...
