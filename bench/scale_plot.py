"""Draws docs/scale.svg out of what `scale` measured: four small charts, by hand, because they are four small charts.

Counterpart: `scale`, whose JSON this takes; `python bench/scale_plot.py RESULT.json PICTURE.svg` draws it again.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 860, 660
LEFT, WIDE, HIGH = 62, 330, 200
STYLE = (
    ".bg{fill:#fffdf8}.t{fill:#2b2620;font-weight:600}.s{fill:#5c5345;font-size:11px}"
    ".grid{stroke:#e4dccd;stroke-width:1}.axis{stroke:#7a6f5d;stroke-width:1.2}.line{fill:none;stroke-width:2}"
)
BLUE, RED, SAND, GREEN, GREY = "#41707c", "#a4472f", "#c9a95c", "#6d8f5a", "#9a9184"
DASHED = ' stroke-dasharray="5 4"'

Points = Sequence[tuple[float, float]]


class Chart:
    """One chart, `left` and `top` its corner in the picture. Both axes count in powers of ten."""

    def __init__(self, column: int, row: int, title: str, nodes: Sequence[int], low: float, high: float) -> None:
        self.left, self.top = LEFT + column * (WIDE + 80), 60 + row * (HIGH + 110)
        self.nodes = nodes
        self._low, self._high = math.floor(math.log10(low)), math.ceil(math.log10(high))
        self.parts = [text(self.left, self.top - 18, title, "t")]
        for power in range(self._low, self._high + 1):
            y = self.y(10.0**power)
            self.parts.append(line("grid", self.left, y, self.left + WIDE, y))
            self.parts.append(text(self.left - 8, y + 4, number(10.0**power), "s", "end"))
        self.foot()

    def foot(self) -> None:
        """The axis of nodes."""
        bottom = self.top + HIGH
        self.parts.append(line("axis", self.left, bottom, self.left + WIDE, bottom))
        for nodes in self.nodes:
            self.parts.append(text(self.x(nodes), bottom + 17, f"{nodes:,}", "s", "middle"))
        self.parts.append(text(self.left + WIDE / 2, bottom + 33, "nodes", "s", "middle"))

    def x(self, nodes: float) -> float:
        """Where so many nodes are."""
        first, last = math.log10(self.nodes[0]), math.log10(self.nodes[-1])
        share = 0.5 if first == last else (math.log10(nodes) - first) / (last - first)
        return self.left + 25 + share * (WIDE - 130)

    def y(self, value: float) -> float:
        """Where this value is."""
        share = (math.log10(max(value, 10.0**self._low)) - self._low) / max(1, self._high - self._low)
        return self.top + HIGH * (1 - share)

    def curve(self, points: Points, colour: str, name: str, *, dashed: bool = False, lift: float = 0.0) -> None:
        """A line with its points, its name at its right end."""
        if not points:
            return
        places = [(self.x(nodes), self.y(value)) for nodes, value in points]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        self.parts.append(f'<polyline class="line" points="{drawn}" stroke="{colour}"{DASHED if dashed else ""}/>')
        for (x, y), (_, value) in zip(places, points, strict=True):
            self.parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"><title>{value:,.4g}</title></circle>'
            )
        x, y = places[-1]
        label = f"{name}: {number(points[-1][1])}"
        self.parts.append(
            f'<text class="s" x="{x + 8:.1f}" y="{y + 4 + lift:.1f}" style="fill:{colour}">{label}</text>'
        )


class Bars(Chart):
    """Shares in per cent, stacked."""

    def __init__(self, column: int, row: int, title: str, nodes: Sequence[int]) -> None:
        super().__init__(column, row, title, nodes, 1, 10)
        self.parts = [text(self.left, self.top - 18, title, "t")]
        for share in (0, 25, 50, 75, 100):
            y = self.top + HIGH * (1 - share / 100)
            self.parts.append(line("grid", self.left, y, self.left + WIDE, y))
            self.parts.append(text(self.left - 8, y + 4, f"{share} %", "s", "end"))
        self.foot()

    def stack(self, nodes: int, shares: Sequence[tuple[str, float, str]], *, named: bool) -> None:
        """One bar."""
        y: float = self.top + HIGH
        for name, share, colour in shares:
            high = HIGH * share / 100
            y -= high
            x = self.x(nodes) - 16
            self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="32" height="{high:.1f}" fill="{colour}">')
            self.parts.append(f"<title>{name}: {share:.1f} %</title></rect>")
            if named and (high > 10 or name == "everyone"):
                label = f"{name}: {share:.1f} %"
                self.parts.append(text(x + 40, y + high / 2 + 4, label, "s"))


def number(value: float) -> str:
    """Short, without needless digits."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"


def text(x: float, y: float, words: str, style: str, anchor: str = "start") -> str:
    """A text element."""
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def line(style: str, x1: float, y1: float, x2: float, y2: float) -> str:
    """A line element."""
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def draw(result: dict[str, Any]) -> str:
    """The picture, as SVG. Only the numbers of nodes that were run are in it."""
    runs = {int(nodes): each for nodes, each in result["nodes"].items() if "uzel" in each}
    nodes = sorted(runs)
    if not nodes:
        return ""

    def points(pick: Callable[[dict[str, Any]], float]) -> list[tuple[float, float]]:
        return [(each, pick(runs[each])) for each in nodes]

    def ours(group: str, name: str) -> list[tuple[float, float]]:
        return points(lambda run: float(run["uzel"][group][name]))

    def everyone(name: str) -> list[tuple[float, float]]:
        return points(lambda run: float(run["everyone, reckoned"]["reckoned"][name]))

    cost = Chart(0, 0, "Messages for a search", nodes, 1, max(value for _, value in everyone("search")))
    cost.curve(everyone("search"), RED, "ask everyone", dashed=True)
    cost.curve(ours("messages a search", "search, hints, dials"), BLUE, "hints, dials too")
    cost.curve(ours("messages a search", "search"), GREEN, "search alone", lift=6)
    shares = Bars(1, 0, "Answered by", nodes)
    for each in nodes:
        found = runs[each]["uzel"]["answered, %"]
        stack = [(name, found[name], colour) for name, colour in SHARES]
        shares.stack(each, stack, named=each == nodes[-1])
    times = Chart(0, 1, "Milliseconds from call to ready", nodes, 10, 1000)
    times.curve(ours("ms to ready", "p99"), RED, "p99")
    times.curve(ours("ms to ready", "p50"), BLUE, "p50")
    size = Chart(1, 1, "Links and memory of a node", nodes, 0.1, max(100, nodes[-1]))
    size.curve(everyone("links"), RED, "links, everyone", dashed=True)
    size.curve(ours("of a node", "links"), BLUE, "links")
    size.curve(ours("of a node", "memory, MiB"), SAND, "MiB")
    people, seconds = result["people"], result["seconds"]
    body = "\n".join(part for chart in (cost, shares, times, size) for part in chart.parts)
    caption = f"{people:,} people in all, {seconds / 60:.0f} simulated minutes, seed {result['seed']}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="14" role="img" '
        'aria-label="The cost of a search as the number of nodes grows">\n'
        f"<style>{STYLE}</style>\n"
        f'<rect class="bg" width="{WIDTH}" height="{HEIGHT}" rx="10"/>\n{body}\n'
        f"{text(WIDTH / 2, HEIGHT - 12, caption, 's', 'middle')}\n</svg>\n"
    )


SHARES = (("cache", BLUE), ("hint", GREEN), ("everyone", RED), ("nobody", GREY))

if __name__ == "__main__":
    Path(sys.argv[2]).write_text(draw(json.loads(Path(sys.argv[1]).read_text("utf-8"))), encoding="utf-8")
