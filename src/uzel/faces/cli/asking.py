"""How commands ask the running core: the profile's folder, one client, and what a person reads of texts and times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uzel.errors import NoCoreError, NotAcceptedError, NotAgreedError, QueuedError, UzelError
from uzel.faces.cli.options import PROFILE, profile_folder, run_folder
from uzel.faces.cli.output import json_line, printable, put
from uzel.faces.cli.running import stop_on_signals
from uzel.local.core_socket import core_runs
from uzel.store.profile_names import require_profile

if TYPE_CHECKING:  # help must not load it
    from uzel.local.core_client import CoreClient

Values = dict[str, Any]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.1, max=3600, help="Seconds for an answer.")]


def known_people(context: typer.Context) -> list[tuple[str, str]]:
    """For a shell that completes: the numbers and names of the running core's contacts; nothing when there is none."""
    from uzel.local.core_client import CoreClient  # noqa: PLC0415 - help must not load it

    try:
        with CoreClient(profile_folder(context.params.get("profile")), 1.0) as core:
            found = core.ask("GET", "/contacts")["contacts"]
    except UzelError:
        return []
    return [(str(each["uin"]), printable(each["name"])) for each in found]


UinArgument = Annotated[
    str,
    typer.Argument(
        metavar="UIN", help="The number of the person it is about.", show_default=False, autocompletion=known_people
    ),
]


def core_of(folder: Path, timeout: float = 10.0) -> CoreClient:
    """The core that runs on this profile, to be entered. Raises `NoCoreError` when none does, and `NoProfileError` when
    there is not even a profile.
    """
    from uzel.local.core_client import CoreClient  # noqa: PLC0415 - help must not load it

    if not core_runs(folder):
        require_profile(folder)
        if folder == run_folder() / PROFILE:
            raise NoCoreError(f"{folder}; it is the one that uzel run made: run that again")
    return CoreClient(folder, timeout)


@contextmanager
def asking(profile: Path | None, timeout: float = 10.0) -> Iterator[CoreClient]:
    """The core that runs on this profile. Raises as `core_of`."""
    stop_on_signals()
    with core_of(profile_folder(profile), timeout) as core:
        yield core


def lines(values: list[Values]) -> None:
    """One JSON object a line."""
    for each in values:
        put(json_line(each))


def clock(at: str) -> str:
    """A time for a person: the day and the minute, UTC."""
    return f"{at[:10]} {at[11:16]}"


def text_line(text: Values, name: str = "") -> str:
    """A text for a person: when, who (by name, if there is one), how far it has come unless that goes without saying,
    and what was said.
    """
    who = "you" if text["outgoing"] else printable(name) or str(text["chat"])
    state = text["state"]
    if state in {"received", "delivered"}:
        shown = ""
    else:
        shown = f" [{state}: {printable(text['reason'])}]" if text["reason"] else f" [{state}]"
    return f"{clock(text['at'])}  {who}{shown}: {printable(text['text'])}"


def waiting_because(contact: Values) -> QueuedError | None:
    """What else than that they are away keeps texts from a contact, as far as it is known."""
    if contact["downgraded"]:
        return NotAgreedError()
    return NotAcceptedError() if contact["gate"] == "asked" else None
