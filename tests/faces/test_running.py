"""A signal ends a command, also one that came while a library was busy with itself."""

from __future__ import annotations

import subprocess
import sys

SWALLOWED = """
import os, signal
from uzel.faces.cli.running import StoppedError, run_until_signal, stop_on_signals

async def work():
    print("begun")

stop_on_signals()
try:
    os.kill(os.getpid(), signal.SIGTERM)
    signal.sigtimedwait([], 0)  # a look at what has come
except Exception:
    print("swallowed")
try:
    run_until_signal(work())
except StoppedError as stopped:
    raise SystemExit(stopped.exit_code)
"""


def test_a_signal_that_a_library_swallowed_before_still_ends_it() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", SWALLOWED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, "swallowed\n", "")
