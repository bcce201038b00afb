"""What every conversation of a client has, whatever is said in it: an end to ping, to close and to wait for.

`Conversation` is what a program of the library uses; a program that speaks more than the base protocol end to end (D29)
brings its own, made by its `Extension`. Counterparts: `calls`, which begins conversations, and `net.runner`, which
carries them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from uzel.client.reasons import Reasons
from uzel.errors import ConversationEndedError, Reason, TimedOutError
from uzel.identity import PeerTrust
from uzel.names import Uin
from uzel.net.runner import Runner
from uzel.session.machine import Event, Machine
from uzel.tls import TlsSummary


class CarriedConversation:
    """One conversation with one peer, as far as its connection goes.

    `peer` says who it is and whether the key is verified; `tls` what was agreed; `end_reason` is None while it
    lives, then "" for a plain end or the name of the reason.
    """

    def __init__(
        self,
        runner: Runner,
        peer: PeerTrust,
        *,
        counters: Reasons,
        on_ended: Callable[[CarriedConversation], None],
    ) -> None:
        assert runner.engine is not None
        self.peer = peer
        self.tls: TlsSummary = runner.engine.summary
        self.end_reason: str | None = None
        self._runner = runner
        self._counters = counters
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._waiting: set[asyncio.Future[None]] = set()
        self._pings: dict[bytes, deque[asyncio.Future[None]]] = {}

    @property
    def is_open(self) -> bool:
        """Nothing has ended it yet."""
        return self.end_reason is None and not self._runner.is_closing

    async def ping(self, timeout: float | None = None) -> float:
        """Seconds until the peer answered. Raises `ConversationEndedError`, or `TimedOutError`."""
        self._check_open()
        started = time.perf_counter()
        answered: asyncio.Future[None] = self._loop.create_future()
        self._pings.setdefault(self._send_ping(), deque()).append(answered)
        self._runner.update()
        self._waiting.add(answered)
        try:
            async with asyncio.timeout(timeout):
                await answered
        except TimeoutError:
            raise TimedOutError("the peer did not answer a ping") from None
        finally:
            self._waiting.discard(answered)
        return time.perf_counter() - started

    async def close(self, within: float | None = None) -> None:
        """End the conversation. What is queued has 5 seconds to go out, or `within` seconds if that is less."""
        self._runner.close()
        try:
            async with asyncio.timeout(within):
                await self._ended.wait()
        except TimeoutError:
            self._runner.abort()
            await self._ended.wait()

    async def wait_closed(self) -> None:
        """Wait until the conversation has ended, from whichever side."""
        await self._ended.wait()

    # -- What the client and the runner say -------------------------------------------------------------------

    def start(self) -> None:
        """Begin: what the machine has to send goes out, what came is read."""
        self._runner.run(self._machine_to_run())

    def on_events(self, events: list[Event]) -> None:
        """What the machine reports."""
        raise NotImplementedError

    def on_closed(self, reason: Reason | None) -> None:
        """It has ended."""
        self.end_reason = str(reason or "")
        if reason is not None:
            self._counters.note(reason)
        error = ConversationEndedError(f"reason: {reason}" if reason else "closed by the other side")
        for future in self._waiting:
            if not future.done():
                future.set_exception(error)
        self._ended.set()
        self._on_ended(self)

    # -- For those who carry it further -----------------------------------------------------------------------

    def _machine_to_run(self) -> Machine:
        raise NotImplementedError

    def _send_ping(self) -> bytes:
        """Let the machine send a ping; returns its token."""
        raise NotImplementedError

    def _ponged(self, token: bytes) -> None:
        """The answer to a ping came."""
        waiting = self._pings.get(token)
        if waiting:
            answered = waiting.popleft()
            if not answered.done():
                answered.set_result(None)
            if not waiting:
                del self._pings[token]

    def _check_open(self) -> None:
        if not self.is_open:
            raise ConversationEndedError("nothing was sent")


Ended = Callable[[CarriedConversation], None]
Carried = TypeVar("Carried", bound=CarriedConversation)
Carried_co = TypeVar("Carried_co", bound=CarriedConversation, covariant=True)


class Extension(Protocol[Carried_co]):
    """What is spoken end to end (D29): the base protocol, or more. It makes every conversation of a client."""

    @property
    def alpn(self) -> Sequence[bytes]:
        """What is offered and accepted, the best first."""

    def remembers(self, caller: Uin) -> bool:
        """Whether the key of this caller is pinned at first use; not that of every stranger is."""

    def begin(self, runner: Runner, peer: PeerTrust, counters: Reasons, on_ended: Ended) -> Carried_co:
        """A conversation with this peer stands; it is started next. Raises `UzelError` to end it instead."""
