"""`uzel status`, `uzel stop` and `uzel me`: how the running core of a profile is, its end, and whose it is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from uzel.errors import CoreSilentError, ProfileHeldError
from uzel.faces.cli.asking import core_of
from uzel.faces.cli.options import JsonOption, ProfileOption, profile_folder
from uzel.faces.cli.output import json_line, put, say
from uzel.faces.cli.passphrases import PassphraseFileOption
from uzel.faces.cli.profiles import peek_profile
from uzel.faces.cli.running import stop_on_signals
from uzel.faces.cli.table import counts, facts
from uzel.local.core_socket import core_runs

Values = dict[str, Any]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.1, max=3600, help="Seconds for everything.")]
LOOK_EVERY = 0.02
"""Seconds between looks at whether the profile is free."""


def status(profile: ProfileOption = None, as_json: JsonOption = False, timeout: TimeoutOption = 10.0) -> None:
    """\b
    uzel status --profile alice
    uzel status --profile alice --json

    Show how the running messenger of a profile is.
    """
    stop_on_signals()
    with core_of(profile_folder(profile), timeout) as core:
        said = core.ask("GET", "/status")
    put(json_line(said) if as_json else "\n".join(_status_lines(said)) + "\n")


def stop(profile: ProfileOption = None, timeout: TimeoutOption = 10.0) -> None:
    """\b
    uzel stop --profile alice

    End the running messenger of a profile, and wait until the profile is free. What waits stays queued.
    """
    stop_on_signals()
    from uzel.store.profile import LOCK  # noqa: PLC0415 - help must not load it
    from uzel.store.profile_lock import holding  # noqa: PLC0415

    folder, until = profile_folder(profile), time.monotonic() + timeout
    with core_of(folder, timeout) as core:
        core.ask("POST", "/stop")
    while True:
        try:
            with holding(folder / LOCK, "uzel stop"):
                return
        except ProfileHeldError:
            if time.monotonic() > until:
                raise CoreSilentError(f"it did not end within {timeout:g} s") from None
        time.sleep(LOOK_EVERY)


def me(
    profile: ProfileOption = None, passphrase_file: PassphraseFileOption = None, as_json: JsonOption = False
) -> None:
    """\b
    uzel me --profile alice
    uzel me --profile alice --json

    Show your number, your key and the contact link to give to others, with a QR code.

    A running messenger adds the nodes at which you are found to the link.
    """
    stop_on_signals()
    said = _me(profile, passphrase_file)
    if as_json:
        put(json_line(said))
        return
    put("\n".join(facts([("UIN", str(said["uin"])), ("fingerprint", said["fingerprint"]), ("link", said["link"])])))
    put("\n\n" + qr(said["link"]))


def qr(link: str) -> str:
    """A contact link as a QR code of half blocks, for a terminal; a hint when it is too long for one."""
    import io  # noqa: PLC0415 - seldom needed

    import segno  # noqa: PLC0415

    drawn = io.StringIO()
    try:
        segno.make_qr(link).terminal(drawn, compact=True)
    except segno.DataOverflowError:
        say("The link is too long for a QR code.")
        return ""
    return drawn.getvalue()


def _me(profile: Path | None, passphrase_file: Path | None) -> Values:
    from uzel.local.core_client import CoreClient  # noqa: PLC0415 - help must not load it

    folder = profile_folder(profile)
    if core_runs(folder):
        with CoreClient(folder) as core:
            return core.ask("GET", "/me")
    from uzel.names import ContactLink  # noqa: PLC0415

    with peek_profile(profile, passphrase_file) as opened:
        uin, fingerprint = opened.identity.uin, opened.identity.fingerprint
    return {"uin": int(uin), "fingerprint": str(fingerprint), "link": str(ContactLink(uin, fingerprint))}


def _status_lines(said: Values) -> list[str]:
    where = f"online at {said['node']}" if said["online"] else f"offline: {said['reason'] or 'logging in'}"
    if said["contested"]:
        where += "; another program is using this number"
    lines = facts(
        [
            ("UIN", str(said["uin"])),
            ("connection", where),
            *([("trouble", f"{said['trouble']['title']} ({said['trouble']['detail']})")] if said["trouble"] else []),
            ("conversations", str(said["conversations"])),
            ("chats that wait", str(said["waiting"])),
            ("version", said["version"]),
        ]
    )
    if said["refusals"]:
        lines += ["", *counts("refusals at the page since the start", said["refusals"])]
    return lines
