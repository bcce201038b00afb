"""A long text goes in parts that envelopes carry."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from uzel.faces.cli.core_sender import pieces


@given(st.text(alphabet="aя€😀\n", max_size=60), st.integers(4, 20))
def test_pieces_are_the_text_and_no_longer_than_they_may_be(text: str, most: int) -> None:
    found = list(pieces(text, most))
    assert "".join(found) == text
    assert all(len(piece.encode()) <= most for piece in found)
    assert all(found) or found == [""]
    assert all(len((one + two[0]).encode()) > most for one, two in pairwise(found))
