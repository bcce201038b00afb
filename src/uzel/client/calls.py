"""The calls and conversations of one client: at most one with each peer.

Carries out what the control connection's machine reports (`session.control`): opens data connections, completes
their handshakes, and hands the conversation to whoever waits for it, be it the program that called or the one that
accepted. Rules: D13 (a peer that calls while we talk), D14 (glare), D27 (unreported texts go first).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from uzel.client.conversation import Conversation
from uzel.client.data_connection import DataConnection
from uzel.client.events import IncomingCall
from uzel.client.login import Login, token
from uzel.client.settings import ClientSettings
from uzel.errors import NetworkError, Reason, UnavailableError, UzelError
from uzel.identity import Identity, PeerTrust, Pins
from uzel.names import ContactLink, Fingerprint, Uin
from uzel.session.control import CallAnswered, CallArrived, CallFailed, CallReady, PeerCall, PeerEvent, Step
from uzel.session.conversation import ConversationMachine
from uzel.session.machine import Event
from uzel.session.unreported import Unreported
from uzel.tls import Side, make_context

ALPN = (b"uzel/1",)
"""What we speak end to end (D29); `uzel/2` is offered once it is spoken."""


@dataclass(eq=False)
class SetUp:
    """A call that is being set up, and who waits for its conversation."""

    conversation: asyncio.Future[Conversation]
    link_fingerprint: Fingerprint | None = None
    waiting: int = 0
    opening: asyncio.Task[None] | None = field(default=None)


class Calls:
    """See the module's text. `arrived` takes an incoming call, or says that there is no room for it."""

    def __init__(
        self,
        identity: Identity,
        pins: Pins,
        settings: ClientSettings,
        counters: Counter[Reason],
        arrived: Callable[[IncomingCall], bool],
    ) -> None:
        self._identity = identity
        self._pins = pins
        self._settings = settings
        self._counters = counters
        self._arrived = arrived
        key, certificate = identity.private_key, identity.certificate
        self._as_caller = make_context(private_key=key, certificate=certificate, side=Side.CLIENT, alpn=ALPN)
        self._as_callee = make_context(private_key=key, certificate=certificate, side=Side.SERVER, alpn=ALPN)
        self._set_ups: dict[Uin, SetUp] = {}
        self._conversations: dict[Uin, Conversation] = {}
        self._unreported: dict[Uin, Unreported] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._login: Login | None = None

    # -- What the client asks ---------------------------------------------------------------------------------

    async def call(self, login: Login, link: ContactLink) -> Conversation:
        """Set up a conversation with this peer, or join the set-up that runs, or return the one there is."""
        running = self._conversations.get(link.uin)
        if running is not None and running.is_open:
            return running
        set_up = self._set_up(link.uin)
        set_up.link_fingerprint = link.fingerprint or set_up.link_fingerprint
        self._take(login, login.step(link.uin, Step.CALL))
        return await self._wait(link.uin, set_up)

    def give_up(self, peer: Uin) -> None:
        """Nobody waits any longer: let a 07 lapse (D15)."""
        set_up = self._set_ups.get(peer)
        if set_up is not None and not set_up.waiting:
            self._drop(peer, set_up)

    def login_lost(self) -> None:
        """Calls in set-up end with the control connection; conversations live on (D16)."""
        self._login = None
        for peer, set_up in list(self._set_ups.items()):
            if set_up.opening is None:
                self._fail(peer, set_up, NetworkError("the connection to the node was lost", reason="offline"))

    async def close(self) -> None:
        """End everything."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(conversation.close() for conversation in list(self._conversations.values())))

    # -- What the control connection says ---------------------------------------------------------------------

    def on_events(self, login: Login, events: list[Event]) -> None:
        """Take the events of the control connection."""
        self._take(login, events)

    def _take(self, login: Login, events: list[Event]) -> None:
        self._login = login
        for event in events:
            if isinstance(event, PeerEvent) and event.peer > 0:
                self._on_peer_event(login, Uin(event.peer), event)

    def _on_peer_event(self, login: Login, peer: Uin, event: PeerEvent) -> None:
        match event:
            case CallArrived():
                self._spawn(self._on_arrival(login, peer))
            case CallReady() | CallAnswered():
                set_up = self._set_up(peer)
                if set_up.opening is not None:
                    set_up.opening.cancel()
                set_up.opening = self._spawn(self._open(login, peer, set_up, as_caller=isinstance(event, CallReady)))
            case CallFailed():
                if (failed := self._set_ups.get(peer)) is not None:
                    self._fail(peer, failed, UnavailableError(f"UIN {peer}"))

    async def _on_arrival(self, login: Login, peer: Uin) -> None:
        running = self._conversations.get(peer)
        if running is not None and running.is_open:
            try:
                await running.ping(self._settings.busy_ping)
            except UzelError:
                await running.close()
            else:
                self._take(login, login.step(peer, Step.REFUSE))  # D13: we are talking already
                return
        if login.machine is None or login.machine.state(peer) is not PeerCall.RINGING:
            return
        set_up = self._set_up(peer)

        async def accept() -> Conversation:
            if set_up.opening is None:
                if login.machine is None or login.machine.state(peer) is not PeerCall.RINGING:
                    raise UnavailableError(f"UIN {peer} has given up")
                self._take(login, login.step(peer, Step.ACCEPT))
            return await self._wait(peer, set_up)

        def refuse() -> None:
            self._drop(peer, set_up)
            self._take(login, login.step(peer, Step.REFUSE))

        if not self._arrived(IncomingCall(peer, accept, refuse)):
            refuse()

    # -- Setting up -------------------------------------------------------------------------------------------

    def _set_up(self, peer: Uin) -> SetUp:
        set_up = self._set_ups.get(peer)
        if set_up is None:
            set_up = self._set_ups[peer] = SetUp(asyncio.get_running_loop().create_future())
        return set_up

    async def _wait(self, peer: Uin, set_up: SetUp) -> Conversation:
        set_up.waiting += 1
        try:
            return await asyncio.shield(set_up.conversation)
        finally:
            set_up.waiting -= 1
            if not set_up.waiting and not set_up.conversation.done():
                self._drop(peer, set_up)

    async def _open(self, login: Login, peer: Uin, set_up: SetUp, *, as_caller: bool) -> None:
        own = self._identity.uin
        caller, callee = (own, peer) if as_caller else (peer, own)
        context = self._as_caller if as_caller else self._as_callee
        data = DataConnection(caller, callee, as_caller=as_caller, context=context, settings=self._settings)
        (host, port), own_address = login.endpoints
        try:
            await data.open((host, port + 1), own_address, lambda: self._joined(login, peer))
            trust = await data.trust(self._pins, set_up.link_fingerprint)
            conversation = await self._begin(data, peer, trust)
        except UzelError as error:
            data.abort()
            self._give_up(login, peer)
            self._fail(peer, set_up, error)
        except BaseException:
            data.abort()
            raise
        else:
            if self._set_ups.get(peer) is set_up:
                del self._set_ups[peer]
            if not set_up.conversation.done():
                set_up.conversation.set_result(conversation)

    async def _begin(self, data: DataConnection, peer: Uin, trust: PeerTrust) -> Conversation:
        older = self._conversations.pop(peer, None)
        if older is not None:
            await older.close()
        unreported = self._unreported.setdefault(peer, Unreported())
        conversation = Conversation(
            data.runner, trust, unreported, self._settings, counters=self._counters, on_ended=self._on_ended
        )
        data.become(conversation)
        self._conversations[peer] = conversation
        settings, now = self._settings, asyncio.get_running_loop().time()
        conversation.start(ConversationMachine(unreported, settings.keepalive, token, now, window=settings.window))
        return conversation

    def _joined(self, login: Login, peer: Uin) -> None:
        login.step(peer, Step.JOINED)

    def _give_up(self, login: Login, peer: Uin) -> None:
        login.step(peer, Step.GIVE_UP)

    def _on_ended(self, conversation: Conversation) -> None:
        peer = conversation.peer.uin
        if self._conversations.get(peer) is conversation:
            del self._conversations[peer]
        if not self._unreported[peer]:
            self._unreported.pop(peer)

    def _drop(self, peer: Uin, set_up: SetUp) -> None:
        if self._set_ups.get(peer) is set_up:
            del self._set_ups[peer]
        if set_up.opening is not None:
            set_up.opening.cancel()
        set_up.conversation.cancel()
        if self._login is not None:
            self._give_up(self._login, peer)

    def _fail(self, peer: Uin, set_up: SetUp, error: UzelError) -> None:
        if self._set_ups.get(peer) is set_up:
            del self._set_ups[peer]
        if set_up.opening is not None and set_up.opening is not asyncio.current_task():
            set_up.opening.cancel()
        if not set_up.conversation.done():
            set_up.conversation.set_exception(error)
            set_up.conversation.exception()  # looked at: nobody may be waiting

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
