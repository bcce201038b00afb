"""Cores with one another in one process: hundreds of seeds, and faults planted to see that the checks find them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.run import Failure
from sim_core.faults import FAULTS
from sim_core.person import SimTalks
from sim_core.run import run_seed
from sim_core.scenarios import KINDS

SEEDS = 600
SECONDS = 40.0
ENOUGH = 500
WITHIN = 1000
"""Seeds within which every planted fault must be found."""
RUN = Path(__file__).with_name("run.py")


@pytest.mark.timeout(SECONDS + 120)
def test_between_uzels_every_text_arrives_exactly_once(record_property: Callable[[str, object], None]) -> None:
    until = time.monotonic() + SECONDS
    count = 0
    while count < ENOUGH or (count < SEEDS and time.monotonic() < until):
        told(count)
        count += 1
    record_property("summary", f"tests/sim_core: {count} seeds simulated")


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


def failure_of(seed: int, talks: type[SimTalks]) -> Failure | None:
    try:
        run_seed(seed, talks)
    except Failure as failure:
        return failure
    return None


def test_a_seed_is_one_story_whatever_the_hashes() -> None:
    """Sets and dictionaries of other orders, and another process: the same story to the byte."""
    first, second = (story_hashes(hash_seed) for hash_seed in ("0", "1"))
    assert first == second
    assert len(set(first)) == len(first) == 2 * len(KINDS)


def story_hashes(hash_seed: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, str(RUN), "--hash", "7", "--seeds", "2", "--kind", "each"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=50)
    return result.stdout.split()
