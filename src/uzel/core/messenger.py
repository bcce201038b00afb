"""The messenger: what a person keeps running, one for each profile. Faces attach to it.

It owns the key, the outbox and the history, stays online, calls whomever texts wait for, and lets in whom the person
wants. A text is accepted once it is committed; from then on it is delivered, or fails with a reason, whatever breaks in
between (promise 1). All methods belong to the event loop on which it was started. Counterparts: `outbox`, which decides
whom to call; `talks`, the conversations; `acquaintance`, the people; `uzel.faces`, which shows all this.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from types import TracebackType
from typing import Self

from uzel.client import ClientSettings, WentOffline, WentOnline
from uzel.client.base import BaseClient
from uzel.client.events import ArrivedCall
from uzel.client.node_check import NodeCheck, check_node
from uzel.client.reasons import Reasons
from uzel.core import works
from uzel.core.acquaintance import Acquaintance
from uzel.core.gate import CallRates
from uzel.core.history import ChatHistory
from uzel.core.ledger import Ledger, wall_ms
from uzel.core.outbox import EndIdle, GiveUp, Outbox, PlaceCall
from uzel.core.own import Own
from uzel.core.own_nodes import remember_nodes
from uzel.core.settings import CoreSettings
from uzel.core.settling import Settling
from uzel.core.talk import Talk, TalkState
from uzel.core.talks import Talks
from uzel.core.writer import Writer
from uzel.errors import (
    ClientClosedError,
    ConfigError,
    NotAContactError,
    NoTextError,
    PeerKeyChangedError,
    ProfileError,
    StorageError,
    TextEmptyError,
    TextStateError,
    TextTooLongError,
    UzelError,
)
from uzel.names import ContactLink, Fingerprint, NodeReference, Uin
from uzel.session.envelopes import MAX_ENVELOPE_TEXT
from uzel.session.ids import ID_LENGTH
from uzel.store.cipher import CipherFile
from uzel.store.pins import DatabasePins
from uzel.store.profile import Profile
from uzel.store.records import JournalEntry, TextRecord
from uzel.store.tables import Tables
from uzel.store.upkeep import change_passphrase

TIDY_EVERY = 600.0
"""Seconds between looks at what is kept no longer."""
TIDY_ON = 1.0
"""Seconds between two of them while there is more to do: others want the disk, too."""
CHANGE_TIME = 1.0
"""Seconds in which conversations may close in order when the nodes are changed."""
NO_NODE = "no_node"
"""Why it is offline when no node was ever named."""
PAGE = 256
"""Entries of the journal that are read at a time."""


@dataclass(frozen=True, slots=True)
class Status:
    """How it is right now. `node` is None while offline; `reason` says why then, and `problem` the same for a person,
    with what to do, both empty while nothing is wrong. `waiting` counts chats that texts wait in; `trouble` is what the
    disk or the profile refuses, None when all is well. `key_agreement` is that of the connection to the node;
    `retry_at` is when the next attempt to log in comes, in milliseconds since 1970.
    """

    uin: Uin
    fingerprint: Fingerprint
    node: NodeReference | None
    reason: str
    problem: str
    contested: bool
    conversations: int
    waiting: int
    trouble: StorageError | ProfileError | None
    key_agreement: str | None
    retry_at: int | None


class Messenger:
    """See the module's text. Use it as an async context manager. The profile stays its owner's, who closes it."""

    def __init__(
        self,
        profile: Profile,
        nodes: Sequence[NodeReference],
        settings: CoreSettings | None = None,
        client: ClientSettings | None = None,
        *,
        agent: str = "",
    ) -> None:
        """`agent`: what the program says it is, for peers; by default Uzel and its version."""
        self.profile = profile
        self._nodes = tuple(nodes)
        self._settings = settings or CoreSettings()
        self._client_settings = client or ClientSettings()
        self._agent = agent or f"uzel/{version('uzel')}"
        self._rates = CallRates(self._settings.gate)
        self._online: WentOnline | None = None
        self._offline: WentOffline | None = None
        self._retry_at: int | None = None
        self._changing = asyncio.Lock()
        self._calling: dict[Uin, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    # -- Life -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._file = CipherFile(self.profile.file.path, self.profile.file.key)
        tables = Tables(self._file.db, DatabasePins(self._file))
        self.ledger = Ledger(Writer(self._file, tables), self._settings)
        try:
            await self._start()
        except BaseException:
            await self.ledger.close()
            self._file.close()
            raise
        return self

    async def _start(self) -> None:
        self._outbox = Outbox(self._settings.outbox, random.random)
        await self.ledger.load()
        self.ledger.nodes = self._nodes
        self._talks = Talks(self.ledger, self._outbox, self._client_settings, self._agent, self._carry_out)
        self.people = Acquaintance(self.ledger, self._outbox, self._talks, self.profile, self._carry_out)
        self.history = ChatHistory(self.ledger)
        self._settling = Settling(self.ledger)
        for chat in await self.ledger.writer.run(lambda tables: works.requeue_all(tables, wall_ms())):
            self._outbox.queued(chat, self._loop.time())
        for peer in [*self.ledger.blocked, *(each.uin for each in self.ledger.people.values() if each.stopped)]:
            self._outbox.hold(peer)
        self.own = Own(self.ledger, self.profile, self._change_passphrase)
        await self._go_online()
        self._tidying = self._loop.create_task(self._tidy())

    async def _go_online(self) -> None:
        identity, pins = self.profile.identity, self.profile.pins
        self._client: BaseClient[Talk] = BaseClient(
            identity, pins, self.ledger.nodes, self._client_settings, self._talks
        )
        self._client.on_event = partial(self._heard_of, self._client)
        await self._client.__aenter__()
        self._answering = self._loop.create_task(self._answer())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, within: float | None = 2.0) -> None:
        """Go offline and let go of everything, within so many seconds or a few more. Twice is once."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._client.close(within)
        finally:
            for task in (self._answering, self._tidying):
                task.cancel()
            await asyncio.gather(self._answering, self._tidying, return_exceptions=True)
            await self.ledger.close()
            self._settling.close()  # not before: who looks once more must not find that it may wait again
            self._file.close()
            self.ledger.tell()

    # -- How it is --------------------------------------------------------------------------------------------

    @property
    def link(self) -> ContactLink:
        """One's own contact link."""
        return replace(self._client.link, name=self.ledger.name)

    @property
    def nodes(self) -> tuple[NodeReference, ...]:
        """One's own nodes, in the order in which they are preferred."""
        return self.ledger.nodes

    @property
    def roaming(self) -> bool:
        """Whether nodes that those told of are tried when all of those fail."""
        return self._client_settings.roaming

    def talk_state(self, peer: Uin) -> TalkState:
        """Whether a conversation stands with them, and whether they let us in."""
        return self._talks.state(peer)

    def talk_states(self) -> dict[Uin, TalkState]:
        """The same of everybody of whom anything is known."""
        return self._talks.states()

    @property
    def counters(self) -> Reasons:
        """What was refused, by name."""
        return self._client.counters

    async def status(self) -> Status:
        """How it is right now."""
        waiting = await self.ledger.writer.run(lambda tables: len(tables.texts.chats_waiting()))
        node = None
        if self._online is not None:
            node = next((each for each in self.nodes if each.address == self._online.node), None)
        return Status(
            self._client.uin,
            self._client.fingerprint,
            node or (NodeReference(self._online.node) if self._online is not None else None),
            self._why_offline(),
            str(self._offline.error) if self._online is None and self._offline is not None else "",
            self._offline is not None and self._offline.contested,
            len(self._talks.open),
            waiting,
            self.ledger.writer.trouble,
            self._client.key_agreement,
            self._retry_at if self._online is None else None,
        )

    def _why_offline(self) -> str:
        if self._online is not None or self._offline is None:
            return "" if self.ledger.nodes else NO_NODE
        return self._offline.reason

    async def use_nodes(self, nodes: Sequence[NodeReference], *, roaming: bool | None = None) -> None:
        """Use these nodes from now on, and remember them (`remember_nodes`); `roaming` as it was, unless it is named.

        Conversations end, and begin anew where texts wait. Raises `ConfigError` when none is named, `StorageError`.
        """
        if not nodes:
            raise ConfigError("name at least one node")
        async with self._changing:
            roams = self.roaming if roaming is None else roaming
            used = await self.ledger.writer.run(lambda tables: remember_nodes(tables, nodes, wall_ms(), roaming=roams))
            self.ledger.nodes = used
            self._client_settings = replace(self._client_settings, roaming=roams)
            self._answering.cancel()
            await self._client.close(CHANGE_TIME)
            await asyncio.gather(self._answering, return_exceptions=True)
            self._online, self._offline, self._retry_at = None, None, None
            self._outbox.offline()
            if not self._closed:
                await self._go_online()
        self.ledger.tell()

    async def _change_passphrase(self, new: str | None) -> None:
        """The file is encrypted anew on this thread, which uses it, too: nothing else goes on meanwhile."""
        async with self._changing, self.ledger.writer.standing_still():
            self._file.close()
            try:
                change_passphrase(self.profile, new)
            finally:
                self._file.reopen(self.profile.file.key)
                self.ledger.writer.use(self._file, Tables(self._file.db, DatabasePins(self._file)))

    async def wait_online(self, timeout: float | None = None) -> WentOnline:
        """As `Client.wait_online`."""
        return await self._client.wait_online(timeout)

    def retry_now(self) -> None:
        """Do not wait for the next attempt to log in."""
        self._client.retry_now()

    async def check_nodes(self, reference: NodeReference | None = None) -> list[NodeCheck]:
        """Look how a node is, or each of one's own, without disturbing the login."""
        nodes = self.nodes if reference is None else (reference,)
        return list(await asyncio.gather(*(check_node(each, self.profile.pins.node(each.address)) for each in nodes)))

    # -- Texts ------------------------------------------------------------------------------------------------

    async def send(self, to: Uin, text: str, reply: bytes | None = None) -> TextRecord:
        """Put a text into the outbox; it is on disk when this returns, and delivered as soon as that can be.

        Raises `NotAContactError`, `StorageError` and as `check_text`; `UnicodeEncodeError` for text that UTF-8 cannot
        carry.
        """
        if to not in self.ledger.people:
            raise NotAContactError(f"UIN {to}")
        if reply is not None and len(reply) != ID_LENGTH:
            raise ValueError("a reply names a text by its id, of 16 bytes")
        check_text(text)
        text_id = self.ledger.new_id()
        asked = self.ledger.writer.submit(lambda tables: works.queue(tables, to, text_id, text, reply, wall_ms()))

        def committed(asked: asyncio.Future[TextRecord]) -> None:
            if asked.exception() is None:
                self._wanted(to)

        asked.add_done_callback(committed)  # whether or not anybody still waits for it
        self._take_up(to)  # asked for right behind it, so that one commit does for both
        return await asyncio.shield(asked)

    async def answer(self, number: int, texts: Sequence[str]) -> list[TextRecord]:
        """Queue answers to a received text and mark it as handled, all of it or nothing: however often this is asked
        for, whatever breaks in between, it is answered once. Without texts it is only marked.

        Raises `NoTextError`, `TextStateError` when it was handled before, `NotAContactError`, `TextTooLongError`,
        `StorageError`, `UnicodeEncodeError`.
        """
        for text in texts:
            check_text(text)
        before = await self.history.text(number)
        if before is None:
            raise NoTextError(str(number))
        if texts and before.chat not in self.ledger.people:
            raise NotAContactError(f"UIN {before.chat}")
        given = [(self.ledger.new_id(), text) for text in texts]
        records = await self.ledger.writer.run(lambda tables: works.answer(tables, number, given, wall_ms()))
        if records is None:
            raise TextStateError("it was handled before")
        if records:
            self._wanted(before.chat)
            self._take_up(before.chat)
        return records

    async def cancel(self, number: int) -> bool:
        """Take a text back. False when it is on its way already, or over."""
        done = await self.ledger.writer.run(lambda tables: works.cancel(tables, number, wall_ms()))
        self.ledger.tell()
        return done

    async def retry(self, number: int) -> TextRecord | None:
        """Try again what failed or was cancelled; it has a new number then. None when it did neither.

        Raises `NotAContactError`, `StorageError`.
        """
        record = await self.ledger.writer.run(lambda tables: works.retry(tables, number, wall_ms()))
        if record is not None:
            self._wanted(record.chat)
            self._take_up(record.chat)
        return record

    async def wait_settled(self, number: int, timeout: float | None = None) -> TextRecord | None:
        """Wait until a text of ours is delivered, failed, cancelled or gone; what it is now, also when time is up."""
        return await self._settling.wait(number, timeout)

    async def follow(self, after: int) -> AsyncGenerator[JournalEntry | None, None]:
        """What happens, from the entry behind `after` on, for ever; None when some was missed, being long ago.

        Ends when the messenger closes.
        """
        while not self._closed:
            upcoming = self.ledger.upcoming()
            try:
                entries, missed = await self.ledger.writer.run(partial(works.since, after=after, limit=PAGE))
            except ClientClosedError:
                return
            if missed:
                yield None
            for entry in entries:
                after = entry.number
                yield entry
            if not entries:
                if missed:
                    after = await self.ledger.writer.run(lambda tables: tables.journal.last())
                    continue
                await upcoming.wait()

    def _wanted(self, to: Uin) -> None:
        """A text waits for this peer."""
        self.ledger.tell()
        self._outbox.queued(to, self._loop.time())
        self._carry_out()

    def _take_up(self, to: Uin) -> None:
        """Where there is a conversation it takes what was just asked to be queued, or finds nothing."""
        talk = self._talks.open.get(to)
        if talk is not None:
            talk.delivery.queued()
            talk.update()

    # -- Calls ------------------------------------------------------------------------------------------------

    def _carry_out(self) -> None:
        """Do what the outbox asks for, and see when to look again."""
        if self._closed:
            return
        for effect in self._outbox.take_effects():
            match effect:
                case PlaceCall(peer=peer):
                    self._calling[peer] = task = self.ledger.spawn(self._call(peer))
                    task.add_done_callback(partial(self._called, peer))
                case GiveUp(peer=peer) if (calling := self._calling.get(peer)) is not None:
                    calling.cancel()
                case EndIdle(peer=peer) if (talk := self._talks.open.get(peer)) is not None:
                    if talk.delivery.is_quiet:
                        talk.hang_up()
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._outbox.deadline()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._due)

    def _due(self) -> None:
        self._outbox.on_timeout(self._loop.time())
        self._carry_out()

    def _called(self, peer: Uin, task: asyncio.Task[None]) -> None:
        if self._calling.get(peer) is task:
            del self._calling[peer]

    async def _call(self, peer: Uin) -> None:
        try:
            await self._client.call(peer)  # the pinned key is what counts; a link would mark it as compared
        except PeerKeyChangedError as error:
            self.ledger.note("call_failed", peer, reason=error.reason)
            self._outbox.call_failed(peer, self._loop.time())
            await self.people.key_changed(peer, error)
        except UzelError as error:
            self.ledger.note("call_failed", peer, reason=error.reason)
            self._outbox.call_failed(peer, self._loop.time())
        finally:
            self._carry_out()

    async def _answer(self) -> None:
        async for call in self._client.calls():
            contact = call.uin in self.ledger.people
            if call.uin in self.ledger.blocked or not self._rates.allows(call.uin, self._loop.time(), contact=contact):
                self.ledger.note("call_refused", call.uin)
                call.refuse()
            else:
                self.ledger.spawn(self._accept(call))

    async def _accept(self, call: ArrivedCall[Talk]) -> None:
        try:
            await call.accept()
        except PeerKeyChangedError as error:
            self.ledger.note("call_failed", call.uin, reason=error.reason)
            await self.people.key_changed(call.uin, error)
        except UzelError as error:
            self.ledger.note("call_failed", call.uin, reason=error.reason)  # counted where it happened

    def _heard_of(self, client: BaseClient[Talk], event: WentOnline | WentOffline) -> None:
        if client is self._client:  # else the nodes were changed meanwhile
            self._on_event(event)

    def _on_event(self, event: WentOnline | WentOffline) -> None:
        if isinstance(event, WentOnline):
            self._online, self._offline, self._retry_at = event, None, None
            self.ledger.note("online")
            self.ledger.spawn(self._greet())
        else:
            self._online, self._offline = None, event
            self._retry_at = wall_ms() + round(1000 * event.retry_in)
            self.ledger.note("offline", reason=event.error.reason, retry_in=round(event.retry_in, 1))
            self._outbox.offline()
        self.ledger.tell()

    async def _greet(self) -> None:
        most = self._settings.outbox.greeted
        try:
            chats = await self.ledger.writer.run(lambda tables: tables.texts.chats(most))
        except StorageError:
            chats = []  # nobody is greeted this time; whom texts wait for is known already
        recent = [chat.uin for chat in chats if chat.last is not None and chat.uin in self.ledger.people]
        # who was let in and not met since may still believe that they are not
        never_met = [contact.uin for contact in self.ledger.people.values() if contact.last_seen is None]
        recent += [peer for peer in never_met if peer not in recent]
        if self._online is not None:
            self._outbox.online(recent, self._loop.time())
            self._carry_out()

    async def _tidy(self) -> None:
        while True:
            more = False
            with suppress(StorageError, ProfileError):  # another time, then
                more = await self.ledger.writer.run(lambda tables: works.tidy(tables, wall_ms()))
            await asyncio.sleep(TIDY_ON if more else TIDY_EVERY)


def check_text(text: str) -> None:
    """Raises `TextEmptyError`, `TextTooLongError`, `UnicodeEncodeError` for what cannot be one text."""
    if not text:
        raise TextEmptyError
    if len(text.encode("utf-8")) > MAX_ENVELOPE_TEXT:
        raise TextTooLongError(f"at most {MAX_ENVELOPE_TEXT} bytes of UTF-8")
