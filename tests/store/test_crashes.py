"""A process that makes, converts, restores or re-keys a profile is killed at every step: what is left always opens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CRASH_POINTS = Path(__file__).with_name("crash_points.py")


@pytest.mark.parametrize(
    ("story", "fewest_steps", "fewest_cuts"),
    [
        ("create", 10, 2),
        ("convert", 18, 2),
        ("set", 6, 3),
        ("change", 4, 3),
        ("remove", 8, 3),
        ("restore", 14, 3),
        ("backup", 6, 3),
        ("upgrade", 6, 3),
    ],
)
def test_a_crash_at_any_step_leaves_a_profile_that_opens(
    story: str, fewest_steps: int, fewest_cuts: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-W", "error", str(CRASH_POINTS), story, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    steps, cuts = map(int, done.stdout.split())
    assert steps >= fewest_steps
    assert cuts >= fewest_cuts
