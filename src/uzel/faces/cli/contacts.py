"""`uzel contact`: the people whom one knows, from the running core. With `--json` each is what docs/api.md says."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from uzel.errors import KeyNotComparedError, NotComparedError
from uzel.faces.cli.asking import TimeoutOption, UinArgument, Values, asking, clock, lines
from uzel.faces.cli.core import qr
from uzel.faces.cli.options import JsonOption, ProfileOption
from uzel.faces.cli.output import json_line, put, say
from uzel.faces.cli.table import facts, table
from uzel.names import Fingerprint, Uin

contact_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""\b
    uzel contact add 'uzel:12345678?key=…' --profile alice
    uzel contact list --profile alice
    uzel contact verify 12345678 --profile alice

    The people whom you know.
    """,
)
NameOption = Annotated[str, typer.Option("--name", help="What you call them.")]


@contact_app.command("add", short_help="Add somebody by contact link or number.")
def add(
    link: Annotated[str, typer.Argument(metavar="LINK|UIN", help="Their contact link, or number.", show_default=False)],
    profile: ProfileOption = None,
    name: NameOption = "",
    as_json: JsonOption = False,
    timeout: TimeoutOption = 10.0,
) -> None:
    """\b
    uzel contact add 'uzel:12345678?key=…&node=node.example' --profile alice --name Bob
    uzel contact add 12345678 --profile alice

    Add somebody. A contact link verifies them; a bare number does not: compare the safety numbers.
    """
    with asking(profile, timeout) as core:
        _show(core.ask("POST", "/contacts", {"link": link, "name": name}), as_json=as_json)


@contact_app.command("list", short_help="List your contacts.")
def list_contacts(profile: ProfileOption = None, as_json: JsonOption = False, timeout: TimeoutOption = 10.0) -> None:
    """\b
    uzel contact list --profile alice --json

    List your contacts, by number.
    """
    with asking(profile, timeout) as core:
        found: list[Values] = core.ask("GET", "/contacts")["contacts"]
    if as_json:
        lines(found)
        return
    rows = [
        [str(each["uin"]), each["name"], _standing(each), clock(each["last_seen"]) if each["last_seen"] else ""]
        for each in found
    ]
    put("\n".join(table(("UIN", "name", "key", "last met"), rows)) + "\n")


@contact_app.command("show", short_help="Show a contact, with safety number and QR code.")
def show(
    uin: UinArgument, profile: ProfileOption = None, as_json: JsonOption = False, timeout: TimeoutOption = 10.0
) -> None:
    """\b
    uzel contact show 12345678 --profile alice

    Show a contact: the safety number to compare with them, and their contact link as a QR code.
    """
    with asking(profile, timeout) as core:
        found = core.ask("GET", _path(uin))
    _show(found, as_json=as_json)
    if not as_json and found["fingerprint"]:
        put("\n" + qr(found["link"]))


@contact_app.command("verify", short_help="Say that the safety numbers are the same.")
def verify(
    uin: UinArgument,
    profile: ProfileOption = None,
    safety_number: Annotated[
        str | None,
        typer.Option(
            "--safety-number",
            metavar="NUMBER",
            help="What they read to you: twelve groups of five digits. Default: show it, and ask.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 10.0,
) -> None:
    """\b
    uzel contact verify 12345678 --profile alice
    uzel contact verify 12345678 --profile alice --safety-number '12345 12345 …'

    Compare the safety number with the one that they see, in person or by telephone; then they are verified.
    """
    with asking(profile, timeout) as core:
        compared = safety_number
        if compared is None:
            compared = core.ask("GET", _path(uin))["safety_number"]
            if compared is None:
                raise NotComparedError(f"UIN {uin} was never met, so there is no key yet: send them a text first")
            _ask_whether_same(compared)
        _show(core.ask("POST", f"{_path(uin)}/verify", {"safety_number": compared}), as_json=as_json)


@contact_app.command("rename", short_help="Call a contact something else.")
def rename(
    uin: UinArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="May be empty.", show_default=False)],
    profile: ProfileOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 10.0,
) -> None:
    """\b
    uzel contact rename 12345678 Bob --profile alice

    Call a contact something else.
    """
    with asking(profile, timeout) as core:
        _show(core.ask("PATCH", _path(uin), {"name": name}), as_json=as_json)


@contact_app.command("accept-key", short_help="Accept a contact's new key.")
def accept_key(
    uin: UinArgument,
    fingerprint: Annotated[
        str, typer.Argument(metavar="FINGERPRINT", help="The new key, as contact show names it.", show_default=False)
    ],
    profile: ProfileOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 10.0,
) -> None:
    """\b
    uzel contact accept-key 12345678 FINGERPRINT --profile alice

    Accept the new key of a contact who told you, over another channel, that they made a new identity.
    """
    with asking(profile, timeout) as core:
        _show(
            core.ask("POST", f"{_path(uin)}/accept-key", {"fingerprint": str(Fingerprint.parse(fingerprint))}),
            as_json=as_json,
        )


@contact_app.command("agree", short_help="Agree that a contact went back to an older program.")
def agree(
    uin: UinArgument, profile: ProfileOption = None, as_json: JsonOption = False, timeout: TimeoutOption = 10.0
) -> None:
    """\b
    uzel contact agree 12345678 --profile alice

    Agree that a contact went back to a program that offers less, once they told you so over another channel.

    Texts may come twice then. What was already sent in the better way, and not reported, has failed.
    """
    with asking(profile, timeout) as core:
        _show(core.ask("POST", f"{_path(uin)}/agree"), as_json=as_json)


@contact_app.command("block", short_help="Refuse somebody, contact or not.")
def block(uin: UinArgument, profile: ProfileOption = None, timeout: TimeoutOption = 10.0) -> None:
    """\b
    uzel contact block 12345678 --profile alice

    Refuse somebody, contact or not: nothing goes either way.
    """
    with asking(profile, timeout) as core:
        core.ask("PUT", f"/blocks/{int(Uin.parse(uin))}")


@contact_app.command("unblock", short_help="Refuse them no more.")
def unblock(uin: UinArgument, profile: ProfileOption = None, timeout: TimeoutOption = 10.0) -> None:
    """\b
    uzel contact unblock 12345678 --profile alice

    Refuse them no more.
    """
    with asking(profile, timeout) as core:
        core.ask("DELETE", f"/blocks/{int(Uin.parse(uin))}")


@contact_app.command("remove", short_help="Remove a contact; the texts stay.")
def remove(uin: UinArgument, profile: ProfileOption = None, timeout: TimeoutOption = 10.0) -> None:
    """\b
    uzel contact remove 12345678 --profile alice

    Remove a contact and forget their key. The texts stay; what waits for them has failed.
    """
    with asking(profile, timeout) as core:
        core.ask("DELETE", _path(uin))


def _path(uin: str) -> str:
    return f"/contacts/{int(Uin.parse(uin))}"


def _standing(contact: Values) -> str:
    if contact["stopped"]:
        return "CHANGED"
    if contact["blocked"]:
        return "blocked"
    if contact["downgraded"]:
        return "older program"
    return "verified" if contact["verified"] else "unverified"


def _show(contact: Values, *, as_json: bool) -> None:
    if as_json:
        put(json_line(contact))
        return
    pairs = [
        ("UIN", str(contact["uin"])),
        ("name", contact["name"]),
        ("key", _standing(contact)),
        ("fingerprint", contact["fingerprint"] or "not met yet"),
        ("safety number", contact["safety_number"] or "not met yet"),
        ("link", contact["link"]),
    ]
    put("\n".join(facts(pairs)) + "\n")
    if contact["stopped"]:
        say(
            f"They showed another key: {contact['stopped']}\nNothing goes either way. Ask them, over another channel, "
            "whether they made a new identity; only then accept it: "
            f"uzel contact accept-key {contact['uin']} {contact['stopped']}"
        )
    elif contact["downgraded"]:
        say(
            "They came with a program that offers less than before. Nothing goes either way until you agree. Ask them, "
            f"over another channel, whether they went back to an older one; then: uzel contact agree {contact['uin']}"
        )


def _ask_whether_same(number: str) -> None:
    """Raises `NotComparedError` unless there is a terminal, `KeyNotComparedError` unless its person sees the same."""
    say(f"Your safety number with them:\n\n    {number}\n")
    if sys.stdin is None or not sys.stdin.isatty():
        raise NotComparedError("this is no terminal: give what they read to you with --safety-number NUMBER")
    if not typer.confirm("Do they see the same?", err=True):
        raise KeyNotComparedError("they see another number: if it stays so, somebody may be in between")
