"""What is printed: safe for a terminal, whole for a program."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uzel.faces.cli.output import json_line, printable, rfc3339


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, щ, 😀", "plain, щ, 😀"),
        ("\x1b[2J\x07\x7f\x9b", "\\x1b[2J\\x07\\x7f\\x9b"),
        ("a\r\nb\nc\td\re", "a\n    b\n    c\td\\re"),
        ("\u202eevil\u2066\u200e", "\\u202eevil\\u2066\\u200e"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("می\u200cخواهم 👩\u200d👧", "می\u200cخواهم 👩\u200d👧"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_a_json_line_is_one_line_and_reads_back(text: str) -> None:
    line = json_line({"text": text})
    assert json.loads(line) == {"text": text}
    assert len(line.splitlines()) == 1
    assert line.endswith("\n")
    assert not any(character < " " or "\x7f" <= character < "\xa0" for character in line[:-1])


def test_times_are_utc_to_the_millisecond() -> None:
    at = datetime(2024, 5, 6, 7, 8, 9, 123_987, tzinfo=timezone(timedelta(hours=3)))
    assert rfc3339(at) == "2024-05-06T04:08:09.123Z"
    assert rfc3339(datetime(2024, 5, 6, tzinfo=UTC)) == "2024-05-06T00:00:00.000Z"
