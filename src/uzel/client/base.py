"""A user's client, whatever is spoken end to end: stays logged in, calls and is called.

It goes on by itself: when its node dies it moves to the next configured one, and later back to those before it
(`presence`, `order`). All methods belong to the event loop on which it was started; every wait can be cancelled. What
its conversations are, its `Extension` says. Counterparts: a node, and the clients of other users; `client.Client`, with
the conversations of the base protocol.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Generic, Self

from uzel.client.calls import Calls, UnprovenError
from uzel.client.carried import Carried, Extension
from uzel.client.events import ArrivedCall, WentOffline, WentOnline
from uzel.client.login import Login
from uzel.client.presence import LoginUser, Presence
from uzel.client.reasons import Reasons
from uzel.client.settings import ClientSettings
from uzel.errors import ClientClosedError, LoginLostError, NotTrustedError, TimedOutError, UzelError
from uzel.identity import Identity, Pins
from uzel.names import MAX_LINK_NODES, ContactLink, Fingerprint, NodeReference, Uin

AFTER_BREAK = 0.1
"""Seconds before a call whose answerer broke off is repeated: what the node still says about it should come first."""


class BaseClient(Generic[Carried]):
    """One identity at one node at a time. Use it as an async context manager.

    `nodes` are in the order in which their user prefers them. The first one that takes the login is used; when it dies,
    the next one; when the last one fails, the first again. While at a later node, the client looks at the earlier ones
    every 5 minutes or so (the setting `go_back`) and moves back. Conversations live on where they were begun, and what
    their ends left unreported goes first in the next one with that peer, at whatever node. With the setting `roaming`,
    other nodes that the node tells of are tried once every configured one has failed. Without nodes it stays offline.

    `on_event` is called with `WentOnline` and `WentOffline`. `counters` counts reasons.
    """

    def __init__(
        self,
        identity: Identity,
        pins: Pins,
        nodes: Sequence[NodeReference],
        settings: ClientSettings,
        extension: Extension[Carried],
    ) -> None:
        self.on_event: Callable[[WentOnline | WentOffline], None] | None = None
        self.counters = Reasons()
        self._identity = identity
        self._nodes = tuple(dict.fromkeys(nodes))
        self._settings = settings
        self._changed = asyncio.Event()
        self._arrivals: deque[ArrivedCall[Carried]] = deque()
        self._closed = False
        self._calls = calls = Calls(identity, pins, settings, self.counters, extension, self._arrived)
        user = LoginUser(calls.on_events, calls.is_busy, calls.login_lost, self._tell, self._announce)
        self._presence = Presence(identity, pins, self._nodes, self._settings, self.counters, user)

    @property
    def uin(self) -> Uin:
        """One's own number."""
        return self._identity.uin

    @property
    def fingerprint(self) -> Fingerprint:
        """One's own key's."""
        return self._identity.fingerprint

    @property
    def link(self) -> ContactLink:
        """One's own contact link, with the configured nodes, at most 8."""
        return ContactLink(self.uin, self.fingerprint, self._nodes[:MAX_LINK_NODES])

    @property
    def is_online(self) -> bool:
        """Logged in right now."""
        return self._presence.login is not None

    @property
    def key_agreement(self) -> str | None:
        """What the connection to the node agreed on, `X25519MLKEM768` say; None while offline."""
        login = self._presence.login
        engine = None if login is None or login.runner is None else login.runner.engine
        return None if engine is None else engine.summary.group

    # -- Life -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._presence.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, within: float | None = None) -> None:
        """End every conversation and go offline; whoever waits for a call gets `ClientClosedError`. Twice is once.

        A connection whose other side takes nothing any more is given 5 seconds to take what is queued, and all of them
        together at most `within` seconds.
        """
        loop = asyncio.get_running_loop()
        until = None if within is None else loop.time() + within
        self._closed = True
        self._announce()
        await self._calls.close(within)
        await self._presence.stop(None if until is None else max(0.0, until - loop.time()))

    async def wait_online(self, timeout: float | None = None) -> WentOnline:
        """Wait until logged in. Raises the reason at once when waiting is of no use (`NodeKeyChangedError`,
        `CertificateError`), or, after `timeout` seconds, why the last attempt failed.
        """
        try:
            async with asyncio.timeout(timeout):
                login = await self._wait_login()
        except TimeoutError:
            raise self._presence.failure or TimedOutError("the node did not answer") from None
        return WentOnline(login.reference.address, self.uin)

    def retry_now(self) -> None:
        """Do not wait for the next attempt: try to log in now."""
        self._presence.retry_now()

    # -- Calls ------------------------------------------------------------------------------------------------

    async def call(self, peer: ContactLink | Uin | int | str, timeout: float | None = None) -> Carried:
        """Call someone by contact link or number; a running conversation with them is returned as it is.

        Whoever calls also reads: the peer may have called in the same moment, and has texts of its own to send.

        Waits for the login first. With a contact link its key is required and pinned as verified. When someone
        else answers, or somebody who breaks off before proving to be anyone, calls again at once, three times in all
        (D20): a node that lies can do either, and the next call goes past it. So it does when the node dies meanwhile
        and there is another one.
        Raises `UnavailableError`, `TimedOutError` after `timeout` seconds (default: the setting `call`),
        `NotTrustedError` when the wrong one answered, and any `NetworkError`.
        """
        link = peer if isinstance(peer, ContactLink) else ContactLink.parse(str(peer))
        loop = asyncio.get_running_loop()
        until = loop.time() + (self._settings.call if timeout is None else timeout)
        wrong: list[UzelError] = []
        broken: list[UzelError] = []
        while len(wrong) + len(broken) < self._settings.tries:
            try:
                async with asyncio.timeout_at(until):
                    if broken:
                        await asyncio.sleep(AFTER_BREAK)
                    return await self._calls.call(await self._wait_login(), link)
            except TimeoutError:
                raise (wrong + broken or [self._failure_or_timeout(link.uin)])[0] from None
            except UnprovenError as unproven:
                (wrong if isinstance(unproven.error, NotTrustedError) else broken).append(unproven.error)
            except LoginLostError as lost:
                if not self._presence.has_other_nodes:
                    raise
                broken.append(lost)
            except UzelError as error:
                raise (wrong or [error])[0] from None
        raise (wrong + broken)[0]

    async def calls(self) -> AsyncIterator[ArrivedCall[Carried]]:
        """The calls that arrive, until the client closes. Those that ended before anyone looked are left out."""
        while True:
            await self._until(lambda: bool(self._arrivals) or self._closed)
            if self._closed:
                return
            call = self._arrivals.popleft()
            if call.is_ringing:
                yield call

    def _failure_or_timeout(self, uin: Uin) -> UzelError:
        if not self.is_online and self._presence.failure is not None:
            return self._presence.failure
        return TimedOutError(f"UIN {uin} did not answer in time")

    def _arrived(self, call: ArrivedCall[Carried]) -> bool:
        if len(self._arrivals) >= self._settings.waiting_calls:
            self._arrivals = deque(call for call in self._arrivals if call.is_ringing)
        if len(self._arrivals) >= self._settings.waiting_calls:
            return False
        self._arrivals.append(call)
        self._announce()
        return True

    # -- Inside -----------------------------------------------------------------------------------------------

    async def _wait_login(self) -> Login:
        presence = self._presence
        await self._until(lambda: presence.login is not None or self._closed or presence.hopeless)
        if self._closed:
            raise ClientClosedError
        if presence.login is None:
            assert presence.failure is not None
            raise presence.failure
        return presence.login

    def _tell(self, event: WentOnline | WentOffline) -> None:
        if self.on_event is not None:  # soon: what it raises is the program's own, and goes to the loop's handler
            asyncio.get_running_loop().call_soon(self.on_event, event)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._changed.wait()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
