"""Nodes that were named once are remembered, and replaced by those that are named; a stopgap goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.client_world import ALICE, identity
from uzel.core.own_nodes import NODES, STOPGAP, remember_nodes, remembered_nodes
from uzel.errors import ConfigError
from uzel.names import NodeReference
from uzel.store.options import Options
from uzel.store.profile import Profile
from uzel.store.tables import Tables


def test_nodes_are_remembered(tmp_path: Path) -> None:
    folder = tmp_path / "alice"
    one, two = NodeReference.parse(f"a.example,{identity(ALICE).fingerprint}"), NodeReference.parse("[::1]:9000")
    with Profile.create(folder, identity(ALICE)) as profile:
        with pytest.raises(ConfigError, match="--node"):
            remembered_nodes(profile, [])
        assert remembered_nodes(profile, [one, two]) == [one, two]
    with Profile.open(folder) as profile:
        assert remembered_nodes(profile, []) == [one, two]
        assert remembered_nodes(profile, [two]) == [two]
    with Profile.open(folder) as profile:
        assert remembered_nodes(profile, []) == [two]


def test_a_stopgap_is_used_only_as_long_as_no_other_node_is_named(tmp_path: Path) -> None:
    private, one, two = (NodeReference.parse(text) for text in ("127.0.0.1:9001", "127.0.0.1:9003", "a.example"))
    with Profile.create(tmp_path / "alice", identity(ALICE)) as profile, profile.transaction() as db:
        Options(db).set(STOPGAP, str(private.address))
        tables = Tables(db)
        for named, used in (
            ([private], [private]),
            ([private, one], [one]),
            ([two, private, one, two], [two, one]),
            ([private, private], [private]),
        ):
            assert remember_nodes(tables, named, 1, roaming=False) == tuple(used)
            assert tables.options.get(NODES) == [str(node) for node in used]
