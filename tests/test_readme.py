"""The README's example runs as it stands there."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
WRITTEN = "127.0.0.1:8935"
UZEL = [sys.executable, "-m", "uzel"]


def example() -> str:
    found = re.search(r"<!-- example: library -->\n```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_example_is_short() -> None:
    assert len(example().splitlines()) <= 15


def test_the_example_runs(tmp_path: Path) -> None:
    for name in ("alice", "bob"):
        subprocess.run([*UZEL, "identity", "new", "--profile", name], cwd=tmp_path, check=True, capture_output=True)
    listen, program = WRITTEN, example()
    if not all(is_free(port) for port in (8935, 8936)):  # somebody's own node runs there: leave it alone
        listen, program = "127.0.0.1:0", ""
    command = [*UZEL, "node", "run", "--listen", listen, "--state", "node"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as node:
        try:
            assert node.stdout is not None
            listening = node.stdout.readline().decode()
            address = re.search(r'"control":\["([^"]+)"', listening)
            assert address is not None
            program = program or example().replace(WRITTEN, address.group(1))
            done = subprocess.run(
                [sys.executable, "-W", "error", "-c", program],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert done.stderr == ""
            assert re.fullmatch(r"Bob reads: Привет, узел!\ndelivered in \d+ ms\n", done.stdout)
        finally:
            node.terminate()
            assert node.wait(20) == 0


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0
