"""Kinds of values that the interface takes and gives, with their bounds: numbers, ids, times, fingerprints.

Times are RFC 3339 in UTC, to the millisecond; ids are lower-case hex; UINs are integers. Whatever is out of bounds is
refused before the core sees it. Counterparts: `asked` and `shown`, the models made of these.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Path, Query
from pydantic import BeforeValidator, Field

from uzel.names import MAX_CONTACT_NAME, MAX_LINK, MAX_UIN, Uin

MOST_NUMBER = 2**63 - 1
"""The largest number that the profile can count to."""
MOST_PAGE = 200
"""Texts, or hits, of one answer: some megabytes at most in practice."""
MOST_MS = 10**13
"""Milliseconds of a retention or an invite: three centuries, so that no time grows past the year 9999."""
MOST_TEXT = 512 * 1024
"""Bytes of UTF-8 that one text may have (section 6); characters are counted here, bytes by the core."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = re.compile("0|[1-9][0-9]{0,18}")


def time(ms: int) -> str:
    """Milliseconds since 1970 in RFC 3339, UTC."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_or_none(ms: int | None) -> str | None:
    """The same, where there may be none."""
    return None if ms is None else time(ms)


def _digits(value: object) -> object:
    """Decimal digits alone: no sign, space, point or underscore, which Python would read."""
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError("not a number in plain decimal digits")
    return value


Plain = BeforeValidator(_digits)
"""Stands behind the bounds: before them, the document would not have them as `minimum` and `maximum`."""
UinNumber = Annotated[int, Field(ge=1, le=MAX_UIN, description="A user's number.")]
UinPath = Annotated[int, Path(alias="uin", ge=1, le=MAX_UIN, description="A user's number."), Plain]
ChatQuery = Annotated[int, Query(ge=1, le=MAX_UIN, description="Only this chat."), Plain]
NumberPath = Annotated[int, Path(alias="number", ge=1, le=MOST_NUMBER, description="A text's number."), Plain]
Before = Annotated[int | None, Query(ge=1, le=MOST_NUMBER, description="Only numbers below this."), Plain]
After = Annotated[int | None, Query(ge=0, le=MOST_NUMBER, description="Only numbers above this."), Plain]
Limit = Annotated[int, Query(ge=1, le=MOST_PAGE, description="At most so many."), Plain]
Number = Annotated[int, Field(ge=1, le=MOST_NUMBER)]
Count = Annotated[int, Field(ge=0)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="RFC 3339, UTC.")]
TextId = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="16 bytes in hex.")]
TextIdQuery = Annotated[str, Query(alias="id", pattern="^[0-9a-f]{32}$", description="16 bytes in hex.")]
InviteId = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="What the list of invites calls it.")]
DeviceId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="What the list of devices calls it.")]
Print = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{43}$", description="SHA-256 of a key, base64url.")]
Name = Annotated[str, Field(max_length=MAX_CONTACT_NAME, description="No control characters.")]
Link = Annotated[
    str, Field(min_length=1, max_length=MAX_LINK, description="A contact link, or a number in decimal digits.")
]

NodeText = Annotated[str, Field(min_length=1, max_length=400, description="HOST:PORT[,FINGERPRINT]")]
Secret = Annotated[str, Field(min_length=1, max_length=1024, json_schema_extra={"format": "password"})]
SentText = Annotated[str, Field(max_length=MOST_TEXT, json_schema_extra={"minLength": 1})]
"""That it is not empty is the core's to say, by name."""
Pixels = Annotated[int, Query(ge=1, le=4096), Plain]


def uin_of(number: int) -> Uin:
    """A number that was checked."""
    return Uin(number)
