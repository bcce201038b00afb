"""`make cost` writes a page and a picture that can be read. No figure is judged."""

from __future__ import annotations

import subprocess
import sys
from math import isfinite
from pathlib import Path
from xml.etree import ElementTree as ET

COST = Path(__file__).parent.parent / "bench" / "cost.py"


def test_the_page_sets_each_server_beside_the_node(tmp_path: Path) -> None:
    program = [sys.executable, str(COST), "--turns", "1", "--users", "20", "--seconds", "0.1", "--into", str(tmp_path)]
    subprocess.run(program, check=True, timeout=50, capture_output=True)
    page = (tmp_path / "cost.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    assert rows[0] == ["what", "unit", "Uzel", "Prosody", "ejabberd"]
    assert [row[0] for row in rows[2:]] == ["1,000 users online", "1,000 logins", "1,000 texts", "1 GB of streams"]
    assert all(isfinite(float(cell)) for row in rows[2:5] for cell in row[2:])
    assert rows[5][3:] == ["–", "–"]
    bars = [part for part in ET.parse(tmp_path / "cost.svg").iter() if part.tag.endswith("rect")]
    assert len(bars) == 1 + 2 * 3
