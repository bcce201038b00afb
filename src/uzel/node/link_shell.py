"""The shell's links: accepts what said CB, dials what the switchboard wants, carries messages both ways.

Every dial is one task, within the handshake time; what becomes of it the switchboard hears once. Whom to dial, whom to
keep and what to say is decided there. Counterparts: `link_connection`, `uzel.net.dial`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from uzel.errors import Reason
from uzel.names import network_of
from uzel.net.dial import DialError, dial
from uzel.net.runner import Runner
from uzel.node.effects import Dial, Effect, LinkOutput, StopDial
from uzel.node.link_connection import LinkConnection, may_repeat
from uzel.node.registry import ConnectionId
from uzel.node.shared import Shared
from uzel.session.hello import MAJOR, MINOR
from uzel.tls import TlsContext
from uzel.wire import Message

Closer = Callable[[ConnectionId, Reason | None], None]
_NOBODY_TAKES = frozenset({Reason.LINK_QUEUE_FULL, Reason.SILENCE})
"""Ends of links whose other node does not take what it is sent: a goodbye would only keep the connection open."""


class LinkShell:
    """See the module's text. `accept_context` is that of a TLS client, `dial_context` that of a TLS server."""

    def __init__(
        self, shared: Shared, *, accept_context: TlsContext, dial_context: TlsContext, close_other: Closer
    ) -> None:
        self._shared = shared
        self._accept_context = accept_context
        self.dial_context = dial_context
        self._close_other = close_other
        self._links: dict[ConnectionId, LinkConnection] = {}
        self._dials: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._links)

    @property
    def tasks(self) -> int:
        """How many dials run, or are being given up."""
        return len(self._tasks)

    @property
    def has_output(self) -> bool:
        """Something that the switchboard wants sent waits for a link that does not take it yet."""
        return any(link.has_more for link in self._links.values())

    def snapshot(self) -> dict[str, int]:
        """How much of everything there is now."""
        return {"link_connections": len(self._links), "dials": len(self._dials)}

    def traffic(self, connection: ConnectionId) -> tuple[int, int]:
        """Bytes of messages that this link brought and took."""
        link = self._links.get(connection)
        return (link.bytes_in, link.bytes_out) if link is not None else (0, 0)

    def accept(self, connection: ConnectionId, host: str, network: str, runner: Runner) -> None:
        """This accepted connection has said CB."""
        link = self._links[connection] = LinkConnection(self, connection, host, network)
        link.take_over(runner, self._accept_context)

    def do(self, effect: Effect) -> None:
        """Carry out an effect about links. One that is gone already needs nothing done."""
        match effect:
            case LinkOutput(connection=connection):
                if (link := self._links.get(connection)) is not None:
                    link.pull()
            case Dial():
                self._start_dial(effect)
            case StopDial(dial=number):
                if (task := self._dials.pop(number, None)) is not None:
                    task.cancel()
            case _:
                raise AssertionError(f"no hand for {effect}")

    def close(self, connection: ConnectionId, reason: Reason | None) -> bool:
        """Close it; False when it is none of ours."""
        if (link := self._links.get(connection)) is None:
            return False
        if reason in _NOBODY_TAKES:
            link.abort(reason)
        else:
            link.close(reason)
        return True

    def close_all(self, reason: Reason) -> None:
        """Close every link, give up every dial."""
        for task in self._tasks:
            task.cancel()
        for link in list(self._links.values()):
            link.close(reason)

    def abort_all(self) -> None:
        """Close what does not want to be closed."""
        for link in list(self._links.values()):
            link.abort()

    # -- Dialling ---------------------------------------------------------------------------------------------

    def _start_dial(self, effect: Dial) -> None:
        task = self._shared.loop.create_task(self._dial(effect))
        self._dials[effect.dial] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self, effect: Dial) -> None:
        until = self._shared.now() + self._shared.config.times.handshake
        version: tuple[int, int] | None = (MAJOR, MINOR)
        link: LinkConnection | None = None
        while version is not None:
            tried = version
            try:
                sock, host = await dial(effect.address, effect.ranges, until - self._shared.now())
            except DialError as error:
                self._failed(effect.dial, error.reason, error.detail)
                return
            link = self._admit(effect.dial, sock, host)
            if link is None:
                return
            try:
                async with asyncio.timeout_at(until):
                    await link.open(self._shared.loop, sock, tried)
                    await link.settled.wait()
            except TimeoutError:
                link.abort(Reason.HANDSHAKE_TIMEOUT)
                link.reason = Reason.HANDSHAKE_TIMEOUT
            finally:
                if link.fingerprint is None:  # it never came to a link, or the dial was stopped
                    link.abort()
                    self._forget(link)
            if link.fingerprint is not None:
                return
            version = link.answered if may_repeat(link.answered, tried) else None
        assert link is not None
        self._failed(effect.dial, link.reason or Reason.CONNECTION_LOST, link.detail)

    def _admit(self, number: int, sock: socket.socket, host: str) -> LinkConnection | None:
        """It counts among the connections, and may be one too many."""
        shared, network = self._shared, network_of(host)
        connection = shared.new_id()
        verdict = shared.connections.open(connection, network, shared.now(), is_data=False, dialled=True)
        if verdict.evicted is not None:
            self._close_other(*verdict.evicted)
        if verdict.refused is not None:
            sock.close()
            self._failed(number, verdict.refused)
            return None
        link = self._links[connection] = LinkConnection(self, connection, host, network, dial=number)
        return link

    def _failed(self, number: int, reason: Reason, detail: str = "") -> None:
        if self._dials.pop(number, None) is not None:
            self._shared.log.event("dial_ended", None, {"why": str(reason), "detail": detail}, level=logging.DEBUG)
            self._shared.switchboard.dial_failed(number, reason, self._shared.now())
            self._shared.carry_out()

    # -- What the links say (LinkDesk) ------------------------------------------------------------------------

    def link_secured(self, link: LinkConnection) -> None:
        """TLS stands: it is the switchboard's now."""
        shared = self._shared
        assert link.fingerprint is not None
        if link.dial is None:
            shared.connections.established(link.id)
            shared.switchboard.link_accepted(link.id, link.host, link.fingerprint, shared.now())
        else:
            if self._dials.pop(link.dial, None) is None:  # stopped a moment ago
                link.fingerprint = None
                return
            shared.switchboard.link_dialled(link.id, link.dial, link.host, link.fingerprint, shared.now())
        shared.carry_out()
        link.begin(shared.config.limits.link_buffer)

    def link_heard(self, link: LinkConnection) -> None:
        """It lives."""
        self._shared.switchboard.link_heard(link.id, self._shared.now())

    def link_message(self, link: LinkConnection, message: Message) -> None:
        """The other node says something."""
        self._shared.switchboard.link_message(link.id, message, self._shared.now())
        self._shared.carry_out()

    def link_output(self, link: LinkConnection) -> Message | None:
        """What is to be sent next."""
        message = self._shared.switchboard.link_output(link.id, self._shared.now())
        self._shared.carry_out_soon()  # not at once: what it took must be on its way before anything is drawn again
        return message

    def link_closed(self, link: LinkConnection) -> None:
        """It is gone."""
        if not self._forget(link):
            return
        shared = self._shared
        node: dict[str, object] = {"node": str(link.fingerprint)} if link.fingerprint is not None else {}
        counted = link.reason if link.dial is None or link.fingerprint is not None else None  # a dial is counted once
        shared.log_closed("link_closed", link.network, counted, link.detail, node)
        if link.fingerprint is not None:
            shared.switchboard.link_closed(link.id, link.reason, shared.now())
        shared.carry_out()

    def _forget(self, link: LinkConnection) -> bool:
        self._shared.connections.closed(link.id)
        return self._links.pop(link.id, None) is not None
