"""`uzel run`: everything that a first conversation needs, on this machine alone, started and ended together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uzel.faces.cli.options import RUN, named_folder


def run(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            envvar=RUN,
            metavar="DIR",
            parser=named_folder,
            help="Where the profile, Echo and the node are kept. Default: run, in the user's data folder.",
            show_default=False,
        ),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """\b
    uzel run
    uzel run --no-browser

    Start a private node, your messenger and Echo, who answers, and open the page.

    Prints the page's one-time address on stdout, everything else on stderr. Run it again and all is as it was. Ends
    with Ctrl-C (exit code 130) or SIGTERM (143), or when the messenger is asked to end (0).
    """
    from uzel.app.run import run_all  # noqa: PLC0415 - help must not load it

    raise typer.Exit(run_all(folder, browser=not no_browser))
