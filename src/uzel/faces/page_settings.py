"""The page's times and bounds, with their defaults and the range in which each may be set. Seconds, unless it is said.

Counterparts: `uzel.faces.web`, which keeps to them; `uzel.faces.cli.config_file`, in whose file they are `page.NAME`;
docs/settings.md, which is generated from them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
YEAR = 365 * DAY


def _bounded(default: float, least: float, most: float) -> Any:
    return dataclasses.field(default=default, metadata={"range": (least, most)})


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSettings:
    """Who is let in, and for how long.

    address: how long a one-time address can be opened.
    addresses: of those that were not opened yet; one more, and the oldest is no good.
    code: how long a pairing code can be typed in.
    code_guesses: wrong codes, and the code is no good: with nine digits, at most one in a hundred million hits.
    first_wait: after a wrong address or code; it doubles with each, whoever sends them.
    last_wait: the longest.
    forgive: without a wrong one, and the waits begin anew.
    idle: a device that was not seen for so long is signed out.
    lifetime: a device is signed out after so long in any case.
    devices: how many there can be; one more, and the one that was not seen for longest is signed out.
    note_seen: between two times that when a device was seen is written down.
    note_refused: between two lines of the log about refusals for one reason; all are counted.
    first_request: for a TLS handshake, and for the head of a request once a connection stands or a request is begun.
    connections: of each place at which the page is served; one more, and the oldest that is quiet goes.
    connections_each: of one address, alike; twice the streams that there can be, so that many tabs have room.
    """

    address: float = _bounded(5 * MINUTE, 1.0, HOUR)
    addresses: int = _bounded(8, 1, 1000)
    code: float = _bounded(5 * MINUTE, 1.0, HOUR)
    code_guesses: int = _bounded(10, 1, 100)
    first_wait: float = _bounded(1.0, 0.1, HOUR)
    last_wait: float = _bounded(5 * MINUTE, 0.1, DAY)
    forgive: float = _bounded(HOUR, 1.0, YEAR)
    idle: float = _bounded(30 * DAY, MINUTE, YEAR)
    lifetime: float = _bounded(180 * DAY, MINUTE, 10 * YEAR)
    devices: int = _bounded(16, 1, 1000)
    note_seen: float = _bounded(MINUTE, 1.0, DAY)
    note_refused: float = _bounded(MINUTE, 1.0, DAY)
    first_request: float = _bounded(10.0, 0.1, HOUR)
    connections: int = _bounded(256, 4, 100_000)
    connections_each: int = _bounded(64, 4, 100_000)
