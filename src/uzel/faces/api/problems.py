"""Errors of the interface: problem+json (RFC 9457) with a stable `code` and a sentence for a person. Never a traceback.

`code` is the `reason` of the `UzelError`; `title` is the sentence of its class, `detail` the particulars. What nobody
foresaw is `unexpected`, named in the log by its kind and place alone, for its text may hold what was said.
Counterpart: `uzel.local.core_client`, which makes the error again.
"""

from __future__ import annotations

import logging
import traceback
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from uzel import errors
from uzel.errors import RequestRefusedError, UzelError

PROBLEM = "application/problem+json"
REF = {"$ref": "#/components/schemas/Problem"}
SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string", "description": "What happened and what to do: a sentence for a person."},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable: what programs go by."},
        "detail": {"type": "string", "description": "The particulars; may be empty."},
    },
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"description": "What went wrong.", "content": {PROBLEM: {"schema": REF}}}
}
"""For every route: whatever is not told otherwise is a problem."""
MOST_PLACES = 5
"""Places of a body that are named as wrong: more are no help."""
_STATUS: tuple[tuple[type[UzelError], int], ...] = (
    (errors.InvalidNameError, 422),
    (errors.TextTooLongError, 422),
    (errors.InviteError, 404),
    (errors.NotAContactError, 404),
    (errors.NoRequestError, 404),
    (errors.NoTextError, 404),
    (errors.SelfContactError, 409),
    (errors.TextStateError, 409),
    (errors.NotTrustedError, 409),
    (errors.RateLimitedError, 429),
    (errors.ClientClosedError, 503),
    (errors.NetworkError, 502),
    (errors.StorageError, 507),
    (errors.ProfileError, 500),
)
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "bad_request"}
logger = logging.getLogger("uzel.api")


def problem(status: int, title: str, code: str, detail: str = "", headers: dict[str, str] | None = None) -> Response:
    """The answer."""
    content = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    return JSONResponse(content, status, headers, PROBLEM)


def of_error(error: UzelError, status: int | None = None) -> Response:
    """An error that has a name."""
    if status is None:
        status = next((number for kind, number in _STATUS if isinstance(error, kind)), 400)
    return problem(status, str(type(error)()), str(error.reason), _sayable(error.detail))


def refused(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """A request that never reached the core."""
    return problem(status, str(RequestRefusedError()), code, detail, headers)


def unexpected(error: Exception) -> Response:
    """What nobody foresaw."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].name}:{frames[-1].lineno}" if frames else "nowhere"
    fields = {"kind": type(error).__name__, "place": place}
    logger.error("unexpected", extra={"event": "unexpected", "fields": fields})
    return problem(500, "Something unexpected happened: this is a defect of Uzel.", "unexpected", type(error).__name__)


def handle(app: FastAPI) -> None:
    """Have every error of this application answered as a problem."""

    async def named(_: Request, error: Exception) -> Response:
        assert isinstance(error, UzelError)
        return of_error(error)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return refused(422, "bad_request", _places(error))

    async def plain(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _CODES.get(error.status_code, "bad_request")
        headers = dict(error.headers) if error.headers else None
        return refused(error.status_code, code, HTTPStatus(error.status_code).phrase, headers)

    app.add_exception_handler(UzelError, named)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)


def _places(error: RequestValidationError) -> str:
    """Where and what is wrong, without what was sent."""
    found = error.errors()
    places = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found[:MOST_PLACES]]
    return _sayable("; ".join(places))


def _sayable(text: str) -> str:
    """A name of a field may hold what UTF-8 cannot carry."""
    return text[:1000].encode("utf-8", "backslashreplace").decode()
