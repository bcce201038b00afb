"""What a node tells its operator: the keys that other programs rely on, in their order."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress
from uzel.node.status import (
    DialStatus,
    Direction,
    LinkStatus,
    NodeStatus,
    ServiceNumbers,
    peers_report,
    status_report,
)

OWN, OTHER = Fingerprint(b"o" * 32), Fingerprint(b"b" * 32)
ADDRESS = NodeAddress("2001:db8::1", 8935)


@dataclass
class Told:
    """A switchboard that says what it was told to say."""

    stats: dict[str, int] = field(default_factory=dict)
    link_list: list[LinkStatus] = field(default_factory=list)
    dial_list: list[DialStatus] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        return {"clients": 3, "calls": 2, "conversations": 1, "timers": 99}

    def links(self, now: float) -> list[LinkStatus]:
        assert now == 110.04
        return self.link_list

    def dialling(self, now: float) -> list[DialStatus]:
        assert now == 110.04
        return self.dial_list

    def nodes(self) -> list[NodeStatus]:
        return []


def report(told: Told) -> dict[str, object]:
    refusals = Counter({Reason.UIN_TAKEN: 2, Reason.CALL_RATE: 1, Reason.SILENCE: 0})
    numbers = ServiceNumbers(
        now=110.04,
        since=100.0,
        control=[("127.0.0.1", 8935), ("::1", 65534)],
        fingerprint=OWN,
        refusals=refusals,
        traffic=lambda link: (link * 10, link * 100),
    )
    found: dict[str, object] = json.loads(json.dumps(status_report(told, numbers)))
    return found


def test_an_idle_node() -> None:
    said = report(Told())
    assert isinstance(said.pop("version"), str)
    assert said == {
        "uptime": 10.0,
        "control": ["127.0.0.1:8935", "[::1]:65534"],
        "data": ["127.0.0.1:8936", "[::1]:65535"],
        "fingerprint": str(OWN),
        "clients": 3,
        "conversations": 1,
        "calls": 2,
        "links": [],
        "dialling": [],
        "cache": {"size": 0, "hits": 0, "misses": 0, "hit_rate": None},
        "searches": {},
        "refusals": {"call_rate": 1, "uin_taken": 2},
    }
    assert list(report(Told())) == ["version", *said]


def test_links_and_dials() -> None:
    told = Told(
        link_list=[
            LinkStatus(
                connection=7,
                fingerprint=OTHER,
                address=ADDRESS,
                direction=Direction.DIALLED,
                state="up",
                kept=True,
                round_trip=0.0012345,
                conversations=4,
                idle=1.26,
                last_error=Reason.SILENCE,
            ),
            LinkStatus(connection=8, fingerprint=OTHER, direction=Direction.ACCEPTED, state="opening", kept=False),
        ],
        dial_list=[
            DialStatus(address=ADDRESS),
            DialStatus(address=ADDRESS, retry_in=3.14, last_error=Reason.HANDSHAKE_TIMEOUT),
        ],
    )
    said = report(told)
    full = {
        "fingerprint": str(OTHER),
        "address": "[2001:db8::1]:8935",
        "direction": "dialled",
        "state": "up",
        "kept": True,
        "round_trip_ms": 1.234,
        "bytes_in": 70,
        "bytes_out": 700,
        "conversations": 4,
        "idle": 1.3,
        "last_error": "silence",
    }
    bare = {
        "fingerprint": str(OTHER),
        "address": None,
        "direction": "accepted",
        "state": "opening",
        "kept": False,
        "round_trip_ms": None,
        "bytes_in": 80,
        "bytes_out": 800,
        "conversations": 0,
        "idle": 0.0,
        "last_error": None,
    }
    assert said["links"] == [full, bare]
    assert said["dialling"] == [
        {"address": "[2001:db8::1]:8935", "last_error": None, "retry_in": None},
        {"address": "[2001:db8::1]:8935", "last_error": "handshake_timeout", "retry_in": 3.1},
    ]


def test_the_cache_and_the_searches() -> None:
    said = report(Told(stats={"searches": 5, "cache_size": 12, "cache_hits": 2, "cache_misses": 1, "dials": 4}))
    assert said["cache"] == {"size": 12, "hits": 2, "misses": 1, "hit_rate": 0.6667}
    assert said["searches"] == {"dials": 4, "searches": 5}


def test_known_nodes() -> None:
    nodes = [
        NodeStatus(address=ADDRESS),
        NodeStatus(
            address=NodeAddress("node.example", 1),
            fingerprint=OTHER,
            configured=True,
            proven=True,
            last_answered=1_700_000_000.1239,
            failures=2,
            last_error=Reason.TLS_FAILED,
        ),
    ]
    later = {NodeAddress("elsewhere.example", 1): 5.0}
    assert list(peers_report(nodes, later)) == [
        {
            "address": "[2001:db8::1]:8935",
            "fingerprint": None,
            "configured": False,
            "proven": False,
            "last_answered": None,
            "failures": 0,
            "last_error": None,
        },
        {
            "address": "node.example:1",
            "fingerprint": str(OTHER),
            "configured": True,
            "proven": True,
            "last_answered": "2023-11-14T22:13:20.123Z",
            "failures": 2,
            "last_error": "tls_failed",
        },
    ]


def test_the_store_knows_when_they_answered_since() -> None:
    node = NodeStatus(address=ADDRESS, last_answered=1.0)
    assert [said["last_answered"] for said in peers_report([node], {})] == ["1970-01-01T00:00:01.000Z"]
    assert [said["last_answered"] for said in peers_report([node], {ADDRESS: 60.0})] == ["1970-01-01T00:01:00.000Z"]
