"""Bad input between nodes: calls and data that belong to nobody or to others, and nodes that answer falsely."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from itertools import product

from e2e.linked import ALICE, CAROL, called_in, called_out, connected_in, connected_out, meet
from e2e.raw_client import (
    Closed,
    Conversation,
    RawClient,
    Tcp,
    handshake_together,
    pair,
    u32,
)
from e2e.raw_identity import lying
from e2e.raw_link import RawLink
from e2e.stage import CaseTable, Scene, ended
from uzel.errors import Reason

CASES = CaseTable()


# -- Calls and data that belong to nobody, or to others -----------------------------------------------------------


@CASES.case(Reason.NO_CONVERSATION, node="links")
def data_for_no_conversation(scene: Scene) -> None:
    """B8 with its two UINs as they came."""
    alice, link = scene.login(ALICE), scene.link(1)
    for sender, recipient in ((7, 8), (0, 0), (scene.bob, ALICE.uin), (ALICE.uin, scene.bob), (ALICE.uin, ALICE.uin)):
        link.relayed(sender, recipient, b"x")
        link.expect(0xB8, pair(sender, recipient))
    assert alice.sync() == link.sync() == []


@CASES.case(Reason.NO_CONVERSATION, node="links")
def data_for_another_links_conversation(scene: Scene) -> None:
    alice, link, liar = scene.login(ALICE), scene.link(1), scene.link(2)
    out, stream = connected_out(alice, scene.bob, link)
    back, into = connected_in(link, scene.dave, alice)
    for other in (scene.bob, scene.dave):
        liar.relayed(other, ALICE.uin, b"false")
        liar.expect(0xB8, pair(other, ALICE.uin))
    meet(out, stream)
    meet(into, back)


@CASES.case(Reason.NO_CONVERSATION, node="links")
def data_from_the_wrong_sender(scene: Scene) -> None:
    """From our user, and from one who is not in the conversation."""
    alice, link = scene.login(ALICE), scene.link(1)
    called_in(link, scene.bob, alice)
    alice.accept(scene.bob)
    data = alice.data(scene.bob, ALICE.uin)
    link.expect(0xAB)
    for sender, recipient in ((ALICE.uin, scene.bob), (scene.dave, ALICE.uin)):
        link.relayed(sender, recipient, b"false")
        link.expect(0xB8, pair(sender, recipient))
    link.relayed(scene.bob, ALICE.uin, b"true")
    assert data.receive() == b"true"


@CASES.case(Reason.NO_CONVERSATION, node="links")
def answers_to_calls_never_asked(scene: Scene) -> None:
    alice, link = scene.login(ALICE), scene.link(1)
    for caller, callee in ((7, 8), (0, 0), (ALICE.uin, scene.bob), (scene.bob, ALICE.uin)):
        link.call_ready(caller, callee)
        link.expect(0xB8, pair(caller, callee))
    called_in(link, scene.bob, alice)
    link.call_ready(scene.bob, ALICE.uin)
    assert alice.sync() == []


@CASES.case(Reason.OTHER_LINK, node="links")
def answers_from_another_link(scene: Scene) -> None:
    alice, link, liar = scene.login(ALICE), scene.link(1), scene.link(2)
    called_out(alice, scene.bob, link)
    liar.call_ready(ALICE.uin, scene.bob)
    assert alice.sync() == liar.sync() == link.sync() == []


STEPS = ("searching", "asked", "ready", "relaying", "ringing", "accepted", "answered", "relaying back", "fenced")


def reach(step: str, scene: Scene) -> tuple[RawClient, RawLink, Tcp | None]:
    """A call between Alice, who is here, and Bob, who is behind a link, at this step; her data connection."""
    alice, link = scene.login(ALICE), scene.link(1)
    if step == "searching":
        alice.call(scene.bob)
        link.expect(0xA5)
    elif step in {"asked", "ready"}:
        called_out(alice, scene.bob, link)
        if step == "ready":
            link.call_ready(ALICE.uin, scene.bob)
            alice.expect(0x07)
    elif step == "relaying":
        return alice, link, connected_out(alice, scene.bob, link)[0]
    elif step in {"relaying back", "fenced"}:
        _, data = connected_in(link, scene.bob, alice)
        if step == "relaying back":
            return alice, link, data
        link.pongs = link.fences = False
        data.close()
        link.expect(0xB8)
    else:
        called_in(link, scene.bob, alice)
        if step != "ringing":
            alice.accept(scene.bob)
        if step == "answered":
            data = alice.data(scene.bob, ALICE.uin)
            link.expect(0xAB)
            return alice, link, data
    return alice, link, None


def no_conversation_at(step: str, *, swapped: bool) -> Callable[[Scene], None]:
    """B8 from the link that carries the call ends it; the next call is served."""

    def run(scene: Scene) -> None:
        alice, link, data = reach(step, scene)
        link.fences = False
        link.no_conversation(*((scene.bob, ALICE.uin) if swapped else (ALICE.uin, scene.bob)))
        if data is not None:
            assert ended(data) == b""
        elif step == "ready" or step in {"ringing", "accepted"}:
            alice.expect(0x05, u32(scene.bob))
        elif step == "asked":
            alice.expect(0x05, u32(scene.bob))  # at the end of the search for another node
        assert {code for code, _ in link.sync()} <= {0xA5}
        assert alice.sync() == ([] if step != "searching" else alice.sync())

    return run


def no_conversation_from_elsewhere_at(step: str) -> Callable[[Scene], None]:
    """B8 from a link that does not carry the pair changes nothing."""

    def run(scene: Scene) -> None:
        alice, _, data = reach(step, scene)
        liar = scene.link(2)
        for one, other in ((ALICE.uin, scene.bob), (scene.bob, ALICE.uin)):
            liar.no_conversation(one, other)
        assert liar.sync() == alice.sync() == []
        if data is not None:
            data.send(b"still there")

    return run


for _step, _swapped in product(STEPS, (False, True)):
    _named = "callee and caller" if _swapped else "caller and callee"
    CASES.add(f"B8 for {_named}: {_step}", no_conversation_at(_step, swapped=_swapped), node="links quick calls")
for _step in STEPS:
    CASES.add(
        f"B8 from elsewhere: {_step}", no_conversation_from_elsewhere_at(_step),
        *([] if _step in {"fenced", "searching"} else [Reason.OTHER_LINK]),
        node="links found" if _step == "searching" else "links",
    )  # fmt: skip


@CASES.case(node="links")
def no_conversation_about_nothing(scene: Scene) -> None:
    """Neither answered nor fenced, a thousand times."""
    link = scene.link(1)
    before = link.pings
    for number in range(1000):
        link.no_conversation(number, number + 1)
    assert link.sync() == []
    assert link.pings == before


@CASES.case(Reason.CALL_FENCED, node="links")
def a_call_inside_the_fence(scene: Scene) -> None:
    alice, link, _ = reach("fenced", scene)
    link.call_request(scene.bob, ALICE.uin)
    assert link.sync() == alice.sync() == []


@CASES.case(Reason.FENCE_UNANSWERED, node="links silent")
def a_fence_that_is_never_answered(scene: Scene) -> None:
    """By a node that has answered pings before, and goes on talking."""
    alice, link = scene.login(ALICE), scene.link(1)
    link.expect(0x68)
    link.sync()
    called_in(link, scene.bob, alice)
    link.pongs = False
    alice.refuse(scene.bob)
    link.expect(0xB8)
    with contextlib.suppress(Closed):
        while not link.over:
            link.send(0x69, b"no")
            time.sleep(0.05)


@CASES.case(Reason.FENCES_FULL, node="fences")
def too_many_fences_on_one_link(scene: Scene) -> None:
    alice, link, other = scene.login(ALICE), scene.link(1), scene.link(2)
    link.pongs = link.fences = False
    for caller in range(1000, 1004):
        link.call_request(caller, ALICE.uin)
        alice.expect(0x04, u32(caller))
        alice.refuse(caller)
    assert {code for code, _ in link.ended()} == {0xB8}
    assert other.sync() == alice.sync() == []


# -- Nodes that answer falsely, or not at all ---------------------------------------------------------------------


def found_by(scene: Scene, alice: RawClient, *numbers: int) -> list[RawLink]:
    """Alice calls Bob, and these nodes say, in this order, that they have him."""
    links = [scene.link(number) for number in numbers]
    alice.call(scene.bob)
    for link in links:
        link.expect(0xA5, u32(scene.bob))
    for link in links:
        link.found_here(scene.bob)
        link.settle()
    return links


@CASES.case(Reason.NODE_SAYS_NO, node="links found")
def found_and_then_refused(scene: Scene) -> None:
    """Two nodes claim one user; the one that lied is left for the other."""
    alice = scene.login(ALICE)
    liar, honest = found_by(scene, alice, 1, 2)
    liar.expect(0xAA, pair(ALICE.uin, scene.bob))
    liar.no_conversation(ALICE.uin, scene.bob)
    honest.expect(0xAA, pair(ALICE.uin, scene.bob))
    honest.call_ready(ALICE.uin, scene.bob)
    alice.expect(0x07)
    meet(alice.data(ALICE.uin, scene.bob), honest.stream(scene.bob, ALICE.uin))


@CASES.case(Reason.NODE_SILENT, node="links quick calls")
def found_and_then_nothing(scene: Scene) -> None:
    alice = scene.login(ALICE)
    liar, honest = found_by(scene, alice, 1, 2)
    liar.expect(0xAA, pair(ALICE.uin, scene.bob))
    honest.expect(0xAA, pair(ALICE.uin, scene.bob))
    liar.expect(0xB8, pair(ALICE.uin, scene.bob))
    liar.call_ready(ALICE.uin, scene.bob)  # too late
    honest.call_ready(ALICE.uin, scene.bob)
    alice.expect(0x07)
    meet(alice.data(ALICE.uin, scene.bob), honest.stream(scene.bob, ALICE.uin))


@CASES.case(Reason.LINK_LOST, node="links found")
def found_and_then_gone(scene: Scene) -> None:
    alice = scene.login(ALICE)
    liar, honest = found_by(scene, alice, 1, 2)
    liar.expect(0xAA)
    liar.reset()
    honest.expect(0xAA, pair(ALICE.uin, scene.bob))


@CASES.case(node="links found")
def found_and_then_a_wrong_certificate(scene: Scene) -> None:
    """Only the callers see it; they call again, and reach the other."""
    alice = scene.login(ALICE)
    liar, honest = found_by(scene, alice, 1, 2)
    liar.expect(0xAA)
    liar.call_ready(ALICE.uin, scene.bob)
    alice.expect(0x07)
    false = Conversation(liar.stream(scene.bob, ALICE.uin), lying(scene.dave), caller=False)
    true = Conversation(alice.data(ALICE.uin, scene.bob), ALICE, caller=True)
    handshake_together(true.tls, false.tls)
    assert true.tls.peer_common_name == str(scene.dave)
    true.data.close()
    liar.expect(0xB8)
    for link in (liar, honest):  # whoever is asked first; what ranks last is another test's
        link.script = refusing
    alice.call(scene.bob)
    alice.expect(0x05, u32(scene.bob))


def refusing(link: RawLink, code: int, tail: bytes) -> bool:
    if code == 0xAA:
        link.send(0xB8, tail)
    return code in {0xAA, 0xA5}


@CASES.case(node="links quick calls")
def a_node_that_claims_everybody(scene: Scene) -> None:
    """Each caller is sent to it, refused, and told: nobody hangs, and who is here is reached."""
    alice, carol, link = scene.login(ALICE), scene.login(CAROL), scene.link(1)

    def claiming(link: RawLink, code: int, tail: bytes) -> bool:
        if code == 0xA5:
            link.send(0xA8, tail)
        if code == 0xAA:
            link.send(0xB8, tail)
        return code in {0xA5, 0xAA}

    link.script = claiming
    for uin in (ALICE.uin, CAROL.uin):
        link.found_here(uin)
    for uin in range(1000, 1003):
        alice.call(uin)
        alice.expect(0x05, u32(uin))
    alice.call(CAROL.uin)
    carol.expect(0x04, u32(ALICE.uin))


@CASES.case(node="links")
def two_nodes_that_call_as_one_user(scene: Scene) -> None:
    """Both are put to the callee, who takes the later one; the earlier ends only then."""
    alice, one, other = scene.login(ALICE), scene.link(1), scene.link(2)
    stream, data = connected_in(one, scene.bob, alice)
    called_in(other, scene.bob, alice)
    meet(data, stream)
    alice.accept(scene.bob)
    again = alice.data(scene.bob, ALICE.uin)
    other.expect(0xAB)
    assert ended(data) == b""
    meet(again, other.stream(scene.bob, ALICE.uin))


@CASES.case(Reason.CALL_HELD, node="links")
def three_nodes_that_call_as_one_user(scene: Scene) -> None:
    """One stands, one is put to the callee, the third is one too many."""
    alice = scene.login(ALICE)
    one, two, three = (scene.link(number) for number in (1, 2, 3))
    stream, data = connected_in(one, scene.bob, alice)
    called_in(two, scene.bob, alice)
    three.call_request(scene.bob, ALICE.uin)
    three.expect(0xB8)
    meet(data, stream)


@CASES.case(Reason.CALL_GLARE, node="links")
def a_call_that_crosses_our_own(scene: Scene) -> None:
    """D26: over one link the lower UIN's call wins, here ours."""
    alice, link = scene.login(ALICE), scene.link(1)
    assert scene.bob > ALICE.uin
    called_out(alice, scene.bob, link)
    for _ in range(3):
        link.call_request(scene.bob, ALICE.uin)
    assert link.sync() == alice.sync() == []


@CASES.case(Reason.CALLER_WITHDREW, node="links")
def a_caller_who_gives_up(scene: Scene) -> None:
    alice, link = scene.login(ALICE), scene.link(1)
    called_in(link, scene.bob, alice)
    link.no_conversation(scene.bob, ALICE.uin)
    alice.expect(0x05, u32(scene.bob))


@CASES.case(Reason.LINK_LOST, node="links")
def a_link_that_vanishes_at_every_step(scene: Scene) -> None:
    for step in STEPS:
        alice, link, data = reach(step, scene)
        link.reset()
        if data is not None:
            assert ended(data) == b""
        alice.close()
