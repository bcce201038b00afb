"""A node's folder: the same node after a restart, and one node at a time."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from store.store_helpers import run_python
from uzel.errors import ConfigError
from uzel.names import Fingerprint, NodeAddress
from uzel.store.known_nodes import KnownNode
from uzel.store.node_state import NodeState

A = Fingerprint(b"a" * 32)
NODE = NodeAddress("node.example", 8935)
OPEN = """
import pathlib, sys
from uzel.errors import ConfigError
from uzel.store.node_state import NodeState
try:
    NodeState.open(pathlib.Path(sys.argv[1])).close()
except ConfigError as error:
    print(error)
"""


def test_the_same_node_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "node"
    with NodeState.open(folder) as first:
        assert first.claims.claim(5, A, 1.0)
        first.known.answered(NODE, A, 2.0)
        first.known.set_pin(NODE, A)
    with NodeState.open(folder) as second:
        assert (second.known.all(), second.known.pin(NODE)) == ([KnownNode(NODE, A, 2.0)], A)
        assert second.identity.fingerprint == first.identity.fingerprint
        assert second.claims.owner(5) == A
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_second_node_is_refused(tmp_path: Path) -> None:
    with NodeState.open(tmp_path), pytest.raises(ConfigError, match="another node runs"):
        NodeState.open(tmp_path)
    state = NodeState.open(tmp_path)
    assert "another node runs on the state folder" in run_python(OPEN, tmp_path).stdout
    state.close()
    state.close()
    done = run_python(OPEN, tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_damaged_folder_is_refused_and_let_go(tmp_path: Path) -> None:
    NodeState.open(tmp_path).close()
    key = (tmp_path / "identity.pem").read_bytes()
    (tmp_path / "identity.pem").write_bytes(b"nonsense")
    with pytest.raises(ConfigError, match=r"identity\.pem"):
        NodeState.open(tmp_path)
    (tmp_path / "identity.pem").write_bytes(key)
    for name in ("claims.db", "known.db"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(b"nonsense" * 100)
        with pytest.raises(ConfigError, match=name):
            NodeState.open(tmp_path)
        (tmp_path / name).write_bytes(content)
    NodeState.open(tmp_path).close()


def test_notes_of_both_are_flushed(tmp_path: Path) -> None:
    with NodeState.open(tmp_path, bound=2, known_bound=2) as state:
        state.claims.claim(5, A, 1.0)
        state.claims.used(5, 2.0)
        state.known.answered(NODE, A, 2.0)
        state.flush()
        assert not state.claims._uses
        assert not state.known._notes


def test_a_folder_that_everyone_can_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="chmod 700"):
        NodeState.open(tmp_path)
