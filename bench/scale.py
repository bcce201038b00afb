"""`make scale`: what searching costs as the network grows, counted in a simulation of the running node's own decisions.

For each number of nodes one simulated hour after a warm-up, with the same people; beside it plain ask-everyone, run the
same way where that is small enough, reckoned where it is not. Prints tables, writes JSON, and draws docs/scale.svg.
Counterparts: `scale_node` and `scale_people`, what is simulated; `scale_figures`, what is counted; `scale_plot`.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import resource
import statistics
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from scale_figures import Figures, Moment, figures, memory_of, memory_of_many, plain_figures
from scale_node import SimNode
from scale_people import Answers, Habits, People
from scale_plot import draw
from scale_world import World
from uzel.node.settings import LinkSettings, SearchSettings, SwitchboardSettings
from uzel.session.ring import Ring

RESULTS = Path(__file__).parent / "results"
PICTURE = Path(__file__).parent.parent / "docs" / "scale.svg"
MOST_MEMORY = 16 * 2**30
PLAIN_RUNS = 100
"""Up to so many nodes plain ask-everyone is run; beyond, it is reckoned."""
PLAIN_SECONDS = 600.0
PEERS = 3
"""Nodes that each is configured with."""
NEVER = 1e9
SETTINGS = SwitchboardSettings(links=LinkSettings(ping_idle=NEVER, silence=NEVER, told_to_node=32))
"""The defaults, but for keepalive and the length of node lists: both would only take the simulation's time."""

Result = dict[str, Figures]


def plain_settings(nodes: int) -> SwitchboardSettings:
    """No cache, no memory of what was not found, a link to every node. The hints are left out by `run_plain`."""
    search = SearchSettings(cache=0, hint_share=0.0, negative=0.0, everyone_every=0.0, everyone_after=0.0)
    return replace(SETTINGS, links=replace(SETTINGS.links, kept=nodes, in_all=4 * nodes + 64), search=search)


def build(world: World, nodes: int, settings: SwitchboardSettings, *, has_met: bool) -> None:
    """Nodes in different /24s. Those that have met know one another; the others have their peers to begin with."""
    for number in range(nodes):
        SimNode(world, number, settings)
    for node in world.nodes:
        others = [each for each in world.nodes if each is not node]
        chosen = world.random.sample(others, min(PEERS - 1, len(others)))
        node.peers = list(dict.fromkeys([world.nodes[node.number - 1], *chosen]))
        if has_met:
            world.random.shuffle(others)
            node.known = {each.address: each.fingerprint for each in others}
        node.start(has_met=has_met)


def simulate(
    nodes: int,
    people: int,
    seconds: float,
    seed: int,
    *,
    settings: SwitchboardSettings = SETTINGS,
    habits: Habits | None = None,
    warm_up: float = 300.0,
    has_met: bool = True,
) -> Result:
    """One run, in simulated seconds. The people log in within `warm_up`, and call for as long before it counts."""
    begun = time.process_time()
    world = World(seed)
    build(world, nodes, settings, has_met=has_met)
    world.run(60.0 if has_met else 60.0 + 2 * nodes)
    users = People(world, people, habits or Habits())
    users.come_online(warm_up)
    world.run(world.now + warm_up)
    users.begin_calls()
    world.run(world.now + warm_up)
    users.begin_churn(seconds)
    before, users.answers = Moment(world), Answers()
    links: list[float] = []
    start, steps = world.now, 12
    for step in range(1, steps + 1):
        world.run(start + seconds * step / steps)
        if sys.stderr.isatty():
            print(f"{nodes:,} nodes: {step} of {steps}", end="\r", file=sys.stderr, flush=True)
        links += [len(node.ends) for node in world.nodes if node.up]
    result: Result = figures(world, users, before, statistics.mean(links))
    sample = [node for node in world.nodes if node.up][:5]
    result["of a node"] = {
        "links": statistics.median(links),
        "most links": max(links),
        "memory, MiB": statistics.median(memory_of(node.board) for node in sample) / 2**20,
        "known nodes": statistics.median(node.board.counts()["known_nodes"] for node in sample),
        "locations": statistics.median(node.board.counts()["locations"] for node in sample),
    }
    result["simulation"] = {
        "seconds": seconds,
        "events": world.events,
        "CPU s": time.process_time() - begun,
        "process, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    return result


def run_plain(nodes: int, people: int, seconds: float, seed: int) -> Result:
    """Plain ask-everyone, as the source has it: the same nodes, without hints, cache or memory."""
    with patch.object(Ring, "hint_nodes", lambda _ring, _uin: []):
        return simulate(nodes, people, min(seconds, PLAIN_SECONDS), seed, settings=plain_settings(nodes), has_met=False)


def show(title: str, result: Result) -> None:
    print(title)
    for group, values in result.items():
        print(f"    {group}")
        for name, value in values.items():
            print(f"        {name:<30} {value:>12,.4g}" if value < 10_000 else f"        {name:<30} {value:>12,.0f}")
    sys.stdout.flush()


def measure(numbers: list[int], people: int, seconds: float, seed: int) -> dict[str, dict[str, Result | str]]:
    """Every number of nodes in turn; what is left out says why."""
    results: dict[str, dict[str, Result | str]] = {}
    for nodes in numbers:
        needed = memory_of_many(nodes, SETTINGS)
        gc.collect()
        if needed > MOST_MEMORY:
            why = (
                f"left out: each of {nodes:,} nodes knows all the others, {needed / nodes / 2**20:.1f} MiB "
                f"each, {needed / 2**30:.0f} GiB in all; the bound is {MOST_MEMORY // 2**30} GiB"
            )
            print(f"{nodes:,} nodes: {why}", flush=True)
            results[str(nodes)] = {"left out": why}
            continue
        result = simulate(nodes, people, seconds, seed)
        gc.collect()
        show(f"{nodes:,} nodes, {people:,} people", result)
        counts = result["counts"]
        offline = counts["for somebody offline"] / counts["searches"]
        reckoned = {"reckoned": plain_figures(nodes, offline, counts["searches"], seconds)}
        results[str(nodes)] = {"uzel": result, "everyone, reckoned": reckoned}
        show(f"{nodes:,} nodes, plain ask-everyone, reckoned", reckoned)
        if nodes <= PLAIN_RUNS:
            plain = run_plain(nodes, people, seconds, seed)
            gc.collect()
            show(f"{nodes:,} nodes, plain ask-everyone, run", plain)
            results[str(nodes)]["everyone, run"] = plain
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", default="10 100 1000 10000", help="numbers of nodes, with spaces")
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=3600.0, help="simulated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    parser.add_argument("--picture", type=Path, help="draw here; docs/scale.svg when everything is at its default")
    options = parser.parse_args()
    gc.disable()  # the graph of nodes is large and lives long; it is collected between the runs
    numbers = [int(each) for each in options.nodes.split()]
    results = measure(numbers, options.people, options.seconds, options.seed)
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "people": options.people,
        "seconds": options.seconds,
        "seed": options.seed,
        "nodes": results,
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1) + "\n"
    for path in [RESULTS / f"scale-{datetime.now(UTC):%Y%m%dT%H%M%S}.json", *([options.out] if options.out else [])]:
        path.write_text(text, encoding="utf-8")
    is_default = all(parser.get_default(name) == getattr(options, name) for name in ("nodes", "people", "seconds"))
    picture = options.picture or (PICTURE if is_default else None)
    if picture is not None:
        picture.write_text(draw(result), encoding="utf-8")


if __name__ == "__main__":
    main()
