"""`make bench`: what a node and a core cost, measured on this machine, printed as a table and written as JSON.

The node is a real process on its own processor, the load on another. Medians of several turns, with the spread.
Compare figures only within one run: machines are shared and noisy. Counterparts: `node_process` starts the node,
`load` makes the load, `across` that between nodes, `cores` that of cores, `page` that of the page in a browser;
`haproxy` is the relay to compare with, where it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from across import calls_across, texts_and_streams
from cores import everything, search
from load import Figures, idle_clients, logins, relay_direct, relay_through_node, texts, texts_on_one
from node_process import LOAD, NodeProcess, pin
from other_relays import haproxy, through_port
from page import in_browser
from uzel.app.bench_load import make_people

RESULTS = Path(__file__).parent / "results"


class Table:
    """Collects the turns of each measure and prints their medians."""

    def __init__(self) -> None:
        self.turns: dict[str, dict[str, list[float]]] = {}

    def add(self, measure: str, figures: Figures) -> None:
        for name, value in figures.items():
            self.turns.setdefault(measure, {}).setdefault(name, []).append(value)

    def show(self) -> None:
        for measure, figures in self.turns.items():
            print(measure)
            for name, values in figures.items():
                middle, least, most = statistics.median(values), min(values), max(values)
                print(f"    {name:<34} {middle:>10.4g}   ({least:.4g} to {most:.4g}, {len(values)} turns)")


def measure(turns: int, sizes: dict[str, int], seconds: float) -> Table:
    table = Table()
    people = make_people(max(sizes["logins"], sizes["idle"], 2 * sizes["pairs"]))
    measures: list[tuple[str, Callable[[NodeProcess], Figures]]] = [
        ("logins, known keys", lambda node: logins(node, people[: sizes["logins"]])),
        ("idle clients", lambda node: idle_clients(node, people[: sizes["idle"]])),
        ("texts, 1 pair", lambda node: asyncio.run(texts(node, people, 1, seconds))),
        ("texts, 1 pair, all on one processor", lambda node: asyncio.run(texts_on_one(node, people, seconds))),
        (f"texts, {sizes['pairs']} pairs", lambda node: asyncio.run(texts(node, people, sizes["pairs"], seconds))),
        ("relay", lambda node: relay_through_node(node, people, seconds, sizes["round_trip_pairs"])),
    ]
    other = haproxy()
    for turn in range(turns):
        print(f"turn {turn + 1} of {turns}", file=sys.stderr, flush=True)
        for name, run in measures:
            with tempfile.TemporaryDirectory() as folder, NodeProcess(Path(folder), people) as node:
                table.add(name, run(node))
        with tempfile.TemporaryDirectory() as folder:
            for name, figures in texts_and_streams(Path(folder), people, seconds).items():
                table.add(name, figures)
            callees = people[: 1 + sizes["callees"]]
            table.add("calls across nodes, 03 to 07", calls_across(Path(folder), callees, sizes["nodes"]))
        with tempfile.TemporaryDirectory() as folder:
            for name, figures in everything(Path(folder), people[:2], seconds).items():
                table.add(name, figures)
        table.add("direct, no relay", relay_direct(seconds, sizes["round_trip_pairs"]))
        if other is not None:
            with other as process:
                table.add("relay, HAProxy", through_port(process, seconds, sizes["round_trip_pairs"]))
    with tempfile.TemporaryDirectory() as folder:  # once: it takes minutes to make
        table.add(f"search in {sizes['texts']:,} texts", search(Path(folder), people[0], sizes["texts"]))
    with tempfile.TemporaryDirectory() as folder:  # once: its medians are of many already
        for name, figures in in_browser(Path(folder), sizes["seen"], sizes["long_chat"]).items():
            table.add(name, figures)
    if other is None:
        print("haproxy is not installed: no figures beside it", file=sys.stderr)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one small turn: does it work at all?")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    options = parser.parse_args()
    sizes = {
        "logins": 500,
        "idle": 1000,
        "pairs": 20,
        "round_trip_pairs": 50,
        "nodes": 6,
        "callees": 20,
        "texts": 1_000_000,
        "seen": 40,
        "long_chat": 10_000,
    }
    turns, seconds = options.turns, 2.0
    if options.quick:
        sizes = {"logins": 10, "idle": 20, "pairs": 2, "round_trip_pairs": 4, "nodes": 2, "callees": 2, "texts": 2000}
        sizes |= {"seen": 3, "long_chat": 200}
        turns, seconds = 1, 0.2
    pin(LOAD)
    table = measure(turns, sizes, seconds)
    table.show()
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processors": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "sizes": sizes,
        "seconds": seconds,
        "measures": table.turns,
    }
    RESULTS.mkdir(exist_ok=True)
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}.json"
    for path in [RESULTS / name, *([options.out] if options.out else [])]:
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
