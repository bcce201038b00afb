"""Options: typed, checked both ways, free to follow a better default."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import pytest

from store.message_tables import Database
from uzel.errors import ConfigError
from uzel.store.options import Option, Options


class Mode(StrEnum):
    ASK = "ask"
    REFUSE = "refuse"


MODE = Option("strangers", Mode, Mode.ASK)
COUNT = Option("most_requests", Annotated[int, msgspec.Meta(ge=1, le=10)], 5)
NODES: Option[tuple[str, ...]] = Option("nodes", tuple[str, ...], ())
SHARE = Option("share", float, 0.5)


@pytest.fixture
def options(db: Database) -> Options:
    return Options(db)


def test_defaults_hold_until_something_is_chosen(options: Options) -> None:
    assert (options.get(MODE), options.get(COUNT), options.get(NODES)) == (Mode.ASK, 5, ())
    assert options.set(MODE, "refuse") is Mode.REFUSE
    assert options.set(NODES, ["a", "б"]) == ("a", "б")
    assert options.get(MODE) is Mode.REFUSE
    assert options.get(NODES) == ("a", "б")
    assert options.get(COUNT) == 5
    assert options.chosen() == {"nodes": ["a", "б"], "strangers": "refuse"}
    assert options.set(MODE, Mode.ASK) is Mode.ASK
    assert options.get(MODE) is Mode.ASK
    assert options.reset(NODES)
    assert not options.reset(NODES)
    assert options.get(NODES) == ()
    assert options.chosen() == {"strangers": "ask"}


@pytest.mark.parametrize(
    ("option", "value"),
    [(MODE, "everyone"), (MODE, 1), (COUNT, 0), (COUNT, "3"), (COUNT, 2.5), (NODES, "a"), (SHARE, math.nan)],
)
def test_a_value_that_does_not_fit_is_named_and_not_kept(options: Options, option: Option[Any], value: object) -> None:
    with pytest.raises(ConfigError, match=option.name):
        options.set(option, value)
    assert options.chosen() == {}


@pytest.mark.parametrize("stored", ['"everyone"', "17", "not json", ""])
def test_what_another_version_wrote_is_named_and_not_guessed(options: Options, db: Database, stored: str) -> None:
    db.execute("INSERT INTO options VALUES ('strangers', ?)", (stored,))
    with pytest.raises(ConfigError, match="strangers"):
        options.get(MODE)
    options.set(MODE, Mode.REFUSE)
    assert options.get(MODE) is Mode.REFUSE
