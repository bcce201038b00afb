"""Bad input around calls: 03, 06, 08 and 20 where they do not belong, and people who vanish in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product

from e2e.raw_client import (
    VALID_TAILS,
    Conversation,
    RawClient,
    Tcp,
    converse,
    exchange,
    frame,
    handshake_together,
    u32,
)
from e2e.stage import CaseTable, Scene, ended, joined
from uzel.errors import Reason

CASES = CaseTable()


# -- Calls that cannot be -----------------------------------------------------------------------------------------


@CASES.case(Reason.CALL_TO_SELF, Reason.CALL_TO_ZERO, Reason.CALLEE_OFFLINE)
def calls_to_oneself_zero_and_the_offline(scene: Scene) -> None:
    alice = scene.login(2)
    for uin in (alice.uin, 0, 7, 2**32 - 1):
        alice.call(uin)
        alice.expect(0x05, u32(uin))
    assert alice.sync() == []


@CASES.case(Reason.CALLEE_REFUSED)
def a_refused_call(scene: Scene) -> None:
    alice, bob = scene.pair()
    alice.call(bob.uin)
    bob.expect(0x04, u32(alice.uin))
    bob.refuse(alice.uin)
    alice.expect(0x05, u32(bob.uin))
    assert bob.sync() == []


@CASES.case(Reason.LATE_ACCEPT)
def accepts_for_calls_that_never_were(scene: Scene) -> None:
    alice, bob = scene.pair()
    for uin in (7, 0, alice.uin, bob.uin):
        bob.accept(uin)
        bob.expect(0x05, u32(uin))
    assert alice.sync() == bob.sync() == []


@CASES.case()
def refusals_for_calls_that_never_were(scene: Scene) -> None:
    alice, bob = scene.pair()
    for uin in (7, 0, alice.uin, bob.uin):
        bob.refuse(uin)
    assert bob.sync() == alice.sync() == []


@CASES.case(Reason.CONTROL_LOST)
def an_accept_that_crosses_the_05_is_not_answered_again(scene: Scene) -> None:
    alice, bob = scene.pair()
    alice.call(bob.uin)
    bob.expect(0x04)
    alice.close()
    bob.expect(0x05, u32(alice.uin))
    bob.accept(alice.uin)
    assert bob.sync() == []


@CASES.case()
def a_repeated_call_is_ignored(scene: Scene) -> None:
    alice, bob = scene.pair()
    for _ in range(3):
        alice.call(bob.uin)
    bob.expect(0x04, u32(alice.uin))
    assert alice.sync() == bob.sync() == []
    bob.accept(alice.uin)
    alice.call(bob.uin)
    bob.data(alice.uin, bob.uin)
    alice.expect(0x07)
    alice.call(bob.uin)
    assert alice.sync() == bob.sync() == []


# -- Glare and calling again --------------------------------------------------------------------------------------


def glare(scene: Scene) -> tuple[RawClient, RawClient]:
    """Both call: the first 03 wins and absorbs the other."""
    alice, bob = scene.pair()
    alice.call(bob.uin)
    bob.expect(0x04, u32(alice.uin))
    bob.call(alice.uin)
    assert bob.sync() == alice.sync() == []
    return alice, bob


@CASES.case()
def glare_ends_in_one_conversation(scene: Scene) -> None:
    alice, bob = glare(scene)
    bob.accept(alice.uin)
    theirs = bob.data(alice.uin, bob.uin)
    alice.expect(0x07)
    ours = alice.data(alice.uin, bob.uin)
    theirs.send(b"there")
    assert ours.receive() == b"there"


@CASES.case(Reason.CONTROL_LOST)
def the_absorbed_caller_is_told_when_the_other_vanishes(scene: Scene) -> None:
    alice, bob = glare(scene)
    alice.close()
    bob.expect(0x05, u32(alice.uin))


@CASES.case(Reason.CALLEE_REFUSED)
def the_absorbed_caller_is_told_when_it_refuses(scene: Scene) -> None:
    alice, bob = glare(scene)
    bob.refuse(alice.uin)
    alice.expect(0x05, u32(bob.uin))
    bob.expect(0x05, u32(alice.uin))


def called_again(*, by_caller: bool) -> Callable[[Scene], None]:
    """An 03 for a relaying pair ends the old conversation, and a new one can be had."""

    def run(scene: Scene) -> None:
        alice, bob = scene.pair()
        ours, theirs = joined(alice, bob)
        again, other = (alice, bob) if by_caller else (bob, alice)
        again.call(other.uin)
        other.expect(0x04, u32(again.uin))
        assert ended(ours) == ended(theirs) == b""
        other.refuse(again.uin)
        again.expect(0x05, u32(other.uin))
        exchange(*converse(again, other))

    return run


CASES.add("called again by the caller", called_again(by_caller=True), Reason.CALL_RESTARTED)
CASES.add("called again by the callee", called_again(by_caller=False), Reason.CALL_RESTARTED)


# -- Data hellos where they do not belong -------------------------------------------------------------------------


@CASES.case(Reason.DATA_NO_CALL)
def data_without_a_call(scene: Scene) -> None:
    alice, bob = scene.pair()
    for caller, callee in ((7, 8), (0, 0), (alice.uin, bob.uin), (alice.uin, alice.uin), (alice.uin, 7)):
        assert ended(alice.data(caller, callee)) == b""


@CASES.case(Reason.DATA_NO_CALL)
def data_with_roles_swapped(scene: Scene) -> None:
    """It neither takes a place nor ends the call, at any step."""
    alice, bob = scene.pair()

    def swapped() -> None:
        assert ended(bob.data(bob.uin, alice.uin)) == b""

    alice.call(bob.uin)
    bob.expect(0x04)
    swapped()
    bob.accept(alice.uin)
    swapped()
    theirs = bob.data(alice.uin, bob.uin)
    alice.expect(0x07)
    swapped()
    ours = alice.data(alice.uin, bob.uin)
    ours.send(b"there")
    assert theirs.receive() == b"there"


@CASES.case(Reason.DATA_WRONG_ADDRESS)
def data_from_another_address(scene: Scene) -> None:
    """Only that connection is closed; the call waits on for the right one (D12)."""
    alice, bob = scene.pair()
    alice.call(bob.uin)
    bob.expect(0x04)
    assert ended(bob.data(alice.uin, bob.uin, "127.0.0.2")) == b""
    bob.accept(alice.uin)
    assert ended(bob.data(alice.uin, bob.uin, "127.0.0.2")) == b""
    theirs = bob.data(alice.uin, bob.uin)
    alice.expect(0x07)
    assert ended(alice.data(alice.uin, bob.uin, "127.0.0.2")) == b""
    ours = alice.data(alice.uin, bob.uin)
    ours.send(b"there")
    assert theirs.receive() == b"there"


@CASES.case(node="any address")
def data_from_another_address_with_the_check_off(scene: Scene) -> None:
    alice, bob = scene.pair()
    alice.call(bob.uin)
    bob.expect(0x04)
    bob.accept(alice.uin)
    theirs = bob.data(alice.uin, bob.uin, "127.0.0.2")
    alice.expect(0x07)
    alice.data(alice.uin, bob.uin, "127.0.0.3").send(b"there")
    assert theirs.receive() == b"there"


@CASES.case(Reason.DATA_TAKEN)
def data_twice(scene: Scene) -> None:
    alice, bob = scene.pair()
    alice.call(bob.uin)
    bob.expect(0x04)
    theirs = bob.data(alice.uin, bob.uin)
    scene.until("data_waiting", 1)
    assert ended(bob.data(alice.uin, bob.uin)) == b""
    bob.accept(alice.uin)
    alice.expect(0x07)
    ours = alice.data(alice.uin, bob.uin)
    ours.send(b"there")
    assert theirs.receive() == b"there"
    assert ended(alice.data(alice.uin, bob.uin)) == b""
    theirs.send(b"and back")
    assert ours.receive() == b"and back"


@CASES.case()
def data_before_its_06_is_held_and_used(scene: Scene) -> None:
    """What was sent behind the early 20 belongs to the conversation."""
    alice, bob = scene.pair()
    alice.call(bob.uin)
    bob.expect(0x04)
    theirs = bob.data(alice.uin, bob.uin)
    theirs.send(b"early")
    scene.until("data_waiting", 1)
    assert alice.sync() == []
    bob.accept(alice.uin)
    alice.expect(0x07)
    ours = alice.data(alice.uin, bob.uin)
    assert ours.receive() == b"early"


@CASES.case(Reason.DATA_CALL_ENDED, Reason.CALLEE_REFUSED)
def data_before_an_08_is_closed(scene: Scene) -> None:
    alice, bob = scene.pair()
    alice.call(bob.uin)
    bob.expect(0x04)
    theirs = bob.data(alice.uin, bob.uin)
    scene.until("data_waiting", 1)
    bob.refuse(alice.uin)
    assert ended(theirs) == b""
    alice.expect(0x05, u32(bob.uin))


@CASES.case()
def early_data_that_vanishes_is_forgotten(scene: Scene) -> None:
    alice, bob = scene.pair()
    alice.call(bob.uin)
    bob.expect(0x04)
    early = bob.data(alice.uin, bob.uin)
    scene.until("data_waiting", 1)
    early.close()
    scene.until("data_waiting", 0)
    assert alice.sync() == bob.sync() == []
    bob.accept(alice.uin)
    bob.data(alice.uin, bob.uin)
    alice.expect(0x07)


# -- The conversation ---------------------------------------------------------------------------------------------


@CASES.case()
def the_node_reads_nothing_of_a_conversation(scene: Scene) -> None:
    """Every message, valid or not, is only bytes there."""
    ours, theirs = joined(*scene.pair())
    everything = b"".join(frame(code, tail) for code, tail in VALID_TAILS.items()) + b"\x01\x02\x77\x77\xff"
    for one, other in ((ours, theirs), (theirs, ours)):
        one.send(everything)
        received = b""
        while len(received) < len(everything):
            received += other.receive()
        assert received == everything


@CASES.case()
def bad_bytes_end_to_end_end_only_that_conversation(scene: Scene) -> None:
    alice, bob = scene.pair()
    ours, theirs = joined(alice, bob)
    a, b = (Conversation(data, who.identity, caller=who is alice) for data, who in ((ours, alice), (theirs, bob)))
    handshake_together(a.tls, b.tls)
    exchange(a, b)
    ours.close()
    assert ended(theirs)[:2] in {b"", b"\x17\x03"}
    assert alice.sync() == bob.sync() == []


def fill(tcp: Tcp) -> int:
    """Send until nothing more is taken for 200 ms."""
    sent, chunk = 0, bytes(65536)
    tcp.socket.settimeout(0.2)
    try:
        while True:
            sent += tcp.socket.send(chunk)
    except TimeoutError:
        tcp.socket.settimeout(10)
        return sent


@CASES.case()
def a_reader_that_stops_in_a_long_stream(scene: Scene) -> None:
    """The sender is held back, the node holds little, and when the reader goes on nothing is missing."""
    ours, theirs = joined(*scene.pair())
    sent = fill(ours)
    assert sent < 32 * 2**20
    received = 0
    while received < sent:
        received += len(theirs.receive())
    theirs.send(b"all there")
    assert ours.receive() == b"all there"


@CASES.case(Reason.DRAIN_TIMEOUT, node="quick")
def a_reader_that_stops_for_good(scene: Scene) -> None:
    """What was received before the end is passed on for so long and no longer (D17)."""
    ours, theirs = joined(*scene.pair())
    fill(ours)
    theirs.end()
    scene.counted(Reason.DRAIN_TIMEOUT)


@CASES.case()
def a_reader_that_stops_and_vanishes(scene: Scene) -> None:
    ours, theirs = joined(*scene.pair())
    fill(ours)
    theirs.reset()
    ended(ours)


# -- Time ---------------------------------------------------------------------------------------------------------


@CASES.case(Reason.RING_TIMEOUT, node="quick")
def nobody_answers(scene: Scene) -> None:
    alice, bob = scene.pair()
    began = time.monotonic()
    alice.call(bob.uin)
    bob.expect(0x04)
    alice.expect(0x05, u32(bob.uin))
    bob.expect(0x05, u32(alice.uin))
    assert time.monotonic() - began > 0.3
    bob.accept(alice.uin)
    assert bob.sync() == []


@CASES.case(Reason.CALLEE_DATA_TIMEOUT, node="quick")
def no_data_connection_after_06(scene: Scene) -> None:
    alice, bob = scene.pair()
    alice.call(bob.uin)
    bob.expect(0x04)
    bob.accept(alice.uin)
    alice.expect(0x05, u32(bob.uin))
    bob.expect(0x05, u32(alice.uin))


@CASES.case(Reason.CALLER_DATA_TIMEOUT, Reason.DATA_CALL_ENDED, node="quick")
def no_data_connection_after_07(scene: Scene) -> None:
    """05 to both, after the 07 too."""
    alice, bob = scene.pair()
    alice.call(bob.uin)
    bob.expect(0x04)
    bob.accept(alice.uin)
    theirs = bob.data(alice.uin, bob.uin)
    alice.expect(0x07)
    alice.expect(0x05, u32(bob.uin))
    bob.expect(0x05, u32(alice.uin))
    assert ended(theirs) == b""


# -- Vanishing at every step --------------------------------------------------------------------------------------

STEPS = ("ringing", "held", "accepted", "ready", "relaying")


def reach(step: str, scene: Scene) -> tuple[RawClient, RawClient, Tcp | None, Tcp | None]:
    """A call at this step, with the data connections that there are: the caller's, the callee's."""
    alice, bob = scene.pair()
    if step == "relaying":
        return alice, bob, *joined(alice, bob)
    alice.call(bob.uin)
    bob.expect(0x04)
    theirs = None
    if step == "held":
        theirs = bob.data(alice.uin, bob.uin)
        scene.until("data_waiting", 1)
    if step in {"accepted", "ready"}:
        bob.accept(alice.uin)
    if step == "ready":
        theirs = bob.data(alice.uin, bob.uin)
        alice.expect(0x07)
    bob.sync()
    return alice, bob, None, theirs


def leave(tcp: Tcp, *, rudely: bool) -> None:
    if rudely:
        tcp.reset()
    else:
        tcp.close()


def control_vanishes(step: str, *, caller: bool, rudely: bool) -> Callable[[Scene], None]:
    """Calls in set-up end and the other is told; conversations live on (D16)."""

    def run(scene: Scene) -> None:
        alice, bob, ours, theirs = reach(step, scene)
        gone, other = (alice, bob) if caller else (bob, alice)
        leave(gone.tcp, rudely=rudely)
        if ours is not None and theirs is not None:
            ours.send(b"still there")
            assert theirs.receive() == b"still there"
            assert other.sync() == []
            return
        other.expect(0x05, u32(gone.uin))
        if theirs is not None:
            assert ended(theirs) == b""
        assert other.sync() == []

    return run


def data_vanishes(step: str, *, caller: bool, rudely: bool) -> Callable[[Scene], None]:
    """A held one is forgotten, one after 06 ends the call for both, one of a conversation ends the other."""

    def run(scene: Scene) -> None:
        alice, bob, ours, theirs = reach(step, scene)
        gone, other = (ours, theirs) if caller else (theirs, ours)
        assert gone is not None
        leave(gone, rudely=rudely)
        if step == "ready":
            alice.expect(0x05, u32(bob.uin))
            bob.expect(0x05, u32(alice.uin))
        if other is not None:
            assert ended(other) == b""
        assert alice.sync() == bob.sync() == []

    return run


for _step, _caller, _rudely in product(STEPS, (True, False), (False, True)):
    _who = f"{'caller' if _caller else 'callee'} {'resets' if _rudely else 'closes'}"
    CASES.add(
        f"{_step}: {_who} its control connection",
        control_vanishes(_step, caller=_caller, rudely=_rudely),
        *([] if _step == "relaying" else [Reason.CONTROL_LOST]),
        *([Reason.CONNECTION_LOST] if _rudely else []),
    )
    if _step == "relaying" or (_step in {"held", "ready"} and not _caller):
        CASES.add(
            f"{_step}: {_who} its data connection",
            data_vanishes(_step, caller=_caller, rudely=_rudely),
            *([Reason.DATA_LOST] if _step == "ready" else []),
        )
