"""`uzel identity`: make one's number and key, and show them."""

from __future__ import annotations

import typer

from uzel.faces.cli.options import JsonOption, ProfileOption, profile_folder
from uzel.faces.cli.output import json_line, put, say
from uzel.names import ContactLink

identity_app = typer.Typer(
    no_args_is_help=True,
    help="""\b
    uzel identity new --profile alice
    uzel identity show --profile alice --json

    Your number and key.
    """,
    rich_markup_mode=None,
)


def _show(profile: ProfileOption, *, as_json: bool) -> None:
    from uzel.store.profile import Profile  # noqa: PLC0415 - help must not load cryptography

    identity = Profile.open(profile_folder(profile)).identity
    link = ContactLink(identity.uin, identity.fingerprint)
    if as_json:
        shown = {"uin": int(identity.uin), "fingerprint": str(identity.fingerprint), "link": str(link)}
        put(json_line(shown))
    else:
        put(f"UIN          {int(identity.uin)}\nfingerprint  {identity.fingerprint}\nlink         {link}\n")


@identity_app.command("new", short_help="Make a new identity.")
def new(profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """\b
    uzel identity new --profile alice

    Make a new identity. An existing one is never overwritten.
    """
    from uzel.store.profile import Profile  # noqa: PLC0415 - help must not load cryptography

    folder = profile_folder(profile)
    Profile.create(folder)
    _show(profile, as_json=as_json)
    say(f"Back up the folder {folder} now: a lost key is a lost number, and nobody can give it back.")


@identity_app.command("show", short_help="Show your number, fingerprint and contact link.")
def show(profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """\b
    uzel identity show --profile alice --json

    Show the number, the fingerprint and the contact link to give to others.
    """
    _show(profile, as_json=as_json)
