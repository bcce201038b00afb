"""`uzel demo` succeeds only when everything it tells of has happened, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from e2e.cli_harness import DEADLINE, Running, uzel


def children(pid: int) -> list[int]:
    """The ids of a process's children, oldest first."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def until_gone(pid: int) -> None:
    """Wait until there is no such process; one that only waits to be collected is gone."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.005)


def story_until(demo: Running, words: str) -> None:
    while words not in demo.line():
        pass


def test_the_story() -> None:
    outcome = uzel("demo")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    for words in (
        "is online at 127.0.0.1:",
        "Alice  calls ",
        "and accepts",
        "(verified by contact link): TLSv1.3, X25519MLKEM768, ",
        "Alice  sent one of 200,000 bytes (200000 bytes): delivered in ",
        "Bob  sent one of 200,000 bytes (200000 bytes): delivered in ",
        "Alice  sent one in Russian ",
        "Node  saw ",
        "Every text was delivered, both ways.",
    ):
        assert words in outcome.stdout


@pytest.mark.parametrize(("words", "victim"), [("Node  listens", 0), ("Bob  is online", 1)], ids=["node", "Bob"])
def test_it_fails_when_a_process_dies(words: str, victim: int) -> None:
    with Running("demo") as demo:
        story_until(demo, words)
        started = children(demo.process.pid)
        os.kill(started[victim], signal.SIGKILL)
        assert demo.wait() == 2
        assert [line.startswith("The demo failed: ") for line in demo.talk] == [True]
        for pid in started:
            until_gone(pid)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_all_of_it(number: signal.Signals, code: int) -> None:
    with Running("demo") as demo:
        story_until(demo, "Node  listens")
        started = children(demo.process.pid)
        assert started
        assert demo.end(number) == code
        assert demo.talk == []
        for pid in started:
            until_gone(pid)
