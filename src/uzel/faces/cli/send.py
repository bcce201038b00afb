"""`uzel send`: one text to one person, and whether it was delivered. With `--json` one object, whatever happens."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from uzel.errors import QueuedError, TextEmptyError, TextError, UzelError
from uzel.faces.cli.options import (
    JsonOption,
    NodeOption,
    ProfileOption,
    RoamingOption,
    node_references,
    profile_folder,
)
from uzel.faces.cli.output import json_line, now, put
from uzel.faces.cli.passphrases import PassphraseFileOption
from uzel.faces.cli.profiles import open_profile
from uzel.faces.cli.running import StoppedError, run_until_signal, stop_on_signals
from uzel.local.core_socket import core_runs
from uzel.names import ContactLink
from uzel.store.profile_names import require_profile

MAX_STDIN = 16 * 1024 * 1024
"""Bytes taken from standard input; a text is not a file."""
INTERRUPTED = "interrupted"


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
    passphrase_file: PassphraseFileOption = None,
    node: NodeOption = None,
    roaming: RoamingOption = False,
    wait: Annotated[WaitFor, typer.Option("--wait", help="When to say done.")] = WaitFor.DELIVERED,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, max=86400, help="Seconds for everything, closing included.")
    ] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """\b
    uzel send --profile alice --node node.example:8935 12345678 "See you at eight"
    uzel send --profile alice --node node.example:8935 12345678 -- "-5 °C here"
    date | uzel send --profile alice 'uzel:12345678?key=…&node=node.example' -

    Send one text and wait until it is reported delivered.

    With uzel start running on the profile it goes through it: what is not delivered in time stays queued there (6).

    Exit codes: 0 delivered, 1 your input, 3 network or unavailable, 4 key not trusted, 6 queued.
    """
    del wait  # there is one thing to wait for
    stop_on_signals()
    started = time.perf_counter()
    shown: dict[str, object] = {"event": "failed", "to": None}
    try:
        link = ContactLink.parse(to)
        shown["to"] = int(link.uin)
        milliseconds = _deliver(link, text, profile, passphrase_file, node, timeout, roaming=roaming)
    except (UzelError, StoppedError) as error:
        if as_json:
            reason = str(error.reason) if isinstance(error, UzelError) else INTERRUPTED
            if isinstance(error, QueuedError) or (isinstance(error, StoppedError) and error.queued):
                shown["event"] = "queued"
            passed = (time.perf_counter() - started) * 1000
            put(json_line({**shown, "at": now(), "ms": round(passed, 3), "reason": reason}))
        raise
    if as_json:
        put(json_line({**shown, "event": "delivered", "at": now(), "ms": round(milliseconds, 3), "reason": None}))
    else:
        put(f"delivered in {milliseconds:.0f} ms\n")


def _deliver(
    link: ContactLink,
    text: str,
    profile: Path | None,
    passphrase_file: Path | None,
    node: list[str] | None,
    timeout: float,
    *,
    roaming: bool,
) -> float:
    folder, piped = profile_folder(profile), text == "-"
    if core_runs(folder):
        from uzel.faces.cli.core_sender import deliver_through_core  # noqa: PLC0415

        return deliver_through_core(folder, link, _content(text), timeout)
    require_profile(folder)
    references = node_references(node, link)
    from uzel.faces.cli.sender import deliver  # noqa: PLC0415 - help must not load the client

    with open_profile(profile, passphrase_file, "uzel send", from_stdin=not piped) as opened:
        content = _content(text)
        return run_until_signal(deliver(opened, references, link, content, timeout, roaming=roaming))


def _content(text: str) -> str:
    """What is to be sent. Raises `TextError`."""
    content = _from_stdin() if text == "-" else _checked(text)
    if not content:
        raise TextEmptyError
    return content


def _checked(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise TextError("it is not valid UTF-8", reason="text_not_utf8") from None
    return text


def _from_stdin() -> str:
    data = sys.stdin.buffer.read(MAX_STDIN + 1) if sys.stdin is not None else b""
    if len(data) > MAX_STDIN:
        raise TextError("standard input is longer than 16 MiB", reason="text_too_long")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise TextError("standard input is not valid UTF-8", reason="text_not_utf8") from None
