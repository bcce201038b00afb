"""The simulation behind `make scale`, on a small scale: it holds together, and so does what it says."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

BENCH = Path(__file__).parent.parent / "bench"
NODES, PEOPLE, SECONDS = 10, 600, 400.0


@pytest.fixture(autouse=True)
def _bench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))


def test_every_call_is_answered_and_a_search_stays_cheap() -> None:
    from scale import simulate
    from scale_people import Habits

    result = simulate(NODES, PEOPLE, SECONDS, 3, habits=Habits(calls=6.0, failing=3.0, moving=0.5), warm_up=90.0)
    counts, messages = result["counts"], result["messages a search"]
    assert counts["searches"] > 100
    assert counts["nodes went"] > 0
    assert counts["unanswered for 150 s"] == 0
    assert counts["unavailable though online"] <= counts["searches"] * 0.05
    assert messages["A5"] < NODES - 1
    assert messages["search, hints, dials"] < 40
    assert sum(result["answered, %"].values()) == pytest.approx(100, abs=1)
    assert result["answered, %"]["cache"] > 0
    assert result["answered, %"]["hint"] > 0
    assert max(result["ms to ready"]["most"], result["ms to unavailable"]["most"]) <= 150_000


def test_the_same_seed_gives_the_same_run() -> None:
    from scale import simulate

    def run() -> dict[str, dict[str, float]]:
        result = simulate(5, 60, 200.0, 7, warm_up=60.0)
        del result["simulation"]["CPU s"], result["simulation"]["process, MiB"]
        return result

    assert run() == run()


def test_plain_ask_everyone_asks_everyone_and_is_as_reckoned() -> None:
    from scale import run_plain
    from scale_figures import plain_figures

    result = run_plain(6, 300, 300.0, 5)
    counts = result["counts"]
    assert result["answered, %"]["cache"] == result["answered, %"]["hint"] == 0
    offline = counts["for somebody offline"] / counts["searches"]
    reckoned = plain_figures(6, offline, counts["searches"], 300.0)
    assert result["messages a search"]["search"] == pytest.approx(reckoned["search"], rel=0.1)


def test_what_does_not_fit_is_left_out_and_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import scale

    monkeypatch.setattr(scale, "MOST_MEMORY", 1)
    results = scale.measure([2], 10, 10.0, 1)
    assert "left out" in results["2"]
    assert "left out" in capsys.readouterr().out


def test_the_picture_is_drawn() -> None:
    from scale import measure
    from scale_plot import draw

    result = {"people": 200, "seconds": 120.0, "seed": 1, "nodes": measure([3, 5], 200, 120.0, 1)}
    root = ET.fromstring(draw(result))
    assert root.tag.endswith("svg")
    assert any("ask everyone" in (element.text or "") for element in root.iter())
