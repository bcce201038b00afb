"""Coverage-guided fuzzing of the wire, one target per channel: `fuzz_wire.py --seconds N [--channel NAME]`.

Each channel runs in a child process of its own, two at a time, so that a crash or too much memory ends only that
one; the time is shared out between them. One line a channel; the exit code is 1 when any input broke a promise (see
`wire_target`), and the inputs that did are kept in the folder named then.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
JOBS = 2
GRACE = 60
"""Seconds that a child may take beyond its fuzzing time, for starting up and its last input."""


@dataclass(frozen=True)
class Outcome:
    """How one channel fared."""

    channel: str
    executions: int
    failed: bool
    output: str


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the wire.")
    parser.add_argument("--seconds", type=int, default=60, help="for all channels together")
    parser.add_argument("--channel", help="only this one")
    parser.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    # The targets are imported as the test suite does it, from tests/
    sys.path.insert(0, str(TESTS))
    if options.child:
        fuzz(options.child[0], options.child[1:])
        return 0
    return run(options.seconds, options.channel)


def fuzz(channel: str, flags: list[str]) -> None:
    """Be one target: never returns, libFuzzer ends the process."""
    import atheris

    # Only what is imported in here for the first time gives feedback on coverage
    with atheris.instrument_imports(include=["uzel.wire", "uzel.session.cbor_map", "uzel.session.envelopes"]):
        from fuzz.wire_target import check
        from uzel.wire import Channel
    target = Channel(channel)
    atheris.Setup([sys.argv[0], *flags], lambda data: check(target, data))
    atheris.Fuzz()


def run(seconds: int, only: str | None) -> int:
    """Run the targets and print how each fared; returns the exit code."""
    from uzel.wire import Channel

    channels = [Channel(only)] if only else list(Channel)
    jobs = min(JOBS, len(channels))
    each = max(1, seconds * jobs // len(channels))
    folder = Path(tempfile.mkdtemp(prefix="uzel-fuzz-"))
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = list(pool.map(lambda channel: _run_channel(channel, each, folder), channels))
    for outcome in outcomes:
        state = "FAILED" if outcome.failed else "ok"
        print(f"{outcome.channel:20} {outcome.executions:9} executions in {each} s  {state}")
        if outcome.failed:
            print(outcome.output)
    if any(outcome.failed for outcome in outcomes):
        print(f"the inputs are in {folder}")
        return 1
    _remove(folder)
    return 0


def _run_channel(channel: str, seconds: int, folder: Path) -> Outcome:
    from fuzz.wire_target import MAX_INPUT, write_corpus, write_dictionary
    from uzel.wire import Channel

    corpus = folder / channel / "corpus"
    corpus.mkdir(parents=True)
    write_corpus(Channel(channel), corpus)
    write_dictionary(folder / channel / "words")
    command = [sys.executable, __file__, "--child", channel, str(corpus)]
    command += [f"-max_total_time={seconds}", f"-max_len={MAX_INPUT + 1}", f"-dict={folder / channel / 'words'}"]
    command += ["-rss_limit_mb=512", "-timeout=10", "-print_final_stats=1", f"-artifact_prefix={folder / channel}/"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds + GRACE, check=False)
    except subprocess.TimeoutExpired:
        return Outcome(channel, 0, failed=True, output="it did not end in time")
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    executed = re.search(r"number_of_executed_units: (\d+)", output)
    failed = done.returncode != 0 or executed is None
    return Outcome(channel, int(executed[1]) if executed else 0, failed, output[-4000:])


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


if __name__ == "__main__":
    sys.exit(main())
