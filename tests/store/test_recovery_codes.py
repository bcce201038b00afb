"""Recovery codes: shown, written down, typed again with the slips that people make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uzel.store.backup import new_recovery_code
from uzel.store.recovery_codes import CODE_BITS, CODE_BYTES, looks_like_code, make_code, read_code

RANDOMNESS = st.binary(min_size=CODE_BYTES, max_size=CODE_BYTES)
CODE = make_code(bytes(range(CODE_BYTES)))


def test_its_form() -> None:
    assert CODE == "000G-40R4-0M30-E209-185G-R38E-1W8X"
    assert CODE_BITS >= 130
    with pytest.raises(ValueError, match="random bytes"):
        make_code(b"short")


def test_no_two_are_alike() -> None:
    assert len({new_recovery_code() for _ in range(100)}) == 100


def test_every_random_bit_that_counts_changes_it() -> None:
    codes = {make_code((1 << bit).to_bytes(CODE_BYTES, "big")) for bit in range(8 * CODE_BYTES)}
    assert len(codes) == CODE_BITS + 1  # the lowest bits are left out: they all make the code of zero


@given(RANDOMNESS)
def test_it_reads_as_it_was_made(randomness: bytes) -> None:
    code = make_code(randomness)
    assert read_code(code) == code.replace("-", "")
    assert looks_like_code(code)


@given(RANDOMNESS, st.randoms(use_true_random=False))
def test_how_it_is_written_does_not_matter(randomness: bytes, random: object) -> None:
    code = make_code(randomness)
    plain = code.replace("-", "")
    sloppy = plain.lower().replace("0", "o").replace("1", "l")
    spaced = " ".join(plain[start : start + 5] for start in range(0, len(plain), 5))
    for typed in (sloppy, f"  {spaced}\t", code.replace("-", "\u2013"), code.replace("1", "I"), plain):
        assert read_code(typed) == plain


def test_slips_are_noticed() -> None:
    plain = CODE.replace("-", "")
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    wrong = [
        plain[:place] + other + plain[place + 1 :]
        for place in range(len(plain))
        for other in letters
        if other != plain[place]
    ]
    wrong += [plain[:place] + plain[place + 1] + plain[place] + plain[place + 2 :] for place in range(len(plain) - 1)]
    missed = [typed for typed in wrong if typed != plain and read_code(typed) is not None]
    assert len(missed) < len(wrong) / 200  # one in a thousand passes the two letters that check
    assert all(looks_like_code(typed) for typed in wrong)


@given(st.text())
def test_anything_may_be_typed(typed: str) -> None:
    code = read_code(typed)
    assert code is None or (len(code) == 28 and looks_like_code(typed))


@pytest.mark.parametrize("typed", ["", "correct horse battery staple", CODE[:-1], CODE + "0", CODE.replace("4", "U")])
def test_what_is_no_code(typed: str) -> None:
    assert read_code(typed) is None
    assert not looks_like_code(typed)
