"""The node under measurement: a real process, with its bounds out of the way and its people known beforehand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from uzel.app.bench_node import LIMITS, Process, make_known
from uzel.faces.cli.node_client import ask_node
from uzel.identity import Identity
from uzel.names import NodeAddress, NodeReference

LINKED_LIMITS = {
    "link_calls_per_minute": 1_000_000,
    "link_call_burst": 1_000_000,
    "searches_per_minute": 1_000_000,
    "search_burst": 1_000_000,
    "learned_dials_per_minute": 1_000_000,
    "learned_dial_burst": 1000,
    "giver_dials_per_minute": 1_000_000,
}
LINKED_TIMES = {"location_short": 0.001}
"""Conversations of these measures end at once: that must not count as a wrong node (D20)."""
LINKED_BY = 20.0


LOAD = 1
"""The processor of the load."""


def pin(processor: int, pid: int = 0) -> None:
    """Keep a process on one processor, where that can be said and there are two."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {processor})


class NodeProcess(Process):
    """`uzel node run` on processor 0. The people's keys are put into its memory before it starts."""

    def __init__(
        self,
        folder: Path,
        people: list[Identity],
        *,
        peers: Sequence[str] = (),
        limits: Mapping[str, float] | None = None,
        times: Mapping[str, float] | None = None,
    ) -> None:
        self.state = folder / "state"
        self.state.mkdir(mode=0o700, parents=True)
        make_known(self.state, people)
        settings = folder / "node.toml"
        lines = ["[limits]", *(f"{name} = {value}" for name, value in {**LIMITS, **(limits or {})}.items())]
        lines += ["[times]", *(f"{name} = {value}" for name, value in (times or {}).items())]
        settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
        program = [sys.executable, "-m", "uzel", "node", "run", "--listen", "127.0.0.1:0"]
        for peer in peers:
            program += ["--peer", peer]
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [*program, "--state", str(self.state), "--config", str(settings)], stdout=subprocess.PIPE, stderr=self._log
        )
        super().__init__(self._process.pid)
        pin(0, self.pid)

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        listening = json.loads(self._process.stdout.readline())
        self.written = str(listening["control"][0])
        host, _, port = self.written.rpartition(":")
        self.host, self.port = str(host), int(port)
        return self

    @property
    def reference(self) -> NodeReference:
        return NodeReference(NodeAddress(self.host, self.port))

    def ask(self, command: str) -> Any:
        """What its operator would be told."""
        return ask_node(self.state, command, LINKED_BY)

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()


@contextmanager
def federation(
    folder: Path, people: list[Identity], count: int, *, limits: Mapping[str, float] | None = None
) -> Iterator[list[NodeProcess]]:
    """So many nodes on processor 0, each linked to each, once all have met all."""
    nodes: list[NodeProcess] = []
    with ExitStack() as stack:
        for number in range(count):
            nodes.append(
                stack.enter_context(
                    NodeProcess(
                        folder / str(number),
                        people,
                        peers=[node.written for node in nodes],
                        limits={**LINKED_LIMITS, **(limits or {})},
                        times=LINKED_TIMES,
                    )
                )
            )
        deadline = time.monotonic() + LINKED_BY
        while not all(_knows(node, count - 1) for node in nodes):
            if time.monotonic() > deadline:
                raise RuntimeError("the nodes did not all meet")
            time.sleep(0.1)
        yield nodes


def _knows(node: NodeProcess, others: int) -> bool:
    linked = {link["fingerprint"] for link in node.ask("status")["links"] if link["state"] == "up"}
    return len(linked) == others and sum(bool(peer["proven"]) for peer in node.ask("peers")) == others
