"""The policy of links walked whole over real sockets: each of the 25 codes, at each step of a call over the link.

What no node may say there ends the link under MISPLACED_MESSAGE, unanswered; with it its calls and conversation end,
and our client stays online. What a node may say is answered as section 5 says, and changes nothing for others.
"""

from __future__ import annotations

from itertools import product

import pytest

from e2e.cases_links import CODES_OF_LINKS
from e2e.cases_links_calls import STEPS, reach
from e2e.linked import ALICE
from e2e.raw_client import VALID_TAILS, Message, RawClient, pair, u32
from e2e.raw_link import RawLink, address_bytes, found_in_cache
from e2e.stage import Scene, Stage, ended
from uzel.errors import Reason

MUST_NOT_SAY = tuple(code for code in VALID_TAILS if code not in CODES_OF_LINKS)
SETUP = dict.fromkeys(STEPS, "links") | {"searching": "links found"}
"""What is to be answered in the end has more time to be answered in."""
TOLD = {"ready", "ringing", "accepted"}
"""Steps at which our client is told 05 when the link is lost; looking on elsewhere comes before that."""
NOBODY = pair(7, 8)
SAID: dict[int, bytes] = {**VALID_TAILS, 0xA9: found_in_cache(7, address_bytes("0.0.0.0", 1))}
ANSWERS: dict[int, list[Message]] = {
    0x68: [(0x69, b"rr")], 0x69: [], 0x90: [(0xA4, b"\0\0")], 0xA2: [], 0xA4: [], 0xA5: [], 0xA8: [], 0xA9: [],
    0xAA: [(0xB8, NOBODY)], 0xAB: [(0xB8, NOBODY)], 0xB8: [], 0xD0: [(0xB8, NOBODY)],
}  # fmt: skip
"""What comes back for messages that name the users 7 and 8 of nobody: the same at every step."""


def names(value: str | int) -> str:
    return f"{value:02X}" if isinstance(value, int) else value.replace(" ", "_")


@pytest.mark.parametrize(("step", "code"), [*product(STEPS, MUST_NOT_SAY)], ids=names)
def test_what_must_not_be_said_ends_the_link(stage: Stage, step: str, code: int) -> None:
    with stage.scene("links", Reason.MISPLACED_MESSAGE) as scene:
        alice, link, data = reach(step, scene)
        link.send(code, VALID_TAILS[code])
        assert link.ended() == []
        if data is not None:
            assert ended(data) == b""
        if step in TOLD:
            alice.expect(0x05, u32(scene.bob))
        assert {code for code, _ in alice.sync()} <= {0x05}


@pytest.mark.parametrize("step", STEPS, ids=names)
def test_what_names_nobody_changes_nothing(stage: Stage, step: str) -> None:
    with stage.scene(SETUP[step]) as scene:
        alice, link, data = reach(step, scene)
        for code in CODES_OF_LINKS:
            link.sync()
            before = len(link.heard)
            link.send(code, SAID[code])
            link.settle()
            answers = [message for message in link.heard[before:] if not is_pong(message) or message == (0x69, b"rr")]
            assert answers == ANSWERS[code], f"{code:02X}"
        assert alice.sync() == []
        link.sync()
        goes_on(step, scene, alice, link)
        if data is not None:
            data.send(b"there")
            link.settle()


def is_pong(message: Message) -> bool:
    return message[0] == 0x69


def goes_on(step: str, scene: Scene, alice: RawClient, link: RawLink) -> None:
    """The call is where it was: its next message is taken."""
    if step == "asked":
        link.call_ready(ALICE.uin, scene.bob)
        alice.expect(0x07, u32(scene.bob))
    elif step == "ringing":
        alice.accept(scene.bob)
        alice.data(scene.bob, ALICE.uin)
        link.expect(0xAB, pair(scene.bob, ALICE.uin))
    elif step == "searching":
        link.found_here(scene.bob)
        link.expect(0xAA, pair(ALICE.uin, scene.bob))
