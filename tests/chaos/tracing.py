"""Whether what was promised was on disk first: reads what strace saw of a core, system call by system call.

Rule: whoever answers has synced. An answer is the first write to a connection after something large came from it; when
it begins, the profile's log must have been written to since, and everything written must have been synced, the call
having returned. That holds as it stands only while one thing is asked at a time, and nothing else is written meanwhile:
the test sees to it. TLS hides what is said, not when. Counterpart: `test_synced`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

CALLS = (
    "pwrite64",
    "pwritev",
    "fsync",
    "fdatasync",
    "read",
    "recvfrom",
    "recvmsg",
    "write",
    "writev",
    "sendto",
    "sendmsg",
)
"""What is traced."""
LARGE = 3000
"""Bytes that come in before an answer: more than any greeting, ping or report has."""
_WRITES, _SYNCS = {"pwrite64", "pwritev"}, {"fsync", "fdatasync"}
_READS, _SENDS = {"read", "recvfrom", "recvmsg"}, {"write", "writev", "sendto", "sendmsg"}
_BEGUN = re.compile(r"^(\d+) +(\w+)\(\d+<(.*?)>(?:,|\)| )")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>")
_RESULT = re.compile(r"= (-?\d+)(?: |$)")


@dataclass(frozen=True, slots=True)
class Step:
    """One end of a system call: its beginning, or its return with a result. `what` is the file or the connection."""

    call: str
    what: str
    result: int | None


@dataclass(slots=True)
class Verdict:
    """Answers that were looked at, by connection, and the lines of what was wrong with some."""

    answers: dict[str, int] = field(default_factory=dict)
    unsynced: list[str] = field(default_factory=list)


def steps(lines: Iterable[str]) -> Iterator[Step]:
    """The steps in the order in which they happened; a call that another thread interrupted has its two ends apart."""
    pending: dict[str, tuple[str, str]] = {}
    for line in lines:
        if begun := _BEGUN.match(line):
            thread, call, what = begun.groups()
            yield Step(call, what, None)
            pending[thread] = call, what
        elif resumed := _RESUMED.match(line):
            thread = resumed[1]
        else:
            continue
        if "<unfinished" not in line and thread in pending:
            call, what = pending.pop(thread)
            found = _RESULT.search(line, line.rfind(")"))
            yield Step(call, what, int(found[1]) if found else -1)


def judge(lines: Iterable[str], log: str, connections: Iterable[str]) -> Verdict:
    """Look at every answer on connections whose name, as strace writes it, holds one of `connections`; `log` ends the
    name of the profile's log.
    """
    verdict, names = Verdict(), tuple(connections)
    arrived: dict[str, int] = {}
    written: dict[str, bool] = {}
    dirty = False
    for step in steps(lines):
        if step.what.endswith(log):
            if step.call in _WRITES and step.result is None:
                dirty = True
                written = dict.fromkeys(written, True)
            elif step.call in _SYNCS and step.result == 0:
                dirty = False
        elif any(name in step.what for name in names):
            if step.call in _READS and step.result is not None and step.result > 0:
                arrived[step.what] = arrived.get(step.what, 0) + step.result
                written[step.what] = False
            elif step.call in _SENDS and step.result is None and arrived.pop(step.what, 0) >= LARGE:
                verdict.answers[step.what] = verdict.answers.get(step.what, 0) + 1
                if dirty or not written[step.what]:
                    verdict.unsynced.append(f"{step.call} to {step.what}")
    return verdict
