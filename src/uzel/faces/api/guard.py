"""Who may ask, and how much: the gate in front of the interface, as one ASGI layer.

On the Unix socket the file's mode says who may; a web page cannot get there, so whatever names an `Origin` is refused.
On the loopback port anybody of this machine, and any page in a browser on it, could knock: there a bearer token is
asked for, compared in constant time, and `Host` must name the loopback itself (a name that was rebound would not), and
`Origin`, if there is one, the port itself. A body is read whole, within its bounds, before anything looks at it.
Counterparts: `server`, which listens; `problems`, which says no.
"""

from __future__ import annotations

import asyncio
import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from uzel.errors import UzelError
from uzel.faces.api.problems import of_error, refused, unexpected

MOST_BODY = 1536 * 1024
"""Bytes: the longest text, should a third of it have to be written as escapes."""
BODY_TIME = 30.0
"""Seconds for a body to come whole."""
LOOPBACK = ("127.0.0.1", "localhost")
_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


class Guard:
    """See the module's text. Without a token it guards a Unix socket."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            await self._serve(scope, receive, sending)
        except Exception as error:  # noqa: BLE001 - whatever it is, no traceback leaves here
            answer = of_error(error) if isinstance(error, UzelError) else unexpected(error)
            if not started:
                await answer(scope, receive, sending)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        no = self._refusal(scope, headers)
        if no is not None:
            code, status, detail = no
            extra = {"WWW-Authenticate": "Bearer"} if status == 401 else None
            await refused(status, code, detail, extra)(scope, receive, send)
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

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[str, int, str] | None:
        origin = headers.get("origin")
        if self._token is None:
            return ("foreign_origin", 403, "pages have no business here") if origin is not None else None
        hosts = _hosts(scope)
        given = headers.getlist("host")
        if len(given) != 1 or given[0].lower() not in hosts:
            return ("foreign_host", 403, "the Host must be the loopback address and the port")
        if origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
            return ("foreign_origin", 403, "pages from elsewhere have no business here")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token):
            return ("unauthorized", 401, "the bearer token is missing or wrong; it is in api.token of the profile")
        return None


def _hosts(scope: Scope) -> set[str]:
    """What the Host may say: the port is the one that was reached; 80 may be left out."""
    port = (scope.get("server") or ("", None))[1] or 80
    hosts = {f"{name}:{port}" for name in LOOPBACK}
    return hosts | set(LOOPBACK) if port == 80 else hosts


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
