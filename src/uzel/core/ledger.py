"""What the parts of one core share: the writer, the clocks, the ids, the people in memory, and who waits for news.

Rules: what is in memory here was committed before. The wall clock only stamps; whatever waits goes by the loop's own,
which never jumps. Counterparts: `messenger`, `talks` and `acquaintance`, which use it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated

import msgspec

from uzel.core.gate import Standing, Strangers
from uzel.core.settings import CoreSettings
from uzel.core.writer import Writer
from uzel.errors import ClientClosedError, ProfileError, StorageError
from uzel.names import MAX_CONTACT_NAME, NodeReference, Uin
from uzel.node.log import NodeLog
from uzel.session.ids import ID_RANDOM, EnvelopeIds
from uzel.store.options import Option
from uzel.store.records import Contact
from uzel.store.tables import Tables

NAME: Option[str] = Option("name", Annotated[str, msgspec.Meta(max_length=MAX_CONTACT_NAME)], "")
"""What one calls oneself in one's own links."""
STRANGERS: Option[Strangers] = Option("strangers", Strangers, Strangers.ASK)
"""What becomes of people who are no contacts."""


def wall_ms() -> int:
    """Milliseconds since 1970, UTC, by the machine's clock, whatever that says."""
    return max(0, time.time_ns() // 1_000_000)


class Ledger:
    """See the module's text."""

    def __init__(self, writer: Writer, settings: CoreSettings) -> None:
        self.writer = writer
        self.settings = settings
        self.people: dict[Uin, Contact] = {}
        self.blocked: set[Uin] = set()
        self.strangers = Strangers.ASK
        self.nodes: tuple[NodeReference, ...] = ()
        """One's own, in the order in which they are preferred."""
        self.name = ""
        """What one calls oneself in one's own links; empty for nothing."""
        self.log = NodeLog("uzel.core")
        self._ids = EnvelopeIds()
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    async def load(self) -> None:
        """Read what is kept in memory. Raises `StorageError`."""

        def work(tables: Tables) -> tuple[Sequence[Contact], Sequence[Uin], Strangers, str, bytes | None]:
            people, options = tables.people, tables.options
            return people.all(), people.blocked(), options.get(STRANGERS), options.get(NAME), tables.texts.last_id()

        contacts, blocked, self.strangers, self.name, last = await self.writer.run(work)
        self.people = {contact.uin: contact for contact in contacts}
        self.blocked = set(blocked)
        self._ids = EnvelopeIds(last)

    def new_id(self) -> bytes:
        """The id of the next envelope."""
        return self._ids.next(wall_ms(), secrets.token_bytes(ID_RANDOM))

    @staticmethod
    def made_id() -> bytes:
        """An id for what came without one."""
        return secrets.token_bytes(16)

    def standing(self, peer: Uin) -> Standing:
        """What is known of this peer."""
        contact = self.people.get(peer)
        stopped = contact is not None and contact.stopped is not None
        return Standing(contact=contact is not None, blocked=peer in self.blocked, stopped=stopped)

    async def change_contact(self, peer: Uin, change: Callable[[Tables], object], kind: str) -> Contact | None:
        """Change something of a contact and tell of it; what it is now. Raises what the change raises."""

        def work(tables: Tables) -> Contact | None:
            change(tables)
            tables.journal.append("contact", {"uin": int(peer), "change": kind}, wall_ms())
            return tables.people.get(peer)

        contact = await self.writer.run(work)
        self.remember(peer, contact)
        return contact

    def remember(self, peer: Uin, contact: Contact | None) -> None:
        """What was committed of this contact."""
        if contact is None:
            self.people.pop(peer, None)
        else:
            self.people[peer] = contact
        self.tell()

    def note(self, event: str, peer: Uin | None = None, *, reason: str = "", **fields: object) -> None:
        """One line of the log: never content, a UIN only as its keyed hash of the day."""
        named = {} if peer is None else {"peer": self.log.hidden(int(peer))}
        told = {"reason": str(reason)} if reason else {}
        self.log.event(event, None, {**named, **told, **fields})

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Let this run beside the rest; `close` waits for it. What the disk refuses is `Writer.trouble`."""

        async def do() -> None:
            try:
                await work
            except (StorageError, ProfileError, ClientClosedError):
                return

        task = asyncio.get_running_loop().create_task(do())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # it never began, if the task was cancelled at once
        return task

    async def close(self) -> None:
        """Finish what runs, then what the writer was asked for."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.writer.close()

    # -- News -------------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Something is new in the journal."""
        self._news.set()
        self._news = asyncio.Event()

    def upcoming(self) -> asyncio.Event:
        """Set at the next news. Take it before looking, and wait for it after: so none is missed in between."""
        return self._news
