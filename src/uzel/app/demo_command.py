"""`uzel demo`: a command that shows the whole of Uzel at work in a few seconds."""

from __future__ import annotations

import typer


def demo() -> None:
    """\b
    uzel demo

    Start two nodes and a person at each on this machine, and watch them talk.

    Ends with exit code 0 only if every text was delivered, both ways, across the link of the nodes.
    """
    from uzel.app.demo import run_demo  # noqa: PLC0415 - help must not load it

    raise typer.Exit(run_demo())
