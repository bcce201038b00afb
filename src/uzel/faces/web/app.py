"""The page's application: its files, the session, and the local interface for whoever is signed in.

Counterparts: `guard`, in front of it; `sessions`; `uzel.faces.api`, whose routes are behind `/v1`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from uzel.errors import ClientClosedError, NotSignedInError, RateLimitedError
from uzel.faces.http.gate import Gate
from uzel.faces.http.problems import of_error, refused
from uzel.faces.web.devices import MOST_NAME, Device
from uzel.faces.web.files import File
from uzel.faces.web.guard import HEADERS, Place
from uzel.faces.web.sessions import Sessions

DEVICE = "uzel.device"
"""In the scope of a request: the id of the device that asks."""
Time = Callable[[int], str]
"""Milliseconds since 1970 as the interface writes them."""
AT_HOME = frozenset({
    ("POST", "/v1/profile/backup"), ("POST", "/v1/profile/passphrase"), ("POST", "/v1/devices/address"),
    ("POST", "/v1/stop"),
})  # fmt: skip
"""What a paired device may not do: a telephone that was lost must not give away the key, nor keep its owner out."""


class NewSession(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What lets in: the token of a one-time address, or a pairing code; and what the device calls itself."""

    token: str = ""
    code: str = ""
    name: str = ""


class PageApp:
    """See the module's text. `api` answers what is below `/v1`."""

    def __init__(self, sessions: Sessions, api: ASGIApp, place: Place, files: Mapping[str, File], time: Time) -> None:
        self._sessions = sessions
        self._api = api
        self._place = place
        self._files = files
        self._time = time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request that came through the guard."""
        path, headers = str(scope["path"]), Headers(scope=scope)
        if path.startswith("/v1/"):
            await self._interface(scope, receive, send)
            return
        answer: Response
        if path == "/session":
            answer = await self._session(Request(scope, receive))
        elif (file := self._files.get(path)) is None:
            answer = refused(404, "not_found", "Not Found")
        elif scope["method"] in {"GET", "HEAD"}:
            answer = file.answer(headers)
        else:
            answer = refused(405, "method_not_allowed", "Method Not Allowed", {"Allow": "GET, HEAD"})
        await answer(scope, receive, send)

    async def _interface(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The interface's own answer, which ends at once when the device is signed out meanwhile."""
        device = self._device(Headers(scope=scope))
        if device is None:
            await of_error(NotSignedInError())(scope, receive, send)
            return
        if device.kind == "paired" and (scope["method"], scope["path"]) in AT_HOME:
            answer = refused(403, "only_at_home", "only a browser on the core's own machine may do that")
            await answer(scope, receive, send)
            return
        inner = {**scope, DEVICE: device.id}
        if scope["path"] == f"/v1/devices/{device.id}":  # it may sign itself out, and is told that it did
            await self._api(inner, receive, send)
            return
        with self._sessions.using(device) as over:
            begun = await _until(over, self._api, inner, receive, send)
        if not begun:
            await self._ended(device)(scope, receive, send)

    def _ended(self, device: Device) -> Response:
        """Instead of an answer that has not begun. The core stops, unless the device was signed out: that it hears
        only then, for it forgets its secret at once.
        """
        if self._sessions.is_known(device):
            return of_error(ClientClosedError("the core stops, or serves the page no longer"))
        return of_error(NotSignedInError())

    def _device(self, headers: Headers) -> Device | None:
        shown = self._place.shown(headers)
        return None if shown is None else self._sessions.find(shown, self._place.name)

    async def _session(self, request: Request) -> Response:
        device = self._device(request.headers)
        if request.method == "POST":
            return await self._sign_in(request, device)
        if request.method not in {"GET", "DELETE"}:
            return refused(405, "method_not_allowed", "Method Not Allowed", {"Allow": "GET, POST, DELETE"})
        if device is None:
            return of_error(NotSignedInError())
        if request.method == "GET":
            return JSONResponse(self._shown(device))
        await self._sessions.remove(device.id)
        answer = Response(status_code=204)
        self._place.set_cookie(answer, None)
        return answer

    async def _sign_in(self, request: Request, before: Device | None) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return refused(422, "bad_request", "the body must be JSON")
        try:
            asked = msgspec.json.decode(await request.body(), type=NewSession)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return refused(422, "bad_request", "the body holds a token, or a code and a name")
        name = asked.name[:MOST_NAME] or named(request.headers.get("user-agent", ""))
        try:
            if asked.code:
                device, shown = await self._sessions.enter_code(asked.code, name, self._place.name, before)
            else:
                device, shown = await self._sessions.open_address(asked.token, name, self._place.name, before)
        except RateLimitedError as error:
            wait = {"Retry-After": str(math.ceil(self._sessions.wait()))}
            return of_error(error, headers=wait)
        answer = JSONResponse({"secret": shown.secret, **self._shown(device)})
        self._place.set_cookie(answer, shown, round(self._sessions.settings.lifetime))
        return answer

    def _shown(self, device: Device) -> dict[str, object]:
        said = {"id": device.id, "name": device.name, "kind": device.kind, "current": True}
        return {"device": said, "expires_at": self._time(self._sessions.expires_at(device))}


def guarded(app: PageApp, place: Place) -> Gate:
    """The application behind its guard."""
    return Gate(app, place.refuse, HEADERS)


def named(agent: str) -> str:
    """What to call a browser that gives no name: what it says of itself, in a word or two."""
    browsers = (("Edg", "Edge"), ("Firefox", "Firefox"), ("Chrom", "Chromium"), ("Safari", "Safari"))
    systems = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
               ("Mac OS", "macOS"), ("Linux", "Linux"))  # fmt: skip
    browser = next((name for mark, name in browsers if mark in agent), "Browser")
    system = next((name for mark, name in systems if mark in agent), "")
    return f"{browser}, {system}" if system else browser


async def _until(over: asyncio.Event, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> bool:
    """Let the application answer until that is set; then its answer ends where it is. Whether one had begun."""
    started = ended = False

    async def sending(message: Message) -> None:
        nonlocal started, ended
        started = True
        ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await send(message)

    answering = asyncio.ensure_future(app(scope, receive, sending))
    ending = asyncio.ensure_future(over.wait())
    try:
        await asyncio.wait({answering, ending}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            await answering
    finally:
        for task in (answering, ending):
            task.cancel()
        await asyncio.gather(answering, ending, return_exceptions=True)
    if started and not ended:
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    return started
