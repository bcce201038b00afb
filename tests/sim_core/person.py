"""A person with a core: a disk that stays, and a process that lives, dies at any moment, and lives again.

Everything that decides is the product's: the messenger, its outbox, talks, deliveries, carriers, machines and tables.
Only what touches the world is not: the file and its thread (`disk`), the node (`exchange`), chance and ids. Ids are
small and alike on purpose, so that two people give their texts the same ones. `tap` sees what goes out.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from sim.story import Violation
from sim_core.disk import Disk, SimWriter
from sim_core.exchange import Exchange, SimCalls, fingerprint_of
from sim_core.loop import SimLoop
from uzel.client.base import BaseClient
from uzel.client.events import WentOffline, WentOnline
from uzel.client.settings import ClientSettings
from uzel.core import works
from uzel.core.acquaintance import Acquaintance
from uzel.core.conversation import Effect, Keep, Knock, Outgoing, Settle, Take
from uzel.core.history import ChatHistory
from uzel.core.ledger import Ledger, wall_ms
from uzel.core.messenger import Messenger
from uzel.core.outbox import Outbox
from uzel.core.settings import CoreSettings, DeliveryBounds
from uzel.core.talk import Talk
from uzel.core.talks import Talks
from uzel.errors import (
    DowngradedError,
    NoRequestError,
    NotAContactError,
    PeerKeyChangedError,
    StorageError,
    UnavailableError,
    UzelError,
)
from uzel.identity import PeerTrust
from uzel.names import ContactLink, NodeAddress, Uin
from uzel.net.runner import Runner
from uzel.session.envelope_conversation import EnvelopeMachine
from uzel.store.profile import Profile
from uzel.store.records import Invite, TextState

if TYPE_CHECKING:
    from sim_core.checks import Checks

NODE = NodeAddress("node.example", 8935)


@dataclass(eq=False)
class Manners:
    """How a person's machine is. `slowest`: seconds of a commit; `window`: bytes in flight."""

    slowest: float
    window: int
    bounds: DeliveryBounds


class SimLedger(Ledger):
    """Ids by a clock that jumps, and without chance: the same small ones for everybody."""

    person: Person
    chance: random.Random

    def new_id(self) -> bytes:
        return self._ids.next(self.person.clock, bytes(10))

    def made_id(self) -> bytes:  # type: ignore[override]  # it is only ever asked of an instance
        return self.chance.randbytes(16)


class SimTalks(Talks):
    """The product's talks, listened to. Faults are planted in subclasses."""

    life: Life

    def begin(self, runner: Runner, peer: PeerTrust, *arguments: Any) -> Talk:
        person = self.life.person
        try:
            talk = super().begin(runner, peer, *arguments)
        except DowngradedError:
            self.life.tell("is told that", peer.uin, "speaks less than before, and agrees")
            self._ledger.spawn(self.life.agree(peer.uin))
            raise
        if isinstance(machine := talk.carrier.machine, EnvelopeMachine):
            machine._window = person.manners.window
        _tap(talk, person)
        self.life.tell("begins with", talk.peer.uin, f"as {talk.carrier.code:x}, gate {talk.delivery.gate}")
        return talk

    def carry_out(self, talk: Talk, effects: list[Effect]) -> None:
        for effect in effects:
            self.life.tell(*_words(effect), "of", talk.peer.uin)
        super().carry_out(talk, effects)

    def _over(self, talk: Talk) -> None:
        self.life.tell("ends with", talk.peer.uin, talk.end_reason or talk.ended_for or "a plain end")
        super()._over(talk)


def _tap(talk: Talk, person: Person) -> None:
    send, report, code, peer = talk.carrier.send, talk.carrier.report, talk.carrier.code, talk.peer

    def sends(text: Outgoing) -> None:
        if person.life is not None and not person.life.dead and talk.is_open:
            person.life.tell("sends", text.number, f"as {code:x} to", peer.uin)
            person.checks.sends(person, peer.uin, text, code)
        send(text)

    def reports(key: Any) -> None:
        if person.life is not None and not person.life.dead and talk.is_open:
            person.life.tell("reports to", peer.uin)
            person.checks.reports(person, peer, key)
        report(key)

    talk.carrier.send, talk.carrier.report = sends, reports  # type: ignore[method-assign]


def _words(effect: Effect) -> tuple[object, ...]:
    match effect:
        case Take():
            return ("takes up to", effect.most, "behind", effect.after)
        case Keep():
            return ("keeps", [text.text[:12] for text in effect.texts])
        case Settle():
            return ("settles", effect.delivered, effect.refused)
        case Knock():
            return ("hears a knock",)
        case _:
            return ("hangs up", effect.reason)


@dataclass(eq=False)
class Person:
    """What outlives the process. `envelopes`: its next life speaks `uzel/2`."""

    name: str
    uin: Uin
    loop: SimLoop
    checks: Checks
    exchange: Exchange
    manners: Manners
    talks: type[SimTalks] = SimTalks
    envelopes: bool = True
    disk: Disk = field(default_factory=Disk)
    key: int = 0
    """Which of its keys its next life has."""
    life: Life | None = None
    said: int = 0
    clock: int = 1
    """What its machine takes for the time; it may jump at any moment."""

    def add_contact(self, uin: Uin, invite: bytes | None = None) -> None:
        """Known from before the story, perhaps with an invite that lets us in."""
        with self.disk.transaction():
            if not self.disk.tables.people.add(uin, 0, invite=invite) and invite:
                self.disk.tables.people.set_invite(uin, invite)

    def make_invite(self, chance: random.Random) -> bytes:
        """Made before the story, too."""
        invite = chance.randbytes(16)
        with self.disk.transaction():
            uses = chance.choice((None, 1))
            self.disk.tables.people.invites.add(
                Invite(hashlib.sha256(invite).digest(), "", 0, None, uses, revoked=False)
            )
        return invite

    async def wake(self) -> None:
        """Start the program, again and again while the disk is full."""
        if self.life is not None:
            return
        while True:
            life = self.life = Life(self)
            try:
                await life.wake()
            except StorageError:
                life.die()
                await asyncio.sleep(1.0)
            else:
                return
            if self.life is not life:
                return

    def crash(self) -> None:
        """Kill it."""
        if self.life is not None:
            self.life.tell("crashes")
            self.life.die()
            self.life = None

    async def say(self, to: Uin, text: str) -> None:
        """Send a text; what was accepted is on the record."""
        life = self.awake
        if life is None or to not in life.ledger.people:
            return
        try:
            record = await life.send(to, text)
        except UzelError as error:
            life.tell("cannot say", text[:12], "to", to, type(error).__name__)
        else:
            self.checks.accepted(self, record)
            life.tell("said", record.number, text[:12], "to", to)

    async def take_back(self, chance: random.Random) -> None:
        """Cancel some text that waits, or try again one that does not."""
        life = self.awake
        if life is None:
            return
        texts = [text for text in self.texts() if text.state is not TextState.DELIVERED][-6:]
        if not texts:
            return
        text = chance.choice(texts)
        try:
            if text.state in {TextState.CANCELLED, TextState.FAILED}:
                if text.sent_as:
                    self.checks.again.add((self.uin, text.id))
                again = await life.retry(text.number)
                life.tell("tries again", text.number, "as", again and again.number)
            else:
                life.tell("cancels", text.number, await life.cancel(text.number))
        except (NotAContactError, StorageError):
            return

    async def befriend(self, peer: Uin, *, by_link: bool) -> None:
        """Let somebody in, who knocked or not."""
        life = self.awake
        if life is None or peer in life.ledger.people:
            return
        try:
            if by_link:
                await life.people.add(ContactLink(peer))
            else:
                await life.people.accept(peer)
        except (NoRequestError, StorageError):
            return
        life.tell("lets in", peer)

    async def block(self, peer: Uin, *, blocked: bool) -> None:
        """Hear nothing of somebody, or hear them again."""
        life = self.awake
        if life is None or (peer in life.ledger.blocked) is blocked:
            return
        with suppress(StorageError):
            await (life.people.block(peer) if blocked else life.people.unblock(peer))
            life.tell("blocks" if blocked else "unblocks", peer)

    async def accept_keys(self) -> None:
        """Accept what contacts show who showed another key."""
        life = self.awake
        if life is None:
            return
        for contact in list(life.ledger.people.values()):
            if contact.stopped is not None:
                with suppress(NotAContactError, PeerKeyChangedError, StorageError):
                    await life.people.accept_key(contact.uin, contact.stopped)
                    life.tell("accepts the key of", contact.uin)

    async def remove(self, peer: Uin) -> None:
        """Let a contact go, and what waits for them."""
        life = self.awake
        if life is None or peer not in life.ledger.people:
            return
        with suppress(NotAContactError, StorageError):
            await life.people.remove(peer)
            life.tell("removes", peer)

    @property
    def awake(self) -> Life | None:
        """The running program, once it is up."""
        return self.life if self.life is not None and self.life.up else None

    def texts(self) -> list[Any]:
        """The own texts, as committed."""
        rows = self.disk.tables.texts._records("SELECT * FROM text_records WHERE outgoing = 1 ORDER BY number", ())
        return list(rows)


class Life(Messenger):
    """One process. What `Messenger.__aenter__` does with files and sockets is done here without."""

    def __init__(self, person: Person) -> None:
        core = replace(CoreSettings(), delivery=person.manners.bounds)
        self.fingerprint = fingerprint_of(person.uin, person.key)
        profile = SimpleNamespace(
            pins=person.disk.pins, identity=SimpleNamespace(uin=person.uin, fingerprint=self.fingerprint)
        )
        super().__init__(cast("Profile", profile), (), core, ClientSettings())
        self.person = person
        self.up = self.dead = False
        self._loop = person.loop
        self._chance = person.exchange.chance
        self.writer = SimWriter(person.disk, self._chance, person.manners.slowest)
        self._calls: SimCalls[Talk] | None = None
        self._running: list[asyncio.Task[None]] = []

    async def wake(self) -> None:
        self.ledger = ledger = SimLedger(self.writer, self._settings)
        ledger.chance, ledger.person = self._chance, self.person
        self._outbox = Outbox(self._settings.outbox, self._chance.random)
        await ledger.load()
        talks = self._talks = self.person.talks(ledger, self._outbox, self._client_settings, "", self._carry_out)
        talks.life = self
        self.people = Acquaintance(ledger, self._outbox, talks, self.profile, self._carry_out)
        self.history = ChatHistory(ledger)
        for chat in await ledger.writer.run(lambda tables: works.requeue_all(tables, wall_ms())):
            self._outbox.queued(chat, self._loop.time())
        self._calls = SimCalls(self.person.exchange, self.person.uin, talks, self._client_settings, self.tell)
        self._calls.fingerprint = self.fingerprint
        self._calls.pins = self._calls._pins = self.person.disk.pins
        if not self.person.envelopes:
            self._calls.alpn = (b"uzel/1",)
        self._client = cast("BaseClient[Talk]", _Client(self._calls))
        self._answering = self._loop.create_task(self._answer())
        self._tidying = self._loop.create_task(self._tidy())
        self._tidying.add_done_callback(self._ended_too_soon)
        self.up = True
        self.tell("is up")
        self.go_online()

    async def agree(self, peer: Uin) -> None:
        with suppress(NotAContactError, StorageError):
            await self.people.agree(peer)

    def go_online(self) -> None:
        if self.up and not self.dead and self._calls is not None:
            self.person.exchange.online[self.person.uin] = self._calls
            self.tell("is online")
            self._on_event(WentOnline(NODE, self.person.uin))

    def go_offline(self) -> None:
        if self.up and not self.dead:
            self.person.exchange.online.pop(self.person.uin, None)
            self.tell("is offline")
            self._on_event(WentOffline("", 1.0, contested=False, error=UnavailableError()))

    def die(self) -> None:
        """Gone, without a word."""
        self.dead = self._closed = True
        self.writer.die()
        if self._calls is not None:
            self._calls.die()
        if self._timer is not None:
            self._timer.cancel()
        for task in [*self.ledger._tasks, *([self._answering, self._tidying] if self.up else [])]:
            task.cancel()

    def tell(self, *what: object) -> None:
        """Into the story."""
        if not self.dead:
            self.person.checks.story.tell(self._loop.time(), self.person.name, *what)

    def is_quiet(self) -> bool:
        """Nothing is on its way, being called or set up."""
        assert self._calls is not None
        quiet = all(talk.delivery.is_quiet for talk in self._talks.open.values())
        return quiet and not self._calls.set_ups and not self._outbox._calling

    def _ended_too_soon(self, task: asyncio.Task[None]) -> None:
        if not self.dead and not task.cancelled():
            self.person.loop.fail(Violation(f"{self.person.name} never tidies again: {task.exception()!r}"))


class _Client:
    """What the messenger needs of its client."""

    def __init__(self, calls: SimCalls[Talk]) -> None:
        self.call = calls.place
        self.calls = calls.calls
