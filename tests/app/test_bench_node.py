"""`uzel node bench` measures a real node and leaves nothing behind.

No figure is judged: machines are shared and noisy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from uzel.app import bench_node
from uzel.app.bench_command import lines
from uzel.app.bench_load import RawLogin, make_people
from uzel.app.bench_node import NodeCost, measure, private_node
from uzel.errors import ConfigError, TimedOutError


def test_it_tells_every_figure_and_leaves_no_folder(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "uzel", "node", "bench", "--users", "20", "--seconds", "0.1", "--json"]
    done = subprocess.run(
        program, capture_output=True, text=True, timeout=50, check=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    told = json.loads(done.stdout)
    assert list(told) == [field.name for field in fields(NodeCost)]
    assert all(isinstance(value, float) for value in told.values())
    assert told["base_mib"] > 0 < told["cpu_s_per_1000_texts"]
    assert "logging them in" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_person_reads_it_in_words() -> None:
    cost = NodeCost(
        base_mib=24.04,
        mib_per_1000_users=5.4,
        cpu_s_per_1000_logins=1.2,
        cpu_s_per_1000_texts=0.0155,
        cpu_s_per_gb=0.25,
        call_ms=0.918,
    )
    shown = lines(cost)
    assert [line.split("  ")[-1].strip() for line in shown] == [
        "24 MiB",
        "5.4 MiB more",
        "1.2 s of a processor",
        "0.0155 s of a processor",
        "0.25 s of a processor",
        "0.918 ms",
    ]


def test_the_node_ends_with_the_block() -> None:
    people = make_people(1)
    with private_node(people) as node:
        RawLogin(node, people[0]).close()
        assert Path(f"/proc/{node.pid}").exists()
    assert not Path(f"/proc/{node.pid}").exists()


def test_a_node_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_node, "LIMITS", {"no_such_limit": 1})
    with pytest.raises(ConfigError, match="no_such_limit"):
        measure(20, 0.1, lambda _: None)


def test_a_node_that_dies_under_the_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def end_it(what: str) -> None:
        if what == "logging them in":
            for node in nodes:
                os.kill(node, 9)

    nodes: list[int] = []
    pss = bench_node.Process.pss_kib

    def remember(process: bench_node.Process) -> int:
        nodes.append(process.pid)
        return pss(process)

    monkeypatch.setattr(bench_node.Process, "pss_kib", remember)
    with pytest.raises(TimedOutError, match="does not do its part"):
        measure(20, 0.1, end_it)


def test_elsewhere_than_on_linux_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfigError, match="/proc"):
        measure(20, 0.1, lambda _: None)
