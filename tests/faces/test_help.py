"""Help loads little and starts with examples."""

from __future__ import annotations

import subprocess
import sys

import pytest

from e2e.cli_harness import UZEL, uzel
from uzel.app.main import run


@pytest.mark.parametrize(
    "command",
    [
        "",
        "identity",
        "identity new",
        "identity show",
        "profile",
        "profile backup",
        "profile restore",
        "profile passphrase",
        "profile check",
        "start",
        "status",
        "stop",
        "config",
        "config show",
        "config set",
        "completion",
        "export",
        "read",
        "draft",
        "retention",
        "cancel",
        "retry",
        "strangers",
        "contact agree",
        "doctor",
        "me",
        "chats",
        "history",
        "search",
        "contact",
        "contact add",
        "contact verify",
        "contact accept-key",
        "request list",
        "invite new",
        "listen",
        "send",
        "demo",
        "node",
        "node run",
        "node status",
        "node peers",
    ],
)
def test_help_starts_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = run([*command.split(), "--help"])
    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    usage, empty, example, *_ = said.out.splitlines()
    assert usage.startswith(f"Usage: uzel {command}".rstrip())
    assert empty == ""
    assert example.startswith(f"  uzel {command}".rstrip())


def test_help_loads_little() -> None:
    loads = (
        "import sys; from uzel.app.main import run; code = run(['--help']);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert not loaded & {
        "asyncio", "cryptography", "OpenSSL", "rich", "click", "msgspec", "httpx", "fastapi", "pydantic",
    }  # fmt: skip


def test_version() -> None:
    outcome = uzel("--version")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith("uzel 0.")


def test_a_full_disk_behind_the_help_is_said() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*UZEL, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, "No space left" in done.stderr) == (1, True)
    assert "defect" not in done.stderr
