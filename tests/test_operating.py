"""docs/operating.md lists every event that a node logs, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EVENT = re.compile(r"\b(?:event|note|log_closed)\(\s*\"([a-z_]+)\"")


def test_the_events_listed_are_the_events_logged() -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "src" / "uzel" / "node").glob("*.py"))
    logged = {event for source in sources for event in EVENT.findall(source)}
    section = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8").partition("## Logs")[2].partition("\n## ")[0]
    rows = [line.split("|")[2] for line in section.splitlines() if line.startswith("| ")][2:]
    listed = {event for row in rows for event in re.findall(r"`([a-z_]+)`", row)}
    assert listed == logged
