"""Routes about single texts: send, look, take back, try again, wait, acknowledge, delete, search."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from uzel.core.messenger import Messenger
from uzel.errors import NoTextError, TextStateError
from uzel.faces.api.asked import NewAnswers, NewText
from uzel.faces.api.context import Core
from uzel.faces.api.kinds import After, Before, ChatQuery, Limit, NumberPath, Plain, TextIdQuery, uin_of
from uzel.faces.api.shown import AnsweringShown, HitShown, HitsShown, TextShown, TextsShown
from uzel.names import MAX_UIN
from uzel.store.records import TextRecord
from uzel.store.search import MOST_QUERY

LONGEST_WAIT = 60.0
"""Seconds: who wants to wait longer asks again."""
router = APIRouter(tags=["texts"])


@router.post("/texts", status_code=201)
async def send_text(core: Core, body: NewText) -> TextShown:
    """Put a text into the outbox. It is on disk when this answers, and delivered as soon as that can be."""
    reply = None if body.reply is None else bytes.fromhex(body.reply)
    return TextShown.of(await core.send(uin_of(body.to), body.text, reply))


@router.get("/texts")
async def find_text(core: Core, chat: ChatQuery, text_id: TextIdQuery) -> TextsShown:
    """The text of a chat that has this id, which is the one that a reply means; none when it is not there."""
    record = await core.history.by_id(uin_of(chat), bytes.fromhex(text_id))
    return TextsShown.of([] if record is None else [record])


@router.get("/texts/{number}")
async def get_text(core: Core, number: NumberPath) -> TextShown:
    """One text."""
    return TextShown.of(await _text(core, number))


@router.delete("/texts/{number}", status_code=204)
async def delete_text(core: Core, number: NumberPath) -> Response:
    """Delete it here. One that waits is not sent then, unless it was already."""
    if not await core.history.delete(number):
        raise NoTextError(str(number))
    return Response(status_code=204)


@router.get("/texts/{number}/around")
async def texts_around(core: Core, number: NumberPath, limit: Limit = 50) -> TextsShown:
    """A text with those before and behind it."""
    texts = await core.history.around(number, limit)
    if not texts:
        raise NoTextError(str(number))
    return TextsShown.of(texts)


@router.get("/texts/{number}/wait")
async def wait_for_text(
    core: Core, number: NumberPath, timeout: Annotated[float, Query(ge=0, le=LONGEST_WAIT)] = 30.0
) -> TextShown:
    """Wait until it is delivered, failed or cancelled; what it is then, or when the seconds are over."""
    record = await core.wait_settled(number, timeout)
    if record is None:
        raise NoTextError(str(number))
    return TextShown.of(record)


@router.post("/texts/{number}/cancel")
async def cancel_text(core: Core, number: NumberPath) -> TextShown:
    """Take it back. Refused when it is on its way already, or over."""
    if not await core.cancel(number):
        record = await _text(core, number)
        raise TextStateError(f"it is {record.state}; only one that waits is taken back")
    return TextShown.of(await _text(core, number))


@router.post("/texts/{number}/retry", status_code=201)
async def retry_text(core: Core, number: NumberPath) -> TextShown:
    """Try again what failed or was cancelled; it has a new number then."""
    record = await core.retry(number)
    if record is None:
        state = (await _text(core, number)).state
        raise TextStateError(f"it is {state}; only one that failed or was cancelled is tried again")
    return TextShown.of(record)


@router.post("/texts/{number}/handled", status_code=204)
async def handled(core: Core, number: NumberPath) -> Response:
    """A program has done with a received text what it is for; it is not given again. Twice is once."""
    if not await core.history.handled(number):
        await _text(core, number)
    return Response(status_code=204)


@router.post("/texts/{number}/answer", status_code=201)
async def answer(core: Core, number: NumberPath, body: NewAnswers) -> TextsShown:
    """Answer a received text and acknowledge it, all of it or nothing. Refused when it was acknowledged before."""
    return TextsShown.of(await core.answer(number, body.texts))


@router.post("/unhandled/begin")
async def begin_answering(core: Core) -> AnsweringShown:
    """Behind which number a bot is to answer: the first time it is the last text so far, later it stays."""
    return AnsweringShown(after=await core.history.begin_answering())


@router.get("/unhandled")
async def unhandled(core: Core, after: After = 0, limit: Limit = 50) -> TextsShown:
    """Received texts that no program has acknowledged yet."""
    return TextsShown.of(await core.history.unhandled(after or 0, limit))


@router.get("/search")
async def search(
    core: Core,
    q: Annotated[str, Query(min_length=1, max_length=MOST_QUERY, description="Words; a phrase in quotes.")],
    chat: Annotated[int | None, Query(ge=1, le=MAX_UIN), Plain] = None,
    before: Before = None,
    limit: Limit = 50,
) -> HitsShown:
    """Texts with all these words, of one chat or of all, the newest first."""
    hits = await core.history.search(q, None if chat is None else uin_of(chat), before=before, limit=limit)
    return HitsShown(hits=[HitShown.of(hit) for hit in hits])


async def _text(core: Messenger, number: int) -> TextRecord:
    record = await core.history.text(number)
    if record is None:
        raise NoTextError(str(number))
    return record
