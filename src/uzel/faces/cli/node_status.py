"""`uzel node status` and `uzel node peers`: what a running node says of itself, for a person or, as JSON, a program.

With `--json` it is the node's own answer (docs/cli.md): one object for the status, one a line for the known nodes.
Counterpart: `uzel.node.status`, where the keys are made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uzel.faces.cli.options import JsonOption, named_folder
from uzel.faces.cli.output import json_line, put
from uzel.faces.cli.table import counts, duration, facts, size, table

Values = dict[str, Any]
StateOption = Annotated[
    Path,
    typer.Option(
        "--state",
        metavar="DIR",
        envvar="UZEL_STATE",
        parser=named_folder,
        help="The state folder of the running node.",
    ),
]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.1, max=3600, help="Seconds for everything.")]
NOTHING = "-"
KEY_SHOWN = 8
"""Characters of a link's fingerprint that tell links apart; `peers` and `--json` have all of it."""


def status(state: StateOption, as_json: JsonOption = False, timeout: TimeoutOption = 10.0) -> None:
    """\b
    uzel node status --state /var/lib/uzel
    uzel node status --state /var/lib/uzel --json

    Show how the node that runs on this state folder is: its clients, links, searches and refusals.

    Exit codes: 0 shown, 1 not your node, 3 no node runs there or it does not answer.
    """
    from uzel.faces.cli.node_client import ask_node  # noqa: PLC0415 - help must not load it

    said: Values = ask_node(state, "status", timeout)
    put(json_line(said) if as_json else "\n".join(status_lines(said)) + "\n")


def peers(state: StateOption, as_json: JsonOption = False, timeout: TimeoutOption = 10.0) -> None:
    """\b
    uzel node peers --state /var/lib/uzel
    uzel node peers --state /var/lib/uzel --json

    List the nodes that the node on this state folder knows: where, with which key, and when they last answered.

    Exit codes: 0 shown, 1 not your node, 3 no node runs there or it does not answer.
    """
    from uzel.faces.cli.node_client import ask_node  # noqa: PLC0415 - help must not load it

    said: list[Values] = ask_node(state, "peers", timeout)
    if as_json:
        put("".join(json_line(node) for node in said))
    else:
        put("\n".join(peers_lines(said)) + "\n")


def status_lines(said: Values) -> list[str]:
    """The status for a person."""
    lines = facts(
        [
            ("version", str(said["version"])),
            ("running for", duration(said["uptime"])),
            ("control", " ".join(said["control"])),
            ("data", " ".join(said["data"])),
            ("fingerprint", str(said["fingerprint"])),
            ("clients", str(said["clients"])),
            ("conversations", f"{said['conversations']}, and {said['calls']} being set up"),
            ("cache", _cache(said["cache"])),
        ]
    )
    lines += ["", *_links(said["links"])]
    if said["dialling"]:
        lines += ["", *_dialling(said["dialling"])]
    for title, numbers in (("searches", said["searches"]), ("refusals since the start", said["refusals"])):
        lines += ["", *counts(title, numbers)]
    return lines


def peers_lines(said: list[Values]) -> list[str]:
    """The known nodes for a person."""
    if not said:
        return ["no known nodes"]
    rows = [
        [
            str(node["address"]),
            _or_nothing(node["fingerprint"]),
            " ".join(word for word in ("configured", "proven") if node[word]) or NOTHING,
            _or_nothing(node["last_answered"]),
            str(node["failures"]),
            _or_nothing(node["last_error"]),
        ]
        for node in said
    ]
    heads = ["address", "fingerprint", "known as", "last answered", "failures", "last error"]
    return table(heads, rows, right=frozenset({"failures"}))


def _cache(cache: Values) -> str:
    rate = cache["hit_rate"]
    asked = "not asked yet" if rate is None else f"{rate:.1%} of {cache['hits'] + cache['misses']} questions answered"
    return f"{cache['size']} numbers, {asked}"


def _links(links: list[Values]) -> list[str]:
    if not links:
        return ["no links to other nodes"]
    rows = [
        [
            _or_nothing(link["address"]),
            str(link["fingerprint"])[:KEY_SHOWN] + "…",
            str(link["direction"]) + (", kept" if link["kept"] else ""),
            str(link["state"]),
            NOTHING if link["round_trip_ms"] is None else f"{link['round_trip_ms']:.1f} ms",
            size(link["bytes_in"]),
            size(link["bytes_out"]),
            str(link["conversations"]),
            duration(link["idle"]),
            _or_nothing(link["last_error"]),
        ]
        for link in links
    ]
    heads = ["link", "key", "opened", "state", "round trip", "in", "out", "carries", "quiet", "last error"]
    return table(heads, rows, right=frozenset({"round trip", "in", "out", "carries", "quiet"}))


def _dialling(dials: list[Values]) -> list[str]:
    rows = [
        [
            str(dial["address"]),
            "now" if dial["retry_in"] is None else f"in {duration(dial['retry_in'])}",
            _or_nothing(dial["last_error"]),
        ]
        for dial in dials
    ]
    return table(["dialling", "next try", "last error"], rows)


def _or_nothing(value: object) -> str:
    return NOTHING if value is None else str(value)
