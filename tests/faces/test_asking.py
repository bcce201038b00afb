"""What a person reads of a text: whose, how far it has come, and nothing of it is obeyed."""

from __future__ import annotations

from typing import Any

import pytest

from uzel.faces.cli.asking import text_line

TEXT: dict[str, Any] = {
    "chat": 5,
    "outgoing": True,
    "state": "delivered",
    "reason": None,
    "at": "2026-11-25T14:40:01.000Z",
}


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"text": "hi"}, "2026-11-25 14:40  you: hi"),
        ({"text": "hi", "state": "queued"}, "2026-11-25 14:40  you [queued]: hi"),
        ({"text": "hi", "state": "failed", "reason": "x\x1b"}, "2026-11-25 14:40  you [failed: x\\x1b]: hi"),
        ({"text": "a\nb\x1b[2J", "outgoing": False, "state": "received"}, "2026-11-25 14:40  5: a\n    b\\x1b[2J"),
    ],
)
def test_a_text(values: dict[str, Any], line: str) -> None:
    assert text_line({**TEXT, **values}) == line
