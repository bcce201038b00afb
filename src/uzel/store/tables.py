"""All tables of a profile that the core works with, over one connection.

Rule: everything runs inside the caller's transaction. Counterpart: `uzel.core.writer`, whose thread has the connection.
"""

from __future__ import annotations

from uzel.store.connection import Connection
from uzel.store.journal import Journal
from uzel.store.options import Options
from uzel.store.people import People
from uzel.store.search import Search
from uzel.store.texts import Texts


class Tables:
    """Texts, their words, people, the journal and the options."""

    def __init__(self, connection: Connection) -> None:
        self.search = Search(connection)
        self.texts = Texts(connection, self.search)
        self.people = People(connection)
        self.journal = Journal(connection)
        self.options = Options(connection)
