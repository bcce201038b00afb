"""The node under test, in a thread of this process or as a process of its own, and what it leaves behind.

In the thread, its counters, log records, descriptors and tasks can be compared with before; as a process it has limits
and memory of its own. Both start from a copy of one state folder in which the raw identities are known already.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from e2e.raw_client import Address
from e2e.raw_identity import identity
from uzel.errors import Reason
from uzel.names import Fingerprint
from uzel.node.config import NodeConfig
from uzel.node.service import NodeService

T = TypeVar("T")
DEADLINE = 15.0
"""Seconds until something that must come about counts as failed."""
KNOWN = 64
"""`identity(0)` … `identity(63)` are known to every node under test; the others are keys never seen."""


def until(what: str, holds: Callable[[], bool]) -> None:
    """Wait until it holds; `AssertionError` when it does not within the deadline."""
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, f"never came about: {what}"
        time.sleep(0.002)


def descriptors() -> list[str]:
    """What this process has open, but for pipes: a few empty ones are kept, the snapshot tells of the rest."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [target for target in found if not target.startswith("pipe:")]


class LogTally(logging.Handler):
    """Counts the reasons that the node logs. Keeps no record, so that it does not grow itself.

    `thread` is the node's: what other nodes in this process log is not its doing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.thread = 0
        self.reasons: Counter[str] = Counter()
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self.thread:
            return
        reason = getattr(record, "reason", None)
        if reason is not None:
            self.reasons[str(reason)] += 1
        if record.levelno >= logging.ERROR:
            self.errors.append(f"{self.format(record)} {getattr(record, 'fields', '')}")


class NodeThread:
    """A `NodeService` on an event loop of its own, in a thread of this process."""

    def __init__(self, config: NodeConfig, state: Path) -> None:
        self.config = config
        self.log = LogTally()
        self.faults: list[str] = []
        self._state = state
        self._ready: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="node under test", daemon=True)

    def start(self) -> None:
        for name in ("uzel.node", "asyncio"):
            logger = logging.getLogger(name)
            logger.addHandler(self.log)
            logger.propagate = False
        logging.getLogger("uzel.node").setLevel(logging.DEBUG)
        self._thread.start()
        if (fault := self._ready.get(timeout=DEADLINE)) is not None:
            raise fault
        self.address: Address = self.service.control_addresses[0]

    def _run(self) -> None:
        self.log.thread = threading.get_ident()
        asyncio.run(self._main())

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda _, fault: self.faults.append(repr(fault)))
        self._patience: asyncio.Future[float] = self.loop.create_future()
        self.service = NodeService(self.config, self._state)
        try:
            await self.service.start([("127.0.0.1", 0)], self.config.peer_references())
        except BaseException as fault:
            self._ready.put(fault)
            raise
        self._ready.put(None)
        await self.service.stop(await self._patience)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stopping(self, patience: float) -> None:
        """Tell the node to stop, and let conversations go on for so many seconds."""
        if self.alive:
            self.loop.call_soon_threadsafe(self._stop_after, patience)

    def _stop_after(self, patience: float) -> None:
        if not self._patience.done():
            self._patience.set_result(patience)

    def stop(self) -> None:
        self.stopping(0)
        self._thread.join(DEADLINE)
        for name in ("uzel.node", "asyncio"):
            logging.getLogger(name).removeHandler(self.log)
            logging.getLogger(name).propagate = True
        assert not self._thread.is_alive(), "the node does not stop"
        faults = self.faults + self.log.errors
        assert not faults, faults

    def ask(self, question: Callable[[], T]) -> T:
        """Evaluate on the node's own loop."""
        answer: queue.SimpleQueue[T] = queue.SimpleQueue()
        self.loop.call_soon_threadsafe(lambda: answer.put(question()))
        return answer.get(timeout=DEADLINE)

    @contextlib.contextmanager
    def nobody_else_listening(self) -> Iterator[None]:
        """Keep the log from whoever keeps records (pytest does, also of loggers that do not propagate)."""
        logger = logging.getLogger("uzel.node")
        handlers, logger.handlers = logger.handlers, [self.log]
        try:
            yield
        finally:
            logger.handlers = handlers

    def claim(self, uin: int, fingerprint: bytes) -> None:
        """Have the node know this UIN under this key."""
        claims: Any = self.service.claims
        assert self.ask(lambda: claims.claim(uin, Fingerprint(fingerprint), time.time()))

    def footprint(self) -> dict[str, int]:
        """All that a case must leave as it was: descriptors, tasks, timers, calls, registry."""
        return self.ask(
            lambda: {
                **{name: int(count) for name, count in self.service.snapshot().items()},
                "switchboard timers": self._timers(),
                "descriptors": len(descriptors()),
                "asyncio tasks": len(asyncio.all_tasks(self.loop)),
            }
        )

    def _timers(self) -> int:
        """Those of the switchboard, but for hints: who is online has one while a node is known that holds them."""
        timers = self.service._switchboard._context.timers._current
        return sum(key[:2] != ("finder", "hint") for key in timers)

    def count(self, reason: Reason) -> int:
        return self.ask(lambda: self.service.counters[reason])


def known_state(path: Path) -> None:
    """Make a state folder that knows `identity(0)` … `identity(63)`."""
    node = NodeThread(NodeConfig(), path)
    node.start()
    for index in range(KNOWN):
        node.claim(identity(index).uin, identity(index).fingerprint)
    node.stop()


EVER = 4 * DEADLINE
"""Seconds far beyond a test's own patience."""
PATIENT = {
    **dict.fromkeys(("handshake", "data_hello", "ring", "data", "drain"), EVER),
    **dict.fromkeys(("link_first_message", "link_replaced", "fence", "search"), EVER),
    "redial_first": 0.05,
    "redial_last": 0.1,
    "everyone_after": 0.05,
    "everyone_every": 0.001,
    "unknown": 0.001,
    "location_short": 0.001,
    "hint_ring": 0.01,
}
"""What is left behind must not be tidied up by time before it is seen; what is only waited for is short."""
GENEROUS = dict.fromkeys(
    (
        "logins_per_minute", "login_burst", "calls_per_minute", "call_burst", "link_logins_per_minute",
        "link_login_burst", "link_calls_per_minute", "link_call_burst", "learned_dials_per_minute",
        "learned_dial_burst", "giver_dials_per_minute", "lists_per_minute", "list_burst",
        "searches_per_minute", "search_burst", "link_searches_per_minute", "link_search_burst",
    ),
    1_000_000,
)  # fmt: skip


def config_of(times: Mapping[str, float], limits: Mapping[str, float], peers: Sequence[str] = ()) -> NodeConfig:
    """A configuration with times and rates out of the way, unless they are named."""
    settings = {"times": {**PATIENT, **times}, "limits": {**GENEROUS, **limits}, "peers": peers}
    return msgspec.convert(settings, NodeConfig)


class NodeProcess:
    """`uzel node run` as it is installed. Use it in a `with` block; it must end with exit code 0."""

    def __init__(
        self, folder: Path, *, template: Path, settings: str = "", descriptors: int = 0, arguments: Sequence[str] = ()
    ) -> None:
        state = folder / "state"
        shutil.copytree(template, state)
        config = folder / "node.toml"
        config.write_text(settings, encoding="utf-8")
        limited = ("sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh") if descriptors else ()
        program = str(Path(sys.executable).with_name("uzel"))
        flags = ("--listen", "127.0.0.1:0", "--state", str(state), "--config", str(config))
        self.process = subprocess.Popen(
            [*limited, program, "node", "run", *flags, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.lines: list[dict[str, object]] = []
        self.strange: list[str] = []
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        assert self.process.stdout is not None
        ready = self.process.stdout.readline()
        if not ready:
            self.process.wait(DEADLINE)
            self._reader.join(DEADLINE)
            raise AssertionError(f"the node did not start: {self.strange} {self.lines}")
        self.announced = json.loads(ready)
        host, _, port = self.announced["control"][0].rpartition(":")
        self.address: Address = (host, int(port))

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self.lines.append(json.loads(line))
            except json.JSONDecodeError:
                self.strange.append(line.decode(errors="replace"))

    @property
    def pid(self) -> int:
        return self.process.pid

    def pss(self) -> int:
        """Proportional set size in bytes: what this process costs the machine."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no Pss")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def logged(self) -> set[str]:
        """The reasons logged so far."""
        return {str(line["reason"]) for line in list(self.lines) if "reason" in line}

    def counters(self) -> dict[str, object]:
        """What the event `counters` says; only after the end."""
        return next(line for line in self.lines if line.get("event") == "counters")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.process.terminate()
        try:
            code = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._reader.join(DEADLINE)
        for pipe in (self.process.stdout, self.process.stderr):
            with contextlib.suppress(AttributeError):
                pipe.close()  # type: ignore[union-attr]  # both are pipes; mypy sees None as well
        if kind is None:
            assert code == 0
            assert self.strange == []
