"""The machines' tables: small, whole, and drawn as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from uzel.session.calls import CALLS_AWAY, NODE_CALLS, CallState
from uzel.session.control import CLIENT_CALLS, PeerCall, Step
from uzel.session.envelope_conversation import ARRIVALS, Arrival, PeerState

ROOT = Path(__file__).resolve().parents[2]


def test_the_drawings_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "tools" / "state_diagrams.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_tables_stay_small() -> None:
    assert len(NODE_CALLS) <= 40
    assert len(CALLS_AWAY) <= 40
    assert len(CLIENT_CALLS) <= 40
    assert len(ARRIVALS) <= 40


def test_every_state_is_reached_and_left() -> None:
    for states, first, rows in (
        (
            set(CallState),
            CallState.NONE,
            {(state, row.next) for (state, _), row in [*NODE_CALLS.items(), *CALLS_AWAY.items()]},
        ),
        (set(PeerCall), PeerCall.IDLE, {(state, row.next) for (state, _), row in CLIENT_CALLS.items()}),
    ):
        moves = {(state, following) for state, following in rows if state != following}
        assert {following for _, following in moves} == states
        assert {state for state, _ in moves} == states
        assert first in states


def test_every_step_of_a_client_is_used() -> None:
    assert {step for _, step in CLIENT_CALLS} == set(Step)


def test_whatever_arrives_has_an_outcome_until_the_end() -> None:
    missing = {(PeerState.MET, Arrival.LATE)}  # once met, no time passes
    assert (
        set(ARRIVALS) == {(state, came) for state in set(PeerState) - {PeerState.CLOSED} for came in Arrival} - missing
    )
    assert all((row.next is PeerState.CLOSED) == (row.reason is not None) for row in ARRIVALS.values())
