"""Section 4 through the switchboard, step by step, and everything that can happen in between."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.switchboard_story import A, B, C, Story
from uzel.errors import Reason
from uzel.node.limits import Rate
from uzel.node.settings import SwitchboardSettings
from uzel.session.calls import CALLS_AWAY, NODE_CALLS, CallState, CallStep
from uzel.wire import IncomingCall, NodeList, NodeListRequest, Ping, Pong, Ready, Unavailable


def ringing() -> Story:
    story = Story()
    story.online(A, B, C)
    story.call(A, B)
    assert story.take() == [(B, IncomingCall(A))]
    return story


def accepted() -> Story:
    story = ringing()
    story.accept(B, A)
    assert story.take() == []
    return story


def ready() -> Story:
    story = accepted()
    story.data(A, B)
    assert story.take() == [(A, Ready(B))]
    return story


def relaying() -> Story:
    story = ready()
    story.data(A, B)
    assert story.joined[-1].caller_data == 1002
    assert story.joined[-1].callee_data == 1001
    return story


IN_SET_UP = [ringing, accepted, ready]


def test_a_call_goes_through_its_steps() -> None:
    story = relaying()
    assert story.is_quiet()
    story.switchboard.relay_ended(story.joined[0].call, story.now)
    assert story.switchboard.counts()["conversations"] == 0


@pytest.mark.parametrize(
    ("callee", "reason"),
    [(99, Reason.CALLEE_OFFLINE), (0, Reason.CALL_TO_ZERO), (A, Reason.CALL_TO_SELF)],
)
def test_a_call_that_cannot_be_is_answered_05(callee: int, reason: Reason) -> None:
    story = Story()
    story.online(A)
    story.call(A, callee)
    assert story.take() == [(A, Unavailable(callee))]
    assert story.reasons() == {reason}


@pytest.mark.parametrize("stage", IN_SET_UP)
def test_refusing_tells_the_caller(stage: object) -> None:
    story = stage()  # type: ignore[operator]  # a function of this module, given as a parameter
    story.refuse(B, A)
    assert story.take() == [(A, Unavailable(B))]
    assert story.is_quiet()


@pytest.mark.parametrize("stage", IN_SET_UP)
def test_time_passing_tells_both(stage: object) -> None:
    story = stage()  # type: ignore[operator]  # a function of this module, given as a parameter
    story.wait(61)
    assert story.told_unavailable() == {(A, B), (B, A)}
    assert story.is_quiet()


@pytest.mark.parametrize("stage", IN_SET_UP)
def test_a_party_going_offline_tells_the_other(stage: object) -> None:
    for gone, left in ((A, B), (B, A)):
        story = stage()  # type: ignore[operator]  # a function of this module, given as a parameter
        story.offline(gone)
        assert story.told_unavailable() == {(left, gone)}
        assert story.is_quiet()


@pytest.mark.parametrize("stage", IN_SET_UP)
def test_a_repeated_03_in_set_up_is_ignored(stage: object) -> None:
    story = stage()  # type: ignore[operator]  # a function of this module, given as a parameter
    story.call(A, B)
    assert story.take() == []


@pytest.mark.parametrize("stage", IN_SET_UP)
def test_glare_is_absorbed_and_told_when_the_call_fails(stage: object) -> None:
    story = stage()  # type: ignore[operator]  # a function of this module, given as a parameter
    story.call(B, A)
    assert story.take() == []
    story.refuse(B, A)
    assert story.told_unavailable() == {(A, B), (B, A)}


def test_a_conversation_outlives_its_control_connections() -> None:
    story = relaying()
    story.offline(A)
    story.offline(B)
    assert story.take() == []
    assert story.switchboard.counts()["conversations"] == 1


@pytest.mark.parametrize(("caller", "callee"), [(A, B), (B, A)])
def test_a_new_03_ends_the_old_conversation_and_starts_afresh(caller: int, callee: int) -> None:
    story = relaying()
    story.call(caller, callee)
    assert story.relays_ended == [story.joined[0].call]
    assert story.take() == [(callee, IncomingCall(caller))]
    story.switchboard.relay_ended(story.joined[0].call, story.now)  # the old relay's end comes late
    story.accept(callee, caller)
    story.data(caller, callee)
    story.data(caller, callee)
    assert story.joined[1].call != story.joined[0].call


def test_an_early_20_is_held_until_its_06() -> None:
    story = ringing()
    early = story.data(A, B)
    assert story.held == [early]
    assert story.take() == []
    story.accept(B, A)
    assert story.take() == [(A, Ready(B))]
    assert story.held == [early]  # once, not again


def test_an_early_20_is_closed_on_08() -> None:
    story = ringing()
    early = story.data(A, B)
    story.refuse(B, A)
    assert story.closed == {early: Reason.DATA_CALL_ENDED}


def test_a_lost_early_20_leaves_the_call_waiting() -> None:
    story = ringing()
    story.switchboard.data_lost(story.data(A, B), story.now)
    story.accept(B, A)
    assert story.take() == []
    story.data(A, B)
    assert story.take() == [(A, Ready(B))]


def test_a_lost_data_connection_after_07_ends_the_call_for_both() -> None:
    story = ready()
    story.switchboard.data_lost(1001, story.now)
    story.read()
    assert story.told_unavailable() == {(A, B), (B, A)}
    assert story.is_quiet()


def test_a_second_early_20_is_closed() -> None:
    story = ringing()
    story.data(A, B)
    assert story.closed == {}
    assert story.closed.get(story.data(A, B)) is Reason.DATA_TAKEN


def test_a_third_20_is_closed() -> None:
    story = relaying()
    assert story.closed.get(story.data(A, B)) is Reason.DATA_TAKEN


@pytest.mark.parametrize("stage", [*IN_SET_UP, relaying])
def test_a_20_with_the_roles_swapped_is_closed(stage: object) -> None:
    story = stage()  # type: ignore[operator]  # a function of this module, given as a parameter
    assert story.closed.get(story.data(B, A)) is Reason.DATA_NO_CALL


@pytest.mark.parametrize("stage", IN_SET_UP)
def test_a_20_from_another_address_is_closed_and_the_call_waits_on(stage: object) -> None:
    story = stage()  # type: ignore[operator]  # a function of this module, given as a parameter
    assert story.closed.get(story.data(A, B, network="10.9.9.9")) is Reason.DATA_WRONG_ADDRESS
    assert story.take() == []
    assert not story.is_quiet()


def test_an_06_for_no_call_is_answered_05() -> None:
    story = Story()
    story.online(A, B)
    story.accept(B, A)
    assert story.take() == [(B, Unavailable(A))]
    assert story.reasons() == {Reason.LATE_ACCEPT}


def test_further_06s_for_no_call_are_not_answered_until_another_04() -> None:
    story = Story()
    story.online(A, B)
    for _ in range(3):
        story.accept(B, A)
    assert story.take() == [(B, Unavailable(A))]
    story.call(A, B)
    story.refuse(B, A)
    story.take()
    story.accept(B, A)
    assert story.take() == [(B, Unavailable(A))]


def test_an_06_that_crossed_the_05_is_not_answered_again() -> None:
    story = ringing()
    story.offline(A)
    assert story.told_unavailable() == {(B, A)}
    story.accept(B, A)
    assert story.take() == []


def test_an_08_for_no_call_is_ignored() -> None:
    story = Story()
    story.online(A, B)
    story.refuse(B, A)
    assert story.take() == []


def test_a_newer_login_replaces_the_older_and_ends_its_calls() -> None:
    story = ringing()
    story.switchboard.client_online(77, A, "10.0.0.1", story.now)
    story.read()
    assert story.closed == {A: Reason.REPLACED}
    assert story.told_unavailable() == {(B, A)}
    story.switchboard.client_offline(A, story.now)  # the old connection's end comes late
    assert story.switchboard.counts()["clients"] == 3


def test_rates_and_bounds_refuse_by_name() -> None:
    story = Story(SwitchboardSettings(calls=Rate(60, 3), logins=Rate(60, 2), unanswered_per_callee=1))
    story.online(A, B, C)
    story.call(A, B)
    story.call(C, B)
    assert Reason.CALLEE_UNANSWERED_FULL in story.reasons()
    for _ in range(3):
        story.call(C, 99)
    assert Reason.CALL_RATE in story.reasons()
    assert story.switchboard.client_online(70, A, "10.0.0.1", story.now)
    assert not story.switchboard.client_online(71, A, "10.0.0.1", story.now)
    story.read()
    assert story.closed[71] is Reason.LOGIN_RATE
    story.wait(60)
    assert story.switchboard.client_online(72, A, "10.0.0.1", story.now)


def test_a_caller_has_so_many_unanswered_calls() -> None:
    story = Story(SwitchboardSettings(unanswered_per_caller=2))
    story.online(A, B, C, 44)
    for callee in (B, C, 44):
        story.call(A, callee)
    assert story.reasons() == {Reason.CALLER_UNANSWERED_FULL}
    story.refuse(B, A)
    story.call(A, 44)
    assert story.take()[-1] == (44, IncomingCall(A))


def test_draining_ends_set_ups_and_takes_no_calls() -> None:
    story = ringing()
    story.converse(A, C)
    story.switchboard.drain(story.now)
    story.read()
    assert story.told_unavailable() == {(A, B), (B, A)}
    story.call(A, B)
    assert story.take() == [(A, Unavailable(B))]
    story.call(A, C)  # they are talking: a call that cannot be does not end that
    assert story.take() == [(A, Unavailable(C))]
    assert story.reasons() == {Reason.NODE_STOPPING}
    assert story.switchboard.counts()["conversations"] == 1


def test_a_node_list_request_is_always_answered() -> None:
    story = Story()
    story.online(A)
    story.say(A, NodeListRequest(b"zz"))
    assert story.take() == [(A, NodeList(()))]


def test_answers_keep_the_order_of_what_they_answer() -> None:
    story = Story()
    story.online(A)
    story.accept(A, B)
    story.say(A, Ping(b"zz"))
    assert story.take() == [(A, Unavailable(B)), (A, Pong(b"zz"))]


def test_the_table_stays_small_and_every_step_is_used() -> None:
    assert len(NODE_CALLS) <= 40
    assert len(CALLS_AWAY) <= 40
    assert {step for _, step in [*NODE_CALLS, *CALLS_AWAY]} == set(CallStep)
    assert {state for state, _ in [*NODE_CALLS, *CALLS_AWAY]} == set(CallState)


class AnythingGoes(RuleBasedStateMachine):
    """Three users in any order of steps: every call ends within its times, and nothing is left over."""

    users = st.sampled_from([A, B, C])

    def __init__(self) -> None:
        super().__init__()
        self.story = Story(SwitchboardSettings(calls=Rate(1e6, 1_000_000), logins=Rate(1e6, 1_000_000)))
        self.connections: dict[int, int] = {}
        self.next_connection = 100

    @rule(uin=users)
    def log_in(self, uin: int) -> None:
        self.next_connection += 1
        self.connections[uin] = self.next_connection
        self.story.switchboard.client_online(self.next_connection, uin, "n", self.story.now)
        self.story.read()

    @rule(uin=users)
    def log_out(self, uin: int) -> None:
        if uin in self.connections:
            self.story.offline(self.connections.pop(uin))

    @rule(caller=users, callee=users, what=st.sampled_from(["call", "accept", "refuse"]))
    def say(self, caller: int, callee: int, what: str) -> None:
        if caller in self.connections:
            getattr(self.story, what)(self.connections[caller], callee)

    @rule(caller=users, callee=users)
    def data(self, caller: int, callee: int) -> None:
        self.story.data(caller, callee, "n")

    @rule()
    def end_relay(self) -> None:
        if self.story.joined:
            self.story.switchboard.relay_ended(self.story.joined.pop().call, self.story.now)
            self.story.read()

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        self.story.wait(seconds)

    @invariant()
    def joined_are_pairs(self) -> None:
        for join in self.story.joined:
            assert join.caller != join.callee
            assert join.caller_data != join.callee_data

    def teardown(self) -> None:
        self.story.wait(61)
        self.story.wait(16)
        self.story.wait(16)
        assert self.story.is_quiet()
        for uin in list(self.connections):
            self.log_out(uin)
        assert self.story.switchboard.counts()["clients"] == 0


AnythingGoes.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestAnythingGoes = AnythingGoes.TestCase
