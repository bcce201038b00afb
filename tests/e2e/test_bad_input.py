"""Bad input that a node must meet with calm (issues 2 and 3): every case, on the stage that compares with before.

The cases stand in `cases_*.py`; what each demands beyond its own assertions is said in `stage.py`.
"""

from __future__ import annotations

import pytest

from e2e import (
    cases_bounds,
    cases_calls,
    cases_hello,
    cases_links,
    cases_links_addresses,
    cases_links_calls,
    cases_links_floods,
)
from e2e.stage import SETUPS, Case, Stage
from uzel.errors import Reason

ORDER = list(SETUPS)
TABLES = (
    cases_hello.CASES,
    cases_calls.CASES,
    cases_bounds.CASES,
    cases_links.CASES,
    cases_links_addresses.CASES,
    cases_links_calls.CASES,
    cases_links_floods.CASES,
)
CASES = sorted((case for table in TABLES for case in table), key=lambda case: ORDER.index(case.node))

ELSEWHERE = {
    Reason.NODE_STOPPING: "test_node_calls.py",
    Reason.DESCRIPTORS_EXHAUSTED: "test_bad_input_process.py",
    Reason.NODE_KEY_CHANGED: "test_links_addresses.py",
    Reason.RANGE_REFUSED: "net/test_dial.py",
}
"""Reasons of a node whose cases need a node, or a network, of their own."""
NOT_A_NODES = {
    Reason.TEXT_NOT_UTF8: "texts are read end to end only",
    Reason.PEER_WRONG_UIN: "end to end",
    Reason.PEER_KEY_CHANGED: "end to end",
    Reason.FIRST_BYTE_TIMEOUT: "end to end",
    Reason.LOGIN_TIMEOUT: "a client waits for its pong",
    **dict.fromkeys(
        (
            Reason.HELLO_MISSING,
            Reason.ENVELOPE_MALFORMED,
            Reason.ENVELOPE_REJECTED,
            Reason.DOWNGRADED,
            Reason.NOT_LET_IN,
        ),
        "end to end, in the core (core/test_core_reasons)",
    ),
    **dict.fromkeys(
        (
            Reason.FOREIGN_HOST,
            Reason.FOREIGN_ORIGIN,
            Reason.UNAUTHORIZED,
            Reason.ONE_TIME_USED,
            Reason.ONLY_AT_HOME,
            Reason.RATE_LIMITED,
            Reason.REQUEST_MALFORMED,
        ),
        "the page's door (faces/web/test_page_door, test_page_share)",
    ),
}
"""Reasons that only a client or the page meets, and why."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "_"))
def test_calm(stage: Stage, case: Case) -> None:
    stage.play(case)


def test_every_reason_of_a_node_has_a_case() -> None:
    produced = {reason for case in CASES for reason in case.reasons}
    assert produced | set(ELSEWHERE) | set(NOT_A_NODES) == set(Reason)
    assert not produced & set(NOT_A_NODES)


def test_no_two_cases_share_a_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
