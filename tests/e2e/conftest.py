"""Fixtures of the end-to-end tests: one stage for all cases of bad input, and a state folder for its nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.node_harness import known_state
from e2e.stage import Stage


@pytest.fixture(scope="session")
def known_identities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node's state folder with claims of the raw identities in it."""
    path = tmp_path_factory.mktemp("known") / "state"
    known_state(path)
    return path


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, known_identities: Path) -> Iterator[Stage]:
    """Plays cases; compares descriptors, tasks, timers, calls and registry with before, each time."""
    stage = Stage(tmp_path_factory.mktemp("stage"), known_identities)
    yield stage
    stage.clear()
