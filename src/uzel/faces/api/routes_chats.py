"""Routes about chats: the list, pages, marks, drafts, retention, export, deletion."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Response
from starlette.responses import StreamingResponse

from uzel.core.messenger import Messenger
from uzel.errors import NotAContactError
from uzel.faces.api.asked import NewDraft, NewRetention, ReadMark
from uzel.faces.api.context import Core
from uzel.faces.api.kinds import After, Before, Limit, Plain, UinPath, uin_of
from uzel.faces.api.shown import ChatShown, ChatsShown, CountShown, TextShown, TextsShown
from uzel.names import Uin

LINES = "application/x-ndjson"
MOST_CHATS = 1000
router = APIRouter(tags=["chats"])


@router.get("/chats")
async def chats(core: Core, limit: Annotated[int, Query(ge=1, le=MOST_CHATS), Plain] = 200) -> ChatsShown:
    """The chats, the latest first; contacts without a text come last."""
    return ChatsShown(chats=[ChatShown.of(core, chat) for chat in await core.history.chats(limit)])


@router.get("/chats/{uin}/texts")
async def chat_texts(
    core: Core, uin: UinPath, before: Before = None, after: After = None, limit: Limit = 50
) -> TextsShown:
    """Texts of a chat: the last ones, the last ones before a number, or the first ones after one."""
    return TextsShown.of(await core.history.page(uin_of(uin), before=before, after=after, limit=limit))


@router.post("/chats/{uin}/read")
async def mark_read(core: Core, uin: UinPath, body: ReadMark) -> CountShown:
    """Everything up to a number was read; how many were not."""
    return CountShown(count=await core.history.mark_read(uin_of(uin), body.up_to))


@router.put("/chats/{uin}/draft", status_code=204)
async def set_draft(core: Core, uin: UinPath, body: NewDraft) -> Response:
    """What is typed and not sent."""
    if not await core.history.set_draft(uin_of(uin), body.draft):
        raise NotAContactError(f"UIN {uin}")
    return Response(status_code=204)


@router.put("/chats/{uin}/retention", status_code=204)
async def set_retention(core: Core, uin: UinPath, body: NewRetention) -> Response:
    """How long texts of the chat are kept."""
    if not await core.history.set_retention(uin_of(uin), body.retention_ms):
        raise NotAContactError(f"UIN {uin}")
    return Response(status_code=204)


@router.get(
    "/chats/{uin}/export",
    response_class=StreamingResponse,
    responses={200: {"description": "One text a line.", "content": {LINES: {"schema": {"type": "string"}}}}},
)
async def export_chat(core: Core, uin: UinPath) -> StreamingResponse:
    """Every text of the chat, in order, one JSON object a line."""
    return StreamingResponse(_lines(core, uin_of(uin)), media_type=LINES)


@router.delete("/chats/{uin}")
async def delete_chat(core: Core, uin: UinPath) -> CountShown:
    """Delete every text of the chat here; how many there were."""
    return CountShown(count=await core.history.delete_chat(uin_of(uin)))


async def _lines(core: Messenger, chat: Uin) -> AsyncIterator[str]:
    async for record in core.history.export(chat):
        yield TextShown.of(record).model_dump_json() + "\n"
