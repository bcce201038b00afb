"""What lets a browser in once: one-time addresses and pairing codes, and how many guesses anybody has. Pure.

An address carries 32 random bytes, which nobody guesses: a good one is taken whatever else is tried meanwhile, so that
another user of the machine cannot lock its owner out. A code is typed by a person, so it is short: nine digits. Wrong
codes make everybody wait, doubling, whoever sends them; and after ten of them the code is no good. A guess hits with at
most ten in a billion for each code that its owner asks for. Only hashes are held. `now` is in seconds of a clock that
does not jump. Counterpart: `sessions`, which makes and shows them.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from enum import Enum, auto

from uzel.faces.page_settings import PageSettings

CODE_DIGITS = 9
MOST_USED = 64
"""Addresses that were opened and are remembered, to tell their second use from a wrong one."""


class Verdict(Enum):
    """What becomes of an address or a code."""

    GOOD = auto()
    WRONG = auto()
    USED = auto()
    WAIT = auto()


class Tickets:
    """See the module's text."""

    def __init__(self, settings: PageSettings) -> None:
        self._settings = settings
        self._addresses: OrderedDict[bytes, float] = OrderedDict()
        self._used: OrderedDict[bytes, None] = OrderedDict()
        self._code: tuple[bytes, float] | None = None
        self._guesses = 0
        self._wrong = 0
        self._last_wrong = 0.0
        self._wait_until = 0.0

    def add_address(self, token: str, now: float) -> None:
        """This token lets one browser in, for a while."""
        while len(self._addresses) >= self._settings.addresses:
            self._addresses.popitem(last=False)
        self._addresses[_hash(token)] = now + self._settings.address

    def add_code(self, code: str, now: float) -> None:
        """This code lets one device in, for a while; the one before does not any more."""
        self._code = (_hash(digits_of(code)), now + self._settings.code)
        self._guesses = 0

    def open_address(self, token: str, now: float) -> Verdict:
        """A browser shows this token."""
        key = _hash(token)
        until = self._addresses.pop(key, None)
        if until is not None:
            self._remember(key)
            return Verdict.GOOD if now < until else Verdict.USED
        if key in self._used:
            return Verdict.USED
        return self._wrong_one(now) if self.wait(now) <= 0 else Verdict.WAIT

    def enter_code(self, code: str, now: float) -> Verdict:
        """A device shows this code."""
        if self.wait(now) > 0:
            return Verdict.WAIT
        if self._code is not None and now < self._code[1]:
            if self._code[0] == _hash(digits_of(code)):
                self._code, self._wrong = None, 0
                return Verdict.GOOD
            self._guesses += 1
            if self._guesses >= self._settings.code_guesses:
                self._code = None
        return self._wrong_one(now)

    def wait(self, now: float) -> float:
        """Seconds until the next try is looked at."""
        return max(0.0, self._wait_until - now)

    def _wrong_one(self, now: float) -> Verdict:
        if now - self._last_wrong > self._settings.forgive:
            self._wrong = 0
        self._wrong = min(self._wrong + 1, 30)
        self._last_wrong = now
        self._wait_until = now + min(self._settings.first_wait * 2 ** (self._wrong - 1), self._settings.last_wait)
        return Verdict.WRONG

    def _remember(self, key: bytes) -> None:
        self._used[key] = None
        while len(self._used) > MOST_USED:
            self._used.popitem(last=False)


def digits_of(code: str) -> str:
    """A code as it is compared: people put spaces and dashes where they like."""
    return "".join(character for character in code if character not in " -\u00a0\u2009")


def _hash(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "replace")).digest()
