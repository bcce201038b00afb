"""Options that several commands share, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uzel.errors import ConfigError
from uzel.names import ContactLink, NodeReference

ProfileOption = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        envvar="UZEL_PROFILE",
        metavar="DIR",
        help="Your profile folder: key and pins. Default: the user's data folder.",
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
    """The given folder, or the default one."""
    if given is not None:
        return given
    import platformdirs  # noqa: PLC0415 - only without --profile

    return Path(platformdirs.user_data_dir("uzel")) / "profile"


def node_references(given: list[str] | None, link: ContactLink | None = None) -> list[NodeReference]:
    """The given nodes, else those of the contact link. Raises `InvalidNameError` and `ConfigError`."""
    references = [NodeReference.parse(text) for text in given or ()] or list(link.nodes if link else ())
    if not references:
        raise ConfigError("no node: give one with --node HOST:PORT, or set UZEL_NODE")
    return references
