"""A data connection from the client's end: 20, then end-to-end TLS, then trust; it becomes a conversation (section 4).

The caller is the TLS client, the callee the TLS server; both show certificates and check the other's, UIN and pin,
before any text (step 6). The connection goes to the very IP and from the very address of the control connection
(D12). Counterparts: `node.data_connection`, and this module at the other user's.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from uzel.client.carried import CarriedConversation
from uzel.client.login import error_of, reason_of
from uzel.client.settings import ClientSettings
from uzel.errors import (
    CertificateError,
    ConversationEndedError,
    PeerKeyChangedError,
    Reason,
    TimedOutError,
    UzelError,
)
from uzel.identity import PeerCertificate, PeerTrust, Pins, UncheckedPeer, read_certificate, trust_first_use, trust_peer
from uzel.identity.certificates import check_uin
from uzel.names import Fingerprint, Uin
from uzel.net.runner import Runner
from uzel.session.first_byte import FirstByte, FirstBytes
from uzel.session.machine import Event
from uzel.tls import TlsContext
from uzel.wire import DataHello, encode


class DataConnection:
    """Owner of the runner of one data connection, from its dial until its conversation ends.

    `caller` and `callee` are the UINs of its 20; `as_caller` says which of them we are.
    """

    def __init__(
        self, caller: Uin, callee: Uin, *, as_caller: bool, context: TlsContext, settings: ClientSettings
    ) -> None:
        self._hello = DataHello(caller, callee)
        self._peer = callee if as_caller else caller
        self._as_caller = as_caller
        self._context = context
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._secured: asyncio.Future[None] = self._loop.create_future()
        self._first_byte: asyncio.Future[None] = self._loop.create_future()
        self._gone: asyncio.Future[UzelError] = self._loop.create_future()
        self._conversation: CarriedConversation | None = None
        self._connected = False
        self.runner = Runner(self._loop, self, None if as_caller else FirstByte(self._loop.time(), settings.first_byte))

    @property
    def reached_node(self) -> bool:
        """The node took our 20: from then on it is the other side's turn."""
        return self._connected

    async def open(self, node: tuple[str, int], own_address: str, on_joined: Callable[[], None]) -> None:
        """Dial the node's data port, say 20, and complete end-to-end TLS; trust comes next (`trust`).

        `on_joined` is called once the other side was heard: until then the node may say that the call has failed (D12).

        Raises `ConversationEndedError`, `TimedOutError` or `NodeRefusedError`.
        """
        host, port = node
        settings = self._settings
        try:
            async with asyncio.timeout(settings.data_connect):
                await self._loop.create_connection(lambda: self.runner, host, port, local_addr=(own_address, 0))
        except TimeoutError:
            raise TimedOutError("the node's data port did not answer") from None
        except OSError as error:
            raise ConversationEndedError(f"data connection: {error.strerror or error}") from None
        self._connected = True
        _keep_alive(self.runner.transport.get_extra_info("socket"))
        self.runner.write(encode(self._hello))
        if self._as_caller:
            self.runner.start_tls(self._context)
        else:
            await self._wait_for(self._first_byte)  # bounded by the machine's own patience
            on_joined()
        try:
            async with asyncio.timeout(settings.conversation_handshake):
                await self._wait_for(self._secured)
        except TimeoutError:
            raise TimedOutError("the other side did not complete the handshake", reason="handshake_timeout") from None
        if self._as_caller:
            on_joined()

    async def trust(
        self,
        pins: Pins,
        link_fingerprint: Fingerprint | None,
        checks: asyncio.Semaphore,
        *,
        remember: Callable[[], bool],
    ) -> PeerTrust:
        """Who is it? A key met for the first time is pinned, unless `remember`, asked behind its check, says no.
        `checks` bounds how many new keys are checked at the same time: each takes 64 MiB for a while.

        Raises `CertificateError`, `WrongPeerError` or `PeerKeyChangedError`, having closed; also `StorageError` when a
        pin cannot be written.
        """
        assert self.runner.engine is not None
        try:
            certificate = read_certificate(self.runner.engine.peer_certificate_der)
            verdict = trust_peer(pins, certificate, expected=self._peer, link_fingerprint=link_fingerprint)
            if isinstance(verdict, UncheckedPeer):
                async with checks:
                    checked = await asyncio.to_thread(verdict.check)
                verdict = trust_first_use(pins, checked, remember=remember())
        except PeerKeyChangedError as error:
            self.runner.close(reason_of(error), error.detail)
            async with checks:
                error.shown = await self._proved(certificate)
            raise
        except CertificateError as error:
            self.runner.close(reason_of(error), error.detail)
            raise CertificateError(f"someone else answered: {error.detail}", reason=error.reason) from None
        except UzelError as error:
            self.runner.close(reason_of(error), error.detail)
            raise
        return verdict

    @staticmethod
    async def _proved(certificate: PeerCertificate) -> Fingerprint | None:
        """The key, if the number is really its own: only that is another key of the peer, else somebody lies."""
        try:
            await asyncio.to_thread(check_uin, certificate)
        except CertificateError:
            return None
        return certificate.fingerprint

    def check_open(self) -> None:
        """Raises `ConversationEndedError` when it has ended since its handshake."""
        if self.runner.is_closing:
            raise ConversationEndedError("it ended while the other side's key was checked")

    def become(self, conversation: CarriedConversation) -> None:
        """From now on what happens here is the conversation's business. It is open (`check_open`)."""
        self._conversation = conversation

    async def abort(self) -> None:
        """Give up, and wait until the connection is gone."""
        self.runner.abort()
        if self._connected:
            await asyncio.wait([self._gone])

    async def _wait_for(self, step: asyncio.Future[None]) -> None:
        futures: set[asyncio.Future[Any]] = {step, self._gone}
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        if not step.done():
            raise self._gone.result()

    # -- What the runner says ---------------------------------------------------------------------------------

    def on_events(self, runner: Runner, events: list[Event]) -> None:
        """The caller's first bytes, then the conversation's events."""
        if self._conversation is not None:
            self._conversation.on_events(events)
            return
        for event in events:
            if isinstance(event, FirstBytes):
                self._first_byte.set_result(None)
                runner.start_tls(self._context, event.data)

    def on_secured(self, runner: Runner) -> None:  # noqa: ARG002 - it is ours
        """TLS stands."""
        self._secured.set_result(None)

    def on_closed(self, runner: Runner) -> None:
        """The connection is gone."""
        if not self._gone.done():
            if runner.reason in {None, Reason.CONNECTION_LOST}:
                self._gone.set_result(ConversationEndedError("the call ended before the conversation began"))
            else:
                self._gone.set_result(error_of(runner.reason, runner.detail))
        if self._conversation is not None:
            self._conversation.on_closed(runner.reason)


def _keep_alive(sock: socket.socket) -> None:
    """Let the kernel find a dead path (D11): data connections have no idle limit at the node."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
