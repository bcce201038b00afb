"""`uzel web`: the page of the running core of a profile, in the browser."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from uzel.faces.cli.asking import core_of
from uzel.faces.cli.options import ProfileOption, profile_folder
from uzel.faces.cli.output import put, say
from uzel.faces.cli.running import stop_on_signals

if TYPE_CHECKING:  # help must not load it
    from uzel.local.core_client import CoreClient


def web(
    profile: ProfileOption = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """\b
    uzel web --profile alice
    uzel web --profile alice --no-browser

    Open the page of your running messenger, and print its one-time address.

    The address lets one browser in, once, within five minutes. Without a terminal no browser is opened.
    """
    stop_on_signals()
    from uzel.faces.cli.browser import open_page  # noqa: PLC0415 - help must not load it

    folder = profile_folder(profile)
    with core_of(folder) as core:
        before = _known(core)
        address = str(core.ask("POST", "/devices/address")["address"])
        put(address + "\n")
        if no_browser or not sys.stdout or not sys.stdout.isatty():
            return
        if not open_page(folder, address, lambda: bool(_known(core) - before)):
            say("No browser opened the page: open the address in one yourself.")


def _known(core: CoreClient) -> set[str]:
    return {str(device["id"]) for device in core.ask("GET", "/devices")["devices"]}
