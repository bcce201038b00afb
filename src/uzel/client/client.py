"""A user's client: stays logged in, calls and is called.

It goes on by itself: when its node dies it moves to the next configured one, with growing, jittered delays
(`session.redial`). All methods belong to the event loop on which it was started; every wait can be cancelled.
Counterpart: a node, and the clients of other users.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from uzel.client.calls import Calls
from uzel.client.conversation import Conversation, Text
from uzel.client.events import IncomingCall, WentOffline, WentOnline
from uzel.client.login import Login, reason_of
from uzel.client.reasons import Reasons
from uzel.client.settings import ClientSettings
from uzel.errors import (
    ClientClosedError,
    NetworkError,
    NotTrustedError,
    TimedOutError,
    UzelError,
)
from uzel.identity import Identity, Pins
from uzel.names import ContactLink, Fingerprint, NodeReference, Uin
from uzel.session.redial import Redial
from uzel.store.profile import Profile
from uzel.tls import Side, make_context

TextHandler = Callable[[Conversation, Text], Awaitable[None]]


class Client:
    """One identity at one node at a time. Use it as an async context manager.

    `nodes` are tried in order. `on_event` is called with `WentOnline` and `WentOffline`. `counters` counts reasons.
    """

    def __init__(
        self,
        identity: Identity,
        pins: Pins,
        nodes: Sequence[NodeReference],
        settings: ClientSettings | None = None,
    ) -> None:
        if not nodes:
            raise ValueError("a client needs at least one node")
        self.on_event: Callable[[WentOnline | WentOffline], None] | None = None
        self.counters = Reasons()
        self._identity = identity
        self._pins = pins
        self._nodes = tuple(nodes)
        self._settings = settings or ClientSettings()
        self._redial = Redial(self._settings.redial)
        self._context = make_context(
            private_key=identity.private_key, certificate=identity.certificate, side=Side.SERVER
        )
        self._login: Login | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._failure: UzelError | None = None
        self._retry_now = asyncio.Event()
        self._arrivals: deque[IncomingCall] = deque()
        self._closed = False
        self._calls = Calls(identity, pins, self._settings, self.counters, self._arrived)

    @classmethod
    def open(cls, profile: Path | str, *nodes: str, settings: ClientSettings | None = None) -> Self:
        """A client from a profile folder, for nodes written `HOST:PORT` or `HOST:PORT,FINGERPRINT`.

        Raises `ProfileError` and `InvalidNameError`.
        """
        opened = Profile.open(Path(profile))
        return cls(opened.identity, opened.pins, [NodeReference.parse(node) for node in nodes], settings)

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
        """One's own contact link, with the configured nodes."""
        return ContactLink(self.uin, self.fingerprint, self._nodes)

    @property
    def is_online(self) -> bool:
        """Logged in right now."""
        return self._login is not None

    # -- Life -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._stay_online())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every conversation and go offline; whoever waits for a call gets `ClientClosedError`. Twice is once."""
        self._closed = True
        self._announce()
        await self._calls.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()

    async def wait_online(self, timeout: float | None = None) -> WentOnline:
        """Wait until logged in. Raises the reason at once when waiting is of no use (`NodeKeyChangedError`,
        `CertificateError`), or, after `timeout` seconds, why the last attempt failed.
        """
        try:
            async with asyncio.timeout(timeout):
                login = await self._wait_login()
        except TimeoutError:
            raise self._failure or TimedOutError("the node did not answer") from None
        return WentOnline(login.reference.address, self.uin)

    def retry_now(self) -> None:
        """Do not wait for the next attempt: try to log in now."""
        self._retry_now.set()

    # -- Calls ------------------------------------------------------------------------------------------------

    async def call(self, peer: ContactLink | Uin | int | str, timeout: float | None = None) -> Conversation:
        """Call someone by contact link or number; a running conversation with them is returned as it is.

        Whoever calls also reads: the peer may have called in the same moment, and has texts of its own to send.

        Waits for the login first. With a contact link its key is required and pinned as verified. When someone
        else answers, calls again at once, three times in all. Raises `UnavailableError`, `TimedOutError` after
        `timeout` seconds (default: the setting `call`), `NotTrustedError` when the wrong one answered, and any
        `NetworkError`.
        """
        link = peer if isinstance(peer, ContactLink) else ContactLink.parse(str(peer))
        loop = asyncio.get_running_loop()
        until = loop.time() + (self._settings.call if timeout is None else timeout)
        wrong: NotTrustedError | None = None
        for _ in range(self._settings.tries):
            try:
                async with asyncio.timeout_at(until):
                    login = await self._wait_login()
                    return await self._calls.call(login, link)
            except TimeoutError:
                raise wrong or self._failure_or_timeout(link.uin) from None
            except NotTrustedError as error:
                wrong = error
            except UzelError as error:
                raise wrong or error from None
        assert wrong is not None
        raise wrong

    async def calls(self) -> AsyncIterator[IncomingCall]:
        """The calls that arrive, until the client closes. Those that ended before anyone looked are left out."""
        while True:
            await self._until(lambda: bool(self._arrivals) or self._closed)
            if self._closed:
                return
            call = self._arrivals.popleft()
            if call.is_ringing:
                yield call

    async def serve(self, handler: TextHandler) -> None:
        """Accept every call and give each text to `handler`, which reports it delivered by returning.

        A handler that raises leaves its text unreported and ends that conversation, nothing else; the event loop's
        exception handler is told. Runs until cancelled or the client closes; then every handler has ended.
        """
        tasks: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()

        def served(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                told = {"message": "a handler of texts raised: its text stays unreported", "exception": error}
                loop.call_exception_handler({**told, "task": task})

        try:
            async for call in self.calls():
                tasks.add(task := loop.create_task(self._serve_call(call, handler)))
                task.add_done_callback(served)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            raise
        finally:
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve_call(self, call: IncomingCall, handler: TextHandler) -> None:
        try:
            conversation = await call.accept()
        except UzelError:
            return  # counted where it happened
        try:
            async for text in conversation:
                await handler(conversation, text)
                text.acknowledge()
        finally:
            await conversation.close()

    def _failure_or_timeout(self, uin: Uin) -> UzelError:
        if self._login is None and self._failure is not None:
            return self._failure
        return TimedOutError(f"UIN {uin} did not answer in time")

    def _arrived(self, call: IncomingCall) -> bool:
        if len(self._arrivals) >= self._settings.waiting_calls:
            self._arrivals = deque(call for call in self._arrivals if call.is_ringing)
        if len(self._arrivals) >= self._settings.waiting_calls:
            return False
        self._arrivals.append(call)
        self._announce()
        return True

    # -- Staying online ---------------------------------------------------------------------------------------

    async def _stay_online(self) -> None:
        attempt = 0
        loop = asyncio.get_running_loop()
        while True:
            reference = self._nodes[attempt % len(self._nodes)]
            error = await self._one_login(reference)
            self._redial.closed(loop.time())
            attempt += 1
            await self._pause(error, more_nodes=attempt % len(self._nodes) != 0)

    async def _one_login(self, reference: NodeReference) -> UzelError:
        """Log in, stay while it lasts; returns why it ended."""
        try:
            login = await Login.open(reference, self._pins, self._settings, self._context, self._calls.on_events)
        except UzelError as error:
            return error
        try:
            self._redial.online(asyncio.get_running_loop().time())
            self._login, self._failure = login, None
            self._tell(WentOnline(reference.address, self.uin))
            self._announce()
            return await asyncio.shield(login.closed)
        finally:
            self._login = None
            self._calls.login_lost()
            await login.close()

    async def _pause(self, error: UzelError, *, more_nodes: bool) -> None:
        """Wait before the next attempt; a node that failed is followed by the next one without a long delay."""
        delay = self._redial.delay(random.random())  # noqa: S311 - jitter, no secret
        if more_nodes and not self._redial.contested:
            delay = min(delay, self._settings.redial.first)
        self._failure = error
        self.counters.note(reason_of(error))
        self._tell(WentOffline(str(error.reason), delay, self._redial.contested, error))
        self._announce()
        self._retry_now.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._retry_now.wait(), delay)

    async def _wait_login(self) -> Login:
        await self._until(lambda: self._login is not None or self._closed or self._hopeless())
        if self._closed:
            raise ClientClosedError
        if self._login is None:
            assert self._failure is not None
            raise self._failure
        return self._login

    def _hopeless(self) -> bool:
        """The only node shows another key, or the disk takes no pin: waiting does not mend that."""
        if isinstance(self._failure, NotTrustedError):
            return len(self._nodes) == 1
        return self._failure is not None and not isinstance(self._failure, NetworkError)

    def _tell(self, event: WentOnline | WentOffline) -> None:
        if self.on_event is not None:  # soon: what it raises is the program's own, and goes to the loop's handler
            asyncio.get_running_loop().call_soon(self.on_event, event)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._changed.wait()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
