"""Options that several commands share, and what they mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from uzel.errors import ConfigError
from uzel.names import ContactLink, NodeReference

RUN = "UZEL_RUN"
"""The variable that names the folder of `uzel run`."""
PROFILE = "profile"
"""The profile within that folder, and within the user's data folder."""


def named_folder(given: str | Path) -> Path:
    """An option's folder. Raises `BadParameter` for an empty one: a script that lost a variable would work here."""
    if not str(given):
        raise typer.BadParameter("it is empty: name a folder (. is this one)")
    return Path(given)


ProfileOption = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        envvar="UZEL_PROFILE",
        metavar="DIR",
        parser=named_folder,
        help="Your profile folder. Default: profile in the user's data folder, else the one that uzel run made.",
        show_default=False,
    ),
]
NodeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--node",
        envvar="UZEL_NODE",
        metavar="HOST:PORT[,FINGERPRINT]",
        help="The node to use; repeat it to name others: the next is used when one dies, in this order.",
        show_default=False,
    ),
]
RoamingOption = Annotated[
    bool,
    typer.Option(
        "--roaming", help="When none of your nodes answers, use others that they told of. A node sees who calls whom."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line, with stable keys.")]


def profile_folder(given: Path | None) -> Path:
    """The given folder, else the default one; where that holds no profile and that of `uzel run` does, the latter."""
    if given is not None:
        return given
    from uzel.store.profile_names import holds_profile  # noqa: PLC0415 - only without --profile

    default, of_run = new_profile_folder(None), run_folder() / PROFILE
    return of_run if not holds_profile(default) and holds_profile(of_run) else default


def new_profile_folder(given: Path | None) -> Path:
    """Where a profile is made: the given folder, or the default one."""
    return _data_folder() / PROFILE if given is None else given


def run_folder(given: Path | None = None) -> Path:
    """Where `uzel run` keeps all of it: the given folder, else as `UZEL_RUN` says, else in the user's data folder."""
    chosen = given or os.environ.get(RUN)
    return Path(chosen) if chosen else _data_folder() / "run"


def _data_folder() -> Path:
    import platformdirs  # noqa: PLC0415 - only without --profile

    return Path(platformdirs.user_data_dir("uzel"))


def node_references(given: list[str] | None, link: ContactLink | None = None) -> list[NodeReference]:
    """The given nodes, else those of the contact link. Raises `InvalidNameError` and `ConfigError`."""
    references = [NodeReference.parse(text) for text in given or ()] or list(link.nodes if link else ())
    if not references:
        raise ConfigError("no node: give one with --node HOST:PORT, or set UZEL_NODE")
    return references
