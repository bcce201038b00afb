"""What the node's own code does for a login, a call, a relayed message, and keeps for a client: counted, not timed.

A count is the same on every machine, so that a change that makes the node do more is seen where it is made. Counted
are the functions that a node calls in its thread, ours and what ours call directly, and the bytes that our code has
allocated. Neither says what OpenSSL or the kernel do: those measures are bench/README.md's.
"""

from __future__ import annotations

import gc
import shutil
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

import uzel
from e2e.node_harness import NodeThread, config_of
from e2e.raw_client import RawClient, Tcp, set_up
from e2e.raw_identity import identity

OURS = str(Path(uzel.__file__).parent)
BUDGET = {
    "functions called for a login": 450,
    "functions called for a call, from 03 to both data connections": 654,
    "functions called for a message through the relay": 3,
    "functions called for a ping": 128,
    "bytes of Python objects for an online client": 2870,
}
"""What each may cost. See `hold_to_it` on how to change one."""
MARGIN = 0.1
"""Bytes of a stream may come in one piece or two, which is a few calls more or less."""
TIMES = 20


def hold_to_it(what: str, cost: float) -> None:
    """Fail when the cost has changed, to the better as well: a loose budget guards nothing."""
    budget = BUDGET[what]
    assert abs(cost - budget) <= MARGIN * budget, (
        f"{what}: {cost:.1f}, and the budget is {budget}. If that is what it has to cost, or less than it did, "
        f"put {cost:.0f} into BUDGET in {Path(__file__).name} and say why in the commit."
    )


class CallCount:
    """Counts the calls of our functions, and of those that they call in C, in the node's thread."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event in {"call", "c_call"} and code.co_filename.startswith(OURS) and not code.co_name.startswith("<"):
            self.calls += 1


@pytest.fixture
def node(tmp_path: Path, known_identities: Path) -> Iterator[NodeThread]:
    state = tmp_path / "state"
    shutil.copytree(known_identities, state)
    node = NodeThread(config_of({}, {}), state)
    node.start()
    with node.nobody_else_listening():
        yield node
    node.stop()


@contextmanager
def logged_in(node: NodeThread, count: int) -> Iterator[list[RawClient]]:
    clients = [RawClient(identity(number), node.address).login() for number in range(count)]
    yield clients
    for client in clients:
        client.close()


def calls_for(node: NodeThread, work: Callable[[], object]) -> int:
    """How many functions the node calls until the work is done, which must end with an answer of the node's."""
    count = CallCount()
    node.ask(lambda: sys.setprofile(count))
    work()
    node.ask(lambda: sys.setprofile(None))
    return count.calls


def pass_on(near: Tcp, far: Tcp, times: int) -> None:
    for _ in range(times):
        near.send(b"x" * 64)
        got = b""
        while len(got) < 64:
            got += far.receive()


def test_a_login_and_a_ping(node: NodeThread) -> None:
    with logged_in(node, 1) as (first,):
        ping = calls_for(node, lambda: [first.sync() for _ in range(TIMES)]) / (2 * TIMES)  # sync is two pings
        others: list[RawClient] = []

        def log_in_each() -> None:
            others.extend(RawClient(identity(number), node.address).login() for number in range(1, TIMES + 1))

        login = calls_for(node, log_in_each) / TIMES - 2 * ping
        for other in others:
            other.close()
    hold_to_it("functions called for a ping", ping)
    hold_to_it("functions called for a login", login)


def test_a_call_and_what_it_carries(node: NodeThread) -> None:
    with logged_in(node, TIMES + 1) as (caller, *callees):
        ends: list[tuple[Tcp, Tcp]] = []

        def call_each() -> None:
            for callee in callees:
                ends.append(set_up(caller, callee))
                pass_on(*ends[-1], 1)

        calls = calls_for(node, call_each) / TIMES
        near, far = ends[0]
        message = calls_for(node, lambda: pass_on(near, far, 10 * TIMES)) / (10 * TIMES)
    hold_to_it("functions called for a message through the relay", message)
    hold_to_it("functions called for a call, from 03 to both data connections", calls - message)


def test_what_an_online_client_keeps(node: NodeThread) -> None:
    ours = [tracemalloc.Filter(inclusive=True, filename_pattern=f"{OURS}/*")]

    def kept() -> int:
        gc.collect()
        return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(ours).traces)

    with logged_in(node, 3):
        tracemalloc.start()
        try:
            before = kept()
            others = [RawClient(identity(number), node.address).login() for number in range(3, 3 + TIMES)]
            cost = (kept() - before) / TIMES
        finally:
            tracemalloc.stop()
        for client in others:
            client.close()
    hold_to_it("bytes of Python objects for an online client", cost)
