"""The documents keep what they promise: links lead somewhere, and commands and flags that they show exist."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from uzel.app.main import run

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    path
    for folder in (ROOT, ROOT / "docs", ROOT / "docs" / "decisions", ROOT / "bench")
    for path in folder.glob("*.md")
)
LINK = re.compile(r"\]\(([^()\s]+)\)")
COMMAND = re.compile(
    r"(?:^|[\s`/|(=])uzel ((?:node|identity|profile|contact|request|invite|config|completion) [a-z-]+"
    r"|listen|send|demo|run|web|start|status|stop|me|chats|history|search|doctor|export|read|draft|retention|cancel|retry|strangers)\b([^`\n#]*)",
    re.MULTILINE,
)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
DOCUMENT = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def prose(document: Path) -> str:
    """The text without its fenced blocks, in which brackets mean other things."""
    return re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(document: Path) -> set[str]:
    """The headings as links name them."""
    headings = re.findall(r"^#+ +(.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@cache
def options(command: str) -> frozenset[str]:
    """What `uzel COMMAND --help` names; fails when there is no such command."""
    with redirect_stdout(StringIO()) as said:
        assert run([*command.split(), "--help"]) == 0, f"uzel {command} does not exist"
    return frozenset(FLAG.findall(said.getvalue()))


def test_the_documents_are_found() -> None:
    assert {ROOT / "README.md", ROOT / "docs" / "security.md"} <= set(DOCUMENTS)


@DOCUMENT
def test_relative_links_lead_somewhere(document: Path) -> None:
    broken = []
    for target in LINK.findall(prose(document)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (document.parent / path).resolve() if path else document
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


@DOCUMENT
def test_the_commands_shown_exist_with_their_flags(document: Path) -> None:
    shown = [
        (command, flag)
        for command, rest in COMMAND.findall(document.read_text(encoding="utf-8"))
        for flag in ("--help", *FLAG.findall(rest))
    ]
    assert [f"uzel {command} {flag}" for command, flag in shown if flag not in options(command)] == []
