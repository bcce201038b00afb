"""One login at one node: connect, hello, TLS as server, the node's key, the first pong (sections 3 and 7, D9).

A login that stands reports the calls' events to its client until the connection ends. Nothing is sent to a node
whose key is not the pinned one. Counterpart: `node.control_connection`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection

from uzel.client.reaching import ANYWHERE, reach
from uzel.client.settings import ClientSettings
from uzel.errors import (
    CertificateError,
    NodeRefusedError,
    ProtocolError,
    Reason,
    TimedOutError,
    UzelError,
    VersionMismatchError,
)
from uzel.identity import Pins, read_node_certificate, trust_node
from uzel.names import Fingerprint, NodeReference, Range, range_of
from uzel.net.runner import Runner
from uzel.session.control import ClientControl, Online, Step
from uzel.session.hello import MAJOR, MINOR, HelloAccepted, HelloOfferer, HelloRefused
from uzel.session.machine import Event
from uzel.tls import TlsContext


def token() -> bytes:
    """Two random bytes for a ping or a report."""
    return secrets.token_bytes(2)


_NOT_THE_PROTOCOL = {
    Reason.UNEQUAL_HEADER,
    Reason.UNKNOWN_CODE,
    Reason.MISPLACED_MESSAGE,
    Reason.SIZE_OUT_OF_RANGE,
    Reason.ADDRESS_MALFORMED,
    Reason.ACCEPTED_MALFORMED,
    Reason.TRUNCATED_MESSAGE,
    Reason.TLS_FAILED,
    Reason.TLS_VERSION,
}
_CERTIFICATE = {Reason.CERTIFICATE_MISSING, Reason.CERTIFICATE_MALFORMED, Reason.CERTIFICATE_KEY_TYPE}


def error_of(reason: Reason | None, detail: str) -> UzelError:
    """The error that a program sees for a connection that ended this way."""
    text = f"{reason}: {detail}" if reason and detail else str(reason or "closed by the node")
    if reason in {Reason.HANDSHAKE_TIMEOUT, Reason.LOGIN_TIMEOUT, Reason.SILENCE, Reason.FIRST_BYTE_TIMEOUT}:
        return TimedOutError(text, reason=str(reason))
    if reason in _CERTIFICATE:
        return CertificateError(text, reason=str(reason))
    if reason in _NOT_THE_PROTOCOL:
        return ProtocolError(text, reason=str(reason))
    return NodeRefusedError(text, reason=str(reason or "closed"))


def reason_of(error: UzelError) -> Reason:
    """The name under which an error is counted."""
    try:
        return Reason(error.reason)
    except ValueError:
        return Reason.CONNECTION_LOST


class Login:
    """Owner of the runner of one control connection. Make one with `open`."""

    def __init__(
        self,
        reference: NodeReference,
        pins: Pins,
        settings: ClientSettings,
        context: TlsContext,
        on_events: Callable[[Login, list[Event]], None],
        ranges: Collection[Range],
    ) -> None:
        self.reference = reference
        self.fingerprint: Fingerprint | None = None
        self._ranges = ranges
        self._pins = pins
        self._settings = settings
        self._context = context
        self._report = on_events
        self._loop = asyncio.get_running_loop()
        self._error: UzelError | None = None
        self._answered = (MAJOR, MINOR)
        self._online: asyncio.Future[None] = self._loop.create_future()
        self._secured: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[UzelError] = self._loop.create_future()
        self.runner: Runner | None = None

    @classmethod
    async def open(
        cls,
        reference: NodeReference,
        pins: Pins,
        settings: ClientSettings,
        context: TlsContext,
        on_events: Callable[[Login, list[Event]], None],
        ranges: Collection[Range] = ANYWHERE,
    ) -> Login:
        """Log in, at an address in one of these ranges. Raises `NodeUnreachableError`, `TimedOutError`,
        `NodeRefusedError`, `VersionMismatchError`, `CertificateError` or `NodeKeyChangedError`; also `StorageError`
        when the node's pin cannot be written.
        """
        major, minor = MAJOR, MINOR
        for _ in range(2):
            login = cls(reference, pins, settings, context, on_events, ranges)
            try:
                await login._connect(major, minor)
            except VersionMismatchError:
                if login._answered[0] != MAJOR:
                    raise
                major, minor = login._answered  # D5: once more with that version
            else:
                return login
        raise VersionMismatchError(f"node {reference.address}")

    @property
    def machine(self) -> ClientControl | None:
        """The state of the calls; None before TLS stands."""
        machine = self.runner.machine if self.runner else None
        return machine if isinstance(machine, ClientControl) else None

    @property
    def endpoints(self) -> tuple[tuple[str, int], str]:
        """The very IP and port of the node, and our own address there: data connections use the same (D12)."""
        assert self.runner is not None
        peer = self.runner.transport.get_extra_info("peername")
        own = self.runner.transport.get_extra_info("sockname")
        return (peer[0], peer[1]), own[0]

    @property
    def range(self) -> Range | None:
        """The range of the node's IP address."""
        return range_of(self.endpoints[0][0])

    def request_nodes(self) -> None:
        """Ask the node for others (90); what it tells comes as `Received(NodeList)`."""
        if self.machine is not None and self.runner is not None:
            self.machine.request_nodes()
            self.runner.update()

    def step(self, peer: int, step: Step) -> list[Event]:
        """Take a step of a call, and send what it says."""
        machine = self.machine
        if machine is None or self.runner is None:
            return []
        events = machine.step(peer, step)
        self.runner.update()
        return events

    async def is_lost(self, within: float) -> bool:
        """It has ended, or does so within this many seconds."""
        await asyncio.wait([self.closed], timeout=within)
        return self.closed.done()

    async def close(self, within: float | None = None) -> None:
        """Close, and wait until it is; after so many seconds without saying goodbye."""
        if self.runner is not None and not self.closed.done():
            self.runner.close()
            if (await asyncio.wait([self.closed], timeout=within))[1]:
                self.runner.abort()
                await asyncio.wait([self.closed])

    async def _connect(self, major: int, minor: int) -> None:
        address, seconds = self.reference.address, self._settings.handshake
        self.runner = runner = Runner(self._loop, self, HelloOfferer(major, minor))
        connected = False
        try:
            async with asyncio.timeout(seconds):
                sock = await reach(address, self._ranges, seconds)
                await self._loop.create_connection(lambda: runner, sock=sock)
                connected = True
                await asyncio.shield(self._secured)
            await asyncio.shield(self._online)  # bounded by the machine's own login time
        except TimeoutError:
            await self._abort(connected=connected)
            raise TimedOutError(f"{address} did not complete the handshake", reason="handshake_timeout") from None
        except BaseException:
            await self._abort(connected=connected)
            raise

    async def _abort(self, *, connected: bool) -> None:
        for future in (self._secured, self._online):
            if future.done():
                future.exception()  # looked at, so that nothing warns of it
            else:
                future.cancel()
        if self.runner is not None:
            self.runner.abort()
            if connected:
                await asyncio.wait([self.closed])

    # -- What the runner says ---------------------------------------------------------------------------------

    def on_events(self, runner: Runner, events: list[Event]) -> None:
        """The hello, the first pong, then the client's business."""
        for event in events:
            match event:
                case HelloAccepted():
                    hello = runner.machine
                    assert isinstance(hello, HelloOfferer)
                    runner.start_tls(self._context, hello.rest())
                    return
                case HelloRefused(major=major, minor=minor):
                    self._answered = (major, minor)
                    self._error = VersionMismatchError(f"node {self.reference.address}: version {major}.{minor}")
                    runner.close(Reason.VERSION_MISMATCH)
                    return
                case Online():
                    if not self._online.done():
                        self._online.set_result(None)
        self._report(self, events)

    def on_secured(self, runner: Runner) -> None:
        """TLS is done: is this the node that was configured?"""
        assert runner.engine is not None
        try:
            certificate = read_node_certificate(runner.engine.peer_certificate_der)
            self.fingerprint = trust_node(self._pins, self.reference, certificate.fingerprint).fingerprint
        except UzelError as error:
            self._error = error
            runner.close(reason_of(error), error.detail)
            return
        settings = self._settings
        if not self._secured.done():
            self._secured.set_result(None)
        runner.run(ClientControl(settings.keepalive, token, self._loop.time(), login_timeout=settings.login))

    def on_closed(self, runner: Runner) -> None:
        """The connection is gone."""
        error = self._error or error_of(runner.reason, runner.detail)
        for future in (self._secured, self._online):
            if not future.done():
                future.set_exception(error)
                future.exception()
        if not self.closed.done():
            self.closed.set_result(error)
