"""The network: places, the paths between them, and what a dial meets.

Places (nodes and people) are joined by paths, each with its delay and rate, and cut for a while when the scenario says
so. Addresses are plain text in a table. Nothing here knows the protocol. Counterparts: `lines`, the connections over
these paths; `shell`, `people` and `hostile`, who live here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from sim.clock import Clock
from sim.lines import LinkEnd, Path
from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress, Range, range_of

DIAL_TIME = 10.0
"""Seconds that a connection which nobody answers is tried."""

Dialled = Callable[[LinkEnd | None, str, Fingerprint | None, Reason | None], None]
"""Told once: this end, the IP address it went to and whom it met there; or why there is none."""


class Place(Protocol):
    """A node, honest or not, as others see it. `hosts` are its IP addresses."""

    name: str
    hosts: tuple[str, ...]
    port: int
    fingerprint: Fingerprint
    up: bool

    def link_opened(self, end: LinkEnd, host: str, other: Fingerprint) -> None:
        """Somebody dialled it, and TLS is done; `host` is the other side's."""


class Dialling:
    """One dial under way; set `is_wanted` to False to give it up."""

    __slots__ = ("done", "is_wanted", "who")

    def __init__(self, who: Place, done: Dialled) -> None:
        self.who = who
        self.done = done
        self.is_wanted = True


class World(Clock):
    """See the module's text. `link_buffer` is what the transport of a link takes, in bytes."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.seed = seed
        self.names: dict[str, tuple[str, ...]] = {}
        self.link_buffer = 16384
        self.new_path: Callable[[str, str], Path] = lambda one, other: Path(self.random, delay=0.02)
        self._listening: dict[tuple[str, int], Place] = {}
        self._paths: dict[tuple[str, str], Path] = {}

    def path(self, one: str, other: str) -> Path:
        """The way between these two places, the same in both directions."""
        key = (one, other) if one < other else (other, one)
        path = self._paths.get(key)
        if path is None:
            path = self._paths[key] = self.new_path(*key)
        return path

    def paths_between(self, some: Iterable[str], others: Iterable[str]) -> list[Path]:
        """Every way from one of these to one of those."""
        others = list(others)
        return [self.path(one, other) for one in some for other in others if one != other]

    def listen(self, place: Place) -> None:
        """It can be dialled at its addresses."""
        for host in place.hosts:
            self._listening[host, place.port] = place

    def place_at(self, host: str, port: int) -> Place | None:
        """Who listens there."""
        for each in self.names.get(host, (host,)):
            if (each, port) in self._listening:
                return self._listening[each, port]
        return None

    def dial(self, dialling: Dialling, address: NodeAddress, ranges: frozenset[Range]) -> None:
        """Open a connection, up to the end of TLS, and tell."""
        is_name = range_of(address.host) is None
        found = self.names.get(address.host, ()) if is_name else (address.host,)
        hosts = [host for host in found if range_of(host) in ranges]
        place = self._listening.get((hosts[0], address.port)) if hosts else None
        if place is None:
            refused = bool(found) and not hosts
            reason = Reason.RANGE_REFUSED if refused else Reason.NODE_UNREACHABLE
            self.after(0.001 if refused else 0.05, self._fail, dialling, reason)
            return
        path = self.path(dialling.who.name, place.name)
        if path.blocked:
            self.after(DIAL_TIME, self._fail, dialling, Reason.HANDSHAKE_TIMEOUT)
        else:
            self.after(path.latency() * 3, self._arrive, dialling, hosts[0], place, path)

    def _fail(self, dialling: Dialling, reason: Reason) -> None:
        if dialling.is_wanted and dialling.who.up:
            dialling.done(None, "", None, reason)

    def _arrive(self, dialling: Dialling, host: str, place: Place, path: Path) -> None:
        who = dialling.who
        if not dialling.is_wanted or not who.up:
            return
        if path.blocked:
            self.after(DIAL_TIME, self._fail, dialling, Reason.HANDSHAKE_TIMEOUT)
        elif not place.up:
            self.after(path.latency(), self._fail, dialling, Reason.NODE_UNREACHABLE)
        else:
            here, there = LinkEnd.pair(self, path, self.link_buffer, (who.name, place.name))
            waits = [0.0, path.latency() * 2 * self.random.random()]
            if self.random.random() < 0.5:  # either side may be the first to be done with TLS
                waits.reverse()
            here.out.last, there.out.last = self.now + waits[1], self.now + waits[0]
            self.after(waits[0], self._dialled, dialling, here, host, place.fingerprint)
            self.after(waits[1], self._accepted, place, there, _source(who, host), who.fingerprint)

    def _dialled(self, dialling: Dialling, end: LinkEnd, host: str, other: Fingerprint) -> None:
        if not dialling.is_wanted or not dialling.who.up:
            end.vanish(0.0)
        elif end.is_open:
            dialling.done(end, host, other, None)
        else:
            dialling.done(None, "", None, Reason.CONNECTION_LOST)

    def _accepted(self, place: Place, end: LinkEnd, host: str, other: Fingerprint) -> None:
        if not place.up:
            end.vanish(0.0)
        elif end.is_open:
            place.link_opened(end, host, other)


def _source(who: Place, host: str) -> str:
    """The IP address from which this place dials that host: one of the same family."""
    for own in who.hosts:
        if (":" in own) == (":" in host):
            return own
    return who.hosts[0]
