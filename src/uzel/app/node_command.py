"""`uzel node`: checks what was asked for, then becomes the node process.

The node replaces this process (same id, same streams), because what parses a command line would stay in the memory
of a server that should idle under 35 MiB. Counterpart: `node_process`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from uzel.faces.cli.output import say
from uzel.names import NodeReference, split_host_port

node_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Run a node: it connects people and can read nothing.

    \b
    uzel node run --listen 0.0.0.0:8935 --state /var/lib/uzel
    uzel node print-config > node.toml
    """,
)


@node_app.command("run")
def run_node(
    state: Annotated[
        Path,
        typer.Option("--state", metavar="DIR", envvar="UZEL_STATE", help="The node's own folder: key, known UINs."),
    ],
    listen: Annotated[
        list[str] | None,
        typer.Option(
            "--listen", metavar="HOST:PORT", help="Where to listen; repeat for more. The data port is PORT+1."
        ),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option("--peer", metavar="HOST:PORT[,FINGERPRINT]", help="Another node to link to (not served yet)."),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings, in TOML.")] = None,
    check_config: Annotated[bool, typer.Option("--check-config", help="Check the settings and exit.")] = False,
) -> None:
    """Run a node until SIGTERM or Ctrl-C.

    Once its ports listen, it prints one JSON line on stdout. IPv6 addresses go in brackets; port 0 picks a free pair.

    \b
    uzel node run --listen 0.0.0.0:8935 --listen [::]:8935 --state /var/lib/uzel
    """
    for address in listen or ():
        split_host_port(address)
    for reference in peer or ():
        NodeReference.parse(reference)
    if peer:
        say("uzel: --peer is noted, but this version does not link nodes yet.")
    if check_config:
        from uzel.node.config import NodeConfig, load_config  # noqa: PLC0415 - only here

        settings = load_config(config) if config else NodeConfig()
        for address in settings.listen:
            split_host_port(address)
        typer.echo("the settings are valid")
        return
    arguments = [str(state), str(config) if config else "", *(listen or ())]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "uzel.app.node_process", *arguments])  # noqa: S606 - our own program


@node_app.command("print-config")
def print_config() -> None:
    """Print every setting with its default, as TOML."""
    from dataclasses import asdict  # noqa: PLC0415 - only here

    from uzel.node.config import NodeConfig  # noqa: PLC0415

    settings = asdict(NodeConfig())
    for section in ("times", "limits"):
        typer.echo(f"[{section}]")
        for name, value in settings[section].items():
            typer.echo(f"{name} = {str(value).lower()}")
        typer.echo()
