"""A conversation as a program sees it: send texts and await their delivery, read texts and acknowledge them.

A text is reported to its sender when the program acknowledges it, never before (section 6). Counterpart: the same
at the far end; below it `session.conversation.ConversationMachine`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from uzel.client.reasons import Reasons
from uzel.client.settings import ClientSettings
from uzel.errors import ConversationEndedError, RateLimitedError, Reason, TimedOutError
from uzel.identity import PeerTrust
from uzel.net.runner import Runner
from uzel.session.conversation import ConversationMachine, IncomingText, Ponged
from uzel.session.machine import Event
from uzel.session.unreported import OutgoingText, Unreported
from uzel.tls import TlsSummary


class Text:
    """A text that arrived: `text`, and `at`, when (UTC)."""

    __slots__ = ("_acknowledge", "at", "text")

    def __init__(self, text: str, acknowledge: Callable[[], None]) -> None:
        self.text = text
        self.at = datetime.now(UTC)
        self._acknowledge = acknowledge

    def acknowledge(self) -> None:
        """It is safe: report it to its sender, after every earlier one. Twice is once; never means never."""
        self._acknowledge()


class Conversation:
    """One conversation with one peer. Iterate over it for its texts; it ends when the conversation does.

    `peer` says who it is and whether the key is verified; `tls` what was agreed; `end_reason` is None while it
    lives, then "" for a plain end or the name of the reason.
    """

    def __init__(
        self,
        runner: Runner,
        peer: PeerTrust,
        unreported: Unreported,
        settings: ClientSettings,
        *,
        counters: Reasons,
        on_ended: Callable[[Conversation], None],
    ) -> None:
        assert runner.engine is not None
        self.peer = peer
        self.tls: TlsSummary = runner.engine.summary
        self.end_reason: str | None = None
        self._runner = runner
        self._unreported = unreported
        self._settings = settings
        self._counters = counters
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._arrived: deque[Text] = deque()
        self._news = asyncio.Event()
        self._progress = asyncio.Event()
        self._pings: dict[bytes, deque[asyncio.Future[None]]] = {}
        self._waiting: set[asyncio.Future[None]] = set()
        self._sending: set[OutgoingText] = set()
        self._machine: ConversationMachine | None = None

    @property
    def is_open(self) -> bool:
        """Nothing has ended it yet."""
        return self.end_reason is None and not self._runner.is_closing

    async def send(self, text: str, timeout: float | None = None) -> float:
        """Send a text and wait until the peer reports it delivered; returns the milliseconds that took.

        Texts over 65,535 bytes travel in pieces. Raises `ConversationEndedError` when the conversation ends first
        and `TimedOutError` after `timeout` seconds: the text may or may not have arrived, and is not sent again.
        Cancelling withdraws the text likewise. Raises `UnicodeEncodeError` for text that UTF-8 cannot carry.
        """
        started = time.perf_counter()
        delivered: asyncio.Future[None] = self._loop.create_future()
        try:
            async with asyncio.timeout(timeout):
                await self._room()
                outgoing = self._queue(text, lambda: self._delivered(delivered))
                self._waiting.add(delivered)
                self._sending.add(outgoing)
                try:
                    await delivered
                except BaseException:
                    self._unreported.withdraw(outgoing)
                    raise
                finally:
                    self._waiting.discard(delivered)
                    self._sending.discard(outgoing)
        except TimeoutError:
            raise TimedOutError(f"not reported delivered within {timeout} s", reason="delivery_timeout") from None
        return (time.perf_counter() - started) * 1000

    def reply(self, text: str) -> None:
        """Send a text without waiting. If this conversation breaks first, the next one with this peer sends it, first
        and in order (D27). Raises `ConversationEndedError` when it has ended already, and `RateLimitedError` when the
        peer has left more than the setting `unreported` without a report.
        """
        if self._unreported.waiting_bytes > self._settings.unreported:
            raise RateLimitedError("this peer reports nothing of what it was sent")
        self._queue(text, self._progress.set)

    def __aiter__(self) -> AsyncIterator[Text]:
        return self

    async def __anext__(self) -> Text:
        while not self._arrived:
            if self.end_reason is not None:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._arrived.popleft()

    async def ping(self, timeout: float | None = None) -> float:
        """Seconds until the peer answered. Raises `ConversationEndedError`, or `TimedOutError`."""
        self._check_open()
        assert self._machine is not None
        started = time.perf_counter()
        answered: asyncio.Future[None] = self._loop.create_future()
        self._pings.setdefault(self._machine.ping(), deque()).append(answered)
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
        """End the conversation; texts that were not reported are not sent again, except those of `reply`.

        What is queued has 5 seconds to go out, or `within` seconds if that is less.
        """
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

    def start(self, machine: ConversationMachine) -> None:
        """Begin: what the machine has to send goes out, what came is read."""
        self._machine = machine
        self._runner.run(machine)

    def on_events(self, events: list[Event]) -> None:
        """Texts and pongs; reports were taken by the machine."""
        self._progress.set()
        for event in events:
            match event:
                case IncomingText():
                    self._arrived.append(Text(event.text, self._acknowledger(event)))
                    self._news.set()
                case Ponged(token=token):
                    waiting = self._pings.get(token)
                    if waiting:
                        answered = waiting.popleft()
                        if not answered.done():
                            answered.set_result(None)
                        if not waiting:
                            del self._pings[token]

    def on_closed(self, reason: Reason | None) -> None:
        """It has ended."""
        self.end_reason = str(reason or "")
        if reason is not None:
            self._counters.note(reason)
        for outgoing in self._sending:
            outgoing.withdrawn = True
        error = ConversationEndedError(f"reason: {reason}" if reason else "closed by the other side")
        for future in self._waiting:
            if not future.done():
                future.set_exception(error)
        self._news.set()
        self._progress.set()
        self._ended.set()
        self._on_ended(self)

    def _delivered(self, future: asyncio.Future[None]) -> None:
        self._progress.set()
        if not future.done():
            future.set_result(None)

    def _acknowledger(self, event: IncomingText) -> Callable[[], None]:
        def acknowledge() -> None:
            assert self._machine is not None
            self._machine.acknowledge(event)
            self._runner.update()

        return acknowledge

    async def _room(self) -> None:
        while self._unreported.waiting_bytes > self._settings.unreported and self.is_open:
            self._progress.clear()
            await self._progress.wait()
        self._check_open()

    def _queue(self, text: str, on_delivered: Callable[[], None]) -> OutgoingText:
        self._check_open()
        assert self._machine is not None
        outgoing = OutgoingText(text, on_delivered)
        self._unreported.add(outgoing)
        self._machine.pump()
        self._runner.update()
        return outgoing

    def _check_open(self) -> None:
        if not self.is_open:
            raise ConversationEndedError("nothing was sent")
