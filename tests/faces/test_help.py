"""Help comes at once and starts with examples."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from e2e.cli_harness import uzel


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
def test_help_starts_with_examples(command: str) -> None:
    outcome = uzel(*command.split(), "--help")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    usage, empty, example, *_ = outcome.stdout.splitlines()
    assert usage.startswith(f"Usage: uzel {command}".rstrip())
    assert empty == ""
    assert example.startswith(f"  uzel {command}".rstrip())


def test_help_loads_little_and_is_quick() -> None:
    loads = (
        "import sys; from uzel.app.main import run; code = run(['--help']);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr); sys.exit(code)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert not {"asyncio", "cryptography", "OpenSSL", "rich", "click", "msgspec", "httpx", "fastapi", "pydantic"} & set(
        done.stderr.split()
    )
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


def test_version() -> None:
    outcome = uzel("--version")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith("uzel 0.")
