"""What a node tells its operator about itself: pure values, and the JSON they become.

The switchboard fills `LinkStatus`, `DialStatus` and `NodeStatus`; everything in them is a copy of one moment. Times are
seconds, the keys of the JSON are fixed (docs/cli.md) and other programs rely on them. No UIN is ever in it.
Counterparts: `admin`, which hands it out, and `uzel.faces.cli.node_status`, which prints it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress
from uzel.node.registry import ConnectionId

CACHE = "cache_"
"""Begins the names of the location cache in `Switchboard.stats`: `cache_size`, `cache_hits`, `cache_misses`."""


class Direction(StrEnum):
    """Who opened a link."""

    DIALLED = "dialled"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStatus:
    """One link, or what is about to become one.

    connection: the number by which the shell knows it.
    address: where the other node listens; None while that is not known.
    state: the name of its state.
    kept: whether it is dialled again when it is lost (D21, D22).
    round_trip: seconds that the last 68 or 90 took; None while none was answered.
    conversations: those, and calls, that it carries.
    idle: seconds since something came.
    last_error: why the link before it to this node was lost, if one was.
    """

    connection: ConnectionId
    fingerprint: Fingerprint
    direction: Direction
    state: str
    kept: bool
    address: NodeAddress | None = None
    round_trip: float | None = None
    conversations: int = 0
    idle: float = 0.0
    last_error: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DialStatus:
    """An address that is being dialled (`retry_in` None), or a configured one that waits for so many seconds."""

    address: NodeAddress
    retry_in: float | None = None
    last_error: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """One known node address.

    fingerprint: the key last met there, or the one it must show.
    configured: named by the operator.
    proven: may be passed on to others (D22).
    last_answered: seconds since 1970, as it was remembered when the node started; the store knows what came later.
    failures: dials that failed since then.
    """

    address: NodeAddress
    fingerprint: Fingerprint | None = None
    configured: bool = False
    proven: bool = False
    last_answered: float | None = None
    failures: int = 0
    last_error: Reason | None = None


class Reporter(Protocol):
    """What of the switchboard is asked here."""

    @property
    def stats(self) -> Mapping[str, int]:
        """Named numbers since the start; those of the location cache begin with `CACHE`, the others are searches."""

    def counts(self) -> dict[str, int]:
        """How much there is now; `clients`, `conversations` and `calls` are among it."""

    def links(self, now: float) -> Sequence[LinkStatus]:
        """Every link."""

    def dialling(self, now: float) -> Sequence[DialStatus]:
        """Every dial under way, and every configured address without a link."""

    def nodes(self) -> Sequence[NodeStatus]:
        """Every known address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceNumbers:
    """What only the shell knows.

    now, since: the shell's time, and when the node started.
    control: (host, port) of the sockets that listen.
    traffic: the bytes of messages that a link brought and took since it began.
    """

    now: float
    since: float
    control: Sequence[tuple[str, int]]
    fingerprint: Fingerprint
    refusals: Mapping[Reason, int]
    traffic: Callable[[ConnectionId], tuple[int, int]]


def status_report(reporter: Reporter, numbers: ServiceNumbers) -> dict[str, object]:
    """The answer to `status`, ready for JSON."""
    counts = reporter.counts()
    return {
        "version": _version(),
        "uptime": round(numbers.now - numbers.since, 1),
        "control": [_written(host, port) for host, port in numbers.control],
        "data": [_written(host, port + 1) for host, port in numbers.control],
        "fingerprint": str(numbers.fingerprint),
        "clients": counts["clients"],
        "conversations": counts["conversations"],
        "calls": counts["calls"],
        "links": [_link(link, *numbers.traffic(link.connection)) for link in reporter.links(numbers.now)],
        "dialling": [_dial(dial) for dial in reporter.dialling(numbers.now)],
        "cache": _cache(reporter.stats),
        "searches": {name: count for name, count in sorted(reporter.stats.items()) if not name.startswith(CACHE)},
        "refusals": {str(reason): count for reason, count in sorted(numbers.refusals.items()) if count},
    }


def peers_report(nodes: Iterable[NodeStatus], answered: Mapping[NodeAddress, float]) -> Iterator[dict[str, object]]:
    """The answer to `peers`, one object at a time: there may be 20,000.

    `answered` is what the store knows of when they last answered, in seconds since 1970.
    """
    for node in nodes:
        yield {
            "address": str(node.address),
            "fingerprint": _shown(node.fingerprint),
            "configured": node.configured,
            "proven": node.proven,
            "last_answered": _rfc3339(answered.get(node.address, node.last_answered)),
            "failures": node.failures,
            "last_error": _shown(node.last_error),
        }


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - seldom asked for, and not small

    return version("uzel")


def _link(link: LinkStatus, bytes_in: int, bytes_out: int) -> dict[str, object]:
    return {
        "fingerprint": str(link.fingerprint),
        "address": _shown(link.address),
        "direction": str(link.direction),
        "state": link.state,
        "kept": link.kept,
        "round_trip_ms": None if link.round_trip is None else round(link.round_trip * 1000, 3),
        "bytes_in": bytes_in,
        "bytes_out": bytes_out,
        "conversations": link.conversations,
        "idle": round(link.idle, 1),
        "last_error": _shown(link.last_error),
    }


def _dial(dial: DialStatus) -> dict[str, object]:
    return {
        "address": str(dial.address),
        "last_error": _shown(dial.last_error),
        "retry_in": None if dial.retry_in is None else round(dial.retry_in, 1),
    }


def _cache(stats: Mapping[str, int]) -> dict[str, object]:
    size, hits, misses = (stats.get(CACHE + name, 0) for name in ("size", "hits", "misses"))
    asked = hits + misses
    return {"size": size, "hits": hits, "misses": misses, "hit_rate": round(hits / asked, 4) if asked else None}


def _shown(value: object) -> str | None:
    return None if value is None else str(value)


def _written(host: str, port: int) -> str:
    """As `uzel.app.node_process` prints it; a data port may be 65535, which no `NodeAddress` is."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _rfc3339(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
