"""What the command line prints: data on stdout, whole lines in UTF-8; talk on stderr.

Untrusted text shown to a person has its control characters taken out. A reader that went away is no error: what a
command did stands, and its exit code tells it. Counterpart for lines that come while a loop runs: `emitter`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from datetime import UTC, datetime

from uzel.errors import StorageError

_JOINERS = "\u200c\u200d"
"""Persian and families of emoji need them; they move nothing."""
_STAYS = frozenset("\n\t" + _JOINERS)
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def now() -> str:
    """The time, RFC 3339, UTC, to the millisecond."""
    return rfc3339(datetime.now(UTC))


def rfc3339(at: datetime) -> str:
    """An aware time in RFC 3339, UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def json_line(values: dict[str, object]) -> str:
    """One object on one line; what a terminal obeys or a reader takes for a line end is written as an escape."""
    line = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n"


def printable(text: str) -> str:
    """Untrusted text for a terminal: control and direction characters become visible escapes.

    Line ends stay, and what follows one is indented, so that it cannot pass for a line of ours.
    """
    return "".join(
        character if character in _STAYS or unicodedata.category(character) not in _HIDDEN else ascii(character)[1:-1]
        for character in text.replace("\r\n", "\n")
    ).replace("\n", "\n    ")


def named(uin: int, name: str) -> str:
    """Somebody for a person: a name is what they are called, the number who they are."""
    return f"{printable(name)} ({uin})" if name else str(uin)


def say(text: str) -> None:
    """Talk, on stderr."""
    if sys.stderr is not None:  # it was closed before we started
        print(text, file=sys.stderr, flush=True)


def put(line: str) -> None:
    """Print a line, ended by `\\n`, on stdout. Raises `StorageError` when the disk behind it refuses."""
    if sys.stdout is None:  # it was closed before we started
        return
    try:
        sys.stdout.write(line)
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
    except OSError as error:
        silence_stdout()
        raise StorageError(f"standard output: {error.strerror}") from None


def give_up_stdout() -> None:
    """Write what is still buffered, if that can be: else it must not fail at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        silence_stdout()


def silence_stdout() -> None:
    """Nobody reads any more: what is still buffered must not fail at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
