"""Recovery codes: secrets that the machine draws and a person writes down, reads and types.

28 letters and digits in seven groups of four: 26 are random (130 bits, so nothing can be guessed), the last two check
the others, so that most slips are noticed as such. The alphabet is Crockford's base 32: no I, L, O, U; small letters,
spaces and dashes do not matter, and what looks alike reads alike. Pure: randomness is an argument. Counterpart:
`uzel.store.keys`.
"""

from __future__ import annotations

import hashlib

CODE_BITS = 130
CODE_BYTES = 17
"""Of randomness: the least that holds `CODE_BITS`."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM, _CHECK, _GROUP = 26, 2, 4
_ALIKE = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, "\u2010": None, "\u2011": None, "\u2013": None})


def make_code(randomness: bytes) -> str:
    """The code of `CODE_BYTES` random bytes, as it is shown."""
    if len(randomness) != CODE_BYTES:
        raise ValueError(f"a recovery code takes {CODE_BYTES} random bytes")
    number = int.from_bytes(randomness, "big") >> (8 * CODE_BYTES - CODE_BITS)
    symbols = _symbols(number, _RANDOM)
    symbols += _check_of(symbols)
    return "-".join(symbols[start : start + _GROUP] for start in range(0, len(symbols), _GROUP))


def read_code(typed: str) -> str | None:
    """The code that was typed, without groups, or None when it is none, or has a slip in it."""
    symbols = _plain(typed)
    if not looks_like_code(typed) or _check_of(symbols[:_RANDOM]) != symbols[_RANDOM:]:
        return None
    return symbols


def looks_like_code(typed: str) -> bool:
    """Whether this has the form of a recovery code, with or without a slip."""
    symbols = _plain(typed)
    return len(symbols) == _RANDOM + _CHECK and set(symbols) <= set(_ALPHABET)


def _plain(typed: str) -> str:
    return "".join(typed.split()).upper().translate(_ALIKE)


def _check_of(symbols: str) -> str:
    digest = hashlib.sha256(b"uzel-recovery-1" + symbols.encode()).digest()
    return _symbols(int.from_bytes(digest[:2], "big") >> 6, _CHECK)


def _symbols(number: int, count: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(count)))
