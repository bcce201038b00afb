"""The contract of `Claims`, on the one in memory and the one on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uzel.names import Fingerprint
from uzel.store.claims import Claims, MemoryClaims
from uzel.store.sqlite_claims import SqliteClaims

DAY = 86_400.0
A, B = Fingerprint(b"a" * 32), Fingerprint(b"b" * 32)
Make = Callable[[int, float], Claims]


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    opened: list[Claims] = []

    def open_one(bound: int, days: float = 90) -> Claims:
        claims: Claims = (
            MemoryClaims(bound=bound, days=days)
            if request.param == "memory"
            else SqliteClaims(tmp_path / f"{len(opened)}.db", bound=bound, days=days)
        )
        opened.append(claims)
        return claims

    yield open_one
    for claims in opened:
        claims.close()
        claims.close()  # twice is fine


def owned(claims: Claims, uins: range) -> list[int]:
    return [uin for uin in uins if claims.owner(uin)]


def test_the_first_key_owns_the_uin(make: Make) -> None:
    claims = make(10, 90)
    assert claims.owner(5) is None
    assert claims.claim(5, A, 0.0)
    assert claims.owner(5) == A
    assert claims.claim(5, A, 1.0)
    assert not claims.claim(5, B, 2.0)
    assert claims.owner(5) == A
    assert claims.claim(2**32 - 1, A, 3.0)
    assert len(claims) == 2


def test_never_used_ones_go_first_and_the_oldest_of_them(make: Make) -> None:
    claims = make(3, 90)
    for uin in (1, 2, 3):
        claims.claim(uin, A, float(uin))
    claims.used(1, 4.0)
    assert claims.claim(4, A, 5.0)
    assert owned(claims, range(10)) == [1, 3, 4]
    claims.flush()
    assert claims.claim(5, A, 6.0)
    assert owned(claims, range(10)) == [1, 4, 5]
    assert len(claims) == 3


def test_then_the_least_recently_used(make: Make) -> None:
    claims = make(3, 90)
    for uin in (1, 2, 3):
        claims.claim(uin, A, 0.0)
    for at, uin in enumerate((3, 1, 2, 3), start=1):
        claims.used(uin, float(at))
    claims.claim(4, A, 9.0)
    assert owned(claims, range(10)) == [2, 3, 4]


def test_the_claim_made_at_the_bound_may_be_the_next_to_go(make: Make) -> None:
    claims = make(2, 90)
    claims.claim(1, A, 0.0)
    claims.used(1, 1.0)
    for uin in range(2, 50):
        assert claims.claim(uin, B, float(uin))
    assert owned(claims, range(100)) == [1, 49]  # strangers displace one another, never who uses the number


def test_unused_claims_expire(make: Make) -> None:
    claims = make(10, 90)
    for uin in (1, 2, 3):
        claims.claim(uin, A, 0.0)
    claims.used(2, 1 * DAY)
    claims.used(3, 50 * DAY)
    assert claims.expire(90 * DAY) == 0
    assert claims.expire(90 * DAY + 1) == 1
    assert owned(claims, range(10)) == [2, 3]
    assert claims.expire(92 * DAY) == 1
    assert claims.claim(1, B, 92 * DAY)
    assert (claims.owner(1), len(claims)) == (B, 2)


def test_a_clock_set_back_takes_no_time_away(make: Make) -> None:
    claims = make(10, 90)
    claims.claim(1, A, 100 * DAY)
    claims.used(1, 3 * DAY)
    claims.flush()
    claims.used(1, 2 * DAY)
    assert claims.expire(190 * DAY) == 0
    assert claims.expire(191 * DAY) == 1


def test_use_of_what_is_not_owned_is_ignored(make: Make) -> None:
    claims = make(2, 90)
    claims.used(1, 5.0)
    claims.flush()
    assert claims.owner(1) is None
    assert len(claims) == 0


STEPS = st.lists(
    st.tuples(st.sampled_from(["claim a", "claim b", "used", "flush", "expire"]), st.integers(1, 6)), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 4))
def test_both_are_the_same(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], bound: int) -> None:
    path = tmp_path_factory.mktemp("claims") / "claims.db"
    memory, disk = MemoryClaims(bound=bound, days=20 / DAY), SqliteClaims(path, bound=bound, days=20 / DAY)
    for now, (verb, uin) in enumerate(steps):
        outcomes = [_do(claims, verb, uin, float(now)) for claims in (memory, disk)]
        assert outcomes[0] == outcomes[1]
    disk.close()
    again = SqliteClaims(path, bound=bound, days=20 / DAY)
    assert [memory.owner(uin) for uin in range(7)] == [again.owner(uin) for uin in range(7)]
    assert len(memory) == len(again) <= bound
    again.close()


def _do(claims: Claims, verb: str, uin: int, now: float) -> object:
    match verb:
        case "used":
            # A node notes use of what it knows only; what is not owned need not be remembered as unowned.
            if claims.owner(uin):
                claims.used(uin, now)
            return None
        case "flush":
            claims.flush()
            return None
        case "expire":
            return claims.expire(now)
    return claims.claim(uin, A if verb == "claim a" else B, now), len(claims)
