"""The live events, as server-sent events: what happens, numbered, for programs that follow.

A reader names the last event that it knows (`Last-Event-ID`, or `after`) and gets everything behind it, each once and
in order; the journal is on disk, so this holds across restarts. Who names none begins with what comes. `ready` says
where one is; `presence` and `conversation`, which are not kept and have no id, whether the core is online, with whom
a conversation stands, and who lets us in. Comments keep a quiet stream open. Nothing waits for a reader here: one who
is slow is behind, and once the journal reaches no further back, or when one comes from too long ago, `missed` says so:
ask for everything anew. Counterparts: `uzel.store.journal`; `uzel.core.works`, which writes in it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from uzel.core import works
from uzel.core.messenger import Messenger
from uzel.core.talk import TalkState
from uzel.errors import ClientClosedError, RateLimitedError, RequestRefusedError
from uzel.faces.api.context import Context, ContextOf
from uzel.faces.api.kinds import MOST_NUMBER, After, time_or_none
from uzel.faces.api.shown import event_of
from uzel.names import Uin

PAGE = 32
"""Entries that are held for one reader: a long text each, that is 16 MiB at most."""
MOST_STREAMS = 32
"""Readers at the same time, for each place where the core is reached."""
STALLED = 60.0
"""Seconds in which a reader must take something of what is sent; else its place goes to another."""
KEEPALIVE = 15.0
"""Seconds of silence after which a comment is sent."""
EVENTS = "text/event-stream"
UNKNOWN = TalkState()
router = APIRouter(tags=["events"])


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"description": "The stream, without end.", "content": {EVENTS: {"schema": {"type": "string"}}}}},
)
async def events(
    context: ContextOf,
    after: After = None,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> StreamingResponse:
    """What happens from now on, or from behind the event that was named."""
    start = _number(last_event_id) if last_event_id else after
    if context.streams >= MOST_STREAMS:
        raise RateLimitedError(f"{MOST_STREAMS} programs follow the events already")
    context.streams += 1  # at once, for others come while the journal is asked
    try:
        if start is None:
            start = await context.messenger.ledger.writer.run(lambda tables: tables.journal.last())
    except BaseException:
        context.streams -= 1
        raise
    return _Stream(context, start)


class _Stream(StreamingResponse):
    """Ends when its reader takes nothing any more; it may come back with its last id. Gives its place back then."""

    def __init__(self, context: Context, start: int) -> None:
        super().__init__(_until_the_end(context, start), media_type=EVENTS)
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._context.streams -= 1

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        assert isinstance(self.body_iterator, AsyncGenerator)
        async with aclosing(self.body_iterator) as pieces:
            async for piece in pieces:
                assert isinstance(piece, str)
                message = {"type": "http.response.body", "body": piece.encode(), "more_body": True}
                try:
                    async with asyncio.timeout(STALLED):
                        await send(message)
                except TimeoutError:
                    return  # unfinished, so the connection is closed
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def event(kind: str, data: dict[str, Any], number: int | None = None) -> str:
    """One event as it is sent. JSON writes line ends as escapes, so the data is one line."""
    name = f"id: {number}\n" if number is not None else ""
    return f"{name}event: {kind.replace(' ', '_')}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


def _number(written: str) -> int:
    if written.isascii() and written.isdigit() and int(written) <= MOST_NUMBER:
        return int(written)
    raise RequestRefusedError("Last-Event-ID is the id of an event")


async def _until_the_end(context: Context, start: int) -> AsyncGenerator[str, None]:
    with suppress(ClientClosedError):  # the core ends
        async for each in _follow(context, start):
            yield each


async def _follow(context: Context, after: int) -> AsyncGenerator[str, None]:
    messenger, shown = context.messenger, ""
    talks: dict[Uin, TalkState] = {}
    yield event("ready", {"event": after}, after)
    while not context.over.is_set():
        upcoming = messenger.ledger.upcoming()
        entries, missed = await messenger.ledger.writer.run(partial(works.since, after=after, limit=PAGE))
        if missed:
            last = await messenger.ledger.writer.run(lambda tables: tables.journal.last())
            after = entries[0].number - 1 if entries else last
            yield event("missed", {"event": after}, after)
        for entry in entries:
            after = entry.number
            yield event(entry.kind, event_of(entry), after)
        if entries or missed:
            continue
        was, talks = talks, messenger.talk_states()
        for each in _conversations(was, talks):
            yield each
        now = await _presence(messenger)
        if now != shown:
            shown = now
            yield now
            continue
        if not await _comes(upcoming, context):
            yield ": still here\n\n"


def _conversations(was: dict[Uin, TalkState], now: dict[Uin, TalkState]) -> list[str]:
    """Which conversations stand, which do not any more, and who lets us in; at first, all that is known."""
    changed = [peer for peer in {**was, **now} if was.get(peer, UNKNOWN) != now.get(peer, UNKNOWN)]
    return [_conversation(peer, now.get(peer, UNKNOWN)) for peer in changed]


def _conversation(peer: Uin, talk: TalkState) -> str:
    return event(
        "conversation",
        {
            "uin": int(peer),
            "connected": talk.key_agreement is not None,
            "key_agreement": talk.key_agreement,
            "gate": talk.gate,
            "downgraded": talk.downgraded,
        },
    )


async def _presence(messenger: Messenger) -> str:
    status = await messenger.status()
    node = None if status.node is None else str(status.node)
    return event(
        "presence",
        {
            "online": node is not None,
            "node": node,
            "reason": status.reason or None,
            "contested": status.contested,
            "key_agreement": status.key_agreement,
            "retry_at": time_or_none(status.retry_at),
        },
    )


async def _comes(coming: asyncio.Event, context: Context) -> bool:
    """Wait for news, or for the end; False when there were none for a while."""
    waiting = {asyncio.ensure_future(each.wait()) for each in (coming, context.over)}
    try:
        done, _ = await asyncio.wait(waiting, timeout=KEEPALIVE, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
    return bool(done)
