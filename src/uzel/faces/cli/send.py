"""`uzel send`: one text to one person, and whether it was delivered."""

from __future__ import annotations

import asyncio
import sys
import time
from enum import StrEnum
from typing import Annotated

import typer

from uzel.errors import InvalidNameError, UzelError
from uzel.faces.cli.options import JsonOption, NodeOption, ProfileOption, node_references, profile_folder
from uzel.faces.cli.output import json_line, now
from uzel.names import ContactLink

MAX_STDIN = 16 * 1024 * 1024
"""Bytes taken from standard input; a text is not a file."""


class WaitFor(StrEnum):
    """What `uzel send` waits for."""

    DELIVERED = "delivered"


def send(
    to: Annotated[
        str, typer.Argument(metavar="UIN|LINK", help="Whom: a number or a contact link.", show_default=False)
    ],
    text: Annotated[
        str, typer.Argument(metavar="TEXT|-", help="The text, or - for standard input.", show_default=False)
    ],
    profile: ProfileOption = None,
    node: NodeOption = None,
    wait: Annotated[WaitFor, typer.Option("--wait", help="When to say done.")] = WaitFor.DELIVERED,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, max=86400, help="Seconds for everything.")] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Send one text and wait until it is reported delivered.

    \b
    uzel send --profile alice --node node.example:8935 12345678 "See you at eight"
    date | uzel send --profile alice --node node.example:8935 'uzel:12345678?key=…' -

    Exit codes: 0 delivered, 1 your input, 3 network or unavailable, 4 key not trusted.
    """
    del wait  # there is one thing to wait for
    link = ContactLink.parse(to)
    content = _from_stdin() if text == "-" else text
    try:
        content.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidNameError("the text is not valid UTF-8", reason="text_not_utf8") from None
    references = node_references(node, link)
    from uzel.store.profile import Profile  # noqa: PLC0415 - help must not load cryptography

    opened = Profile.open(profile_folder(profile))
    started = time.perf_counter()
    error: UzelError | None = None
    milliseconds = 0.0
    try:
        from uzel.client import Client  # noqa: PLC0415

        milliseconds = asyncio.run(_send(Client(opened.identity, opened.pins, references), link, content, timeout))
    except UzelError as failed:
        error = failed
        milliseconds = (time.perf_counter() - started) * 1000
    outcome = "delivered" if error is None else "failed"
    if as_json:
        reason = str(error.reason) if error else None
        shown = {"event": outcome, "to": int(link.uin), "at": now(), "ms": round(milliseconds, 3), "reason": reason}
        typer.echo(json_line(shown), nl=False)
    elif error is None:
        typer.echo(f"delivered in {milliseconds:.0f} ms")
    if error is not None:
        raise error


async def _send(client: object, link: ContactLink, text: str, timeout: float) -> float:
    from uzel.client import Client  # noqa: PLC0415 - see above

    assert isinstance(client, Client)
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout
    async with client:
        await client.wait_online(timeout)
        conversation = await client.call(link, timeout=max(0.0, until - loop.time()))
        milliseconds = await conversation.send(text, timeout=max(0.0, until - loop.time()))
        await conversation.close()
    return milliseconds


def _from_stdin() -> str:
    data = sys.stdin.buffer.read(MAX_STDIN + 1)
    if len(data) > MAX_STDIN:
        raise InvalidNameError("standard input is longer than 16 MiB", reason="text_too_long")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidNameError("standard input is not valid UTF-8", reason="text_not_utf8") from None
