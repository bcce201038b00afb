"""The calls and conversations of one client: at most one with each peer.

Carries out what the control connection's machine reports (`session.control`): opens data connections, completes
their handshakes, and hands the conversation to whoever waits for it, be it the program that called or the one that
accepted. Rules: D13 (a peer that calls while we talk), D14 (glare), D27 (unreported texts go first).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Generic

from uzel.client.carried import Carried, CarriedConversation, Extension
from uzel.client.data_connection import DataConnection
from uzel.client.events import ArrivedCall
from uzel.client.login import Login, reason_of
from uzel.client.reasons import Reasons
from uzel.client.settings import ClientSettings
from uzel.errors import (
    ClientClosedError,
    ConversationEndedError,
    LoginLostError,
    NetworkError,
    NotTrustedError,
    PeerKeyChangedError,
    UnavailableError,
    UzelError,
)
from uzel.identity import Identity, PeerTrust, Pins
from uzel.names import ContactLink, Fingerprint, Uin
from uzel.session.control import CallAnswered, CallArrived, CallFailed, CallReady, PeerEvent, Step
from uzel.session.machine import Event
from uzel.tls import Side, make_context

MOST_CHECKS = 2
"""New keys that are checked at the same time, as at a node (section 7)."""
AFTER_FAILURE = 0.2
"""Seconds in which a node whose data port cannot be reached shows whether it is there at all."""
LAPSE = 20.0
"""Seconds in which a node may still hold a call that was given up: 15 s for our data connection, and some for the way.
The protocol has no cancel (D15), and the node takes no new 03 for that peer until then."""


class UnprovenError(Exception):
    """Whoever answered did not prove to be the one who was called, because of `error`: worth another call (D20)."""

    def __init__(self, error: UzelError) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True, eq=False)
class Ringing:
    """A call that waits for an answer of ours, which goes to this login."""

    login: Login


@dataclass(eq=False)
class SetUp(Generic[Carried]):
    """A call that is being set up, and who waits for its conversation.

    `after_lapse`: an earlier call to this peer was given up, so that the first 05 may be that one's. `ready`: 07 came.
    `unproven`: it failed because whoever answered did not prove who they are, or did not complete the handshake.
    """

    login: Login
    conversation: asyncio.Future[Carried]
    link_fingerprint: Fingerprint | None = None
    waiting: int = 0
    taken: bool = False
    opening: asyncio.Task[None] | None = None
    after_lapse: bool = False
    ready: bool = False
    unproven: bool = False


class Calls(Generic[Carried]):
    """See the module's text. `arrived` takes an incoming call, or says that there is no room for it."""

    def __init__(
        self,
        identity: Identity,
        pins: Pins,
        settings: ClientSettings,
        counters: Reasons,
        extension: Extension[Carried],
        arrived: Callable[[ArrivedCall[Carried]], bool],
    ) -> None:
        self._identity = identity
        self._pins = pins
        self._settings = settings
        self._counters = counters
        self._extension = extension
        self._arrived = arrived
        key, certificate = identity.private_key, identity.certificate
        alpn = tuple(extension.alpn)
        self._as_caller = make_context(private_key=key, certificate=certificate, side=Side.CLIENT, alpn=alpn)
        self._as_callee = make_context(private_key=key, certificate=certificate, side=Side.SERVER, alpn=alpn)
        self._checks = asyncio.Semaphore(MOST_CHECKS)
        self._set_ups: dict[Uin, SetUp[Carried]] = {}
        self._ringing: dict[Uin, Ringing] = {}
        self._given_up: dict[Uin, float] = {}
        self._conversations: dict[Uin, Carried] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    # -- What the client asks ---------------------------------------------------------------------------------

    async def call(self, login: Login, link: ContactLink) -> Carried:
        """Set up a conversation with this peer, or join the set-up that runs, or return the one there is.

        Raises `UnprovenError` when calling again may help.
        """
        conversation = self._conversations.get(link.uin)
        if conversation is None or not conversation.is_open:
            set_up = self._set_up(login, link.uin)
            if set_up.link_fingerprint is None:
                set_up.link_fingerprint = link.fingerprint
            self.on_events(login, login.step(link.uin, Step.CALL))
            try:
                conversation = await self._wait(link.uin, set_up)
            except UzelError as error:
                if set_up.unproven:
                    raise UnprovenError(error) from error
                raise
        self._check_link(conversation, link)
        return conversation

    def is_busy(self, login: Login) -> bool:
        """A call is being set up through this login, or rings on it."""
        rings = any(ringing.login is login for ringing in self._ringing.values())
        return rings or any(set_up.login is login for set_up in self._set_ups.values())

    def login_lost(self, login: Login) -> None:
        """Calls in set-up end with their control connection; conversations live on (D16)."""
        self._ringing = {peer: ringing for peer, ringing in self._ringing.items() if ringing.login is not login}
        self._given_up.clear()
        for peer, set_up in list(self._set_ups.items()):
            if set_up.login is login and set_up.opening is None:
                self._fail(peer, set_up, LoginLostError())

    async def close(self, within: float | None = None) -> None:
        """End everything, for good; after so many seconds without saying goodbye."""
        self._closed = True
        self._ringing.clear()
        for peer, set_up in list(self._set_ups.items()):
            self._fail(peer, set_up, ClientClosedError())
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(conversation.close(within) for conversation in list(self._conversations.values())))

    # -- What the control connection says ---------------------------------------------------------------------

    def on_events(self, login: Login, events: list[Event]) -> None:
        """Take the events of the control connection."""
        for event in events:
            if isinstance(event, CallArrived) and event.peer == self._identity.uin:
                login.step(event.peer, Step.REFUSE)  # no honest node lets us call ourselves
            elif isinstance(event, PeerEvent) and event.peer > 0 and not self._closed:
                self._on_peer_event(login, Uin(event.peer), event)

    def _on_peer_event(self, login: Login, peer: Uin, event: PeerEvent) -> None:
        self._ringing.pop(peer, None)
        match event:
            case CallArrived():
                self._on_arrived(login, peer)
            case CallReady() | CallAnswered():
                set_up = self._set_up(login, peer)
                self._stop_opening(set_up)
                set_up.login, set_up.after_lapse = login, False
                set_up.ready = isinstance(event, CallReady)
                set_up.opening = self._spawn(self._open(peer, set_up, as_caller=isinstance(event, CallReady)))
            case CallFailed():
                self._on_failed(login, peer)

    def _on_failed(self, login: Login, peer: Uin) -> None:
        set_up = self._set_ups.get(peer)
        if set_up is None or set_up.login is not login:
            return
        if set_up.after_lapse:
            set_up.after_lapse = False
            self.on_events(login, login.step(peer, Step.CALL))
        else:
            set_up.unproven = set_up.ready  # somebody took the call and broke off: the next one may be the right one
            self._fail(peer, set_up, UnavailableError(f"UIN {peer}"))

    def _on_arrived(self, login: Login, peer: Uin) -> None:
        self._ringing[peer] = call = Ringing(login)
        set_up = self._set_ups.get(peer)
        if set_up is not None:  # the peer began afresh while we were about to join it: our wish is being granted (D14)
            self._stop_opening(set_up)
            self.on_events(login, login.step(peer, Step.ACCEPT))
        else:
            self._spawn(self._offer(login, peer, call))

    async def _offer(self, login: Login, peer: Uin, call: Ringing) -> None:
        """Let the program decide, unless a conversation with this peer is alive."""
        running = self._conversations.get(peer)
        if running is not None and await self._is_alive(running):
            self._refuse(login, peer, call)  # D13: we are talking already
            return

        async def accept() -> Carried:
            if self._ringing.pop(peer, None) is not call:
                raise UnavailableError(f"the call of UIN {peer} is over")
            self.on_events(login, login.step(peer, Step.ACCEPT))
            if (set_up := self._set_ups.get(peer)) is None:
                raise LoginLostError
            return await self._wait(peer, set_up)

        incoming = ArrivedCall(
            peer, accept, lambda: self._refuse(login, peer, call), lambda: self._ringing.get(peer) is call
        )
        if incoming.is_ringing and not self._arrived(incoming):
            incoming.refuse()

    def _refuse(self, login: Login, peer: Uin, call: Ringing) -> None:
        if self._ringing.get(peer) is call:
            del self._ringing[peer]
            login.step(peer, Step.REFUSE)

    async def _is_alive(self, conversation: Carried) -> bool:
        try:
            await conversation.ping(self._settings.busy_ping)
        except UzelError:
            await conversation.close()
            return False
        return True

    # -- Setting up -------------------------------------------------------------------------------------------

    def _set_up(self, login: Login, peer: Uin) -> SetUp[Carried]:
        set_up = self._set_ups.get(peer)
        if set_up is None:
            loop = asyncio.get_running_loop()
            lapsing = loop.time() - self._given_up.pop(peer, -LAPSE) < LAPSE
            set_up = self._set_ups[peer] = SetUp(login, loop.create_future(), after_lapse=lapsing)
        return set_up

    async def _wait(self, peer: Uin, set_up: SetUp[Carried]) -> Carried:
        set_up.waiting += 1
        outcome = set_up.conversation
        try:
            conversation = await asyncio.shield(outcome)
            set_up.taken = True
        finally:
            set_up.waiting -= 1
            if not set_up.waiting and not outcome.done():
                self._give_up(peer, set_up)
            elif not set_up.waiting and not set_up.taken and outcome.exception() is None:
                self._spawn(outcome.result().close())  # it came in the very moment in which the wait was cancelled
        return conversation

    async def _open(self, peer: Uin, set_up: SetUp[Carried], *, as_caller: bool) -> None:
        login, own = set_up.login, self._identity.uin
        caller, callee = (own, peer) if as_caller else (peer, own)
        context = self._as_caller if as_caller else self._as_callee
        data = DataConnection(caller, callee, as_caller=as_caller, context=context, settings=self._settings)
        (host, port), own_address = login.endpoints

        def joined() -> None:
            login.step(peer, Step.JOINED)

        try:
            await data.open((host, port + 1), own_address, joined)

            def remember() -> bool:
                return as_caller or self._extension.remembers(peer)

            trust = await data.trust(self._pins, set_up.link_fingerprint, self._checks, remember=remember)
            conversation = await self._begin(data, peer, trust)
        except UzelError as error:
            await data.abort()
            self._counters.note(reason_of(error))
            # What the node ended is over there: an 08 might meet the peer's next call, which is on its way.
            login.step(peer, Step.JOINED if isinstance(error, ConversationEndedError) else Step.GIVE_UP)
            set_up.unproven = isinstance(error, NotTrustedError) or (
                as_caller and data.reached_node and isinstance(error, NetworkError)
            )
            lost = not data.reached_node and await login.is_lost(AFTER_FAILURE)
            self._fail(peer, set_up, LoginLostError() if lost else error)
        except BaseException:
            await data.abort()
            raise
        else:
            self._forget(peer, set_up)
            set_up.conversation.set_result(conversation)

    async def _begin(self, data: DataConnection, peer: Uin, trust: PeerTrust) -> Carried:
        older = self._conversations.get(peer)
        if older is not None:
            await older.close()
            self._check_pin(trust)
        data.check_open()  # before anybody is told of a conversation whose end nobody would be told of
        conversation = self._extension.begin(data.runner, trust, self._counters, self._on_ended)
        data.become(conversation)
        self._conversations[peer] = conversation
        conversation.start()
        return conversation

    def _check_pin(self, trust: PeerTrust) -> None:
        """It was trusted some seconds ago: raises `PeerKeyChangedError` when another key was accepted meanwhile."""
        pin = self._pins.peer(trust.uin)
        if pin is not None and pin.fingerprint != trust.fingerprint:
            raise PeerKeyChangedError(f"UIN {trust.uin}: pinned {pin.fingerprint} meanwhile, shown {trust.fingerprint}")

    def _check_link(self, conversation: Carried, link: ContactLink) -> None:
        """A conversation that was begun without this link: does the link's key hold, too? It is pinned as verified."""
        peer = conversation.peer
        if link.fingerprint is None or (peer.verified and peer.fingerprint == link.fingerprint):
            return
        if peer.fingerprint != link.fingerprint:
            raise PeerKeyChangedError(
                f"UIN {link.uin}: the contact link names {link.fingerprint}, shown {peer.fingerprint}"
            )
        self._pins.pin_peer(link.uin, link.fingerprint, verified=True)
        conversation.peer = replace(peer, verified=True)

    def _on_ended(self, conversation: CarriedConversation) -> None:
        peer = conversation.peer.uin
        if self._conversations.get(peer) is conversation:
            del self._conversations[peer]

    def _give_up(self, peer: Uin, set_up: SetUp[Carried]) -> None:
        """Nobody waits any longer: say 08 if 06 was said, else let a 07 lapse (D15)."""
        self._forget(peer, set_up)
        self._stop_opening(set_up)
        set_up.conversation.cancel()
        set_up.login.step(peer, Step.GIVE_UP)
        now = asyncio.get_running_loop().time()
        self._given_up = {peer: at for peer, at in self._given_up.items() if now - at < LAPSE}
        self._given_up[peer] = now

    def _fail(self, peer: Uin, set_up: SetUp[Carried], error: UzelError) -> None:
        self._forget(peer, set_up)
        self._stop_opening(set_up)
        if not set_up.conversation.done():
            set_up.conversation.set_exception(error)
            set_up.conversation.exception()  # looked at: nobody may be waiting

    def _forget(self, peer: Uin, set_up: SetUp[Carried]) -> None:
        if self._set_ups.get(peer) is set_up:
            del self._set_ups[peer]

    def _stop_opening(self, set_up: SetUp[Carried]) -> None:
        if set_up.opening is not None and set_up.opening is not asyncio.current_task():
            set_up.opening.cancel()
        set_up.opening = None

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
