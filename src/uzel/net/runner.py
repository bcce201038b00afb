"""Drives any machine over any stream: the one asyncio shell (ARCHITECTURE.md, rule 3).

A runner owns a transport, at most one TLS engine and one machine at a time. Bytes that come go through the engine
into the machine; events go to the owner; what the machine wants to send goes back the same way; its deadline is
kept by one lazy timer. Every bound: reading stops while the machine does not want data or there is none, and a
peer that does not take what it is sent is cut off (`SEND_QUEUE_FULL`). Counterpart: `session.machine.Machine`.

A link is different: it carries the bytes of many conversations, whose owner queues them itself and puts new ones
before old ones (D25). So after `draw_from` what to send is asked for while the peer takes it, and nobody is cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from uzel.errors import Reason
from uzel.session.machine import Ended, Event, Failed, Machine
from uzel.tls import TlsContext, TlsEngine

CLOSE_PATIENCE = 5.0
"""Seconds in which a closing connection may still take what is queued; then it is aborted."""
DEFAULT_SEND_QUEUE = 1024 * 1024
MOST_DRAWN = 128 * 1024
"""Bytes that one draw may bring."""
_DRAWS = 8
"""So often is output drawn before other connections have their turn."""


class Owner(Protocol):
    """Who is told what happens on a connection. All calls come from the event loop, never nested."""

    def on_events(self, runner: Runner, events: list[Event]) -> None:
        """The machine reports; `Failed` and `Ended` come through `on_closed` instead."""

    def on_secured(self, runner: Runner) -> None:
        """The TLS handshake is complete. Nothing was read or answered yet: check `runner.engine`, then `run`."""

    def on_closed(self, runner: Runner) -> None:
        """The connection is gone, once; `runner.reason` says why (None: the other side closed, or we asked)."""


class Runner(asyncio.Protocol):
    """One connection. Give it to asyncio as the protocol of a new transport."""

    __slots__ = (
        "_closing",
        "_draw",
        "_draw_soon",
        "_full",
        "_loop",
        "_owner",
        "_paused",
        "_pending",
        "_secured",
        "_send_queue",
        "_timer",
        "_timer_at",
        "_transport",
        "detail",
        "engine",
        "machine",
        "reason",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        owner: Owner,
        machine: Machine | None = None,
        *,
        send_queue: int = DEFAULT_SEND_QUEUE,
    ) -> None:
        self._loop = loop
        self._owner = owner
        self.machine = machine
        self.engine: TlsEngine | None = None
        self.reason: Reason | None = None
        self.detail = ""
        self._send_queue = send_queue
        self._draw: Callable[[], bytes] | None = None
        self._draw_soon = False
        self._full = False
        self._transport: asyncio.Transport | None = None
        self._pending = b""
        self._secured = False
        self._paused = False
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    # -- What the owner does ----------------------------------------------------------------------------------

    @property
    def transport(self) -> asyncio.Transport:
        """The transport; only once there is a connection."""
        assert self._transport is not None
        return self._transport

    @property
    def is_closing(self) -> bool:
        """Nothing more will be read or sent."""
        return self._closing

    def hand_over(self, owner: Owner) -> None:
        """From here on this owner is told what happens."""
        self._owner = owner

    def draw_from(self, draw: Callable[[], bytes], mark: int) -> None:
        """From here on `draw` is asked for what to send, whenever the peer takes it and at `pull`.

        Nothing is drawn while more than `mark` bytes wait in the transport, so what `draw` puts first is at most so
        much behind. It returns up to 128 KiB, or nothing: then it is not asked before `pull`. The peer may be as slow
        as it likes; ending a dead connection is the owner's business.
        """
        self._draw = draw
        self._send_queue += mark + MOST_DRAWN
        self.transport.set_write_buffer_limits(high=mark)

    def pull(self) -> None:
        """There may be something to draw."""
        if self._draw_soon:
            return
        for _ in range(_DRAWS):
            if self._draw is None or self._full or self._closing:
                return
            data = self._draw()
            if not data:
                return
            self.write(data)
        self._draw_soon = True
        self._loop.call_soon(self._pull_on)

    def start_tls(self, context: TlsContext, received: bytes = b"") -> None:
        """From here on everything is TLS; `received` are bytes that already belong to it. The machine is taken off."""
        self._flush()
        self.machine = None
        self.engine = TlsEngine(context)
        self.engine.start()
        if received:
            self.data_received(received)
        else:
            self._write(self.engine.data_to_send())

    def run(self, machine: Machine) -> None:
        """Put a machine on; it gets what came in the meantime."""
        self.machine = machine
        pending, self._pending = self._pending, b""
        if pending:
            self._feed(pending)
        self.update()

    def update(self) -> None:
        """After one of the machine's verbs: send what it wants to send, keep its deadline, read or stop reading."""
        if self._closing:
            return
        self._flush()
        self._arm()
        self._read_or_pause()

    def write(self, data: bytes) -> None:
        """Send bytes around the machine (through TLS if it runs)."""
        if self.engine is not None:
            self.engine.send(data)
            data = self.engine.data_to_send()
        self._write(data)

    def close(self, reason: Reason | None = None, detail: str = "") -> None:
        """Send what is queued, say goodbye, and close; the first reason stays."""
        if self._closing:
            return
        self._flush()
        self._closing = True
        self.reason, self.detail = reason, detail
        self._stop_timer()
        if self._transport is None:
            return
        if self.engine is not None:
            self.engine.close()
            self._write(self.engine.data_to_send())
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._timer = self._loop.call_later(CLOSE_PATIENCE, self._transport.abort)

    def abort(self, reason: Reason | None = None, detail: str = "") -> None:
        """Close without sending what is queued."""
        if not self._closing:
            self._closing = True
            self.reason, self.detail = reason, detail
            self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    # -- What asyncio calls -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; send what the machine begins with."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._send_queue)
        if self._closing:
            self._transport.abort()
            return
        self.update()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the network."""
        if self._closing:
            return
        if self.engine is None:
            self._feed(data)
        else:
            self._feed_tls(self.engine, data)
        self.update()

    def eof_received(self) -> None:
        """Take the end of the stream."""
        self._ended()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone, for whatever reason."""
        if not self._closing:
            self._closing = True
            self.reason, self.detail = Reason.CONNECTION_LOST, type(exc).__name__ if exc else ""
        self._stop_timer()
        self._owner.on_closed(self)

    def pause_writing(self) -> None:
        """The peer does not take what it is sent: the bound is reached."""
        self._full = True
        if self._draw is None:
            self.abort(Reason.SEND_QUEUE_FULL)

    def resume_writing(self) -> None:
        """The peer takes it again. Not pulled at once: asyncio's own transport cannot bear to fail while it says so."""
        self._full = False
        if not self._draw_soon:
            self._draw_soon = True
            self._loop.call_soon(self._pull_on)

    # -- Inside -----------------------------------------------------------------------------------------------

    def _pull_on(self) -> None:
        self._draw_soon = False
        self.pull()

    def _feed_tls(self, engine: TlsEngine, data: bytes) -> None:
        plaintext = engine.receive(data)
        self._write(engine.data_to_send())
        if self._full and self.transport.get_write_buffer_size() > self._send_queue:
            self.abort(Reason.SEND_QUEUE_FULL)  # TLS itself has something to say to a peer that does not read
            return
        if engine.fault is not None:
            self.close(engine.fault, engine.fault_detail)
            return
        if engine.handshake_done and not self._secured:
            self._secured = True
            self._pending = plaintext
            self._owner.on_secured(self)
        elif plaintext:
            self._feed(plaintext)
        if engine.closed:
            self._ended()

    def _feed(self, data: bytes) -> None:
        if self._closing:
            return
        if self.machine is None:
            self._pending += data
            return
        self._take(self.machine.receive(data, self._loop.time()))

    def _take(self, events: list[Event]) -> None:
        last = events[-1] if events else None
        if isinstance(last, Failed | Ended):
            events = events[:-1]
        if events:
            self._owner.on_events(self, events)
        if isinstance(last, Failed):
            self.close(last.reason, last.detail)
        elif isinstance(last, Ended):
            self.close()

    def _ended(self) -> None:
        if self._closing:
            return
        if self.machine is None:
            self.close(Reason.CONNECTION_LOST, "ended during the handshake" if not self._secured else "")
        else:
            self._take(self.machine.eof(self._loop.time()))

    def _flush(self) -> None:
        if self._closing or self.machine is None:
            return
        data = self.machine.data_to_send()
        if data:
            self.write(data)

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    def _read_or_pause(self) -> None:
        if self._transport is None or self._closing:
            return
        wanted = self.machine.wants_data if self.machine is not None else not self._secured
        if wanted == self._paused:
            self._paused = not wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _arm(self) -> None:
        deadline = self.machine.deadline() if self.machine is not None and not self._closing else None
        if deadline is None:
            self._stop_timer()
        elif self._timer is None or self._timer_at > deadline:
            self._stop_timer()
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._closing or self.machine is None:
            return
        now = self._loop.time()
        deadline = self.machine.deadline()
        if deadline is not None and now >= deadline:
            self._take(self.machine.on_timeout(now))
        self.update()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
