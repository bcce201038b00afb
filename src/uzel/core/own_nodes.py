"""Which nodes a core uses: those that were named when it was started, remembered in the profile.

Rule: what is named replaces what was remembered; who names none gets what was. Counterpart: `uzel.app.core_command`.
"""

from __future__ import annotations

from collections.abc import Sequence

from uzel.errors import ConfigError
from uzel.names import NodeReference
from uzel.store.options import Option, Options
from uzel.store.profile import Profile
from uzel.store.tables import Tables

NODES: Option[list[str]] = Option("nodes", list[str], [])
"""The nodes, in order, as a person writes them."""
ROAMING: Option[bool] = Option("roaming", bool, False)
"""Whether nodes that the own ones told of are tried when all of those fail: a node sees who calls whom."""


def remembered_nodes(
    profile: Profile, given: Sequence[NodeReference], *, may_be_none: bool = False
) -> list[NodeReference]:
    """The nodes to use. Raises `ConfigError` when none was ever named, unless there `may_be_none`: then the person is
    asked in the page; `InvalidNameError`, `StorageError`.
    """
    with profile.transaction() as db:
        options = Options(db)
        if given:
            options.set(NODES, [str(node) for node in given])
            return list(given)
        nodes = [NodeReference.parse(text) for text in options.get(NODES)]
    if not nodes and not may_be_none:
        raise ConfigError("no node: give one with --node HOST:PORT; it is remembered")
    return nodes


def remembered_roaming(profile: Profile) -> bool:
    """Whether other nodes may be tried. Raises `StorageError`."""
    with profile.transaction() as db:
        return Options(db).get(ROAMING)


def remember_nodes(tables: Tables, nodes: Sequence[NodeReference], now: int, *, roaming: bool) -> None:
    """Remember these, and tell that they were changed. Inside the caller's transaction."""
    tables.options.set(NODES, [str(node) for node in nodes])
    tables.options.set(ROAMING, roaming)
    tables.journal.append("profile", {"change": "nodes"}, now)
