"""`uzel listen`: be called, and print what arrives. A text is reported only once its line has left this process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer

from uzel.errors import ExitCode
from uzel.faces.cli.options import (
    JsonOption,
    NodeOption,
    ProfileOption,
    RoamingOption,
    node_references,
    profile_folder,
)
from uzel.faces.cli.passphrases import PassphraseFileOption
from uzel.faces.cli.profiles import open_profile
from uzel.faces.cli.running import StoppedError, run_until_signal, stop_on_signals
from uzel.local.core_socket import core_runs
from uzel.store.profile_names import require_profile


class Accept(StrEnum):
    """Whose calls are taken."""

    ALL = "all"
    CONTACTS = "contacts"


def listen(
    profile: ProfileOption = None,
    passphrase_file: PassphraseFileOption = None,
    node: NodeOption = None,
    roaming: RoamingOption = False,
    as_json: JsonOption = False,
    accept: Annotated[
        Accept, typer.Option("--accept", help="contacts: only peers whose key is pinned in the profile.")
    ] = Accept.ALL,
    echo: Annotated[bool, typer.Option("--echo", help="Answer every text with itself.")] = False,
) -> None:
    """\b
    uzel listen --profile bob --node node.example:8935
    uzel listen --profile bob --node node.example:8935 --json --accept contacts

    Stay online, accept calls and print texts as they arrive, until SIGTERM (exit code 0) or Ctrl-C (130).

    With uzel start running on the profile it prints what comes there, and first what no program has been given yet.
    """
    stop_on_signals()
    folder = profile_folder(profile)
    if core_runs(folder):
        from uzel.faces.cli.core_listener import listen_through_core  # noqa: PLC0415 - help must not load it

        with _done_on_sigterm():
            listen_through_core(folder, as_json=as_json, echo=echo)
        return
    require_profile(folder)
    references = node_references(node)
    from uzel.faces.cli.listener import Listener  # noqa: PLC0415 - help must not load the client
    from uzel.store.people import People  # noqa: PLC0415

    with open_profile(profile, passphrase_file, "uzel listen") as opened:
        listener = Listener(
            opened.identity,
            opened.pins,
            {int(contact.uin): contact.name for contact in People(opened.connection).all()},
            references,
            roaming=roaming,
            as_json=as_json,
            contacts_only=accept is Accept.CONTACTS,
            echo=echo,
        )
        with _done_on_sigterm():
            run_until_signal(listener.run())


@contextmanager
def _done_on_sigterm() -> Iterator[None]:
    try:
        yield
    except StoppedError as stopped:
        if stopped.number == signal.SIGTERM:
            raise typer.Exit(ExitCode.DONE) from None
        raise
