"""All tables of a profile that the core works with, over one connection.

Rule: everything runs inside the caller's transaction. Counterpart: `uzel.core.writer`, whose thread has the connection.
"""

from __future__ import annotations

from uzel.identity import MemoryPins, Pins
from uzel.store.connection import Connection
from uzel.store.journal import Journal
from uzel.store.options import Options
from uzel.store.people import People
from uzel.store.search import Search
from uzel.store.texts import Texts


class Tables:
    """Texts, their words, people, the journal, the options, and the pins, which must be of the same connection."""

    def __init__(self, connection: Connection, pins: Pins | None = None) -> None:
        self.pins = MemoryPins() if pins is None else pins
        self.search = Search(connection)
        self.texts = Texts(connection, self.search)
        self.people = People(connection)
        self.journal = Journal(connection)
        self.options = Options(connection)
