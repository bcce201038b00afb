"""`uzel chats`, `uzel history` and `uzel search`: what was said, from the running core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from uzel.errors import NotAContactError
from uzel.faces.cli.asking import TimeoutOption, UinArgument, Values, asking, clock, lines, text_line, waiting_because
from uzel.faces.cli.options import JsonOption, ProfileOption
from uzel.faces.cli.output import json_line, put, say
from uzel.faces.cli.table import table
from uzel.names import Uin

if TYPE_CHECKING:  # help must not load it
    from uzel.local.core_client import CoreClient

SHOWN = 50
"""Characters of the latest text that the list of chats shows."""
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=200, help="At most so many.")]
BeforeOption = Annotated[
    int | None, typer.Option("--before", min=1, metavar="NUMBER", help="Only what came before it.", show_default=False)
]


def chats(profile: ProfileOption = None, as_json: JsonOption = False, timeout: TimeoutOption = 10.0) -> None:
    """\b
    uzel chats --profile alice
    uzel chats --profile alice --json

    List your chats, the latest first: who, how much is unread, what waits to be delivered.
    """
    with asking(profile, timeout) as core:
        found: list[Values] = core.ask("GET", "/chats", limit=1000)["chats"]
    if as_json:
        lines(found)
        return
    rows = [
        [
            str(chat["uin"]),
            chat["name"],
            str(chat["unread"] or ""),
            str(chat["waiting"] or ""),
            clock(chat["last"]["at"]) if chat["last"] else "",
            chat["last"]["text"][:SHOWN] if chat["last"] else "",
        ]
        for chat in found
    ]
    heads = ("UIN", "name", "unread", "waiting", "at", "latest")
    put("\n".join(table(heads, rows, right=frozenset({"unread", "waiting"}))) + "\n")


def history(
    uin: UinArgument,
    profile: ProfileOption = None,
    limit: LimitOption = 50,
    before: BeforeOption = None,
    read: Annotated[bool, typer.Option("--read", help="Mark what is shown, and what came before it, as read.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every text, from the first on; --limit does not count.")
    ] = False,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 10.0,
) -> None:
    """\b
    uzel history 12345678 --profile alice
    uzel history 12345678 --profile alice --all --json > chat.jsonl

    Show the last texts of a chat, the latest at the end.
    """
    path = f"/chats/{int(Uin.parse(uin))}"
    with asking(profile, timeout) as core:
        contact = {} if as_json else _contact(core, uin)
        after = 0 if everything else None
        last, waits = None, False
        while True:
            query = {"after": after, "limit": 200} if everything else {"before": before, "limit": limit}
            found: list[Values] = core.ask("GET", f"{path}/texts", None, **query)["texts"]
            for text in found:
                put(json_line(text) if as_json else text_line(text, contact.get("name", "")) + "\n")
                waits = waits or text["state"] in {"queued", "sending"}
            last = found[-1]["number"] if found else last
            after = last
            if not everything or not found:
                break
        if read and last is not None:
            core.ask("POST", f"{path}/read", {"up_to": last})
    if waits and contact and (because := waiting_because(contact)) is not None:
        say(str(because))


def _contact(core: CoreClient, uin: str) -> Values:
    """Empty for who is none: their texts stay."""
    try:
        return core.ask("GET", f"/contacts/{int(Uin.parse(uin))}")
    except NotAContactError:
        return {}


def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help='Words; "a phrase" in quotes.', show_default=False)],
    profile: ProfileOption = None,
    chat: Annotated[
        str | None, typer.Option("--chat", metavar="UIN", help="Only in the chat with this number.", show_default=False)
    ] = None,
    limit: LimitOption = 50,
    before: BeforeOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 10.0,
) -> None:
    """\b
    uzel search сообщение --profile alice
    uzel search '"see you" eight' --profile alice --chat 12345678

    Find texts with all these words, in any of their forms, the latest first.
    """
    within = None if chat is None else int(Uin.parse(chat))
    with asking(profile, timeout) as core:
        hits: list[Values] = core.ask("GET", "/search", None, q=query, chat=within, before=before, limit=limit)["hits"]
        people: list[Values] = [] if as_json else core.ask("GET", "/contacts")["contacts"]
    names = {contact["uin"]: contact["name"] for contact in people}
    for hit in hits:
        put(json_line(hit) if as_json else text_line(hit["text"], names.get(hit["text"]["chat"], "")) + "\n")
