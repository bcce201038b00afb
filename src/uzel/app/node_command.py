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

from uzel.app.bench_command import bench
from uzel.app.node_arguments import NodeArguments
from uzel.errors import ConfigError
from uzel.faces.cli.node_status import peers, status
from uzel.faces.cli.options import named_folder
from uzel.faces.cli.output import put
from uzel.names import NodeReference, split_host_port

node_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""\b
    uzel node run --listen 0.0.0.0:8935 --state /var/lib/uzel
    uzel node status --state /var/lib/uzel
    uzel node bench
    uzel node print-config > node.toml

    Run a node: it connects people and can read nothing.
    """,
)
node_app.command("status", short_help="Show how a running node is.")(status)
node_app.command("bench", short_help="Measure what a node costs on this machine.")(bench)
node_app.command("peers", short_help="List the other nodes that a running node knows.")(peers)


@node_app.command("run", short_help="Run a node until SIGTERM or Ctrl-C.")
def run_node(
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            metavar="DIR",
            envvar="UZEL_STATE",
            parser=named_folder,
            help="The node's own folder: key, known UINs.",
        ),
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            "--listen", metavar="HOST:PORT", help="Where to listen; repeat for more. The data port is PORT+1."
        ),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option("--peer", metavar="HOST:PORT[,FINGERPRINT]", help="Another node to link to; repeat for more."),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings, in TOML.")] = None,
    check_config: Annotated[bool, typer.Option("--check-config", help="Check all settings and exit.")] = False,
) -> None:
    """\b
    uzel node run --listen 0.0.0.0:8935 --listen [::]:8935 --state /var/lib/uzel
    uzel node run --listen 0.0.0.0:8935 --state /var/lib/uzel --peer node.example:8935
    uzel node run --check-config --config node.toml --listen 0.0.0.0:8935

    Run a node until SIGTERM or Ctrl-C; a second one ends it at once.

    Once its ports listen, it prints one JSON line on stdout. IPv6 addresses go in brackets; port 0 picks a free pair.
    """
    for address in listen or ():
        split_host_port(address)
    for reference in peer or ():
        NodeReference.parse(reference)
    arguments = NodeArguments(state or Path(), config, tuple(listen or ()), tuple(peer or ()))
    if check_config:
        _check_config(arguments)
        return
    if state is None:
        raise ConfigError("no state folder: give --state DIR")
    program = [sys.executable, "-P", "-m", "uzel.app.node_process"]  # -P: nothing from the folder we stand in
    os.execv(sys.executable, [*program, *arguments.written()])  # noqa: S606 - our own program


def _check_config(given: NodeArguments) -> None:
    """Whether the node would start with these arguments, as far as can be told without the network and the disk."""
    from uzel.node.config import NodeConfig, load_config  # noqa: PLC0415 - only here

    settings = load_config(given.config) if given.config else NodeConfig()
    for address in settings.listen:
        split_host_port(address)
    given.listen_addresses(settings.listen)
    put("the settings are valid\n")


@node_app.command("print-config", short_help="Print every setting with its default, as TOML.")
def print_config() -> None:
    """\b
    uzel node print-config > node.toml

    Print every setting with its default, as TOML.
    """
    from dataclasses import asdict  # noqa: PLC0415 - only here

    from uzel.node.config import NodeConfig  # noqa: PLC0415

    settings = asdict(NodeConfig())
    lines = ["listen = []", "peers = []"]
    for section in ("times", "limits"):
        lines += ["", f"[{section}]"]
        lines += [f"{name} = {str(value).lower()}" for name, value in settings[section].items()]
    put("\n".join(lines) + "\n")
