"""The conversations of one core: begun for the client, judged at the gate, carried out against the store.

Rules: who is judged has proved its key. What a delivery asks of the tables is done in the order in which it was asked;
the answers come after the commit. One conversation lives with each peer; the newer ends the older before it begins.
Counterparts: `client.calls`, for which this is the extension; `talk`, one conversation; `outbox`, which is told.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from functools import partial

from uzel.client import ClientSettings
from uzel.client.carried import CarriedConversation, Ended
from uzel.client.login import token
from uzel.client.reasons import Reasons
from uzel.core import works
from uzel.core.carriers import CAPS, BaseCarrier, EnvelopeCarrier
from uzel.core.conversation import STORAGE, Effect, End, Keep, Knock, Settle, Take
from uzel.core.gate import Gate, judge
from uzel.core.ledger import Ledger, wall_ms
from uzel.core.outbox import Outbox
from uzel.core.talk import Talk, TalkState
from uzel.errors import DowngradedError, NotLetInError, UzelError
from uzel.identity import PeerTrust
from uzel.names import Uin
from uzel.net.runner import Runner
from uzel.session.conversation import ConversationMachine
from uzel.session.envelope_conversation import EnvelopeMachine
from uzel.session.envelopes import Hello, encode_hello
from uzel.session.unreported import Unreported
from uzel.store.records import Contact
from uzel.store.tables import Tables

ENVELOPES = "uzel/2"
NOT_LET_IN = "not_let_in"


class Talks:
    """See the module's text. `moved` is called whenever the outbox was told something."""

    def __init__(
        self,
        ledger: Ledger,
        outbox: Outbox,
        settings: ClientSettings,
        agent: str,
        moved: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._settings = settings
        self._agent = agent
        self._moved = moved
        self._loop = asyncio.get_running_loop()
        self.open: dict[Uin, Talk] = {}
        self._gates: dict[Uin, Gate] = {}
        self._downgraded: set[Uin] = set()

    # -- How they are -----------------------------------------------------------------------------------------

    def state(self, peer: Uin) -> TalkState:
        """How it is with this peer."""
        talk = self.open.get(peer)
        group = talk.tls.group if talk is not None and talk.is_open else None
        return TalkState(group, self._gates.get(peer), downgraded=peer in self._downgraded)

    def states(self) -> dict[Uin, TalkState]:
        """How it is with everybody of whom anything is known."""
        return {peer: self.state(peer) for peer in {*self.open, *self._gates, *self._downgraded}}

    def agreed(self, peer: Uin) -> None:
        """They may speak less from now on (D29)."""
        self._downgraded.discard(peer)
        self._ledger.tell()

    def forget(self, peer: Uin) -> None:
        """A contact no more: end the conversation, and forget what they said of our texts."""
        self._gates.pop(peer, None)
        self._downgraded.discard(peer)
        talk = self.open.get(peer)
        if talk is not None:
            talk.hang_up()

    # -- What the client wants: an `Extension` ------------------------------------------------------------------

    @property
    def alpn(self) -> tuple[bytes, ...]:
        """`uzel/2` is better."""
        return (ENVELOPES.encode(), b"uzel/1")

    def remembers(self, caller: Uin) -> bool:
        """Contacts are pinned at first use; a stranger is when it is let in."""
        return caller in self._ledger.people

    def begin(self, runner: Runner, peer: PeerTrust, counters: Reasons, on_ended: Ended) -> Talk:
        """A conversation stands. Raises `DowngradedError` and `NotLetInError` to end it instead."""
        assert runner.engine is not None
        speaks = runner.engine.summary.alpn == ENVELOPES
        contact = self._ledger.people.get(peer.uin)
        if contact is not None and contact.speaks_envelopes and not speaks:
            if peer.uin not in self._downgraded:  # told once, and again after a restart
                self._downgraded.add(peer.uin)
                self._change(peer.uin, lambda _: None, "downgraded")
            raise DowngradedError(f"UIN {peer.uin}")
        if peer.uin in self._ledger.blocked or (contact is not None and contact.stopped == peer.fingerprint):
            # Blocked while the call was set up; or the key was accepted, and we hear of that commit only after this.
            # What waits over there is not to fail: end it without a word, as calls are refused.
            raise NotLetInError(f"UIN {peer.uin}")
        if speaks:
            self._downgraded.discard(peer.uin)
        gate = judge(self._ledger.standing(peer.uin), self._ledger.strangers)
        if gate is Gate.REFUSED and not speaks:
            raise NotLetInError(f"UIN {peer.uin}")
        carrier = self._envelopes(peer.uin, gate) if speaks else self._base()

        def ended(_: CarriedConversation) -> None:
            self._over(talk)
            on_ended(talk)

        talk = Talk(runner, peer, carrier, self, self._ledger.settings, counters=counters, on_ended=ended)
        self.open[peer.uin] = talk
        if not speaks:
            self._gates.pop(peer.uin, None)
        self._ledger.note("talk", peer.uin, gate=str(gate), speaks="uzel/2" if speaks else "uzel/1")
        self._outbox.opened(peer.uin, self._loop.time())
        if gate is Gate.OPEN or not speaks:
            talk.delivery.judged(gate)  # else it may have an invite to show
        if gate is not Gate.OPEN:
            self._loop.call_later(self._ledger.settings.gate.stranger, self._end_stranger, talk)
        if contact is not None:
            self._met(talk)
        self._loop.call_soon(self._moved)
        self._ledger.tell()
        return talk

    def _envelopes(self, peer: Uin, gate: Gate) -> EnvelopeCarrier:
        hello = self._hello(peer, gate)
        return EnvelopeCarrier(EnvelopeMachine(hello, self._settings.keepalive, token, self._loop.time()))

    def _base(self) -> BaseCarrier:
        unreported, settings = Unreported(), self._settings
        machine = ConversationMachine(unreported, settings.keepalive, token, self._loop.time(), window=settings.window)
        return BaseCarrier(machine, unreported, settings.window)

    def _hello(self, peer: Uin, gate: Gate) -> bytes:
        contact = self._ledger.people.get(peer)
        invite = contact.invite if contact is not None else None
        return encode_hello(Hello(self._ledger.new_id(), wall_ms(), CAPS, self._agent, invite, gate))

    def now(self) -> float:
        """The loop's clock."""
        return self._loop.time()

    # -- What a talk says: its `Desk` -------------------------------------------------------------------------

    def said_hello(self, talk: Talk, hello: Hello) -> None:
        """What the peer says of our texts, and perhaps an invite of ours."""
        peer = talk.peer.uin
        contact = self._ledger.people.get(peer)
        if contact is not None:
            self._gates[peer] = hello.gate
            self._ledger.tell()
        match hello.gate:
            case Gate.OPEN:
                self._outbox.let_in(peer)
                if contact is not None and contact.invite is not None:
                    self._change(peer, lambda tables: tables.people.set_invite(peer, None), "let in")
            case Gate.ASKED if contact is not None:
                self._outbox.asked(peer)
            case Gate.REFUSED:
                patience = self._ledger.settings.gate.invite if contact is not None and contact.invite else 0.0
                self._loop.call_later(patience, self._leave_refuser, talk)
        if talk.delivery.gate is None and not talk.has_shown_invite:
            if hello.invite is None:
                self._judge_stranger(talk)
            else:
                talk.has_shown_invite = True
                self._show_invite(talk, hello.invite)

    def heard(self, talk: Talk) -> None:
        """It is not idle."""
        self._outbox.active(talk.peer.uin, self._loop.time())

    def carry_out(self, talk: Talk, effects: list[Effect]) -> None:
        """Do what its delivery asks for."""
        peer = talk.peer.uin
        for effect in effects:
            match effect:
                case Take():
                    self._do(talk, partial(works.take, chat=peer, wanted=effect, code=talk.carrier.code, now=wall_ms()),
                             talk.delivery.taken, lambda: talk.hang_up(STORAGE))  # fmt: skip
                case Keep(texts=texts):
                    work = partial(works.keep, chat=peer, fingerprint=talk.peer.fingerprint, texts=texts,
                                   make_id=self._ledger.made_id, now=wall_ms())  # fmt: skip
                    self._do(talk, work, lambda _: talk.delivery.kept(), talk.delivery.keep_failed)
                case Settle():
                    self._settle(talk, effect)
                case Knock(text=text):
                    self._knock(talk, text.text, text.id)
                case End(reason=reason):
                    talk.hang_up(reason)

    def _settle(self, talk: Talk, settled: Settle) -> None:
        peer = talk.peer.uin

        def work(tables: Tables) -> bool:
            works.settle(tables, settled, wall_ms())
            return not tables.texts.is_waiting(peer)

        self._ledger.note("settled", peer, delivered=len(settled.delivered), refused=len(settled.refused))

        def done(drained: bool) -> None:
            if drained:
                self._outbox.drained(peer)

        # What is not marked is sent again in the next conversation, and told apart by its id.
        self._do(talk, work, done, lambda: talk.hang_up(STORAGE))

    def _do(
        self,
        talk: Talk,
        work: Callable[[Tables], works.Done],
        done: Callable[[works.Done], None],
        failed: Callable[[], None],
    ) -> None:
        """Have it committed, then tell the delivery."""

        def answered(future: asyncio.Future[works.Done]) -> None:
            if future.exception() is None:
                done(future.result())
                self._ledger.tell()
            else:
                self._ledger.note("not_stored", talk.peer.uin, reason=type(future.exception()).__name__)
                failed()
            talk.update()

        self._ledger.writer.submit(work).add_done_callback(answered)

    # -- Strangers --------------------------------------------------------------------------------------------

    def _judge_stranger(self, talk: Talk) -> None:
        peer = talk.peer.uin
        gate = judge(self._ledger.standing(peer), self._ledger.strangers)
        talk.delivery.judged(gate)
        if gate is Gate.ASKED:
            self._knock(talk, "", None)
        talk.update()

    def _show_invite(self, talk: Talk, invite: bytes) -> None:
        peer, trust = talk.peer.uin, talk.peer

        def work(tables: Tables) -> Contact | None:
            contact = tables.people.get(peer)
            if contact is not None:  # an invite opens no gate that is closed to a contact
                pin = tables.pins.peer(peer) or tables.pins.pin_peer(peer, trust.fingerprint, verified=False)
                return contact if pin.fingerprint == trust.fingerprint else None  # it was added meanwhile
            if tables.people.is_blocked(peer):
                return None
            if not works.admit(tables, peer, hashlib.sha256(invite).digest(), wall_ms()):
                return None
            tables.pins.pin_peer(peer, trust.fingerprint, verified=False)
            tables.people.knocks.remove(peer)
            tables.journal.append("contact", {"uin": int(peer), "change": "invited"}, wall_ms())
            return tables.people.get(peer)

        def done(contact: Contact | None) -> None:
            if contact is None:
                self._judge_stranger(talk)
                return
            self._let_in(talk, contact)

        self._do(talk, work, done, lambda: self._judge_stranger(talk))

    def _let_in(self, talk: Talk, contact: Contact) -> None:
        peer = talk.peer.uin
        self._ledger.remember(peer, contact)
        gate = judge(self._ledger.standing(peer), self._ledger.strangers)
        talk.delivery.judged(gate)
        if gate is Gate.OPEN:
            self._met(talk)
            talk.say_gate(self._hello(peer, gate))
        talk.update()

    def _knock(self, talk: Talk, text: str, text_id: bytes | None) -> None:
        peer, limit = talk.peer, self._ledger.settings.gate.requests

        self._ledger.note("knock", peer.uin)

        def work(tables: Tables) -> None:
            now = wall_ms()
            if tables.people.get(peer.uin) is not None or tables.people.is_blocked(peer.uin):
                return  # it was let in while this was on its way, and says it again; or it is not to be heard
            if tables.people.knocks.knock(peer.uin, peer.fingerprint, now, limit=limit, text=text, text_id=text_id):
                tables.journal.append("request", {"uin": int(peer.uin)}, now)

        self._do(talk, work, lambda _: None, lambda: None)

    def _leave_refuser(self, talk: Talk) -> None:
        if talk.is_open and talk.delivery.peer_gate is Gate.REFUSED:
            talk.hang_up(NOT_LET_IN)

    def _end_stranger(self, talk: Talk) -> None:
        if talk.is_open and talk.delivery.gate is not Gate.OPEN:
            talk.hang_up(NOT_LET_IN)

    # -- Comings and goings -----------------------------------------------------------------------------------

    def _met(self, talk: Talk) -> None:
        peer, speaks = talk.peer.uin, talk.speaks_envelopes
        contact = self._ledger.people.get(peer)

        def change(tables: Tables) -> None:
            tables.people.seen(peer, wall_ms())
            if speaks and contact is not None and not contact.speaks_envelopes:
                tables.people.speaks(peer, envelopes=True)

        self._change(peer, change, "met")

    def _change(self, peer: Uin, change: Callable[[Tables], object], kind: str) -> None:
        async def do() -> None:
            await self._ledger.change_contact(peer, change, kind)

        self._ledger.spawn(do())

    def _over(self, talk: Talk) -> None:
        peer = talk.peer.uin
        self._ledger.note("talk_over", peer, reason=talk.ended_for)
        refused = talk.ended_for == NOT_LET_IN and talk.delivery.peer_gate is Gate.REFUSED
        if self.open.get(peer) is talk:
            del self.open[peer]

        def work(tables: Tables) -> bool:
            now = wall_ms()
            if refused:
                works.give_up(tables, peer, NOT_LET_IN, now)
            return works.requeue(tables, peer, now)

        def done(future: asyncio.Future[bool]) -> None:
            if future.exception() is None and not future.result():
                self._outbox.drained(peer)
            if peer not in self.open:
                self._outbox.closed(peer, self._loop.time())
            self._ledger.tell()
            self._moved()

        try:
            self._ledger.writer.submit(work).add_done_callback(done)
        except UzelError:
            return  # the core is closing: at the next start everything is queued again
