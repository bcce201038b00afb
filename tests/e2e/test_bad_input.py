"""Bad input that a node must meet with calm (issue 2): every case, on the stage that compares with before.

The cases stand in `cases_*.py`; what each demands beyond its own assertions is said in `stage.py`.
"""

from __future__ import annotations

import pytest

from e2e import cases_hello
from e2e.stage import SETUPS, Case, Stage

ORDER = list(SETUPS)
CASES = sorted([*cases_hello.CASES], key=lambda case: ORDER.index(case.node))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "_"))
def test_calm(stage: Stage, case: Case) -> None:
    stage.play(case)
