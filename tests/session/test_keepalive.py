"""When a quiet connection is pinged and given up, alone and inside a conversation that has stopped reading."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from uzel.errors import Reason
from uzel.session.conversation import ConversationMachine, IncomingText
from uzel.session.keepalive import Due, Keepalive, KeepaliveTimes
from uzel.session.machine import Failed
from uzel.session.unreported import Unreported
from uzel.wire import Ping, Pong, Text, encode

TIMES = KeepaliveTimes(idle=30, silence=90)
PING = encode(Ping(b"tk"))


def conversation() -> ConversationMachine:
    return ConversationMachine(Unreported(), TIMES, lambda: b"tk", 0)


def filled(machine: ConversationMachine) -> list[IncomingText]:
    """Give it texts until it wants no more."""
    texts: list[IncomingText] = []
    while machine.wants_data:
        texts += [event for event in machine.receive(encode(Text("y" * 65_000)), 0) if isinstance(event, IncomingText)]
    return texts


def test_quiet_is_pinged_each_time_it_lasts_then_ended() -> None:
    clock = Keepalive(TIMES, 0)
    told = {}
    while (now := clock.deadline()) not in told:
        told[now] = clock.due(now)
    assert told == {30: Due.PING, 60: Due.PING, 90: Due.END}


@given(st.lists(st.floats(0, 200, width=32), max_size=30))
def test_heard_within_the_idle_time_it_asks_for_nothing(gaps: list[float]) -> None:
    """Only a gap of `idle` brings a ping, only one of `silence` the end; looking early changes nothing."""
    clock, now = Keepalive(TIMES, 0), 0.0
    for gap in gaps:
        assert clock.due(now + min(gap, 29)) is Due.NOTHING
        if gap >= 90:
            assert clock.due(now + gap) is Due.END
        elif gap >= 30:
            assert clock.due(now + gap) is Due.PING
            assert clock.due(now + gap) is Due.NOTHING
        now += gap
        clock.heard(now)
        assert clock.deadline() == now + 30


def test_a_late_look_ends_at_once() -> None:
    assert Keepalive(TIMES, 0).due(1000) is Due.END


def test_a_silent_conversation_ends() -> None:
    machine = conversation()
    assert machine.on_timeout(30) == []
    assert machine.data_to_send() == PING
    machine.receive(encode(Pong(b"tk")), 31)
    assert machine.deadline() == 61
    assert machine.on_timeout(121) == [Failed(Reason.SILENCE)]
    assert machine.deadline() is None
    assert machine.on_timeout(200) == []


def test_a_conversation_that_does_not_read_blames_nobody_and_does_not_spin() -> None:
    """Its deadline is always ahead, or the timer would fire without end, with a ping each time."""
    machine = conversation()
    texts = filled(machine)
    times: list[float] = []
    while len(times) < 9:
        now = machine.deadline()
        assert now is not None
        times.append(now)
        assert machine.on_timeout(now) == []
        assert machine.data_to_send() == PING
    assert times == [30, 60, 90, 120, 150, 180, 210, 240, 270]
    for text in texts:
        machine.acknowledge(text)
    assert machine.on_timeout(359) == []
    assert machine.on_timeout(360) == [Failed(Reason.SILENCE)]
