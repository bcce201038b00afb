"""The gate in front of an application, as one ASGI layer: who may ask, and how much.

Whoever owns it says whom it refuses. A body is read whole, within its bounds, before anything looks at it; every
answer carries the owner's headers, unless it says otherwise itself; and whatever breaks behind it is a problem, never a
traceback. Counterparts: `uzel.faces.api.guard` and `uzel.faces.web.guard`, which refuse; `problems`, which says no.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from uzel.errors import UzelError
from uzel.faces.http.problems import of_error, refused, unexpected

MOST_BODY = 1536 * 1024
"""Bytes: the longest text, should a third of it have to be written as escapes."""
BODY_TIME = 30.0
"""Seconds for a body to come whole."""
LOOPBACK = ("127.0.0.1", "localhost")
PRIVATE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""Headers of answers that are nobody else's."""
Refuse = Callable[[Scope, Headers], Response | None]
"""The answer to a request that goes no further; None lets it in."""


class Gate:
    """See the module's text."""

    def __init__(self, app: ASGIApp, refuse: Refuse, headers: Mapping[str, str] = PRIVATE) -> None:
        self._app = app
        self._refuse = refuse
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                said = list(message.get("headers", ()))
                names = {name.lower() for name, _ in said}
                message["headers"] = said + [header for header in self._headers if header[0] not in names]
            await send(message)

        try:
            await self._serve(scope, receive, sending)
        except Exception as error:  # noqa: BLE001 - whatever it is, no traceback leaves here
            answer = of_error(error) if isinstance(error, UzelError) else unexpected(error)
            if not started:
                await answer(scope, receive, sending)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        no = self._refuse(scope, headers)
        if no is not None:
            await no(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_TIME):
                body = await _body(headers, receive)
        except TimeoutError:
            await refused(408, "bad_request", "the body did not come in time")(scope, receive, send)
            return
        if body is None:
            detail = f"a body has at most {MOST_BODY} bytes"
            await refused(413, "too_large", detail, {"Connection": "close"})(scope, receive, send)
            return
        await self._app(scope, _again(body, receive), send)


async def _body(headers: Headers, receive: Receive) -> bytes | None:
    """All of it; None when it is too long."""
    length = headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length[:20]) > MOST_BODY:
        return None
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > MOST_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body in one piece, then whatever comes."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving
