"""What a node costs on this machine: a private node in a process of its own, its load, and what the kernel says of it.

The node listens on loopback, keeps its state in a folder that goes with it, and cannot outlive this process. Its rates
and bounds are out of the way, and its people's keys are known beforehand: that is what a login of somebody who was
here before costs. Where there are two processors the node has one and the load the other. Linux only, since the
figures come from /proc. Counterparts: `bench_load`, and `bench_command`, which prints the outcome.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from uzel.app.bench_load import RawLogin, bulk, close_ends, context_of, make_people, open_pair, round_trips
from uzel.app.node_arguments import NodeArguments
from uzel.errors import ConfigError, TimedOutError
from uzel.identity import Identity
from uzel.store.sqlite_claims import SqliteClaims

LIMITS = {
    "half_open_per_address": 10_000,
    "half_open": 10_000,
    "connections_per_address": 100_000,
    "logins_per_minute": 1_000_000,
    "login_burst": 1_000_000,
    "calls_per_minute": 1_000_000,
    "call_burst": 1_000_000,
}
"""Bounds against strangers, who are not here: all the load comes from one address."""
SETTLE = 1.0
"""Seconds of rest before memory is read."""
STREAMS = 8
PAIRS = 50
_END = 10.0
"""Seconds that the node may take to end before it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCost:
    """What was measured. Processor time is the node's, user and system; memory its proportional set size.

    base_mib: the node with nobody online, before anybody was.
    mib_per_1000_users: what so many idle people online add.
    cpu_s_per_1000_logins: with keys known from before.
    cpu_s_per_1000_texts: so many short texts and their reports through one node.
    cpu_s_per_gb: of 10⁹ bytes through one node, in eight streams.
    call_ms: half of all calls were set up faster, from 03 until both data connections stood.
    """

    base_mib: float
    mib_per_1000_users: float
    cpu_s_per_1000_logins: float
    cpu_s_per_1000_texts: float
    cpu_s_per_gb: float
    call_ms: float


class Process:
    """What the kernel says of a process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu_seconds(self) -> float:
        """User and system time of its threads, in the scheduler's nanoseconds."""
        total = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def pss_kib(self) -> int:
        """Memory, with what it shares with others counted in parts."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
        raise RuntimeError("the kernel does not tell the proportional set size")


class PrivateNode(Process):
    """The node under measurement: where it listens, and its process."""

    def __init__(self, pid: int, written: str) -> None:
        super().__init__(pid)
        self.host, _, port = written.rpartition(":")
        self.port = int(port)


def make_known(state: Path, people: Sequence[Identity]) -> None:
    """Have a node that will run on this folder know these people's keys."""
    with contextlib.closing(SqliteClaims(state / "claims.db")) as claims:
        for person in people:
            claims.claim(person.uin, person.fingerprint, time.time())


@contextlib.contextmanager
def private_node(people: Sequence[Identity]) -> Iterator[PrivateNode]:
    """A node that knows these people. Raises `ConfigError` when it does not start."""
    with TemporaryDirectory(prefix="uzel-bench-") as folder:
        state, config = Path(folder) / "state", Path(folder) / "node.toml"
        state.mkdir(mode=0o700)
        make_known(state, people)
        config.write_text("[limits]\n" + "".join(f"{name} = {value}\n" for name, value in LIMITS.items()))
        arguments = NodeArguments(state, config, ("127.0.0.1:0",), ()).written()
        program = [sys.executable, "-P", "-m", "uzel.app.demo_child", str(os.getpid()), "uzel.app.node_process"]
        with (Path(folder) / "log").open("w+b") as log:
            process = subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE, stderr=log)  # noqa: S603
            try:
                assert process.stdout is not None
                with process.stdout:
                    line = process.stdout.readline()
                if not line:
                    log.seek(0)
                    raise ConfigError(f"the node did not start: {log.read().decode(errors='replace').strip()[-300:]}")
                yield PrivateNode(process.pid, json.loads(line)["control"][0])
            finally:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Twice, so that it waits for nobody."""
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _apart(node: Process) -> Iterator[None]:
    """Give the node a processor of its own, where there are two."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) > 1:
        os.sched_setaffinity(node.pid, allowed[:1])
        os.sched_setaffinity(0, allowed[1:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def measure(users: int, seconds: float, tell: Callable[[str], None]) -> NodeCost:
    """Measure with so many users; each timed part takes `seconds`. `tell` is told what is being done.

    Raises `ConfigError` on a system other than Linux, or when the node does not start, `TimedOutError` when it does
    not answer.
    """
    if not sys.platform.startswith("linux"):
        raise ConfigError("a node is measured by what Linux tells in /proc: this is another system")
    tell(f"making {users} people and a node")
    people = make_people(users)
    try:
        with private_node(people) as node, _apart(node):
            return _measure(node, people, seconds, tell)
    except OSError as error:
        raise TimedOutError(f"the node under measurement does not do its part: {error}") from error


def _measure(node: PrivateNode, people: list[Identity], seconds: float, tell: Callable[[str], None]) -> NodeCost:
    time.sleep(SETTLE)
    base = node.pss_kib()
    contexts = [context_of(person) for person in people]
    with contextlib.ExitStack() as open_now:

        def online(first: int, last: int) -> list[RawLogin]:
            clients = []
            for person, context in zip(people[first:last], contexts[first:last], strict=True):
                clients.append(RawLogin(node, person, context))
                open_now.callback(clients[-1].close)
            return clients

        tell("logging them in")
        clients = online(0, len(people) // 10)  # what only the first need is not what one more costs
        time.sleep(SETTLE)
        warm, busy = node.pss_kib(), node.cpu_seconds()
        clients += online(len(clients), len(people))
        logins = node.cpu_seconds() - busy
        time.sleep(SETTLE)
        added, full = len(people) - len(people) // 10, node.pss_kib()
        tell("letting them call one another")
        took, ends = [], []
        for caller, callee in zip(clients[::2], clients[1::2], strict=False):
            began = time.perf_counter()
            ends.append(open_pair(caller, callee))
            took.append(time.perf_counter() - began)
        open_now.callback(close_ends, ends)
        tell("sending texts")
        busy = node.cpu_seconds()
        trips = round_trips(ends[:PAIRS], seconds)
        texts = node.cpu_seconds() - busy
        tell("sending bulk")
        busy = node.cpu_seconds()
        moved = bulk(ends[:STREAMS], seconds)
        stream = node.cpu_seconds() - busy
    return NodeCost(
        base_mib=base / 1024,
        mib_per_1000_users=(full - warm) / added * 1000 / 1024,
        cpu_s_per_1000_logins=logins / added * 1000,
        cpu_s_per_1000_texts=texts / trips * 1000,
        cpu_s_per_gb=stream / moved * 1e9,
        call_ms=statistics.median(took) * 1000,
    )
