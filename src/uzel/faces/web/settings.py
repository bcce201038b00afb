"""The page's times and bounds, with their defaults. Seconds, unless said otherwise."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


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
    first_request: for a TLS handshake, and for the head of a request once a connection stands or a request is begun.
    connections: of each place at which the page is served; one more, and the oldest that is quiet goes.
    connections_each: of one address, alike; twice the streams that there can be, so that many tabs have room.
    """

    address: float = 5 * MINUTE
    addresses: int = 8
    code: float = 5 * MINUTE
    code_guesses: int = 10
    first_wait: float = 1.0
    last_wait: float = 5 * MINUTE
    forgive: float = HOUR
    idle: float = 30 * DAY
    lifetime: float = 180 * DAY
    devices: int = 16
    note_seen: float = MINUTE
    first_request: float = 10.0
    connections: int = 256
    connections_each: int = 64
