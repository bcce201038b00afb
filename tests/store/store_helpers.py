"""Running a piece of Python in a process of its own."""

from __future__ import annotations

import subprocess
import sys


def run_python(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
