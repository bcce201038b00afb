"""`uzel node run` as a process: what it loads, how it ends, and what it does not start with.

What it prints and its other refusals: `e2e/test_cli.py`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.cli_harness import Running, RunningNode, uzel
from e2e.raw_client import RawClient, converse, exchange
from e2e.raw_identity import identity

HEAVY = ("typer", "click", "rich", "fastapi", "pydantic", "msgspec", "uzel.client", "uzel.faces")


def test_it_loads_only_what_a_node_needs() -> None:
    loads = "import sys, uzel.app.node_process; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True).stdout.split()
    assert "uzel.node.service" in loaded
    assert [name for name in loaded for heavy in HEAVY if name == heavy or name.startswith(f"{heavy}.")] == []


def test_it_ends_when_the_last_conversation_has(tmp_path: Path) -> None:
    with (
        RunningNode(tmp_path / "state") as node,
        RawClient(identity(0), node.address) as alice,
        RawClient(identity(1), node.address) as bob,
    ):
        a, b = converse(alice.login(), bob.login())
        node.process.send_signal(signal.SIGTERM)
        node.talks_of('"event": "stopping"')
        exchange(a, b, "still here")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(node.address)
        assert node.process.poll() is None
        a.data.close()
        b.data.close()
        assert node.wait() == 0


def test_it_runs_on_when_nobody_reads_where_it_listens(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    flags = ("--listen", "127.0.0.1:0", "--state", tmp_path / "state")
    with Running("node", "run", *flags, stdout=writing) as node:
        os.close(writing)
        while not any('"listening"' in line for line in node.talk):
            assert node.process.poll() is None
        assert node.end() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--listen", "127.0.0.1:65535", "--state", "state"), "a control port lies between"),
        (("--listen", "::1:5000", "--state", "state"), "IPv6 goes in brackets"),
        (("--listen", "192.0.2.1:0", "--state", "state"), "does not have that address"),
        (("--listen", "127.0.0.1:0", "--state", "file"), "is not a folder"),
        (("--listen", "127.0.0.1:0", "--state", "file/below"), "file/below"),
        (("--listen", "127.0.0.1:0", "--state", "/proc/uzel"), "/proc/uzel"),
    ],
    ids=str,
)
def test_it_says_in_one_sentence_why_it_does_not_start(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "json.py").write_text("raise SystemExit(77)")  # what lies about is not loaded
    done = uzel("node", "run", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
