"""`make cost`: writes docs/cost.md and its picture out of `uzel node bench` here, beside two servers of chat.

What Prosody and ejabberd cost comes from one recorded run in which all three took turns on one machine under the same
load (`peers.json`, which says how). Of processor time only the ratios of that run are used; memory does not depend on
how busy a machine is, and is as it was then.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scale_plot import BLUE, RED, SAND, STYLE, line, text
from uzel.app.bench_node import measure

HERE = Path(__file__).parent
PEERS = HERE / "peers.json"
DOCS = HERE.parent / "docs"
COLOURS = {"Uzel": BLUE, "Prosody": SAND, "ejabberd": RED}
WIDTH, HEIGHT, ROOM, BAR = 860, 250, 250, 30

Figures = dict[str, float]
ROWS = {
    "mib_per_1000_users": ("1,000 users online", "MiB of memory", "kib_client"),
    "cpu_s_per_1000_logins": ("1,000 logins", "s of a processor", "cpu_ms_login"),
    "cpu_s_per_1000_texts": ("1,000 texts", "s of a processor", "cpu_us_text"),
    "cpu_s_per_gb": ("1 GB of streams", "s of a processor", ""),
}
"""Our figure: what it is of, its unit, and the name of the peers' figure to set beside it."""


def measured(turns: int, users: int, seconds: float) -> Figures:
    """Medians of our own."""
    taken = [asdict(measure(users, seconds, lambda what: print(what, file=sys.stderr))) for _ in range(turns)]
    return {name: statistics.median(turn[name] for turn in taken) for name in taken[0]}


def beside(ours: Figures, peers: dict[str, Any]) -> dict[str, Figures]:
    """Each server's figures as they would be here."""
    then = peers["figures"]
    servers = {"Uzel": {name: ours[name] for name in ROWS}}
    for peer in (name for name in then if name != "Uzel"):
        servers[peer] = {
            name: ours[name] * then[peer][theirs] / then["Uzel"][theirs]
            for name, (_, _, theirs) in ROWS.items()
            if theirs
        }
        servers[peer]["mib_per_1000_users"] = then[peer]["kib_client"] * 1000 / 1024
    return servers


def page(ours: Figures, servers: dict[str, Figures], peers: dict[str, Any]) -> str:
    names = list(servers)
    rows = [f"| what | unit | {' | '.join(names)} |", "| --- | --- |" + " --- |" * len(names)]
    for name, (what, unit, _) in ROWS.items():
        rows.append(f"| {what} | {unit} | {' | '.join(shown(servers[each].get(name)) for each in names)} |")
    machine = f"{os.cpu_count()} processors, {platform.system()} {platform.release().split('-')[0]}"
    lines = [
        "# What a node costs",
        "",
        f"Written by `make cost` on {datetime.now(UTC):%Y-%m-%d}: {machine}, Python {platform.python_version()}.",
        "The node has one processor, the load another. `uzel node bench` measures the first column on your own machine",
        "in less than a minute.",
        "",
        *rows,
        "",
        f"A node with nobody online takes {shown(ours['base_mib'])} MiB.",
        f"A call is set up in {shown(ours['call_ms'])} ms (median).",
        "",
        "![Memory and processor time beside two servers of chat](cost.svg)",
        "",
        "The other columns are ours times what the other server took more of it in one run in which they took turns,",
        *peers["method"],
        "",
        "Texts of Uzel are encrypted between the people, and the node copies what it cannot read; the others decrypt,",
        "route and encrypt each text anew, and can store it. So this compares what an operator pays, not equal work.",
    ]
    return "\n".join(lines) + "\n"


def shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def picture(servers: dict[str, Figures]) -> str:
    charts = [("mib_per_1000_users", 20), ("cpu_s_per_1000_texts", WIDTH // 2 + 20)]
    parts = [part for name, left in charts for part in bars(name, left, servers)]
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="14" role="img" '
        'aria-label="Memory and processor time of a node beside two servers of chat">\n'
        f'<style>{STYLE}</style>\n<rect class="bg" width="{WIDTH}" height="{HEIGHT}" rx="10"/>\n{body}\n</svg>\n'
    )


def bars(name: str, left: int, servers: dict[str, Figures]) -> list[str]:
    what, unit, _ = ROWS[name]
    most = max(figures[name] for figures in servers.values())
    parts = [text(left, 36, f"{what}: {unit}", "t")]
    for place, (server, figures) in enumerate(servers.items()):
        top, wide = 60 + place * (BAR + 22), ROOM * figures[name] / most
        parts.append(f'<rect x="{left + 70}" y="{top}" width="{wide:.1f}" height="{BAR}" fill="{COLOURS[server]}"/>')
        parts.append(text(left, top + 20, server, "s"))
        parts.append(text(left + 76 + wide, top + 20, shown(figures[name]), "s"))
    return [*parts, line("axis", left + 70, 52, left + 70, 60 + len(servers) * (BAR + 22))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--into", type=Path, default=DOCS)
    options = parser.parse_args()
    peers = json.loads(PEERS.read_text(encoding="utf-8"))
    ours = measured(options.turns, options.users, options.seconds)
    servers = beside(ours, peers)
    (options.into / "cost.md").write_text(page(ours, servers, peers), encoding="utf-8")
    (options.into / "cost.svg").write_text(picture(servers), encoding="utf-8")


if __name__ == "__main__":
    main()
