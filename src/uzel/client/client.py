"""A user's client for programs: conversations of the base protocol, with texts to send and to acknowledge.

Counterparts: `base.BaseClient`, which does everything but this, and the clients of other users.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Self

from uzel.client.base import BaseClient
from uzel.client.conversation import BaseProtocol, Conversation, Text
from uzel.client.events import ArrivedCall
from uzel.client.settings import ClientSettings
from uzel.errors import UzelError
from uzel.identity import Identity, Pins
from uzel.names import NodeReference
from uzel.store.profile import Profile

TextHandler = Callable[[Conversation, Text], Awaitable[None]]


class Client(BaseClient[Conversation]):
    """One identity at one node at a time. Use it as an async context manager.

    Its nodes, and how it moves between them: `BaseClient`. What a conversation's end left unreported goes first in the
    next one with that peer, at whatever node (`Conversation.reply`).
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
        chosen = settings or ClientSettings()
        self._protocol = BaseProtocol(chosen)
        self._profile: Profile | None = None
        super().__init__(identity, pins, nodes, chosen, self._protocol)

    @classmethod
    def open(
        cls,
        profile: Path | str,
        *nodes: str,
        settings: ClientSettings | None = None,
        passphrase: Callable[[], str] | None = None,
    ) -> Self:
        """A client from a profile folder, for nodes written `HOST:PORT` or `HOST:PORT,FINGERPRINT`.

        It holds the profile until it is closed: no other program may use it meanwhile. `passphrase` is called when the
        profile needs one; opening it is slow then. Raises `ProfileError` and `InvalidNameError`.
        """
        references = [NodeReference.parse(node) for node in nodes]
        opened = Profile.open(Path(profile), passphrase=passphrase)
        try:
            client = cls(opened.identity, opened.pins, references, settings)
        except BaseException:
            opened.close()
            raise
        client._profile = opened
        return client

    async def close(self, within: float | None = None) -> None:
        """As `BaseClient.close`; the profile that `open` opened is let go."""
        try:
            await super().close(within)
        finally:
            if self._profile is not None:
                self._profile.close()

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

    async def _serve_call(self, call: ArrivedCall[Conversation], handler: TextHandler) -> None:
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
