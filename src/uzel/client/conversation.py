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

from uzel.client.carried import CarriedConversation, Ended
from uzel.client.login import token
from uzel.client.reasons import Reasons
from uzel.client.settings import ClientSettings
from uzel.errors import RateLimitedError, Reason, TimedOutError
from uzel.identity import PeerTrust
from uzel.names import Uin
from uzel.net.runner import Runner
from uzel.session.conversation import ConversationMachine, IncomingText, Ponged
from uzel.session.machine import Event
from uzel.session.unreported import OutgoingText, Unreported


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


class Conversation(CarriedConversation):
    """One conversation with one peer. Iterate over it for its texts; it ends when the conversation does."""

    def __init__(
        self,
        runner: Runner,
        peer: PeerTrust,
        unreported: Unreported,
        settings: ClientSettings,
        *,
        counters: Reasons,
        on_ended: Ended,
    ) -> None:
        super().__init__(runner, peer, counters=counters, on_ended=on_ended)
        self._unreported = unreported
        self._settings = settings
        self._arrived: deque[Text] = deque()
        self._news = asyncio.Event()
        self._progress = asyncio.Event()
        self._sending: set[OutgoingText] = set()
        self._machine = ConversationMachine(
            unreported, settings.keepalive, token, self._loop.time(), window=settings.window
        )

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

    async def close(self, within: float | None = None) -> None:
        """End the conversation; texts that were not reported are not sent again, except those of `reply`.

        What is queued has 5 seconds to go out, or `within` seconds if that is less.
        """
        await super().close(within)

    # -- What the client and the runner say -------------------------------------------------------------------

    def on_events(self, events: list[Event]) -> None:
        """Texts and pongs; reports were taken by the machine."""
        self._progress.set()
        for event in events:
            match event:
                case IncomingText():
                    self._arrived.append(Text(event.text, self._acknowledger(event)))
                    self._news.set()
                case Ponged(token=answered):
                    self._ponged(answered)

    def on_closed(self, reason: Reason | None) -> None:
        """It has ended."""
        for outgoing in self._sending:
            outgoing.withdrawn = True
        super().on_closed(reason)
        self._news.set()
        self._progress.set()

    def _machine_to_run(self) -> ConversationMachine:
        return self._machine

    def _send_ping(self) -> bytes:
        return self._machine.ping()

    def _delivered(self, future: asyncio.Future[None]) -> None:
        self._progress.set()
        if not future.done():
            future.set_result(None)

    def _acknowledger(self, event: IncomingText) -> Callable[[], None]:
        def acknowledge() -> None:
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
        outgoing = OutgoingText(text, on_delivered)
        self._unreported.add(outgoing)
        self._machine.pump()
        self._runner.update()
        return outgoing


class BaseProtocol:
    """The base protocol end to end, exactly as it is (D29): an `Extension` that makes `Conversation`s.

    What one of them leaves unreported is kept, and goes first in the next one with that peer (D27).
    """

    alpn = (b"uzel/1",)

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._unreported: dict[Uin, Unreported] = {}

    def remembers(self, caller: Uin) -> bool:  # noqa: ARG002 - one for all
        """Every key is pinned at first use: the program took the call."""
        return True

    def begin(self, runner: Runner, peer: PeerTrust, counters: Reasons, on_ended: Ended) -> Conversation:
        """A conversation that first sends what the last one left."""
        unreported = self._unreported.setdefault(peer.uin, Unreported())

        def ended(conversation: CarriedConversation) -> None:
            if self._unreported.get(peer.uin) is unreported:
                unreported.rewind()
                if not unreported:
                    del self._unreported[peer.uin]
            on_ended(conversation)

        return Conversation(runner, peer, unreported, self._settings, counters=counters, on_ended=ended)
