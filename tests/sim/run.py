"""Runs federations, seed after seed: `run.py --seeds N [--first K] [--seconds S] [--jobs J]`; `--seed K` tells one.

Every seed is one run; the same seed is the same run, on any machine. A seed that fails is named, and its story printed
message by message. The exit code is 1 when one failed.
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

from sim import scenarios
from sim.shell import Build
from sim.stage import Stage
from sim.story import Story, Violation
from uzel.node.switchboard import Switchboard


class Failure(AssertionError):  # noqa: N818 - it is a result
    """What a seed came to, with its story. `by_check`: a checker found it; else something broke."""

    def __init__(self, seed: int, what: str, story: Story, *, by_check: bool) -> None:
        super().__init__(f"seed {seed}: {what}")
        self.seed = seed
        self.what = what
        self.story = story
        self.by_check = by_check


def run_seed(seed: int, switchboard: Build = Switchboard, kind: str = "") -> Stage:
    """Run one seed. Raises `Failure` whatever went wrong in it."""
    stage = scenarios.build(seed, switchboard, kind)
    try:
        scenarios.play(stage)
    except Exception as error:
        by_check = isinstance(error, Violation)
        what = str(error) if by_check else traceback.format_exc()
        raise Failure(seed, f"({stage.kind}) {what}", stage.world.story, by_check=by_check) from error
    return stage


def story_hash(seed: int, kind: str = "") -> str:
    """A digest of the whole story of a seed, as it would be printed."""
    try:
        story = run_seed(seed, kind=kind).world.story
    except Failure as failure:
        story = failure.story
    return hashlib.sha256("\n".join(story.lines()).encode()).hexdigest()


def _try_seed(seed: int) -> tuple[int, str, str, float]:
    started = time.process_time()
    try:
        stage = run_seed(seed)
    except Failure as failure:
        return seed, "", failure.what, time.process_time() - started
    return seed, stage.kind, "", time.process_time() - started


def run_seeds(seeds: range, jobs: int, seconds: float) -> Iterator[tuple[int, str, str, float]]:
    """Number, kind, fault and CPU seconds of each, until the time is over."""
    until = time.monotonic() + seconds
    if jobs <= 1:
        for seed in seeds:
            if time.monotonic() > until:
                return
            yield _try_seed(seed)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for outcome in pool.imap(_try_seed, seeds, chunksize=8):
            yield outcome
            if time.monotonic() > until:
                pool.terminate()
                return


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate federations.")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, help="only this one, and print its story")
    parser.add_argument("--hash", type=int, help="print digests of the stories from this one on, as many as --seeds")
    parser.add_argument("--kind", default="", choices=["", *scenarios.KINDS], help="with --hash: all of this kind")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--failures", type=int, default=1, help="stop after so many")
    options = parser.parse_args()
    if options.hash is not None:
        for seed in range(options.hash, options.hash + options.seeds):
            print(story_hash(seed, options.kind))
        return 0
    if options.seed is not None:
        return _tell(options.seed)
    kinds: Counter[str] = Counter()
    failed: list[int] = []
    spent = 0.0
    started = time.monotonic()
    for seed, kind, fault, cpu in run_seeds(
        range(options.first, options.first + options.seeds), options.jobs, options.seconds
    ):
        spent += cpu
        kinds[kind] += 1
        if fault:
            print(f"seed {seed} failed: {fault.strip().splitlines()[-1]}", flush=True)
            failed.append(seed)
            if len(failed) >= options.failures:
                break
    count = sum(kinds.values())
    parts = ", ".join(f"{number} {kind or 'failed'}" for kind, number in sorted(kinds.items()))
    took, each = time.monotonic() - started, 1000 * spent / max(count, 1)
    print(f"{count} seeds in {took:.1f} s, {each:.1f} ms of CPU each: {parts}")
    if failed and options.failures == 1:
        _tell(failed[0])
    return 1 if failed else 0


def _tell(seed: int) -> int:
    try:
        story, fault = run_seed(seed).world.story, ""
    except Failure as failure:
        story, fault = failure.story, failure.what
    for line in story.lines():
        print(line)
    print(f"seed {seed}: {fault or 'nothing wrong'}")
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
