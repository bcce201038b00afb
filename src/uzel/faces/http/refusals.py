"""What a door refused, by reason: counted always, written down only now and then, so that a flood fills no disk.

Rules: a line says the reason, how many there were since the last line about it, and who was the latest, as the keyed
hash of the day; nothing that came from outside is in it. Counterparts: `door`, and the guards of the faces, which
refuse; `uzel status`, which shows the counts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from uzel.errors import Reason
from uzel.node.log import NodeLog

EVENT = "page_refused"
Refused = Callable[[Reason, str], object]
"""Told of each refusal: why, and from which address; an empty one is not known."""


class Refusals:
    """See the module's text. `every`: seconds between two lines about one reason."""

    def __init__(self, log: str, every: float) -> None:
        self._log = NodeLog(log)
        self._every = every
        self._lines: dict[Reason, tuple[float, int]] = {}  # when the next may be, and how many the last one counted

    def add(self, reason: Reason, address: str = "", *, event: str = EVENT, level: int = logging.INFO) -> bool:
        """One more. Whether it was written down."""
        now, counters = time.monotonic(), self._log.counters
        due, counted = self._lines.get(reason, (now, 0))
        if now < due:
            counters[reason] += 1
            return False
        times = counters[reason] + 1
        self._lines[reason] = now + self._every, times
        who = {"address": self._log.hidden(address)} if address else {}
        self._log.event(event, reason, {"times": times - counted, **who}, level=level)
        return True

    def counts(self) -> dict[str, int]:
        """How many there were since the start, by reason."""
        return {str(reason): count for reason, count in sorted(self._log.counters.items())}
