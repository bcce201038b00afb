"""Ids of envelopes: UUIDv7 as RFC 9562 has it, and strictly growing whatever the clock does."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uzel.session.ids import ID_LENGTH, ID_RANDOM, MAX_MILLISECONDS, EnvelopeIds

moments = st.integers(0, MAX_MILLISECONDS - 1)
randoms = st.binary(min_size=ID_RANDOM, max_size=ID_RANDOM)
LAST = bytes.fromhex("FFFFFFFFFFFF7FFFBFFFFFFFFFFFFFFF")


def test_the_example_of_the_rfc() -> None:
    """RFC 9562, appendix A.6: 22 February 2022, with rand_a CC3 and rand_b 18C4DC0C0C07398F."""
    drawn = (0xCC3 << 62 | 0x18C4DC0C0C07398F).to_bytes(10, "big")
    assert EnvelopeIds().next(0x017F22E279B0, drawn).hex() == "017f22e279b07cc398c4dc0c0c07398f"


@given(moments, randoms)
@settings(deadline=None)
def test_it_is_a_uuid_of_version_7_at_its_time(ms: int, random: bytes) -> None:
    identifier = EnvelopeIds().next(ms, random)
    read = uuid.UUID(bytes=identifier)
    assert (len(identifier), read.version, read.variant) == (ID_LENGTH, 7, uuid.RFC_4122)
    assert int.from_bytes(identifier[:6], "big") == ms


@given(st.lists(st.tuples(st.one_of(st.sampled_from([0, 5, 6]), moments), randoms, st.booleans()), max_size=30))
@settings(deadline=None)
def test_ids_grow_whatever_the_clock_does_and_after_restarts(steps: list[tuple[int, bytes, bool]]) -> None:
    ids, last = EnvelopeIds(), b""
    for ms, random, restart in steps:
        if restart and last:
            ids = EnvelopeIds(last)
        identifier = ids.next(ms, random)
        assert identifier > last
        assert int.from_bytes(identifier[:6], "big") >= ms
        last = identifier


def test_a_standing_clock_takes_small_steps_and_the_time_goes_on_afterwards() -> None:
    ids = EnvelopeIds()
    first, second = ids.next(1000, bytes(10)), ids.next(1000, b"\xff" * 10)
    back, later = ids.next(1, bytes(10)), ids.next(1001, bytes(10))
    assert int.from_bytes(second, "big") - int.from_bytes(first, "big") == 2**32
    assert int.from_bytes(back, "big") - int.from_bytes(second, "big") == 1
    assert later == EnvelopeIds().next(1001, bytes(10))


def test_a_full_millisecond_runs_over_into_the_next() -> None:
    ids = EnvelopeIds()
    full = ids.next(1000, b"\xff" * 10)
    assert ids.next(1000, bytes(10)) == EnvelopeIds().next(1001, bytes(10)) > full


def test_when_no_greater_id_exists_it_says_so_and_keeps_saying_so() -> None:
    ids = EnvelopeIds(LAST)
    for _ in range(2):
        with pytest.raises(OverflowError):
            ids.next(0, bytes(10))


@pytest.mark.parametrize(("ms", "random"), [(-1, bytes(10)), (2**48, bytes(10)), (0, bytes(9)), (0, bytes(11))])
def test_misuse(ms: int, random: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        EnvelopeIds().next(ms, random)


@pytest.mark.parametrize(
    "last", [b"", bytes(16), LAST[:15], LAST + b"\0", uuid.UUID(int=0, version=4).bytes, LAST[:8] + bytes(8)]
)
def test_it_goes_on_only_from_an_id_of_its_own_kind(last: bytes) -> None:
    with pytest.raises(ValueError, match="UUIDv7"):
        EnvelopeIds(last)
