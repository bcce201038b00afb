"""Which nodes a core uses: those that were named when it was started, remembered in the profile.

Rule: what is named replaces what was remembered; who names none gets what was. Counterpart: `uzel.app.core_command`.
"""

from __future__ import annotations

from collections.abc import Sequence

from uzel.errors import ConfigError
from uzel.names import NodeReference
from uzel.store.options import Option, Options
from uzel.store.profile import Profile

NODES: Option[list[str]] = Option("nodes", list[str], [])
"""The nodes, in order, as a person writes them."""


def remembered_nodes(profile: Profile, given: Sequence[NodeReference]) -> list[NodeReference]:
    """The nodes to use. Raises `ConfigError` when none was ever named, `InvalidNameError`, `StorageError`."""
    with profile.transaction() as db:
        options = Options(db)
        if given:
            options.set(NODES, [str(node) for node in given])
            return list(given)
        nodes = [NodeReference.parse(text) for text in options.get(NODES)]
    if not nodes:
        raise ConfigError("no node: give one with --node HOST:PORT; it is remembered")
    return nodes
