"""The fault test as a command: `run.py --minutes 30 [--seed N]`, a report on stdout; exit code 1 if anything is wrong.
A run of ten minutes and more begins with 20 MB for somebody whose line carries 1 Mbit/s (three minutes more).

The same seed is the same script of faults and the same texts; what falls together with what is the machine's affair.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":  # as the test suite imports it
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chaos.play import Plan, play
from chaos.slow_line import send_much
from e2e.cli_harness import UZEL

LONGEST = 12.0
"""Seconds that a fault of the long run may last."""
TEXTS_A_MINUTE = 150
"""From each side: a few thousand in half an hour."""


MUCH, THIN, HELD = 20_000_000, 1e6, 4 * 1024 * 1024
"""Bytes to say, bits a second, and what a node holds by default (D28)."""
LONG = 10.0
"""Minutes of a run that has time for that."""


def thin_line() -> bool:
    """Say much to somebody with a thin line; whether all of it arrived in one conversation."""
    with tempfile.TemporaryDirectory(prefix="uzel-chaos-") as folder:
        outcome = send_much(Path(folder), MUCH, THIN, HELD, 600.0, UZEL)
    print(f"{MUCH / 1e6:g} MB at {THIN / 1e6:g} Mbit/s: {outcome}", flush=True)
    return (outcome.delivered, outcome.ended, outcome.refused) == (outcome.queued, 0, 0)


def main() -> int:
    parser = argparse.ArgumentParser(description="Break everything between two cores, and see that nothing is lost.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--report", type=Path, help="write the report as JSON, too")
    options = parser.parse_args()
    texts = max(1, round(TEXTS_A_MINUTE * options.minutes))
    print(f"seed {options.seed}: {options.minutes:g} minutes, {texts} texts from each side", flush=True)
    well = options.minutes < LONG or thin_line()
    with tempfile.TemporaryDirectory(prefix="uzel-chaos-") as folder:
        report = play(Plan(options.seed, options.minutes * 60, LONGEST, texts), Path(folder))
    print("\n".join(report.lines()))
    if options.report is not None:
        options.report.write_text(json.dumps(report.values(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if report.found:
        print(f"make chaos MINUTES={options.minutes:g} SEED={options.seed} plays this script again")
    return 0 if well and not report.found else 1


if __name__ == "__main__":
    sys.exit(main())
