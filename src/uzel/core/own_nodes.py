"""Which nodes a core uses: those that were named when it was started, remembered in the profile.

Rules: what is named replaces what was remembered; who names none gets what was. A stopgap, at which nobody else is,
goes as soon as another node is named: who fell back to it would seem online, and could be reached by no one.
Counterparts: `uzel.app.core_command`; `uzel.app.run`, whose private node is a stopgap.
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

STOPGAP: Option[str] = Option("stopgap_node", str, "")
"""The address of a node that is used only as long as no other is named; "" is none."""


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


def remember_nodes(
    tables: Tables, nodes: Sequence[NodeReference], now: int, *, roaming: bool
) -> tuple[NodeReference, ...]:
    """Remember these, each once and without a stopgap beside others, and tell that they were changed; returns what is
    to be used. Inside the caller's transaction.
    """
    used = without_stopgap(nodes, tables.options.get(STOPGAP))
    tables.options.set(NODES, [str(node) for node in used])
    tables.options.set(ROAMING, roaming)
    tables.journal.append("profile", {"change": "nodes"}, now)
    return used


def without_stopgap(nodes: Sequence[NodeReference], stopgap: str) -> tuple[NodeReference, ...]:
    """These, each once; of the stopgap and others, the others."""
    return tuple(dict.fromkeys(node for node in nodes if str(node.address) != stopgap)) or tuple(dict.fromkeys(nodes))
