"""`make bench` works from end to end. No time is asserted: machines are shared and noisy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "bench" / "run.py"


@pytest.mark.timeout(150)
def test_a_quick_bench_measures_everything(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    subprocess.run([sys.executable, str(BENCH), "--quick", "--out", str(out)], check=True, timeout=140)
    measures = json.loads(out.read_text())["measures"]
    assert {"logins, known keys", "idle clients", "texts, 1 pair", "relay"} <= set(measures)
    assert {"texts, one node and two", "library stream, one node and two"} <= set(measures)
    assert {"cores, text → delivered, one node", "cores, text → delivered, two nodes"} <= set(measures)
    assert {"a core's start, s", "an idle core", "a text to its event, ms", "search in 2,000 texts"} <= set(measures)
    assert {"the page's weight, kB", "the page, load → first letter, ms", "the page, a text, ms"} <= set(measures)
    assert measures["the page, scrolling 200 texts"]["most rows"] <= [200]
    assert "in the cache, ms" in measures["calls across nodes, 03 to 07"]
    lost_in_noise = measures["idle clients"].pop("KiB a client, after the first")  # of so few it may be below nothing
    assert len(lost_in_noise) == 1
    assert all(value > 0 for figures in measures.values() for turns in figures.values() for value in turns)
