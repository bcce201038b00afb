"""Runs cores with one another, seed after seed: `run.py --seeds N [--first K] [--jobs J]`; `--seed K` tells one.

Every seed is one run; the same seed is the same run, on any machine. A seed that fails is named, and its story printed.
The exit code is 1 when one failed. Counterpart: `sim.run`, which does the same for nodes.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":  # as the test suite imports it
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sim.run import Failure
from sim.story import Violation
from sim_core import scenarios
from sim_core.person import SimTalks
from sim_core.scenarios import Stage


def run_seed(seed: int, talks: type[SimTalks] = SimTalks, kind: str = "") -> Stage:
    """Run one seed. Raises `Failure` whatever went wrong in it."""
    stage = scenarios.build(seed, talks, kind)
    try:
        scenarios.play(stage)
    except Exception as error:
        by_check = isinstance(error, Violation)
        what = str(error) if by_check else "".join(traceback.format_exception(error))
        raise Failure(seed, f"({stage.kind}) {what}", stage.checks.story, by_check=by_check) from error
    return stage


def story_hash(seed: int, kind: str = "") -> str:
    """A digest of the whole story of a seed, as it would be printed."""
    try:
        story = run_seed(seed, kind=kind).checks.story
    except Failure as failure:
        story = failure.story
    return hashlib.sha256("\n".join(story.lines()).encode()).hexdigest()


def _try_seed(seed: int) -> tuple[int, str, str, float]:
    started = time.process_time()
    try:
        kind, fault = run_seed(seed).kind, ""
    except Failure as failure:
        kind, fault = "", failure.what
    return seed, kind, fault, time.process_time() - started


def run_seeds(seeds: range, jobs: int) -> Iterator[tuple[int, str, str, float]]:
    """Number, kind, fault and CPU seconds of each."""
    if jobs <= 1:
        yield from map(_try_seed, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(_try_seed, seeds, chunksize=8)


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate cores.")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="only this one, and print its story")
    parser.add_argument("--hash", type=int, help="print digests of the stories from this one on, as many as --seeds")
    parser.add_argument("--kind", default="", choices=["", "each", *scenarios.KINDS], help="with --hash: of this kind")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--failures", type=int, default=1, help="stop after so many")
    options = parser.parse_args()
    if options.hash is not None:
        for kind in scenarios.KINDS if options.kind == "each" else [options.kind]:
            for seed in range(options.hash, options.hash + options.seeds):
                print(story_hash(seed, kind))
        return 0
    if options.seed is not None:
        return _tell(options.seed)
    return _run(range(options.first, options.first + options.seeds), options.jobs, options.failures)


def _run(seeds: range, jobs: int, most_failures: int) -> int:
    kinds: Counter[str] = Counter()
    failed: list[int] = []
    spent, started = 0.0, time.monotonic()
    for seed, kind, fault, cpu in run_seeds(seeds, jobs):
        spent += cpu
        kinds[kind] += 1
        if fault:
            print(f"seed {seed} failed: {fault.strip().splitlines()[-1]}", flush=True)
            failed.append(seed)
            if len(failed) >= most_failures:
                break
    count = sum(kinds.values())
    parts = ", ".join(f"{number} {kind or 'failed'}" for kind, number in sorted(kinds.items()))
    took, each = time.monotonic() - started, 1000 * spent / max(count, 1)
    print(f"{count} seeds in {took:.1f} s, {each:.1f} ms of CPU each: {parts}")
    if failed and most_failures == 1:
        _tell(failed[0])
    return 1 if failed else 0


def _tell(seed: int) -> int:
    try:
        story, fault = run_seed(seed).checks.story, ""
    except Failure as failure:
        story, fault = failure.story, failure.what
    for line in story.lines():
        print(line)
    print(f"seed {seed}: {fault or 'nothing wrong'}")
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
