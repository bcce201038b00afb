"""Promise 1 under faults: a short script of every kind of fault, and the checkers and the script themselves.

The long run is `make chaos`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.checks import Answer, Kept, Said, delivered_ids, of_a_look, of_one_way, received_ids
from chaos.play import Plan, play
from chaos.schedule import Kind, draw

SEED = 4
COUNT = 6


@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
# the HTTP library leaves its socket to the collector when a core ends between our knock and its connection
@pytest.mark.timeout(300)  # some fifteen processes that are broken on purpose, on a busy machine
def test_nothing_is_lost_whatever_breaks(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    report = play(Plan(seed=SEED, seconds=15.0, longest=1.2, texts=120), tmp_path)
    record_property("summary", "\n".join(report.lines()))
    assert report.found == []
    assert json.loads(json.dumps(report.values()))["found"] == []
    assert set(report.broken) == set(Kind)
    assert min(report.arrived.values()) > 100


def test_a_seed_is_a_script() -> None:
    assert draw(7, 600.0, 12.0) == draw(7, 600.0, 12.0) != draw(8, 600.0, 12.0)
    acts = draw(7, 600.0, 12.0)
    assert sum(act.seconds for act in acts) >= 600
    assert all(len({fault.kind for fault in act.faults}) == len(act.faults) for act in acts)
    assert {fault.kind for act in draw(9, 0.0, 1.0) for fault in act.faults} == set(Kind)


# -- Whether the checkers see anything ----------------------------------------------------------------------------

SAID = [Said(f"text {number}", Answer.ACCEPTED) for number in range(COUNT)]
OURS = [Kept(10 + number, True, f"{number:032x}", f"text {number}", "delivered") for number in range(COUNT)]
THEIRS = [Kept(20 + number, False, f"{number:032x}", f"text {number}", "received") for number in range(COUNT)]


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    silence = [*SAID, Said("nobody answered", Answer.NOTHING), Said("no room", Answer.REFUSED)]
    assert of_one_way(silence, OURS, THEIRS) == []
    queued = Kept(16, True, "f" * 32, "nobody answered", "delivered")
    came = Kept(26, False, "f" * 32, "nobody answered", "received")
    assert of_one_way(silence, [*OURS, queued], [*THEIRS, came]) == []
    assert of_one_way(SAID, [*OURS, *THEIRS], [*OURS, *THEIRS]) == []  # each history holds both directions


def _swapped(texts: list[Kept]) -> list[Kept]:
    first, second, *others = texts
    return [replace(first, number=second.number), replace(second, number=first.number), *others]


@pytest.mark.parametrize(
    ("ours", "theirs", "found"),
    [
        (OURS, THEIRS[1:], "accepted, and not in the receiver's history: text 0"),
        (OURS, THEIRS[1:], "marked delivered, and not with the receiver: text 0"),
        (OURS[1:], THEIRS, "accepted, and not in the sender's history: text 0"),
        (OURS, _swapped(THEIRS), "out of order in the receiver's history: text 1 before text 0"),
        (_swapped(OURS), THEIRS, "out of order in the sender's history: text 1 before text 0"),
        (OURS, [*THEIRS, replace(THEIRS[2], number=30)], "more than once in the receiver's history: text 2"),
        ([replace(OURS[0], state="sending"), *OURS[1:]], THEIRS, "and not marked delivered: text 0 is sending"),
        ([replace(OURS[0], state="queued"), *OURS[1:]], THEIRS[1:], "and never delivered: text 0 is queued"),
        ([replace(OURS[0], state="failed"), *OURS[1:]], THEIRS[1:], "and never delivered: text 0 is failed"),
        (OURS, [*THEIRS, replace(THEIRS[0], number=30, text="text X")], "never said, and in the receiver's history"),
        (OURS, [replace(THEIRS[0], text="text 0 ∎"), *THEIRS[1:]], "accepted, and not in the receiver's history"),
    ],
)
def test_a_planted_fault_is_found(ours: list[Kept], theirs: list[Kept], found: str) -> None:
    assert any(found in each for each in of_one_way(SAID, ours, theirs))


def test_what_was_refused_must_not_arrive() -> None:
    said = [replace(SAID[0], answer=Answer.REFUSED), *SAID[1:]]
    assert any("refused, and in the receiver's history: text 0" in each for each in of_one_way(said, OURS, THEIRS))


def test_a_look_in_the_middle_finds_what_is_marked_and_not_there() -> None:
    assert of_a_look(delivered_ids(OURS), received_ids(THEIRS)) == []
    assert of_a_look(delivered_ids([replace(OURS[0], state="sending"), *OURS[1:]]), received_ids(THEIRS[1:])) == []
    assert of_a_look(delivered_ids(OURS), received_ids(THEIRS[1:])) != []
