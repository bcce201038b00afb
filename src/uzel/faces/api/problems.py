"""How the interface's own errors become problems, and how its document describes them.

Counterpart: `uzel.faces.http.problems`, which makes the answers.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from uzel.errors import UzelError
from uzel.faces.http.problems import PROBLEM, of_error, refused, sayable

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
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "bad_request"}


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
    return sayable("; ".join(places))
