"""The ids of envelopes: UUIDv7, each greater than the one before (section 6).

An id is 48 bits of the sender's clock, in milliseconds, then 74 random bits, with the version and variant of RFC 9562
between. Ids of one sender grow strictly, also when its clock stands or goes back: the next is then the last plus a
small random step, which may run ahead of the clock. Made from the last id that was used, the row goes on after a
restart. Pure: the clock and the randomness are arguments. Counterpart: a receiver takes any 16 bytes as an id.
"""

from __future__ import annotations

ID_LENGTH = 16
"""Bytes of an id."""
ID_RANDOM = 10
"""Random bytes that each id takes."""
MAX_MILLISECONDS = 2**48 - 1
"""The last moment that an id can hold: in the year 10889."""
_RANDOM_BITS = 74
_RANDOM = (1 << _RANDOM_BITS) - 1
_LOW_BITS = 62
_LOW = (1 << _LOW_BITS) - 1
_STEP = 2**32
"""A step is at most this: 2**42 steps fit into one millisecond, and the next id still cannot be guessed."""


class EnvelopeIds:
    """The ids of one sender, in order."""

    __slots__ = ("_last",)

    def __init__(self, last: bytes | None = None) -> None:
        """Go on after `last`, the greatest id used so far. Raises `ValueError` when that is no UUIDv7."""
        self._last = -1 if last is None else _number_of(last)

    def next(self, ms: int, random: bytes) -> bytes:
        """The next id, 16 bytes. `ms`: milliseconds since 1970 UTC; `random`: 10 fresh random bytes.

        Raises `ValueError` for a time that an id cannot hold, or for other than 10 bytes; `OverflowError` when no
        greater id exists.
        """
        if not 0 <= ms <= MAX_MILLISECONDS:
            raise ValueError("a time that an id cannot hold")
        if len(random) != ID_RANDOM:
            raise ValueError(f"{ID_RANDOM} random bytes are wanted")
        drawn = int.from_bytes(random, "big")
        number = ms << _RANDOM_BITS | drawn & _RANDOM
        if ms <= self._last >> _RANDOM_BITS:
            number = self._last + 1 + drawn % _STEP
        identifier = _id_of(number)
        self._last = number
        return identifier


def _id_of(number: int) -> bytes:
    """122 bits of time and randomness, with version 7 and the variant set between."""
    high, low = number >> _LOW_BITS, number & _LOW
    return ((high >> 12) << 80 | 7 << 76 | (high & 0xFFF) << 64 | 2 << 62 | low).to_bytes(ID_LENGTH, "big")


def _number_of(identifier: bytes) -> int:
    value = int.from_bytes(identifier, "big")
    number = (value >> 80 << 12 | value >> 64 & 0xFFF) << _LOW_BITS | value & _LOW
    if len(identifier) != ID_LENGTH or _id_of(number) != identifier:
        raise ValueError("not a UUIDv7")
    return number
