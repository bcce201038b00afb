"""`uzel start`: the core of a profile, in the foreground, with its local interface.

Only here do the core and its faces meet. The profile is held from before the first connection until after the last.
Counterparts: `uzel.core.messenger`; `uzel.faces.api`, through which everything else reaches it.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uzel.errors import ExitCode
from uzel.faces.cli.options import NodeOption, ProfileOption
from uzel.faces.cli.output import json_line, put
from uzel.faces.cli.passphrases import PassphraseFileOption
from uzel.faces.cli.profiles import open_profile
from uzel.faces.cli.running import StoppedError, run_until_signal, stop_on_signals
from uzel.names import NodeReference
from uzel.store.admin_socket import API_SOCKET

if TYPE_CHECKING:  # help must not load cryptography
    from uzel.store.profile import Profile

GOODBYE = 2.0
"""Seconds in which conversations may close in order."""


def start(
    profile: ProfileOption = None,
    passphrase_file: PassphraseFileOption = None,
    node: NodeOption = None,
    api_port: Annotated[
        int | None,
        typer.Option(
            "--api-port",
            min=0,
            max=65535,
            metavar="PORT",
            help="Serve the local interface on this loopback port too, behind the token in api.token; 0 picks one.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """\b
    uzel start --profile alice --node node.example:8935
    uzel start --profile alice
    uzel start --profile alice --api-port 8090

    Run your messenger until SIGTERM, uzel stop (exit code 0) or Ctrl-C (130).

    It stays online, delivers what waits and keeps what comes. Nodes that were named once are remembered. Once it takes
    requests it prints one JSON line; its log goes to stderr.
    """
    stop_on_signals()
    given = [NodeReference.parse(text) for text in node or ()]
    with open_profile(profile, passphrase_file, "uzel start") as opened:
        from uzel.core.own_nodes import remembered_nodes  # noqa: PLC0415 - help must not load it
        from uzel.net.loop import loop_factory  # noqa: PLC0415
        from uzel.node.log import log_to_stderr  # noqa: PLC0415

        nodes = remembered_nodes(opened, given)
        log_to_stderr()
        try:
            run_until_signal(_serve(opened, nodes, api_port), loop_factory())
        except StoppedError as stopped:
            if stopped.number == signal.SIGTERM:
                raise typer.Exit(ExitCode.DONE) from None
            raise


async def _serve(profile: Profile, nodes: Sequence[NodeReference], port: int | None) -> None:
    """Until cancelled, or until a program asks the core to end."""
    import asyncio  # noqa: PLC0415 - help must not load it

    from uzel.core.messenger import Messenger  # noqa: PLC0415
    from uzel.faces.api import ApiServer  # noqa: PLC0415

    asked = asyncio.Event()
    messenger = Messenger(profile, nodes)
    await messenger.__aenter__()
    server = ApiServer(messenger, profile.folder, port=port, stop=asked.set)
    try:
        await server.start()
        put(json_line(_ready(profile, server.url)))
        await asked.wait()
    finally:
        await server.stop()
        await messenger.close(GOODBYE)


def _ready(profile: Profile, url: str | None) -> dict[str, object]:
    socket = str(Path(profile.folder).absolute() / API_SOCKET)
    return {"event": "ready", "uin": int(profile.identity.uin), "socket": socket, "api": url}
