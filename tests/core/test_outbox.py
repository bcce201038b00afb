"""Whom the outbox calls, and when."""

from __future__ import annotations

import pytest

from uzel.core.outbox import EndIdle, GiveUp, Outbox, PlaceCall
from uzel.core.settings import OutboxTimes
from uzel.names import Uin
from uzel.node.limits import Rate

BOB, CAROL = Uin(2), Uin(3)
TIMES = OutboxTimes()


class Desk:
    """An outbox, its clock, and what it asked for."""

    def __init__(self, times: OutboxTimes = TIMES, chance: float = 0.5) -> None:
        self.outbox = Outbox(times, lambda: chance)
        self.now = 1000.0

    def asked(self) -> list[object]:
        return list(self.outbox.take_effects())

    def waits(self, seconds: float) -> list[tuple[float, object]]:
        """Let the time pass; what is asked for, and when."""
        until, told = self.now + seconds, list[tuple[float, object]]()
        while (deadline := self.outbox.deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.outbox.on_timeout(self.now)
            told += [(self.now - until + seconds, effect) for effect in self.asked()]
        self.now = until
        return told

    def fails(self, peer: Uin = BOB) -> None:
        self.outbox.call_failed(peer, self.now)


def online(times: OutboxTimes = TIMES) -> Desk:
    desk = Desk(times)
    desk.outbox.online([], desk.now)
    return desk


def test_a_text_is_tried_at_once() -> None:
    desk = online()
    desk.outbox.queued(BOB, desk.now)
    assert desk.asked() == [PlaceCall(BOB)]


def test_while_offline_nobody_is_called_and_everybody_at_once_when_it_is_over() -> None:
    desk = Desk()
    desk.outbox.queued(BOB, desk.now)
    desk.outbox.queued(CAROL, desk.now)
    assert desk.asked() == []
    assert desk.outbox.retry_at(BOB) is None
    assert desk.waits(1000) == []
    desk.outbox.online([], desk.now)
    assert desk.asked() == [PlaceCall(BOB), PlaceCall(CAROL)]


def test_delays_grow_up_to_two_minutes_while_the_peer_is_away() -> None:
    desk = online()
    desk.outbox.queued(BOB, desk.now)
    assert desk.asked() == [PlaceCall(BOB)]
    delays = []
    for _ in range(10):
        desk.fails()
        ((after, effect),) = desk.waits(121)
        assert effect == PlaceCall(BOB)
        delays.append(after)
        desk.now += after - 121
    assert delays == pytest.approx([1, 2, 4, 8, 16, 32, 64, 120, 120, 120])


@pytest.mark.parametrize(("chance", "delay"), [(0.0, 0.8), (1.0, 1.2)])
def test_delays_are_varied(chance: float, delay: float) -> None:
    desk = Desk(chance=chance)
    desk.outbox.online([], desk.now)
    desk.outbox.queued(BOB, desk.now)
    desk.fails()
    assert desk.outbox.deadline() == pytest.approx(desk.now + delay)


def test_a_new_text_is_tried_at_once_but_not_without_end() -> None:
    desk = online()
    desk.outbox.queued(BOB, desk.now)
    for _ in range(8):
        desk.fails()
        desk.waits(130)
    desk.fails()
    desk.asked()
    desk.outbox.queued(BOB, desk.now)
    assert desk.asked() == [PlaceCall(BOB)]
    desk.fails()
    for _ in range(100):
        desk.outbox.queued(BOB, desk.now)
    assert desk.asked() == []
    assert desk.waits(TIMES.hurry + 0.5) == [(TIMES.hurry, PlaceCall(BOB))]


def test_when_the_peer_calls_the_delays_begin_anew() -> None:
    desk = online()
    desk.outbox.queued(BOB, desk.now)
    for _ in range(8):
        desk.fails()
        desk.waits(130)
    desk.outbox.opened(BOB, desk.now)
    desk.waits(60)
    desk.outbox.closed(BOB, desk.now)
    assert [round(after, 3) for after, _ in desk.waits(10)] == [1.0]


def test_conversations_that_break_at_once_do_not_set_the_delays_back() -> None:
    desk = online()
    desk.outbox.queued(BOB, desk.now)
    desk.asked()
    delays = []
    for _ in range(5):
        desk.outbox.opened(BOB, desk.now)
        desk.outbox.closed(BOB, desk.now)
        ((after, _),) = desk.waits(60)
        delays.append(after)
        desk.now += after - 60
    assert delays == pytest.approx([1, 2, 4, 8, 16])


def test_who_is_drained_is_not_called_any_more() -> None:
    desk = online()
    desk.outbox.queued(BOB, desk.now)
    desk.outbox.opened(BOB, desk.now)
    desk.asked()
    desk.outbox.drained(BOB)
    desk.outbox.closed(BOB, desk.now)
    assert desk.waits(1000) == []


def test_an_idle_conversation_is_closed_and_reopened_for_the_next_text() -> None:
    desk = online()
    desk.outbox.queued(BOB, desk.now)
    desk.asked()
    desk.outbox.opened(BOB, desk.now)
    desk.outbox.drained(BOB)
    desk.waits(TIMES.idle - 10)
    desk.outbox.active(BOB, desk.now)
    assert desk.waits(TIMES.idle - 1) == []
    assert [effect for _, effect in desk.waits(2)] == [EndIdle(BOB)]
    desk.outbox.closed(BOB, desk.now)
    assert desk.waits(1000) == []
    desk.outbox.queued(BOB, desk.now)
    assert desk.asked() == [PlaceCall(BOB)]


def test_contacts_with_recent_chats_are_greeted_one_after_the_other_and_once() -> None:
    desk = Desk()
    recent = [Uin(number) for number in range(1, 80)]
    desk.outbox.online(recent, desk.now)
    told = []
    for _ in range(200):
        for after, effect in desk.waits(1):
            assert isinstance(effect, PlaceCall)
            told.append(effect.peer)
            desk.outbox.call_failed(effect.peer, desk.now)
            assert after >= 0
    assert sorted(told) == recent[: TIMES.greeted]


def test_so_many_calls_at_the_same_time() -> None:
    desk = online()
    for number in range(1, 13):
        desk.outbox.queued(Uin(number), desk.now)
    assert len(desk.asked()) == TIMES.at_once
    assert desk.waits(5) == []
    desk.outbox.opened(Uin(1), desk.now)
    desk.outbox.call_failed(Uin(2), desk.now)
    assert len([effect for _, effect in desk.waits(1.5) if effect != PlaceCall(Uin(2))]) in {1, 2}


def test_so_many_calls_in_a_minute() -> None:
    desk = online(OutboxTimes(calls=Rate(6, 2), at_once=100))
    for number in range(1, 30):
        desk.outbox.queued(Uin(number), desk.now)
    assert len(desk.asked()) == 2
    assert len(desk.waits(60)) == pytest.approx(6, abs=1)


def test_who_has_not_let_us_in_is_tried_hourly_even_with_new_texts() -> None:
    desk = online()
    desk.outbox.queued(BOB, desk.now)
    desk.asked()
    desk.outbox.opened(BOB, desk.now)
    desk.outbox.asked(BOB)
    desk.outbox.closed(BOB, desk.now)
    desk.outbox.queued(BOB, desk.now)
    desk.outbox.offline()
    desk.outbox.online([BOB], desk.now)
    told = desk.waits(3700)
    assert [round(after) for after, _ in told] == [3600]
    desk.outbox.opened(BOB, desk.now)
    desk.outbox.let_in(BOB)
    desk.outbox.closed(BOB, desk.now)
    assert len(desk.waits(200)) == 1


def test_who_is_held_is_not_called() -> None:
    desk = online()
    desk.outbox.queued(BOB, desk.now)
    desk.fails()
    desk.asked()
    desk.outbox.hold(BOB)
    desk.outbox.queued(BOB, desk.now)
    desk.outbox.offline()
    desk.outbox.online([BOB], desk.now)
    assert desk.waits(1000) == []
    desk.outbox.release(BOB, desk.now)
    assert desk.asked() == [PlaceCall(BOB)]


def test_who_is_held_no_more_is_called_for_what_waits_on_its_side() -> None:
    desk = online()
    desk.outbox.hold(BOB)
    desk.outbox.release(BOB, desk.now)
    assert desk.asked() == [PlaceCall(BOB)]
    desk.fails()
    assert desk.waits(1000) == []


def test_who_was_just_let_in_is_called() -> None:
    desk = online()
    desk.outbox.greet(BOB, desk.now)
    assert desk.asked() == [PlaceCall(BOB)]
    desk.fails()
    assert desk.waits(1000) == [], "it calls us when it is there"


@pytest.mark.parametrize("waits", [False, True])
def test_who_is_to_be_called_while_a_call_goes_on_is_called_once_more_when_it_fails(waits: bool) -> None:
    """It began before the person agreed to an older program, say, and fails for that."""
    desk = online()
    desk.outbox.greet(BOB, desk.now)
    if waits:
        desk.outbox.queued(BOB, desk.now)
    assert desk.asked() == [PlaceCall(BOB)]
    desk.outbox.greet(BOB, desk.now)
    assert desk.asked() == []
    desk.fails()
    assert desk.asked() == [PlaceCall(BOB)]
    desk.fails()
    assert desk.asked() == []
    assert bool(desk.waits(1000)) == waits


def test_what_is_over_takes_no_memory() -> None:
    desk = online()
    for number in range(1, 40):
        peer = Uin(number)
        desk.outbox.queued(peer, desk.now)
        desk.outbox.opened(peer, desk.now)
        desk.outbox.drained(peer)
        desk.outbox.closed(peer, desk.now)
        desk.outbox.queued(peer, desk.now)
        desk.outbox.forget(peer)
    assert not desk.outbox._peers
    assert desk.outbox.deadline() is None
    assert desk.outbox._calling == 0


def test_a_call_to_who_is_held_meanwhile_is_given_up_and_its_end_changes_nothing() -> None:
    desk = online(OutboxTimes(at_once=1))
    desk.outbox.queued(BOB, desk.now)
    desk.outbox.hold(BOB)
    assert desk.asked() == [PlaceCall(BOB), GiveUp(BOB)]
    desk.outbox.release(BOB, desk.now)
    assert desk.asked() == [PlaceCall(BOB)]
    desk.outbox.forget(BOB)
    assert desk.asked() == [GiveUp(BOB)]
    desk.outbox.queued(CAROL, desk.now)
    assert desk.asked() == [PlaceCall(CAROL)], "there is room for another call"
