"""What the command line prints, and how it ends.

Lines for programs go out whole and in order, from a thread of their own, so that a reader who stalls stops the
reports but not the keepalive. Untrusted text shown to a person has its control characters taken out.
"""

from __future__ import annotations

import asyncio
import json
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime


def now() -> str:
    """The time, RFC 3339, UTC, to the millisecond."""
    return rfc3339(datetime.now(UTC))


def rfc3339(at: datetime) -> str:
    """An aware time in RFC 3339, UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def json_line(values: dict[str, object]) -> str:
    """One object on one line."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n"


def printable(text: str) -> str:
    """Untrusted text for a terminal: control and direction characters become visible escapes; line ends stay."""
    return "".join(
        character
        if character in "\n\t" or unicodedata.category(character) not in {"Cc", "Cf", "Cs"}
        else ascii(character)[1:-1]
        for character in text
    )


def say(text: str) -> None:
    """Talk, on stderr."""
    print(text, file=sys.stderr, flush=True)


class Emitter:
    """Prints lines in order. Await what `emit` returns to know that a line has left this process."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "stdout")

    def emit(self, line: str) -> asyncio.Future[None]:
        """Print and flush; the future fails with `BrokenPipeError` when nobody reads any more."""
        return asyncio.get_running_loop().run_in_executor(self._pool, _write, line)

    def close(self) -> None:
        """Drop what a stalled reader has not taken."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _write(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
