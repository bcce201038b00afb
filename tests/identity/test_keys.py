"""UINs, fingerprints and safety numbers: golden values, computed with other programs.

The UINs come from the reference implementation of Argon2 in C; the keys are those of RFC 8032 (7.1, tests 1 and 2)
and RFC 6979 (A.2.5).
"""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uzel.identity import derive_uin, fingerprint_of, safety_number
from uzel.names import Fingerprint

ED25519 = bytes.fromhex("302a300506032b6570032100")
P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
GOLDEN = [
    (
        ED25519 + bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
        2912421976,
        "BuP9j9opu2CrWVV95h7bCuzbIxE0vjDnW0Vfjht5L6k",
    ),
    (
        ED25519 + bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
        2891645934,
        "3rLe053Cb84OYIW2_DS_a1lBkTu_4uphQRPP-eAEwXA",
    ),
    (
        P256
        + bytes.fromhex("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6")
        + bytes.fromhex("7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"),
        3461685146,
        "Wnp4zKSg9CDZvGK7Zpw8J1njn3I9OuENy-DwgVoH7NQ",
    ),
]
SAFETY_OF_THE_FIRST_TWO = "53182 08761 38501 72504 76210 17213 16180 03412 19621 70473 41285 88378"


@pytest.mark.parametrize(("spki", "uin", "fingerprint"), GOLDEN)
def test_golden(spki: bytes, uin: int, fingerprint: str) -> None:
    assert derive_uin(spki) == uin
    assert str(fingerprint_of(spki)) == fingerprint
    assert base64.urlsafe_b64encode(hashlib.sha256(spki).digest()).decode().rstrip("=") == fingerprint


def test_safety_number_golden() -> None:
    a, b = (fingerprint_of(spki) for spki, _, _ in GOLDEN[:2])
    assert safety_number(a, b) == safety_number(b, a) == SAFETY_OF_THE_FIRST_TWO


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_safety_number_as_the_protocol_says(a: bytes, b: bytes) -> None:
    smaller, larger = sorted([a, b])
    digest = hashlib.sha512(b"uzel-safety-1" + smaller + larger).digest()
    groups = []
    for i in range(12):
        number = 0
        for byte in digest[5 * i : 5 * i + 5]:
            number = number * 256 + byte
        groups.append(str(number % 100000).rjust(5, "0"))
    assert safety_number(Fingerprint(a), Fingerprint(b)) == " ".join(groups)
    assert safety_number(Fingerprint(b), Fingerprint(a)) == " ".join(groups)
