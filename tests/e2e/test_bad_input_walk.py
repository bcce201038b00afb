"""The policy walked whole over real sockets: each of the 25 codes, in each state of a logged-in client.

First bytes on either port are walked in `cases_hello.py`. Here: what a client may not say ends its control connection
under MISPLACED_MESSAGE, unanswered, its call in set-up ends for the other side, and its conversation lives on. What it
may say is answered as sections 3 and 4 say, first with UINs of nobody, then with that of the other in the call.
"""

from __future__ import annotations

from itertools import product

import pytest

from e2e.cases_calls import reach
from e2e.raw_client import VALID_TAILS, Message, RawClient, u32
from e2e.stage import Scene, Stage
from uzel.errors import Reason

MAY_SAY = (0x03, 0x06, 0x08, 0x68, 0x69, 0x90)
MUST_NOT_SAY = tuple(code for code in VALID_TAILS if code not in MAY_SAY)
STEPS = ("no call", "ringing", "held", "accepted", "ready", "relaying")
STATES = [*product(STEPS, ("caller", "callee"))]
ANSWERS: dict[int, list[Message]] = {
    0x03: [(0x05, u32(7))], 0x06: [(0x05, u32(7))], 0x08: [], 0x68: [(0x69, b"rr")], 0x69: [], 0x90: [(0xA4, b"\0\0")],
}  # fmt: skip
"""What comes back for `VALID_TAILS`, which name nobody: the same in every state."""


def names(state: tuple[str, str] | tuple[str, str, int]) -> str:
    return "-".join(f"{part:02X}" if isinstance(part, int) else part.replace(" ", "_") for part in state)


class Position:
    """The client that speaks, the other, and the conversation if there is one."""

    def __init__(self, scene: Scene, step: str, role: str) -> None:
        if step == "no call":
            caller, callee = scene.pair()
            self.data = None
        else:
            caller, callee, ours, theirs = reach(step, scene)
            self.data = (ours, theirs) if ours and theirs else None
        self.speaker, self.other = (caller, callee) if role == "caller" else (callee, caller)

    def talks(self) -> None:
        """The conversation goes on, if there is one."""
        if self.data is not None:
            ours, theirs = self.data
            ours.send(b"there")
            assert theirs.receive() == b"there"


@pytest.mark.parametrize("state", [(*state, code) for state, code in product(STATES, MUST_NOT_SAY)], ids=names)
def test_what_must_not_be_said_closes(stage: Stage, state: tuple[str, str, int]) -> None:
    step, role, code = state
    with stage.scene("plain", Reason.MISPLACED_MESSAGE) as scene:
        position = Position(scene, step, role)
        position.speaker.send(code, VALID_TAILS[code])
        assert position.speaker.ended() == []
        if step not in {"no call", "relaying"}:
            position.other.expect(0x05, u32(position.speaker.uin))
        position.talks()
        assert position.other.sync() == []


@pytest.mark.parametrize("state", STATES, ids=names)
def test_what_names_nobody_changes_nothing(stage: Stage, state: tuple[str, str]) -> None:
    with stage.scene() as scene:
        position = Position(scene, *state)
        for code in MAY_SAY:
            position.speaker.send(code, VALID_TAILS[code])
            assert position.speaker.sync() == ANSWERS[code]
        position.talks()
        assert position.other.sync() == []


def told(client: RawClient, other: RawClient) -> list[int]:
    """The codes that this client was sent; each must name the other."""
    messages = client.sync()
    assert all(tail == u32(other.uin) for _, tail in messages)
    return [code for code, _ in messages]


NOTHING: tuple[list[int], list[int]] = ([], [])
LATE = ([0x05], list[int]())
IN_SET_UP = {
    ("caller", 0x03): NOTHING,
    ("caller", 0x06): LATE,
    ("caller", 0x08): NOTHING,
    ("callee", 0x03): NOTHING,
    ("callee", 0x06): NOTHING,
    ("callee", 0x08): ([], [0x05]),
}
OUTCOMES: dict[tuple[str, str, int], tuple[list[int], list[int]]] = {
    **{("no call", role, 0x03): ([], [0x04]) for role in ("caller", "callee")},
    **{("no call", role, 0x06): LATE for role in ("caller", "callee")},
    **{("no call", role, 0x08): NOTHING for role in ("caller", "callee")},
    **{(step, *say): outcome for step in ("ringing", "accepted", "ready") for say, outcome in IN_SET_UP.items()},
    **{("held", *say): outcome for say, outcome in IN_SET_UP.items()},
    ("held", "callee", 0x06): ([], [0x07]),
    **{("relaying", role, 0x03): ([], [0x04]) for role in ("caller", "callee")},
    **{("relaying", role, 0x06): LATE for role in ("caller", "callee")},
    **{("relaying", role, 0x08): NOTHING for role in ("caller", "callee")},
}
"""State and what is said of the other → the codes sent to the speaker, and to the other."""


@pytest.mark.parametrize("state", OUTCOMES, ids=names)
def test_what_may_be_said_of_the_other(stage: Stage, state: tuple[str, str, int]) -> None:
    step, role, code = state
    with stage.scene() as scene:
        position = Position(scene, step, role)
        position.speaker.send(code, u32(position.other.uin))
        to_speaker, to_other = OUTCOMES[state]
        assert told(position.speaker, position.other) == to_speaker
        assert told(position.other, position.speaker) == to_other
        if code != 0x03:
            position.talks()
