"""The documentation's table is the program's table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_documented_tables_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "tools" / "protocol_tables.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
