"""`uzel node bench`: tells an operator what a node costs on this very machine, in about a quarter of a minute.

Data on stdout, talk on stderr. Counterpart: `bench_node`, which measures.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from uzel.faces.cli.options import JsonOption
from uzel.faces.cli.output import json_line, put, say

if TYPE_CHECKING:
    from uzel.app.bench_node import NodeCost


def bench(
    users: Annotated[int, typer.Option("--users", min=20, max=5000, help="How many people log in.")] = 1000,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=60, help="Length of each timed part.")] = 3.0,
    as_json: JsonOption = False,
) -> None:
    """\b
    uzel node bench
    uzel node bench --json

    Start a node of its own on loopback, put load on it, and print what it costs on this machine.

    It touches no other node and leaves nothing behind. What else the machine does at the time is in the figures.
    """
    from uzel.app.bench_node import measure  # noqa: PLC0415 - help must not load it

    cost = measure(users, seconds, lambda what: say(f"{what} ..."))
    rounded: dict[str, object] = {name: float(f"{value:.3g}") for name, value in asdict(cost).items()}
    put(json_line(rounded) if as_json else "\n".join(lines(cost)) + "\n")


def lines(cost: NodeCost) -> list[str]:
    """For a person."""
    from uzel.faces.cli.table import facts  # noqa: PLC0415

    return facts(
        [
            ("node, nobody online", f"{cost.base_mib:.3g} MiB"),
            ("1,000 users online", f"{cost.mib_per_1000_users:.3g} MiB more"),
            ("1,000 logins", f"{cost.cpu_s_per_1000_logins:.3g} s of a processor"),
            ("1,000 texts and reports", f"{cost.cpu_s_per_1000_texts:.3g} s of a processor"),
            ("1 GB of streams", f"{cost.cpu_s_per_gb:.3g} s of a processor"),
            ("a call is set up in", f"{cost.call_ms:.3g} ms"),
        ]
    )
