"""The node under measurement: a real process, with its bounds out of the way and its people known beforehand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from uzel.identity import Identity
from uzel.store.sqlite_claims import SqliteClaims

SETTINGS = """
[limits]
half_open_per_address = 10000
half_open = 10000
connections_per_address = 100000
logins_per_minute = 1000000
login_burst = 1000000
calls_per_minute = 1000000
call_burst = 1000000
"""


def pin(processor: int, pid: int = 0) -> None:
    """Keep a process on one processor, where that can be said and there are two."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {processor})


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
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
        raise RuntimeError("the kernel does not tell the proportional set size")


class NodeProcess(Process):
    """`uzel node run` on processor 0. The people's keys are put into its memory before it starts."""

    def __init__(self, folder: Path, people: list[Identity]) -> None:
        state = folder / "state"
        state.mkdir(mode=0o700)
        claims = SqliteClaims(state / "claims.db")
        for person in people:
            claims.claim(person.uin, person.fingerprint, time.time())
        claims.close()
        settings = folder / "node.toml"
        settings.write_text(SETTINGS, encoding="utf-8")
        program = [sys.executable, "-m", "uzel", "node", "run", "--listen", "127.0.0.1:0"]
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [*program, "--state", str(state), "--config", str(settings)], stdout=subprocess.PIPE, stderr=self._log
        )
        super().__init__(self._process.pid)
        pin(0, self.pid)

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        listening = json.loads(self._process.stdout.readline())
        host, _, port = listening["control"][0].rpartition(":")
        self.host, self.port = str(host), int(port)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()
