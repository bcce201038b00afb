"""The location cache: what displaces what, what expires, what is told, and its bounds (D20, D24)."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from uzel.names import Fingerprint
from uzel.session import locations as module
from uzel.session.locations import PER_UIN, SLOT, CacheBounds, Locations, Source

B, C, D = 22, 33, 44
N = [Fingerprint(bytes([number]) * 32) for number in range(8)]
SMALL = CacheBounds(uins=10, hint_share=0.4, hints_per_node=3)


def cache(bounds: CacheBounds | None = None) -> Locations:
    return Locations(bounds or CacheBounds())


def known(locations: Locations, uin: int = B, now: float = 0.0) -> list[Fingerprint]:
    return [each.node for each in locations.candidates(uin, now)]


def test_the_best_comes_first() -> None:
    locations = cache()
    for node, source in zip(N, (Source.REQUEST, Source.LED, Source.ANSWER), strict=False):
        locations.learn(B, node, source, 0)
    assert known(locations) == [N[1], N[2], N[0]]


def test_of_two_equal_ones_the_fresher_comes_first() -> None:
    locations = cache()
    locations.learn(B, N[0], Source.ANSWER, 0)
    locations.learn(B, N[1], Source.ANSWER, 5)
    assert known(locations, now=6) == [N[1], N[0]]


@pytest.mark.parametrize(("source", "lasts"), [(Source.HINT, 3600), (Source.ANSWER, 600), (Source.LED, 600),
                                               (Source.REQUEST, 600)])  # fmt: skip
def test_how_long_each_lasts(source: Source, lasts: float) -> None:
    locations = cache()
    locations.learn(B, N[0], source, 100)
    assert known(locations, now=100 + lasts - 1) == [N[0]]
    assert known(locations, now=100 + lasts) == []
    assert (len(locations), locations.hints) == (0, 0)


def test_learning_it_again_keeps_it_and_never_shortens_it() -> None:
    locations = cache()
    locations.learn(B, N[0], Source.HINT, 0)
    locations.learn(B, N[0], Source.ANSWER, 10)
    assert locations.hints == 0, "it is more than a hint now"
    assert known(locations, now=3599) == [N[0]]
    locations.learn(B, N[0], Source.HINT, 20)
    assert locations.candidates(B, 20)[0].source is Source.ANSWER
    assert known(locations, now=3619) == [N[0]]


def test_at_most_three_for_a_user() -> None:
    locations = cache()
    for number in range(6):
        locations.learn(B, N[number], Source.ANSWER, number)
    assert known(locations, now=6) == [N[5], N[4], N[3]], "the oldest went"


def test_a_hint_displaces_none_that_led_to_a_conversation() -> None:
    locations = cache()
    for number in range(PER_UIN):
        locations.learn(B, N[number], Source.LED, 0)
    assert not locations.learn(B, N[3], Source.HINT, 1)
    assert set(known(locations)) == set(N[:3])
    assert (len(locations), locations.hints) == (1, 0)


def test_a_hint_displaces_the_least_of_the_others() -> None:
    locations = cache()
    for node, source in zip(N, (Source.LED, Source.REQUEST, Source.ANSWER), strict=False):
        locations.learn(B, node, source, 0)
    assert locations.learn(B, N[3], Source.HINT, 1)
    assert set(known(locations)) == {N[0], N[2], N[3]}
    assert locations.learn(B, N[4], Source.HINT, 2)
    assert set(known(locations)) == {N[0], N[2], N[4]}
    assert locations.hints == 1


def test_not_even_one_that_is_marked() -> None:
    locations = cache()
    for node, source in zip(N, (Source.LED, Source.ANSWER, Source.ANSWER), strict=False):
        locations.learn(B, node, source, 0)
    locations.mark_bad(B, N[0], 0)
    locations.learn(B, N[3], Source.HINT, 0)
    assert N[0] in known(locations)


def test_a_marked_one_is_displaced_first() -> None:
    locations = cache()
    for node, source in zip(N, (Source.ANSWER, Source.HINT, Source.HINT), strict=False):
        locations.learn(B, node, source, 0)
    locations.mark_bad(B, N[0], 0)
    locations.learn(B, N[3], Source.ANSWER, 1)
    assert set(known(locations)) == {N[1], N[2], N[3]}


def test_what_was_called_from_is_for_our_own_use_only() -> None:
    locations = cache()
    locations.learn(B, N[0], Source.REQUEST, 0)
    locations.learn(B, N[1], Source.HINT, 0)
    assert set(known(locations)) == {N[0], N[1]}
    assert locations.to_tell(B, 0) == [N[1]]
    locations.learn(B, N[0], Source.ANSWER, 1)
    assert locations.to_tell(B, 1) == [N[0], N[1]]


@pytest.mark.parametrize("first", [Source.REQUEST, Source.HINT])
def test_a_hint_is_told_whether_its_user_called_before_or_after(first: Source) -> None:
    locations = cache()
    locations.learn(B, N[0], first, 0)
    locations.learn(B, N[0], Source.HINT if first is Source.REQUEST else Source.REQUEST, 1)
    assert locations.to_tell(B, 1) == [N[0]]
    assert locations.hints == 1


def test_a_hint_about_whom_we_know_by_a_call_needs_a_place_like_any() -> None:
    locations = cache(SMALL)
    for uin in range(1, 4):
        locations.learn(uin, N[0], Source.HINT, 0)
    locations.learn(B, N[0], Source.REQUEST, 0)
    assert not locations.learn(B, N[0], Source.HINT, 0)
    assert (known(locations), locations.to_tell(B, 0)) == ([N[0]], [])


def test_a_failed_one_is_dropped() -> None:
    locations = cache()
    locations.learn(B, N[0], Source.HINT, 0)
    locations.learn(B, N[1], Source.ANSWER, 0)
    locations.drop(B, N[0])
    locations.drop(B, N[0])
    locations.drop(C, N[0])
    assert (known(locations), locations.hints) == ([N[1]], 0)
    locations.drop(B, N[1])
    assert len(locations) == 0


def test_a_marked_one_ranks_last_and_is_told_to_nobody_for_ten_minutes() -> None:
    locations = cache()
    locations.learn(B, N[0], Source.LED, 0)
    locations.learn(B, N[1], Source.HINT, 0)
    locations.mark_bad(B, N[0], 10)
    assert known(locations, now=10) == [N[1], N[0]]
    assert locations.to_tell(B, 10) == [N[1]]
    locations.learn(B, N[0], Source.ANSWER, 500)
    assert locations.to_tell(B, 609) == [N[1]], "learned anew it is marked all the same"
    assert not locations.is_bad(C, N[0], 10), "for this user only"
    assert locations.to_tell(B, 610) == [N[0], N[1]]


def test_marks_count_and_may_be_taken_back_but_for_one() -> None:
    locations = cache()
    for number in range(3):
        locations.mark_bad(B, N[0], number)
    assert locations.marks(B, N[0], 3) == 3
    locations.vindicate(B, N[0], 4)
    assert locations.marks(B, N[0], 4) == 1
    locations.vindicate(B, N[1], 4)
    assert locations.marks(B, N[1], 4) == 0
    assert locations.marks(B, N[0], 604) == 0


def test_what_failed_longest_ago_can_be_told() -> None:
    locations = cache()
    locations.mark_bad(B, N[0], 0)
    locations.mark_bad(B, N[1], 5)
    assert locations.marked_until(B, N[0], 6) < locations.marked_until(B, N[1], 6)
    locations.mark_bad(B, N[0], 7)
    assert locations.marked_until(B, N[0], 8) > locations.marked_until(B, N[1], 8)


def test_marks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MARKS", 5)
    locations = cache()
    for number in range(8):
        locations.mark_bad(number + 1, N[0], number)
    assert [locations.is_bad(number + 1, N[0], 8) for number in range(8)] == [False] * 3 + [True] * 5


def test_the_longest_unused_goes_first() -> None:
    locations = cache(CacheBounds(uins=3))
    for uin in (B, C, D):
        locations.learn(uin, N[0], Source.ANSWER, 0)
    locations.candidates(B, 1)
    locations.learn(55, N[0], Source.ANSWER, 2)
    assert [bool(known(locations, uin, 2)) for uin in (B, C, D, 55)] == [True, False, True, True]
    assert len(locations) == 3


def test_hints_fill_their_share_only() -> None:
    locations = cache(SMALL)
    learned = [locations.learn(uin, N[uin % 3], Source.HINT, 0) for uin in range(1, 9)]
    assert learned == [True] * 4 + [False] * 4
    assert locations.hints == 4
    assert locations.learn(9, N[0], Source.ANSWER, 0), "what is no hint has its place"
    locations.drop(1, N[1])
    assert locations.learn(8, N[1], Source.HINT, 0)


def test_one_node_has_so_many_hints() -> None:
    locations = cache(SMALL)
    assert [locations.learn(uin, N[0], Source.HINT, 0) for uin in range(1, 6)] == [True] * 3 + [False] * 2
    assert locations.learn(1, N[0], Source.HINT, 5), "what is known is renewed"
    assert locations.learn(9, N[1], Source.HINT, 0)


def test_a_refused_hint_changes_nothing() -> None:
    locations = cache(SMALL)
    for uin in range(1, 4):
        locations.learn(uin, N[0], Source.HINT, 0)
    assert not locations.learn(B, N[0], Source.HINT, 0)
    assert known(locations) == []
    assert len(locations) == 3


def test_expired_ones_are_forgotten_by_and_by() -> None:
    locations = cache()
    for uin in range(1, 101):
        locations.learn(uin, N[0], Source.HINT, 0)
        locations.mark_bad(uin, N[0], 0)
    locations.expire(3600, at_most=30)
    assert (len(locations), locations.hints) == (70, 70)
    locations.expire(3600)
    assert (len(locations), locations.hints) == (0, 0)


def test_what_expires_behind_what_is_fresh_is_forgotten_too() -> None:
    """The order of use is not that in which they expire."""
    locations = cache()
    for uin in range(1, 51):
        locations.learn(uin, N[0], Source.HINT, 0)
    for uin in range(51, 101):
        locations.learn(uin, N[0], Source.ANSWER, 0)
    locations.expire(720, at_most=50)
    assert len(locations) == 50
    assert all(known(locations, uin, 720) for uin in range(1, 51))


def test_what_is_refreshed_is_looked_at_once_in_each_slot() -> None:
    locations = cache()
    for now in range(0, 7200, 10):
        locations.learn(B, N[0], Source.HINT, now)
        locations.expire(now)
    assert len(locations._due) <= 62
    assert sum(map(len, locations._due.values())) <= 62


class CacheModel(RuleBasedStateMachine):
    """Anything may be learned, dropped, marked, looked up; the counters are those of what is there, within bounds."""

    def __init__(self) -> None:
        super().__init__()
        self.locations = Locations(SMALL)
        self.now = 0.0

    uins = st.integers(1, 15)
    nodes = st.sampled_from(N[:6])

    @rule(uin=uins, node=nodes, source=st.sampled_from(Source))
    def learn(self, uin: int, node: Fingerprint, source: Source) -> None:
        before = {each.node for each in self.locations.candidates(uin, self.now) if each.source is Source.LED}
        learned = self.locations.learn(uin, node, source, self.now)
        after = self.locations.candidates(uin, self.now)
        found = [each for each in after if each.node == node]
        if learned:
            assert found[0].source >= source
        else:
            assert source is Source.HINT
            assert [each.source for each in found] in ([], [Source.REQUEST])
        if source is Source.HINT:
            assert before <= {each.node for each in after}, "a hint displaces none that led to a conversation"

    @rule(uin=uins, node=nodes)
    def drop(self, uin: int, node: Fingerprint) -> None:
        self.locations.drop(uin, node)
        assert node not in {each.node for each in self.locations.candidates(uin, self.now)}

    @rule(uin=uins, node=nodes)
    def mark(self, uin: int, node: Fingerprint) -> None:
        before = self.locations.marks(uin, node, self.now)
        self.locations.mark_bad(uin, node, self.now)
        assert self.locations.marks(uin, node, self.now) == before + 1

    @rule(uin=uins, node=nodes)
    def vindicate(self, uin: int, node: Fingerprint) -> None:
        self.locations.vindicate(uin, node, self.now)
        assert self.locations.marks(uin, node, self.now) <= 1

    @rule(seconds=st.sampled_from([1.0, 100.0, 700.0, 4000.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(at_most=st.integers(0, 20))
    def expire(self, at_most: int) -> None:
        self.locations.expire(self.now, at_most=at_most)

    @rule()
    def expire_all(self) -> None:
        self.locations.expire(self.now)
        every = [each for its in self.locations._by_uin.values() for each in its]
        assert all(each.expires > self.now - SLOT for each in every)

    @rule(uin=uins)
    def tell(self, uin: int) -> None:
        candidates = self.locations.candidates(uin, self.now)
        assert all(each.expires > self.now for each in candidates)
        bad = [self.locations.is_bad(uin, each.node, self.now) for each in candidates]
        assert bad == sorted(bad), "the marked last"
        told = self.locations.to_tell(uin, self.now)
        assert not any(self.locations.is_bad(uin, each, self.now) for each in told)

    @invariant()
    def counters_agree(self) -> None:
        every = [each for its in self.locations._by_uin.values() for each in its]
        of_node = Counter(each.node for each in every if each.source is Source.HINT)
        assert self.locations.hints == of_node.total() <= SMALL.uins * SMALL.hint_share
        assert self.locations._hints_of == dict(of_node)
        assert max(of_node.values(), default=0) <= SMALL.hints_per_node
        assert len(self.locations) <= SMALL.uins
        for its in self.locations._by_uin.values():
            assert 0 < len({each.node for each in its}) == len(its) <= PER_UIN


TestCacheModel = CacheModel.TestCase
TestCacheModel.settings = settings(max_examples=60, stateful_step_count=40)
