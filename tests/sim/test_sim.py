"""Whole federations in one process: thousands of seeds, and faults planted to see that the checkers would find them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.faults import FAULTS
from sim.run import Failure, run_seed
from sim.scenarios import KINDS
from uzel.node.switchboard import Switchboard

SEEDS = 2000
SECONDS = 90.0
ENOUGH = 500
WITHIN = 1000
"""Seeds within which every planted fault must be found."""
RUN = Path(__file__).with_name("run.py")


@pytest.mark.timeout(SECONDS + 120)
def test_federations_keep_their_promises(record_property: Callable[[str, object], None]) -> None:
    until = time.monotonic() + SECONDS
    count = 0
    while count < SEEDS and time.monotonic() < until:
        told(count)
        count += 1
    record_property("summary", f"tests/sim: {count} seeds simulated")
    assert count >= ENOUGH, f"only {count} seeds in {SECONDS:.0f} s"


def told(seed: int) -> None:
    """Run it; a failure comes with the whole story."""
    try:
        run_seed(seed)
    except Failure as failure:
        story = "\n".join(failure.story.lines())
        pytest.fail(f"{story}\n{failure}\nagain: {sys.executable} {RUN} --seed {seed}", pytrace=False)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    found = next((failure for seed in range(WITHIN) if (failure := failure_of(seed, FAULTS[fault]))), None)
    assert found is not None, f"not found within {WITHIN} seeds"
    assert found.by_check, found.what


def failure_of(seed: int, switchboard: type[Switchboard]) -> Failure | None:
    try:
        run_seed(seed, switchboard)
    except Failure as failure:
        return failure
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_is_one_story_whatever_the_hashes(kind: str) -> None:
    """Sets and dictionaries of other orders, and another process: the same story to the byte."""
    first, second = (story_hashes(kind, hash_seed) for hash_seed in ("0", "1"))
    assert first == second
    assert len(set(first)) == len(first) > 0


def story_hashes(kind: str, hash_seed: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, str(RUN), "--hash", "7", "--seeds", "4", "--kind", kind]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=50)
    return result.stdout.split()
