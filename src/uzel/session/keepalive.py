"""When to ping a quiet connection, and when to give it up (D11, section 8).

Pure bookkeeping that machines with a long life share. Any byte is life. A connection quiet for `idle` seconds is
pinged, again every `idle` seconds; `silence` seconds without a byte end it. Counterpart: its twin at the far end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class KeepaliveTimes:
    """Seconds.

    idle: quiet before a ping.
    silence: quiet that ends the connection.
    """

    idle: float = 30.0
    silence: float = 90.0


class Due(Enum):
    """What a passed deadline asks for."""

    NOTHING = 0
    PING = 1
    END = 2


class Keepalive:
    """The clock of one connection."""

    __slots__ = ("_heard_at", "_pinged_at", "_times")

    def __init__(self, times: KeepaliveTimes, now: float) -> None:
        self._times = times
        self._heard_at = now
        self._pinged_at = now

    def heard(self, now: float) -> None:
        """Bytes came."""
        self._heard_at = now

    def deadline(self) -> float:
        """When to look again."""
        quiet_since = max(self._heard_at, self._pinged_at)
        return min(quiet_since + self._times.idle, self._heard_at + self._times.silence)

    def due(self, now: float) -> Due:
        """What is due at `now`; a ping counts as sent from then."""
        if now >= self._heard_at + self._times.silence:
            return Due.END
        if now < self.deadline():
            return Due.NOTHING
        self._pinged_at = now
        return Due.PING
