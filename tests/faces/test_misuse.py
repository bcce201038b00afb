"""What was mistyped is named, with a suggestion; nothing goes to stdout, and it is never called a defect."""

from __future__ import annotations

import pytest

from e2e.cli_harness import uzel


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lisen",), "Did you mean 'listen'"),
        (("node", "rum"), "Did you mean 'run'"),
        (("listen", "--jsn"), "--json"),
        (("send", "5", "-hello"), "A text that begins with a dash goes after --"),
        (("send", "5"), "Missing argument"),
        (("send", "5", "hi", "--timeout", "nan"), "--timeout"),
        (("send", "5", "hi", "--timeout", "0"), "--timeout"),
        (("send", "5", "hi", "--wait", "sent"), "delivered"),
        (("listen", "--accept", "some"), "contacts"),
        ((), "uzel identity new"),
        (("identity",), "uzel identity show"),
    ],
    ids=str,
)
def test_misuse(arguments: tuple[str, ...], words: str) -> None:
    done = uzel(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "defect" not in done.stderr
