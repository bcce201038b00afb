"""What was mistyped is named, with a suggestion; nothing goes to stdout, and it is never called a defect."""

from __future__ import annotations

from pathlib import Path

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
        (("identity", "new", "--profile", ""), "'--profile'"),
        (("node", "run", "--listen", "127.0.0.1:0", "--state", ""), "'--state'"),
        ((), "uzel identity new"),
        (("identity",), "uzel identity show"),
    ],
    ids=str,
)
def test_misuse(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = uzel(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "defect" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["status", "start", "send 5 hi", "doctor"])
def test_where_there_is_no_profile_one_is_told_how_to_make_one(tmp_path: Path, command: str) -> None:
    done = uzel(*command.split(), env={"XDG_DATA_HOME": str(tmp_path)})
    assert done.returncode == 1
    assert "Make one with uzel identity new --profile DIR, or let uzel run make one." in done.stdout + done.stderr
