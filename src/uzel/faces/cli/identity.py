"""`uzel identity`: make one's number and key, and show them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uzel.faces.cli.options import JsonOption, ProfileOption, new_profile_folder
from uzel.faces.cli.output import json_line, put
from uzel.faces.cli.passphrases import PassphraseFileOption, asked
from uzel.faces.cli.profiles import NEW, peek_profile, say_how_to_keep_it
from uzel.faces.cli.running import stop_on_signals
from uzel.names import ContactLink, Fingerprint, Uin

identity_app = typer.Typer(
    no_args_is_help=True,
    help="""\b
    uzel identity new --profile alice
    uzel identity show --profile alice --json

    Your number and key.
    """,
    rich_markup_mode=None,
)


def _show(uin: Uin, fingerprint: Fingerprint, *, as_json: bool) -> None:
    link = ContactLink(uin, fingerprint)
    if as_json:
        put(json_line({"uin": int(uin), "fingerprint": str(fingerprint), "link": str(link)}))
    else:
        put(f"UIN          {int(uin)}\nfingerprint  {fingerprint}\nlink         {link}\n")


@identity_app.command("new", short_help="Make a new identity.")
def new(
    profile: ProfileOption = None,
    set_passphrase: Annotated[
        bool, typer.Option("--set-passphrase", help="Lock the profile with a passphrase, in place of a key file.")
    ] = False,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file",
            metavar="FILE",
            help="That passphrase: the first line of a file of mode 0600. Default: ask, or read standard input.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """\b
    uzel identity new --profile alice
    uzel identity new --profile alice --set-passphrase

    Make a new identity. An existing one is never overwritten.
    """
    stop_on_signals()
    from uzel.store.profile import Profile, refuse_profile  # noqa: PLC0415 - help must not load cryptography

    folder = new_profile_folder(profile)
    refuse_profile(folder)  # before anything is asked
    wants = set_passphrase or passphrase_file is not None
    passphrase = asked(NEW, passphrase_file, confirm=True)() if wants else None
    with Profile.create(folder, passphrase=passphrase, program="uzel identity new") as made:
        uin, fingerprint = made.identity.uin, made.identity.fingerprint
    _show(uin, fingerprint, as_json=as_json)
    say_how_to_keep_it(folder, has_passphrase=wants)


@identity_app.command("show", short_help="Show your number, fingerprint and contact link.")
def show(
    profile: ProfileOption = None, passphrase_file: PassphraseFileOption = None, as_json: JsonOption = False
) -> None:
    """\b
    uzel identity show --profile alice --json

    Show the number, the fingerprint and the contact link to give to others.
    """
    stop_on_signals()
    with peek_profile(profile, passphrase_file) as opened:
        uin, fingerprint = opened.identity.uin, opened.identity.fingerprint
    _show(uin, fingerprint, as_json=as_json)
