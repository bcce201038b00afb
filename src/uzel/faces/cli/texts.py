"""`uzel cancel`, `retry`, `read`, `draft`, `retention`, `export`: what is done to texts and chats by the core."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from uzel.errors import ConfigError
from uzel.faces.cli.asking import TimeoutOption, UinArgument, asking, text_line
from uzel.faces.cli.options import JsonOption, ProfileOption
from uzel.faces.cli.output import json_line, printable, put
from uzel.names import Uin

DAY_MS = 86_400_000
MOST_DAYS = 100_000.0
"""Days: some 270 years, below what the local interface takes."""
NEVER = "never"
PAGE = 200
"""Texts that are asked for at a time."""
MOST_DRAFT = 2 * 1024 * 1024
"""Bytes that are read of a draft: the longest one that the core takes has less."""
NumberArgument = Annotated[
    int, typer.Argument(metavar="NUMBER", min=1, help="The text's number, as --json names it.", show_default=False)
]


def cancel(
    number: NumberArgument, profile: ProfileOption = None, as_json: JsonOption = False, timeout: TimeoutOption = 10.0
) -> None:
    """\b
    uzel cancel 17 --profile alice

    Take back a text that waits. One that is on its way already may have arrived, and is not taken back.
    """
    with asking(profile, timeout) as core:
        text = core.ask("POST", f"/texts/{number}/cancel")
    put(json_line(text) if as_json else text_line(text) + "\n")


def retry(
    number: NumberArgument, profile: ProfileOption = None, as_json: JsonOption = False, timeout: TimeoutOption = 10.0
) -> None:
    """\b
    uzel retry 17 --profile alice

    Queue a text again that failed or was cancelled. It goes to the end and has a new number then.
    """
    with asking(profile, timeout) as core:
        text = core.ask("POST", f"/texts/{number}/retry")
    put(json_line(text) if as_json else text_line(text) + "\n")


def read(
    uin: UinArgument,
    up_to: Annotated[
        int | None, typer.Option("--up-to", min=1, metavar="NUMBER", help="Only up to this text.", show_default=False)
    ] = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 10.0,
) -> None:
    """\b
    uzel read 12345678 --profile alice
    uzel read 12345678 --up-to 17 --profile alice

    Mark the texts of a chat as read.
    """
    path = f"/chats/{int(Uin.parse(uin))}"
    with asking(profile, timeout) as core:
        last = up_to
        if last is None:
            found = core.ask("GET", f"{path}/texts", None, limit=1)["texts"]
            last = found[-1]["number"] if found else None
        count = 0 if last is None else core.ask("POST", f"{path}/read", {"up_to": last})["count"]
    put(json_line({"count": count}) if as_json else f"{count} texts were unread\n")


def draft(
    uin: UinArgument,
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT|-]", help="Default: show it. '' removes it; - is standard input.")
    ] = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 10.0,
) -> None:
    """\b
    uzel draft 12345678 --profile alice
    uzel draft 12345678 "not yet sent" --profile alice

    Show or keep what is typed for a contact and not sent.
    """
    number = int(Uin.parse(uin))
    with asking(profile, timeout) as core:
        if text is not None:
            core.ask("PUT", f"/chats/{number}/draft", {"draft": _from_stdin() if text == "-" else text})
        kept = core.ask("GET", f"/contacts/{number}")["draft"]
    put(json_line({"uin": number, "draft": kept}) if as_json else printable(kept) + "\n" if kept else "")


def retention(
    uin: UinArgument,
    days: Annotated[
        str | None,
        typer.Argument(metavar="[DAYS|never]", help="Default: show it. never: texts are kept for ever."),
    ] = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 10.0,
) -> None:
    """\b
    uzel retention 12345678 --profile alice
    uzel retention 12345678 30 --profile alice
    uzel retention 12345678 never --profile alice

    Show or choose how long the texts of a chat are kept here. The other side keeps its own.
    """
    number = int(Uin.parse(uin))
    with asking(profile, timeout) as core:
        if days is not None:
            core.ask("PUT", f"/chats/{number}/retention", {"retention_ms": _milliseconds(days)})
        kept = core.ask("GET", f"/contacts/{number}")["retention_ms"]
    shown = NEVER if kept is None else f"{kept / DAY_MS:g} days"
    put(json_line({"uin": number, "retention_ms": kept}) if as_json else f"{shown}\n")


def export(uin: UinArgument, profile: ProfileOption = None, timeout: TimeoutOption = 10.0) -> None:
    """\b
    uzel export 12345678 --profile alice > chat.jsonl

    Print every text of a chat, in order, one JSON object a line.
    """
    path, after = f"/chats/{int(Uin.parse(uin))}/texts", 0
    with asking(profile, timeout) as core:
        while texts := core.ask("GET", path, None, after=after, limit=PAGE)["texts"]:
            for text in texts:
                put(json_line(text))
            after = texts[-1]["number"]


def _milliseconds(days: str) -> int | None:
    if days == NEVER:
        return None
    try:
        count = float(days)
    except ValueError:
        count = 0.0
    if not 0 < count <= MOST_DAYS:
        raise ConfigError(f"{days!r}: give a number of days above 0, at most {MOST_DAYS:g}, or {NEVER}")
    return max(1, round(count * DAY_MS))


def _from_stdin() -> str:
    data = sys.stdin.buffer.read(MOST_DRAFT) if sys.stdin is not None else b""
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise ConfigError("standard input is not valid UTF-8") from None
