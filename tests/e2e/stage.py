"""Where a case of bad input is played: a node, a canary beside it, and the comparison with before.

A `Case` is a small function with the reasons that it must bring about and the kind of node that it needs. `play` runs
one on the stage and then demands: each reason was logged and counted, the canary noticed nothing, and descriptors,
tasks, timers, calls, links and registry are as before; only what a node remembers of others may have grown. Where the
setup is about links, the canary talks across a link too.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from e2e.canary import Canary, LinkCanary
from e2e.node_harness import NodeThread, config_of, until
from e2e.raw_client import Closed, RawClient, Tcp, set_up
from e2e.raw_federate import RawFederate
from e2e.raw_identity import RawIdentity, identity, node_identity
from e2e.raw_link import RawLink, home
from uzel.errors import Reason

MEMORIES = frozenset(("locations", "known_nodes"))


@dataclass(frozen=True)
class Setup:
    """How a node under test is configured."""

    times: dict[str, float] = field(default_factory=dict)
    limits: dict[str, int | bool] = field(default_factory=dict)
    linked: bool = False
    """Whether the canary talks across a link as well."""
    memories: frozenset[str] = MEMORIES
    """What a node remembers of others outlives a scene, within bounds."""


def about_links(times: dict[str, float] | None = None, /, **limits: int) -> Setup:
    """A search outlives whoever asked for it; so it ends in a time that can be waited for."""
    return Setup({"search": 0.3, **(times or {})}, dict(limits), linked=True)


CAREFUL = {
    "learned_dials_per_minute": 60, "learned_dial_burst": 1, "giver_dials_per_minute": 5,
    "addresses_per_giver": 100,
}  # fmt: skip
"""The rates at which a node dials where others send it, as they are by default."""
QUICK = {"handshake": 0.6, "data_hello": 0.3, "ring": 0.4, "data": 0.3, "drain": 0.3}
SETUPS: dict[str, Setup] = {
    "plain": Setup(),
    "quick": Setup(QUICK),
    "silent": Setup({"ping_idle": 0.3, "silence": 0.9}),
    "half open an address": Setup(limits={"half_open_per_address": 8, "half_open": 100}),
    "half open": Setup(limits={"half_open_per_address": 100, "half_open": 8}),
    "connections an address": Setup(limits={"connections_per_address": 6}),
    "connections": Setup(limits={"connections": 10}),
    "login rate": Setup(limits={"logins_per_minute": 1, "login_burst": 3}),
    "call rate": Setup(limits={"calls_per_minute": 1, "call_burst": 5}),
    "unanswered": Setup(limits={"unanswered_per_caller": 3, "unanswered_per_callee": 4}),
    "key checks": Setup(limits={"key_checks": 1, "key_check_workers": 1, "key_checks_per_address": 2}),
    "send queue": Setup(limits={"send_queue": 4096}),
    "any address": Setup(limits={"check_data_address": False}),
    "links": about_links(),
    "links found": about_links({"search": 1.5}),
    "links quick": about_links(QUICK | {"search": 0.4, "request_margin": 0.1, "fence": 0.3, "link_first_message": 0.3}),
    "links quick calls": about_links({"search": 0.4, "ring": 0.4, "data": 0.4, "request_margin": 0.1}),
    "links silent": about_links({"ping_idle": 0.3, "silence": 0.9, "link_replaced": 0.3}),
    "links careful": replace(
        about_links({"search": 0.4, "handshake": 1.0}, **CAREFUL), memories=MEMORIES | {"switchboard timers"}
    ),
    "links on one word": replace(
        about_links({"search": 0.4, "handshake": 1.0}, giver_dials_per_minute=5),
        memories=MEMORIES | {"switchboard timers"},
    ),
    "link rate": about_links(link_logins_per_minute=1, link_login_burst=3),
    "links full": about_links(links=5),
    "links an address": about_links(links_per_address=3),
    "link queue": about_links(link_queue=500, link_buffer=4096),
    "fences": about_links(fences=3),
    "link searches": about_links(link_searches_per_minute=1, link_search_burst=5),
    "link calls": about_links(link_calls_per_minute=1, link_call_burst=5),
    "link unanswered": about_links(unanswered_per_link=3),
    "hints": about_links(hints_per_link=100),
    "held": about_links(held_per_conversation=262_144),
    "held in all": about_links(held=262_144),
}


@dataclass(frozen=True)
class Case:
    """One bad thing. `run` plays it; `reasons` are the names under which the node must log and count it."""

    name: str
    run: Callable[[Scene], None]
    reasons: tuple[Reason, ...] = ()
    node: str = "plain"


class CaseTable(list[Case]):
    """A list of cases that functions are added to by decoration, or rows by `add`."""

    def case(self, *reasons: Reason, node: str = "plain") -> Callable[[Callable[[Scene], None]], Callable[..., None]]:
        def remember(run: Callable[[Scene], None]) -> Callable[..., None]:
            self.append(Case(run.__name__, run, reasons, node))
            return run

        return remember

    def add(self, name: str, run: Callable[[Scene], None], *reasons: Reason, node: str = "plain") -> None:
        self.append(Case(name, run, reasons, node))


FAR = itertools.count(4_000_000_000)
"""UINs of people elsewhere: others in each scene, because the node remembers where it met whom."""


class Closeable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=Closeable)


class Scene:
    """What a case plays with. Whatever it opens is closed when the case is over."""

    def __init__(self, node: NodeThread) -> None:
        self.node = node
        self._counted = node.ask(lambda: Counter(node.service.counters))
        self._opened: list[Closeable] = []
        self.bob, self.dave = next(FAR), next(FAR)
        self.known_before = node.footprint()["known_nodes"]

    def tcp(self, *, data: bool = False, source: str = "127.0.0.1") -> Tcp:
        """A bare connection to the control port, or the data port."""
        host, port = self.node.address
        tcp = Tcp((host, port + data), source)
        self._opened.append(tcp)
        return tcp

    def client(self, who: int | RawIdentity, source: str = "127.0.0.1") -> RawClient:
        """A client that has done nothing yet."""
        client = RawClient(identity(who) if isinstance(who, int) else who, self.node.address, source)
        self._opened.append(client)
        return client

    def login(self, who: int | RawIdentity, source: str = "127.0.0.1") -> RawClient:
        return self.client(who, source).login()

    def link(self, number: int) -> RawLink:
        """A link from the raw node with this number, which announces no port."""
        link = RawLink.dial(self.node.address, node_identity(number), home(number))
        self._opened.append(link)
        link.sync()
        return link

    def federate(self, number: int, users: Iterable[RawIdentity] = (), **how: Any) -> RawFederate:
        """A raw node that listens."""
        federate = RawFederate(node_identity(number), how.pop("host", home(number)), users, **how)
        self._opened.append(federate)
        federate.__enter__()
        return federate

    def opened(self, kind: type[T]) -> list[T]:
        """All of this kind that were opened so far."""
        return [each for each in self._opened if isinstance(each, kind)]

    def keep(self, thing: T) -> T:
        """Close this, too, when the case is over."""
        self._opened.append(thing)
        return thing

    def pair(self) -> tuple[RawClient, RawClient]:
        """Two clients online."""
        return self.login(2), self.login(3)

    def until(self, name: str, value: int) -> None:
        """Wait until the node's snapshot says so."""
        until(f"{name} = {value}", lambda: self.node.footprint()[name] == value)

    def count(self, reason: Reason) -> int:
        """How often the node has counted it since the scene began."""
        return self.node.count(reason) - self._counted[reason]

    def counted(self, reason: Reason, times: int = 1) -> None:
        """Wait until the node has counted it so often since the scene began."""
        until(f"{reason} × {times}", lambda: self.node.count(reason) >= self._counted[reason] + times)

    def close(self) -> None:
        for each in self._opened:
            each.close()
        for each in self._opened:
            if isinstance(each, RawFederate):
                assert each.faults == [], "the node said what no node says"
            if isinstance(each, RawLink):
                assert each.fault is None, "the node said what no node says"


class Stage:
    """One node at a time, kept while the setup stays the same."""

    def __init__(self, folder: Path, template: Path) -> None:
        self._folder = folder
        self._template = template
        self._setup = ""
        self._count = 0
        self._calm = 0
        self.node: NodeThread | None = None
        self.canary: Canary | None = None

    def _prepare(self, setup: str) -> tuple[NodeThread, Canary]:
        if self.node is None or self.canary is None or self._setup != setup:
            self.clear()
            self._count += 1
            state = self._folder / f"node{self._count}"
            shutil.copytree(self._template, state)
            node = NodeThread(config_of(SETUPS[setup].times, SETUPS[setup].limits), state)
            node.start()
            self.node, self._setup = node, setup
            self.canary = (LinkCanary if SETUPS[setup].linked else Canary)(node.address)
            self._warm_up(node)
            self._calm = self._timers_at_rest(node)
        return self.node, self.canary

    @staticmethod
    def _timers_at_rest(node: NodeThread) -> int:
        """How many timers the switchboard has when nothing is going on."""
        readings: deque[int] = deque(maxlen=20)

        def same() -> bool:
            readings.append(node.footprint()["switchboard timers"])
            return len(readings) == readings.maxlen and len(set(readings)) == 1

        until("at rest", same)
        return readings[0]

    @staticmethod
    def _warm_up(node: NodeThread) -> None:
        """What is made at first use and kept (pools) shall not look like a leak."""
        scene = Scene(node)
        with contextlib.closing(scene):
            scene.login(60, "127.0.0.21")
        until("the warm-up's end", lambda: node.footprint()["clients"] == 2)

    def clear(self) -> None:
        if self.canary is not None:
            self.canary.close()
            self.canary = None
        if self.node is not None:
            node, self.node = self.node, None
            node.stop()

    @contextlib.contextmanager
    def scene(self, setup: str = "plain", *reasons: Reason) -> Iterator[Scene]:
        """Play in the block; what must hold afterwards is demanded at its end."""
        node, canary = self._prepare(setup)
        canary.check()
        before: dict[str, int] = {}
        kept = "switchboard timers" in SETUPS[setup].memories
        until("all quiet", lambda: self._quiet(node, before) and (kept or before["switchboard timers"] == self._calm))
        counted = {reason: (node.count(reason), node.log.reasons[reason]) for reason in reasons}
        scene = Scene(node)
        try:
            with contextlib.closing(scene):
                yield scene
            for reason, (count, logged) in counted.items():
                until(f"{reason} counted and logged", partial(self._told, node, reason, count, logged))
            canary.check()
            self.settle(node, before, SETUPS[setup].memories)
            assert node.faults + node.log.errors == []
        except BaseException as error:
            error.add_note(f"the node's own faults: {node.faults + node.log.errors}")
            self.abandon()  # the next case shall not meet what this one left
            raise

    @staticmethod
    def _quiet(node: NodeThread, seen: dict[str, int]) -> bool:
        """No dial and no search is left of what the node remembers of an earlier scene."""
        seen.update(node.footprint())
        return seen["dials"] == seen["searches"] == seen["tasks"] == 0

    def abandon(self) -> None:
        """End the node without demanding anything more of it."""
        with contextlib.suppress(AssertionError):
            self.clear()

    @staticmethod
    def _told(node: NodeThread, reason: Reason, count: int, logged: int) -> bool:
        return node.count(reason) > count and node.log.reasons[reason] > logged

    @staticmethod
    def settle(node: NodeThread, before: dict[str, int], memories: frozenset[str] = MEMORIES) -> None:
        """Wait until the node is as before; `AssertionError` says what is left behind."""
        seen: dict[str, int] = {}

        def same() -> bool:
            seen.update(node.footprint())
            return all(seen[name] == count for name, count in before.items() if name not in memories)

        try:
            until("as before", same)
        except AssertionError:
            changed = {name: (count, seen[name]) for name, count in before.items() if count != seen[name]}
            raise AssertionError(f"left behind (before, after): {changed}") from None

    def play(self, case: Case) -> None:
        with self.scene(case.node, *case.reasons) as scene:
            case.run(scene)


def joined(caller: RawClient, callee: RawClient) -> tuple[Tcp, Tcp]:
    """A relaying pair: a byte went through, so the node has joined the two connections."""
    ours, theirs = set_up(caller, callee)
    theirs.send(b"!")
    assert ours.receive() == b"!"
    return ours, theirs


def ended(tcp: Tcp) -> bytes:
    """Read to the end of the connection: what had come before it."""
    received = b""
    with contextlib.suppress(Closed):
        while data := tcp.receive():
            received += data
    return received
