"""Errors over HTTP: problem+json (RFC 9457) with a stable `code` and a sentence for a person. Never a traceback.

`code` is the `reason` of the `UzelError`; `title` is the sentence of its class, `detail` the particulars. What nobody
foresaw is `unexpected`, named in the log by its kind and place alone, for its text may hold what was said.
Counterparts: `gate`, which lets none through as it is; `uzel.local.core_client`, which makes the error again.
"""

from __future__ import annotations

import logging
import traceback

from starlette.responses import JSONResponse, Response

from uzel import errors
from uzel.errors import RequestRefusedError, UzelError

PROBLEM = "application/problem+json"
_STATUS: tuple[tuple[type[UzelError], int], ...] = (
    (errors.InvalidNameError, 422),
    (errors.TextTooLongError, 422),
    (errors.TextEmptyError, 422),
    (errors.PictureError, 422),
    (errors.WrongPassphraseError, 422),
    (errors.BadPassphraseError, 422),
    (errors.ConfigError, 422),
    (errors.InviteError, 404),
    (errors.NotAContactError, 404),
    (errors.NoRequestError, 404),
    (errors.NoTextError, 404),
    (errors.NoDeviceError, 404),
    (errors.NoPageError, 404),
    (errors.NotSignedInError, 401),
    (errors.OneTimeUsedError, 401),
    (errors.SelfContactError, 409),
    (errors.TextStateError, 409),
    (errors.NotTrustedError, 409),
    (errors.RateLimitedError, 429),
    (errors.ClientClosedError, 503),
    (errors.NetworkError, 502),
    (errors.StorageError, 507),
    (errors.ProfileError, 500),
)
logger = logging.getLogger("uzel.api")


def problem(status: int, title: str, code: str, detail: str = "", headers: dict[str, str] | None = None) -> Response:
    """The answer."""
    content = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    return JSONResponse(content, status, headers, PROBLEM)


def of_error(error: UzelError, headers: dict[str, str] | None = None) -> Response:
    """An error that has a name."""
    status = next((number for kind, number in _STATUS if isinstance(error, kind)), 400)
    return problem(status, str(type(error)()), str(error.reason), sayable(error.detail), headers)


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


def sayable(text: str) -> str:
    """A name of a field may hold what UTF-8 cannot carry."""
    return text[:1000].encode("utf-8", "backslashreplace").decode()
