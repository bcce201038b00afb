"""`uzel demo` succeeds only when everything it tells of has happened, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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
        "Node B  is linked with Node A at 127.0.0.1:",
        "is online at 127.0.0.1:",
        "Alice  calls ",
        "and accepts",
        "(verified by contact link): TLSv1.3, X25519MLKEM768, ",
        "Alice  sent one of 200,000 bytes (200000 bytes): delivered in ",
        "Bob  sent one of 200,000 bytes (200000 bytes): delivered in ",
        "Alice  sent one in Russian ",
        "Node A  sent 20",
        "Nodes  saw 20",
        "Every text was delivered, both ways.",
    ):
        assert words in outcome.stdout


@pytest.mark.parametrize(
    ("words", "victim"),
    [("Node A  listens", 0), ("Node B  is linked", 1), ("Bob  is online", 0), ("Bob  is online", 2)],
    ids=["node A alone", "node B", "node A", "Bob"],
)
def test_it_fails_when_a_process_dies(words: str, victim: int) -> None:
    with Running("demo") as demo:
        story_until(demo, words)
        started = children(demo.process.pid)
        os.kill(started[victim], signal.SIGKILL)
        assert demo.wait() == 2
        assert [line.startswith("The demo failed: ") for line in demo.talk] == [True], demo.talk
        for pid in started:
            until_gone(pid)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_all_of_it(number: signal.Signals, code: int) -> None:
    with Running("demo") as demo:
        story_until(demo, "Node B  listens")
        started = children(demo.process.pid)
        assert len(started) >= 2
        assert demo.end(number) == code
        assert demo.talk == []
        for pid in started:
            until_gone(pid)


@pytest.mark.parametrize("words", ["Node A  listens", "Node B  is linked", "Alice  calls"])
def test_not_even_kill_9_leaves_a_process_behind(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # what it can no longer remove itself
    with Running("demo") as demo:
        story_until(demo, words)
        started = children(demo.process.pid)
        assert started
        assert demo.end(signal.SIGKILL) == -signal.SIGKILL
        for pid in started:
            until_gone(pid)


def test_a_child_of_a_demo_that_has_ended_already_does_not_start() -> None:
    command = [sys.executable, "-m", "uzel.app.demo_child", "0", "uzel", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
