"""`uzel request` and `uzel invite`: people who are no contacts, from the running core (promise 5)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from uzel.errors import NoInviteError
from uzel.faces.cli.asking import TimeoutOption, UinArgument, Values, asking, clock, lines
from uzel.faces.cli.options import JsonOption, ProfileOption
from uzel.faces.cli.output import json_line, put
from uzel.faces.cli.table import table
from uzel.names import Uin

HOUR_MS = 3_600_000
request_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""\b
    uzel request list --profile alice
    uzel request accept 12345678 --profile alice --name Bob

    Strangers who want to be let in.
    """,
)
invite_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""\b
    uzel invite new --profile alice --label "for Bob"
    uzel invite list --profile alice

    Contact links that let in whoever has them.
    """,
)


class Mode(StrEnum):
    """What becomes of people who are no contacts."""

    ASK = "ask"
    CONTACTS_ONLY = "contacts-only"


def strangers(
    mode: Annotated[
        Mode | None, typer.Argument(help="ask: they may knock. contacts-only: they are refused. Default: show it.")
    ] = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 10.0,
) -> None:
    """\b
    uzel strangers --profile alice
    uzel strangers contacts-only --profile alice

    Show or choose what becomes of people who are no contacts. An invite lets in whoever has it, either way.
    """
    with asking(profile, timeout) as core:
        if mode is not None:
            core.ask("PUT", "/strangers", {"mode": str(mode)})
        said = core.ask("GET", "/strangers")
    put(json_line(said) if as_json else f"{said['mode']}\n")


@request_app.command("list", short_help="List who knocked.")
def list_requests(profile: ProfileOption = None, as_json: JsonOption = False, timeout: TimeoutOption = 10.0) -> None:
    """\b
    uzel request list --profile alice --json

    List the strangers who knocked, the latest first. What they say is shown once they are let in.
    """
    with asking(profile, timeout) as core:
        found: list[Values] = core.ask("GET", "/requests")["requests"]
    if as_json:
        lines(found)
        return
    rows = [[str(each["uin"]), each["fingerprint"], clock(each["last_at"]), str(each["count"])] for each in found]
    put("\n".join(table(("UIN", "fingerprint", "last", "times"), rows, right=frozenset({"times"}))) + "\n")


@request_app.command("accept", short_help="Let a stranger in.")
def accept(
    uin: UinArgument,
    profile: ProfileOption = None,
    name: Annotated[str, typer.Option("--name", help="What you call them.")] = "",
    as_json: JsonOption = False,
    timeout: TimeoutOption = 10.0,
) -> None:
    """\b
    uzel request accept 12345678 --profile alice --name Bob

    Let a stranger in: they are a contact from now on, unverified.
    """
    with asking(profile, timeout) as core:
        contact = core.ask("POST", f"/requests/{int(Uin.parse(uin))}/accept", {"name": name})
    put(json_line(contact) if as_json else f"{contact['uin']} is a contact now, unverified.\n")


@request_app.command("refuse", short_help="Forget a stranger's request.")
def refuse(uin: UinArgument, profile: ProfileOption = None, timeout: TimeoutOption = 10.0) -> None:
    """\b
    uzel request refuse 12345678 --profile alice

    Forget the request. They may knock again, unless you block them.
    """
    with asking(profile, timeout) as core:
        core.ask("POST", f"/requests/{int(Uin.parse(uin))}/refuse")


@invite_app.command("new", short_help="Make an invite.")
def new(
    profile: ProfileOption = None,
    label: Annotated[str, typer.Option("--label", help="Your own words for it.")] = "",
    name: Annotated[str, typer.Option("--name", help="Your name, as the link tells it.")] = "",
    uses: Annotated[int, typer.Option("--uses", min=0, max=1_000_000, help="People let in; 0: no limit.")] = 1,
    hours: Annotated[float, typer.Option("--hours", min=0, max=1_000_000, help="How long it lasts; 0: for ever.")] = 0,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 10.0,
) -> None:
    """\b
    uzel invite new --profile alice --label "for Bob" --hours 48

    Make a contact link that lets in whoever has it. It is shown this once.
    """
    lasts = max(1, round(hours * HOUR_MS)) if hours else None
    body = {"label": label, "uses": uses or None, "lasts_ms": lasts, "name": name}
    with asking(profile, timeout) as core:
        made = core.ask("POST", "/invites", body)
    put(json_line(made) if as_json else f"{made['link']}\n")


@invite_app.command("list", short_help="List the invites.")
def list_invites(profile: ProfileOption = None, as_json: JsonOption = False, timeout: TimeoutOption = 10.0) -> None:
    """\b
    uzel invite list --profile alice --json

    List the invites, the oldest first.
    """
    with asking(profile, timeout) as core:
        found: list[Values] = core.ask("GET", "/invites")["invites"]
    if as_json:
        lines(found)
        return
    rows = [[each["id"][:12], each["label"], _left(each), _until(each)] for each in found]
    put("\n".join(table(("id", "label", "uses left", "until"), rows, right=frozenset({"uses left"}))) + "\n")


@invite_app.command("revoke", short_help="Have an invite let nobody in any more.")
def revoke(
    invite: Annotated[str, typer.Argument(metavar="ID", help="Its id, or how that begins.", show_default=False)],
    profile: ProfileOption = None,
    timeout: TimeoutOption = 10.0,
) -> None:
    """\b
    uzel invite revoke 0123456789ab --profile alice

    Have an invite let nobody in any more.
    """
    with asking(profile, timeout) as core:
        found = [each["id"] for each in core.ask("GET", "/invites")["invites"] if each["id"].startswith(invite.lower())]
        if len(found) != 1 or not invite:
            raise NoInviteError("no invite has that id" if not found else "several begin so: give more of it")
        core.ask("DELETE", f"/invites/{found[0]}")


def _left(invite: Values) -> str:
    return "no limit" if invite["uses_left"] is None else str(invite["uses_left"])


def _until(invite: Values) -> str:
    if invite["revoked"]:
        return "revoked"
    return clock(invite["expires_at"]) if invite["expires_at"] else "for ever"
