"""Tables and quantities as a person reads them; nothing in them is obeyed by a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uzel.faces.cli.table import duration, facts, size, table


def test_columns_are_aligned() -> None:
    rows = [["node.example:8935", "7", "up"], ["[::1]:1", "1234", ""]]
    assert table(["address", "n", "state"], rows, right=frozenset({"n"})) == [
        "address               n  state",
        "node.example:8935     7  up",
        "[::1]:1            1234",
    ]
    assert table(["address", "n"], []) == ["address  n"]


def test_facts_are_aligned() -> None:
    assert facts([("version", "1"), ("running for", "2 s")]) == ["version      1", "running for  2 s"]


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=4))
def test_each_row_is_one_safe_line(rows: list[list[str]]) -> None:
    lines = table(["a", "b"], rows) + facts([("a", row[0]) for row in rows] or [("a", "")])
    assert all(len(line.splitlines()) <= 1 for line in lines)
    assert not any(character < " " or "\x7f" <= character < "\xa0" for line in lines for character in line)


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024 * 1024, "1.0 MiB"),
        (5 * 2**40, "5.0 TiB"),
        (5 * 2**50, "5120.0 TiB"),
    ],
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (90_061, "1 d 1 h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
