"""Nodes that were named once are remembered, and replaced by those that are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.client_world import ALICE, identity
from uzel.core.own_nodes import remembered_nodes
from uzel.errors import ConfigError
from uzel.names import NodeReference
from uzel.store.profile import Profile


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
