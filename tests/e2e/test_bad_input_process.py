"""Bad input whose cost is the process's own: descriptors, memory and processors, on `uzel node run` as installed."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from e2e.canary import Canary
from e2e.node_harness import NodeProcess, until
from e2e.raw_client import Address, Closed, RawClient, Tcp, converse, exchange, ready
from e2e.raw_identity import identity, lying, node_identity
from e2e.raw_link import RawLink
from e2e.swarm import Swarm

STRANGERS = 1000
KNOWN_CLIENTS = 50
MOST_MEMORY = 200 * 2**20
DESCRIPTORS = 160
UNDISTURBED = 5.0
"""Seconds that no login, call or text may take, on a machine that also runs the strangers."""


class Closeable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=Closeable)


class Opened(contextlib.ExitStack):
    """Closes all that a test opened, however it ends."""

    def keep(self, thing: T) -> T:
        return self.enter_context(contextlib.closing(thing))

    def client(self, number: int, node: Address, source: str = "127.0.0.1") -> RawClient:
        return self.keep(RawClient(identity(number), node, source))

    def pair(self, node: Address) -> tuple[RawClient, RawClient]:
        return self.client(2, node).login(), self.client(3, node).login()

    def strangers(self, node: Address, count: int) -> list[Tcp]:
        """Connections that say nothing, from many addresses."""
        return [self.keep(Tcp(node, f"127.0.2.{1 + number % 200}")) for number in range(count)]


@pytest.fixture
def opened() -> Iterator[Opened]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Opened() as stack:
        yield stack


def log_in_and_talk(people: tuple[RawClient, RawClient]) -> float:
    """Gives the seconds of the slowest step."""
    steps = [time.monotonic()]
    for person in people:
        person.login()
        steps.append(time.monotonic())
    a, b = converse(*people)
    steps.append(time.monotonic())
    for _ in range(5):
        exchange(a, b)
        exchange(b, a)
        steps.append(time.monotonic())
    return max(later - earlier for earlier, later in pairwise(steps))


def test_a_thousand_strangers_with_false_uins(opened: Opened, tmp_path: Path, known_identities: Path) -> None:
    """They come again and again; meanwhile 50 known clients log in and talk, and the node stays small."""
    settings = "[limits]\nhalf_open_per_address = 2000\n"
    with NodeProcess(tmp_path, template=known_identities, settings=settings) as node:
        canary = opened.keep(Canary(node.address))
        before = most = node.pss()
        liars = [lying(4_200_000_000 + number) for number in range(STRANGERS)]
        swarm = opened.keep(Swarm(liars, node.address, "127.0.0.9"))
        swarm.start()
        people = [
            opened.client(number, node.address, f"127.0.0.{100 + number}") for number in range(2, 2 + KNOWN_CLIENTS)
        ]
        with ThreadPoolExecutor(KNOWN_CLIENTS // 2) as pool:
            talks = [pool.submit(log_in_and_talk, pair) for pair in zip(people[::2], people[1::2], strict=True)]
            while not all(talk.done() for talk in talks):
                most = max(most, node.pss())
                wait(talks, 0.05)
        slowest = max(talk.result() for talk in talks)
        swarm.over.set()
        while swarm.is_alive():
            most = max(most, node.pss())
            swarm.join(0.05)
        canary.check()
        assert swarm.fault is None
        assert swarm.refused >= STRANGERS
        assert swarm.served == 0
        assert all(person.sync() == [] for person in people)
        assert most - before < MOST_MEMORY
        assert max(slowest, canary.slowest) < UNDISTURBED
        opened.close()
    assert {"uin_not_of_key", "key_checks_address_full"} <= node.logged()


def closed_by_the_node(tcps: list[Tcp]) -> int:
    """How many of them the node has ended so far."""
    return len(ready(tcps))


def start_a_conversation(people: tuple[RawClient, RawClient]) -> None:
    a, b = converse(*people)
    exchange(a, b)
    a.data.close()
    b.data.close()


def test_descriptors_run_out(opened: Opened, tmp_path: Path, known_identities: Path) -> None:
    """The limit falls below what the node planned with: strangers are let go, clients already there notice nothing."""
    with NodeProcess(tmp_path, template=known_identities, descriptors=1024) as node:
        canary = opened.keep(Canary(node.address))
        people = opened.pair(node.address)
        link = opened.keep(RawLink.dial(node.address, node_identity(1)))
        link.sync()
        limit = node.descriptors() + 12
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (limit, 1024))
        waiting = opened.strangers(node.address, 40)
        until("descriptors exhausted", lambda: "descriptors_exhausted" in node.logged())
        canary.check()
        assert all(person.sync() == [] for person in people)
        assert link.sync() == []
        for tcp in waiting:
            tcp.close()
        until("room again", lambda: node.descriptors() < limit - 6)
        start_a_conversation(people)
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (1024, 1024))
        opened.client(4, node.address).login()
        canary.check()
        opened.close()
    assert "descriptors_exhausted" in node.counters()


def test_a_small_limit_keeps_a_reserve(opened: Opened, tmp_path: Path, known_identities: Path) -> None:
    """Silent strangers fill all that the limit leaves; clients already there can still start a conversation."""
    with NodeProcess(tmp_path, template=known_identities, descriptors=DESCRIPTORS) as node:
        canary = opened.keep(Canary(node.address))
        people = opened.pair(node.address)
        waiting = opened.strangers(node.address, DESCRIPTORS * 2)
        until("strangers let go", lambda: closed_by_the_node(waiting) >= DESCRIPTORS)
        start_a_conversation(people)
        start_a_conversation(people[::-1])
        opened.client(4, node.address).login()
        canary.check()
        assert node.descriptors() < DESCRIPTORS
        opened.close()
    assert "connections_full" in node.counters()
    assert "connections_full" in node.logged()
    assert "descriptors_exhausted" not in node.logged()


def test_logged_in_clients_cannot_crowd_out_conversations(
    opened: Opened, tmp_path: Path, known_identities: Path
) -> None:
    """All that the limit leaves is taken by clients who are online: those who are there can still talk."""
    with NodeProcess(tmp_path, template=known_identities, descriptors=110) as node:
        canary = opened.keep(Canary(node.address))
        online: list[RawClient] = []
        with contextlib.suppress(Closed, ConnectionError):
            for number in range(2, 64):
                client = opened.client(number, node.address).login()
                online.append(client)
        assert 2 <= len(online) < 60, "the bound was never met"
        start_a_conversation((online[0], online[1]))
        canary.check()
        opened.close()
    assert node.logged() & {"connections_full", "descriptors_exhausted"}
