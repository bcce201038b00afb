"""One connection between two nodes, accepted or dialled, from the hello to its end (section 3).

Steps: CB → 01 → TLS, the dialling node being the TLS server → the other node's certificate; then every message goes
to the switchboard, and what is to be sent is drawn from it, message by message, as fast as the other node takes it: so
nothing that the switchboard would put first waits behind more than two marks of bytes (D25). Silence, pings and limits
are the switchboard's business. Counterpart: this module at the other node.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

from uzel.errors import CertificateError, Reason
from uzel.identity import read_node_certificate
from uzel.names import Fingerprint
from uzel.net.dial import bound_unsent
from uzel.net.runner import Runner
from uzel.node.registry import ConnectionId
from uzel.session.hello import MAJOR, MINOR, HelloAccepted, HelloAnswerer, HelloOfferer, HelloRefused
from uzel.session.link import Heard, LinkFraming
from uzel.session.machine import Event, Received
from uzel.tls import TlsContext
from uzel.wire import Message, encode

_BATCH = 16 * 1024
"""Messages are put together up to this size, one TLS record: a thousand pongs then cost one write, not a thousand."""


class LinkDesk(Protocol):
    """What a link's connection needs of the service."""

    dial_context: TlsContext

    def link_secured(self, link: LinkConnection) -> None:
        """TLS stands and `fingerprint` is known: `begin` or `close` it."""

    def link_heard(self, link: LinkConnection) -> None:
        """Bytes came; their messages follow."""

    def link_message(self, link: LinkConnection, message: Message) -> None:
        """A message for the switchboard."""

    def link_output(self, link: LinkConnection) -> Message | None:
        """The next message to send, if there is one."""

    def link_closed(self, link: LinkConnection) -> None:
        """It is gone; `reason` and `detail` say why."""


class LinkConnection:
    """Owner of the runner of one such connection. `host` is the other side's IP, `network` stands for it in bounds.

    `dial` is the number of the dial that it came of, None for an accepted one. `fingerprint` is None until TLS stands.
    `answered` is the other side's version, if it refused ours. `bytes_in` and `bytes_out` count messages as they are
    on the wire before TLS.
    """

    __slots__ = (
        "_desk", "answered", "bytes_in", "bytes_out", "detail", "dial", "fingerprint", "has_more", "host", "id",
        "network", "reason", "runner", "settled",
    )  # fmt: skip

    def __init__(
        self, desk: LinkDesk, connection: ConnectionId, host: str, network: str, *, dial: int | None = None
    ) -> None:
        self._desk = desk
        self.id = connection
        self.host = host
        self.network = network
        self.dial = dial
        self.fingerprint: Fingerprint | None = None
        self.answered: tuple[int, int] | None = None
        self.bytes_in = self.bytes_out = 0
        self.has_more = False
        """Something to send has not been drawn yet."""
        self.reason: Reason | None = None
        self.detail = ""
        self.settled = asyncio.Event()
        """Set once TLS stands or the connection is gone."""
        self.runner: Runner | None = None

    def take_over(self, runner: Runner, context: TlsContext) -> None:
        """An accepted connection has said CB: answer it."""
        hello = runner.machine
        assert isinstance(hello, HelloAnswerer)
        self.runner = runner
        runner.hand_over(self)
        hello.accept()
        runner.start_tls(context, hello.rest())

    async def open(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, version: tuple[int, int]) -> None:
        """A dialled connection stands: say CB. Takes the socket over; `settled` tells what became of it."""
        self.runner = runner = Runner(loop, self, HelloOfferer(*version, as_node=True))
        try:
            await loop.create_connection(lambda: runner, sock=sock)
        except OSError as error:
            sock.close()
            runner.connection_lost(error)

    def begin(self, mark: int) -> None:
        """The switchboard has it: read, and send what there is to send; `mark` bytes may wait in the transport."""
        runner = self.runner
        if runner is None or runner.is_closing:
            return
        bound_unsent(runner.transport.get_extra_info("socket"), mark)
        runner.draw_from(self._draw, mark)
        runner.run(LinkFraming())
        self.pull()

    def pull(self) -> None:
        """There is something to send."""
        self.has_more = True
        if self.runner is not None:
            self.runner.pull()

    def close(self, reason: Reason | None = None, detail: str = "") -> None:
        """Close it under this name."""
        if self.runner is not None:
            self.runner.close(reason, detail)

    def abort(self, reason: Reason | None = None) -> None:
        """Close it without sending what is queued."""
        if self.runner is not None:
            self.runner.abort(reason)

    def _draw(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while size < _BATCH:
            message = self._desk.link_output(self)
            if message is None:
                self.has_more = False
                break
            parts.append(encode(message))
            size += len(parts[-1])
        self.bytes_out += size
        return parts[0] if len(parts) == 1 else b"".join(parts)

    # -- What the runner says ---------------------------------------------------------------------------------

    def on_events(self, runner: Runner, events: list[Event]) -> None:
        """The answer to our hello, then the link's messages."""
        for event in events:
            if runner.is_closing:
                return
            match event:
                case Received(message=message):
                    self._desk.link_message(self, message)
                case Heard(size=size):
                    self.bytes_in += size
                    self._desk.link_heard(self)
                case HelloAccepted():
                    hello = runner.machine
                    assert isinstance(hello, HelloOfferer)
                    runner.start_tls(self._desk.dial_context, hello.rest())
                case HelloRefused(major=major, minor=minor):
                    self.answered = (major, minor)
                    runner.close(Reason.VERSION_MISMATCH, f"version {major}.{minor}")
                case _:
                    raise AssertionError(f"unexpected event {event}")

    def on_secured(self, runner: Runner) -> None:
        """TLS is done: read the certificate; any well-formed one will do here."""
        assert runner.engine is not None
        try:
            self.fingerprint = read_node_certificate(runner.engine.peer_certificate_der).fingerprint
        except CertificateError as error:
            runner.close(Reason(error.reason), error.detail)
            return
        self.settled.set()
        self._desk.link_secured(self)

    def on_closed(self, runner: Runner) -> None:
        """Tell the service; break the cycle of references so that nothing waits for the collector."""
        self.reason, self.detail = runner.reason, runner.detail
        self.runner = None
        self._desk.link_closed(self)
        self.settled.set()


def may_repeat(answered: tuple[int, int] | None, tried: tuple[int, int]) -> bool:
    """Whether an 02 with this version is worth one more dial with it (D5)."""
    return answered is not None and answered[0] == MAJOR and tried == (MAJOR, MINOR)
