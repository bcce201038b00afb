"""What the scale simulation is measured by: messages by purpose, shares, times, links, memory of a node.

Everything is a difference between two moments, so that the warm-up does not count. Counterpart: `scale`, which runs
the simulation and prints this.
"""

from __future__ import annotations

import gc
import random
import sys
from collections import Counter
from collections.abc import Iterable
from enum import Enum
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from scale_node import SimNode
from scale_people import People
from scale_world import World
from uzel.names import NodeAddress
from uzel.node.settings import SwitchboardSettings
from uzel.node.switchboard import Switchboard
from uzel.wire import (
    CallReady,
    CallRequest,
    FoundHere,
    FoundInCache,
    Message,
    NoConversation,
    NodeAnnouncement,
    NodeList,
    NodeListRequest,
    Ping,
    Search,
)

HELLO_MESSAGES = 2
"""CB and 01: what a dial that reaches a node costs before TLS. The TLS flights themselves are not counted."""
PROBE_MESSAGES = 2 / 30
"""68 and 69 on a quiet link, in a second (section 8)."""
_SKIPPED = (type, ModuleType, FunctionType, BuiltinFunctionType, Enum, random.Random, SwitchboardSettings)

Figures = dict[str, float]


class Moment:
    """All counters at one moment."""

    def __init__(self, world: World) -> None:
        self.at = world.now
        self.sent: Counter[type[Message]] = Counter(world.sent)
        self.stats = world.stats()
        self.dials = Counter(world.dials)
        self.first_pings = world.first_pings

    def since(self, before: Moment) -> tuple[Counter[type[Message]], Counter[str], Counter[str], int]:
        """Messages, statistics, dials and first pings from then to now."""
        return (
            self.sent - before.sent,
            self.stats - before.stats,
            self.dials - before.dials,
            self.first_pings - before.first_pings,
        )


def figures(world: World, people: People, before: Moment, links: float) -> dict[str, Figures]:
    """What happened since then. `links`: of one node, on average."""
    now = Moment(world)
    sent, stats, dials, first_pings = now.since(before)
    answers = people.answers
    searches = max(1, len(answers.ready) + len(answers.unavailable))
    hints = stats["hints_sent"]
    link_messages = (
        HELLO_MESSAGES * (dials["links"] + dials["met"])
        + sum(sent[kind] for kind in (NodeAnnouncement, NodeListRequest, NodeList))
        + 2 * first_pings
    )
    parts = {
        "search": sent[Search] + sent[FoundInCache] + sent[FoundHere] - hints,
        "hints": hints,
        "dials and links": link_messages,
        "call": sent[CallRequest] + sent[CallReady] + sent[NoConversation] + 2 * (sent[Ping] - first_pings),
    }
    per_search = {name: count / searches for name, count in parts.items()}
    seconds = now.at - before.at
    connections = links * len(world.nodes) / 2
    return {
        "messages a search": {
            **per_search,
            "search, hints, dials": sum(per_search[name] for name in ("search", "hints", "dials and links")),
            "A5": sent[Search] / searches,
            "dials": sum(dials.values()) / searches,
            "dials in vain": dials["failed"] / searches,
            "keepalive, reckoned": connections * PROBE_MESSAGES * seconds / searches,
        },
        "answered, %": _shares(stats),
        "ms to ready": _times(answers.ready),
        "ms to unavailable": _times(answers.unavailable),
        "counts": {
            "searches": searches,
            "for somebody offline": len(answers.unavailable),
            "calls at one node": answers.local,
            "unavailable though online": answers.missed,
            "lost with the caller's node": answers.lost,
            "unanswered for 150 s": sum(since < now.at - 150 for since in people.open.values()),
            "everyone was asked": stats["everyone_steps"],
            **{name: float(count) for name, count in sorted(people.events.items())},
        },
    }


def _shares(stats: Counter[str]) -> Figures:
    """By what calls for users elsewhere were answered; a hint that the caller's own node keeps counts as its cache."""
    looked_up = max(1, stats["cache_hits"] + stats["cache_misses"])
    found = {
        "cache": stats["cache_hits"],
        "hint": stats["answered_by_hint"],
        "everyone": stats["answered_by_everyone"],
    }
    found["nobody"] = max(0, looked_up - sum(found.values()))
    return {name: 100 * count / looked_up for name, count in found.items()}


def _times(seconds: list[float]) -> Figures:
    ordered = sorted(seconds) or [0.0]
    return {
        "p50": 1000 * ordered[len(ordered) // 2],
        "p99": 1000 * ordered[len(ordered) * 99 // 100],
        "most": 1000 * ordered[-1],
    }


def plain_figures(nodes: int, offline: float, searches: float, seconds: float) -> Figures:
    """What plain ask-everyone costs: each node has a link to each other, and asks all of them for every search.

    `offline`: the share of searches that nobody answers; `searches`: in all, in so many seconds.
    """
    return {
        "search": nodes - 1 + (1 - offline),
        "keepalive, reckoned": nodes * (nodes - 1) / 2 * PROBE_MESSAGES * seconds / searches,
        "links": float(nodes - 1),
    }


def memory_of(board: Switchboard, shared: Iterable[object] = ()) -> int:
    """Bytes of everything that a switchboard holds, but for classes, code, settings and what is `shared`."""
    seen = {id(each) for each in shared}
    waiting: list[Any] = [board]
    total = 0
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, _SKIPPED):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        waiting += gc.get_referents(each)
    return total


def memory_of_many(nodes: int, settings: SwitchboardSettings) -> int:
    """Bytes that a simulation of so many nodes needs at least: each of them knows all the others."""
    world = World(0)
    known = {each.address: each.fingerprint for each in (SimNode(world, number, settings) for number in range(nodes))}
    one = world.nodes[0]
    one.known = {address: node for address, node in known.items() if address != one.address}
    one.start(has_met=True)
    shared: list[object] = [*known, *known.values(), *(address.host for address in known)]
    assert all(isinstance(address, NodeAddress) for address in known)
    return nodes * memory_of(one.board, shared)
