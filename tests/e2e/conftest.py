"""Fixtures of the end-to-end tests: one stage for all cases of bad input, a world of raw nodes, a state folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.linked import Linked
from e2e.netns_processes import Field
from e2e.node_harness import known_state
from e2e.stage import Stage
from uzel.identity import Identity
from uzel.store.profile import Profile


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


@pytest.fixture
def linked(tmp_path: Path, known_identities: Path) -> Iterator[Linked]:
    """A node of one test among raw nodes, not started yet."""
    with Linked(tmp_path, known_identities) as world:
        yield world


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The profiles of some people, to be copied."""
    folder = tmp_path_factory.mktemp("people")
    for name in ("alice", "bob", "carol"):
        Profile.create(folder / name, Identity.generate()).close()
    return folder


@pytest.fixture
def field(tmp_path: Path, people: Path) -> Iterator[Field]:
    """A network of one test's own, with nothing on it yet."""
    with Field(tmp_path, people) as network:
        yield network
