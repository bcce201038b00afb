"""The work behind `uzel listen`: calls in, lines out.

Events: `online` {node, uin}, `incoming` {from}, `text` {from, text, at}, `closed` {from, reason}, `offline`
{reason, retry_in}. `from` in `incoming` is only what the node says; every `text` comes from a proven key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence

from uzel.client import Client, ClientSettings, Conversation, IncomingCall, WentOffline, WentOnline
from uzel.errors import ConversationEndedError, NodeKeyChangedError, RateLimitedError, StorageError, UzelError
from uzel.faces.cli.emitter import Emitter
from uzel.faces.cli.output import json_line, named, printable, rfc3339, say
from uzel.identity import Identity, Pins
from uzel.names import NodeReference

CONTESTED = "another program is using this number"
GOODBYE = 2.0
"""Seconds in which connections may close in order."""


class Listener:
    """One run of `uzel listen`."""

    def __init__(
        self,
        identity: Identity,
        pins: Pins,
        names: Mapping[int, str],
        nodes: Sequence[NodeReference],
        *,
        roaming: bool,
        as_json: bool,
        contacts_only: bool,
        echo: bool,
    ) -> None:
        self._pins = pins
        self._names = names
        self._as_json = as_json
        self._contacts_only = contacts_only
        self._echo = echo
        self._client = Client(identity, pins, nodes, ClientSettings(roaming=roaming))
        self._client.on_event = self._on_event
        self._conversations: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Listen until cancelled, or until nobody reads what is printed.

        Raises `NodeKeyChangedError` when every node shows another key than before, and `StorageError` when the disk
        behind stdout refuses.
        """
        self._emitter = Emitter()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answering = self._spawn(self._answer())
        try:
            await self._client.__aenter__()
            await self._over
        except BrokenPipeError:
            pass  # whoever read our lines has gone, and so do we
        except OSError as error:
            raise StorageError(f"standard output: {error.strerror}") from None
        finally:
            await self._client.close(GOODBYE)
            for task in {answering, *self._conversations}:
                task.cancel()
            await self._emitter.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """A task whose failure ends the command, with that failure."""
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._look_at)
        return task

    def _look_at(self, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            self._stop(error)

    def _stop(self, error: BaseException) -> None:
        if not self._over.done():
            self._over.set_exception(error)

    def _emit(self, human: str, **values: object) -> asyncio.Future[None]:
        written = self._emitter.emit(json_line(values) if self._as_json else human + "\n")
        written.add_done_callback(self._look_at)
        return written

    def _on_event(self, event: WentOnline | WentOffline) -> None:
        if isinstance(event, WentOnline):
            human = f"online at {event.node} as {int(event.uin)}"
            self._emit(human, event="online", node=str(event.node), uin=int(event.uin))
            return
        reason = CONTESTED if event.contested else event.reason
        retry_in = round(event.retry_in, 3)
        self._emit(
            f"offline: {reason}; next try in {retry_in:.0f} s", event="offline", reason=reason, retry_in=retry_in
        )
        if event.contested and self._as_json:
            say(f"uzel: {CONTESTED}; trying again in {retry_in:.0f} s")
        if isinstance(event.error, NodeKeyChangedError) and event.hopeless:
            self._stop(event.error)

    async def _answer(self) -> None:
        async for call in self._client.calls():
            if self._contacts_only and self._pins.peer(call.uin) is None:
                call.refuse()
                continue
            task = self._spawn(self._converse(call))
            self._conversations.add(task)
            task.add_done_callback(self._conversations.discard)

    async def _converse(self, call: IncomingCall) -> None:
        peer = int(call.uin)
        await self._emit(f"{peer} calls", event="incoming", **{"from": peer})
        try:
            conversation = await call.accept()
        except UzelError as error:
            human = f"{peer} has gone: {printable(str(error))}"
            await self._emit(human, event="closed", **{"from": peer}, reason=str(error.reason))
            return
        await self._read(conversation, peer)
        reason = conversation.end_reason or ""
        human = f"{peer} has gone" + (f": {reason}" if reason else "")
        await self._emit(human, event="closed", **{"from": peer}, reason=reason)

    async def _read(self, conversation: Conversation, peer: int) -> None:
        async for text in conversation:
            human = f"{named(peer, self._names.get(peer, ''))}: {printable(text.text)}"
            await self._emit(human, event="text", **{"from": peer}, text=text.text, at=rfc3339(text.at))
            if self._echo:
                try:
                    conversation.reply(text.text)
                except RateLimitedError:  # it takes no echo: it gets no report either
                    await conversation.close()
                    return
                except ConversationEndedError:
                    continue  # then the text is not reported either, and comes again
            text.acknowledge()
