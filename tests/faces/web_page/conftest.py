"""Fixtures of the page's tests: one browser for all of them, and two people on two nodes who know one another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from faces.web_page.tour import furnish, tidy
from faces.web_page.town import Person, Town, chromium


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a screen. Its sandbox cannot be had as root, which tests may run as."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def town(tmp_path: Path, browser: Browser) -> Iterator[Town]:
    """Nothing in it yet."""
    with Town(tmp_path, browser) as made:
        yield made


@pytest.fixture(scope="package")
def old_town(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Town]:
    """One for tests that only look."""
    with Town(tmp_path_factory.mktemp("town"), browser) as made:
        yield made


@pytest.fixture(scope="package")
def old_neighbours(old_town: Town) -> tuple[Person, Person, int]:
    """Two who have talked, on two nodes, of whom the first has a request too; and a number that she cannot reach."""
    first = old_town.node()
    second = old_town.node(first.written)
    alice = old_town.person("Alice", first.written)
    bob = old_town.person("Bob", second.written)
    carol = old_town.person("Carol", second.written)
    nobody = furnish(alice, bob, carol)
    return alice, bob, nobody


@pytest.fixture
def neighbours(old_neighbours: tuple[Person, Person, int], old_town: Town) -> tuple[Person, Person, int]:
    """As they were, whatever tests before left."""
    old_town.close_windows()
    tidy(*old_neighbours)
    return old_neighbours


@pytest.fixture
def two_people(town: Town) -> tuple[Person, Person]:
    """Two people on two nodes, each with a core, who are done with the first run and know one another's keys."""
    first = town.node()
    second = town.node(first.written)
    alice, bob = town.person("Alice", first.written), town.person("Bob", second.written)
    for person, other in ((alice, bob), (bob, alice)):
        person.ready()
        person.knows(other)
    return alice, bob
