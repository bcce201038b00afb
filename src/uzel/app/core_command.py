"""`uzel start`: the core of a profile, in the foreground, with its local interface.

The profile is held from before the first connection until after the last. Counterpart: `core_process`, what runs.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uzel.app.core_page import PagePlan
from uzel.errors import ExitCode
from uzel.faces.cli.options import NodeOption, ProfileOption
from uzel.faces.cli.output import json_line, put
from uzel.faces.cli.passphrases import PassphraseFileOption
from uzel.faces.cli.profiles import open_profile
from uzel.faces.cli.running import StoppedError, run_until_signal, stop_on_signals
from uzel.names import NodeReference
from uzel.store.admin_socket import API_SOCKET

if TYPE_CHECKING:  # help must not load cryptography
    from uzel.app.core_process import RunningCore
    from uzel.store.profile import Profile


ApiPortOption = Annotated[
    int | None,
    typer.Option(
        "--api-port",
        min=0,
        max=65535,
        metavar="PORT",
        help="Serve the local interface on this loopback port too, behind the token in api.token; 0 picks one.",
        show_default=False,
    ),
]
WebOption = Annotated[
    bool, typer.Option("--web", help="Serve the page on this machine, and print its one-time address.")
]
WebPortOption = Annotated[
    int | None,
    typer.Option(
        "--web-port",
        min=0,
        max=65535,
        metavar="PORT",
        help="The page's loopback port; 0 picks one. Default: 8940, or the next that is free.",
        show_default=False,
    ),
]
ShareOption = Annotated[
    str | None,
    typer.Option("--share", metavar="HOST:PORT", help="Serve the page to other devices there, over HTTPS."),
]
CertificateOption = Annotated[
    Path | None, typer.Option("--cert", metavar="FILE", help="Your certificate for that, in PEM form.")
]
CertificateKeyOption = Annotated[
    Path | None, typer.Option("--cert-key", metavar="FILE", help="Its key, mode 0600, without a passphrase.")
]


def start(
    profile: ProfileOption = None,
    passphrase_file: PassphraseFileOption = None,
    node: NodeOption = None,
    api_port: ApiPortOption = None,
    web: WebOption = False,
    web_port: WebPortOption = None,
    share: ShareOption = None,
    cert: CertificateOption = None,
    cert_key: CertificateKeyOption = None,
) -> None:
    """\b
    uzel start --profile alice --node node.example:8935 --web
    uzel start --profile alice
    uzel start --profile alice --api-port 8090
    uzel start --profile alice --web --share home.example:8943 --cert cert.pem --cert-key key.pem

    Run your messenger until SIGTERM, uzel stop (exit code 0) or Ctrl-C (130).

    It stays online, delivers what waits and keeps what comes. Nodes that were named once are remembered. Once it takes
    requests it prints one JSON line; its log goes to stderr. With --web the line holds the page's one-time address; a
    new one is made by uzel web.
    """
    stop_on_signals()
    page = PagePlan.read(web, web_port, share, cert, cert_key)
    given = [NodeReference.parse(text) for text in node or ()]
    with open_profile(profile, passphrase_file, "uzel start") as opened:
        from uzel.core.own_nodes import remembered_nodes, remembered_roaming  # noqa: PLC0415 - help must not load it
        from uzel.net.loop import loop_factory  # noqa: PLC0415
        from uzel.node.log import log_to_stderr  # noqa: PLC0415

        nodes = remembered_nodes(opened, given, may_be_none=web)
        roaming = remembered_roaming(opened)
        log_to_stderr()
        try:
            run_until_signal(_serve(opened, nodes, roaming, api_port, page), loop_factory())
        except StoppedError as stopped:
            if stopped.number == signal.SIGTERM:
                raise typer.Exit(ExitCode.DONE) from None
            raise


async def _serve(
    profile: Profile, nodes: Sequence[NodeReference], roaming: bool, port: int | None, planned: PagePlan | None
) -> None:
    """Until cancelled, or until a program asks the core to end."""
    from uzel.app.core_process import running_core  # noqa: PLC0415 - help must not load it

    async with running_core(profile, nodes, roaming=roaming, port=port, plan=planned) as core:
        put(json_line(_ready(profile, core)))
        await core.asked_to_end.wait()


def _ready(profile: Profile, core: RunningCore) -> dict[str, object]:
    socket = str(Path(profile.folder).absolute() / API_SOCKET)
    page = None if core.page is None else core.page.new_address().value
    return {"event": "ready", "uin": int(profile.identity.uin), "socket": socket, "api": core.url, "page": page}
