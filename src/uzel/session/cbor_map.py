"""What one CBOR map holds, found by walking over its heads, with nothing of it built (RFC 8949; section 6).

A general reader builds whatever a stranger wrote: a million empty lists out of 1 MiB, numbers, dates, sets and shared
references out of tags. Here only the top level is told: for each key where its value stands, and of what kind it is.
What nobody asks for is stepped over. Rules, narrower than CBOR's own: keys are text and none comes twice, lengths are
definite, and there are at most `MAX_ITEMS` items. Tags mean nothing: a tagged value is of the kind TAG, and no field
wants that. Depth costs nothing, since a walk over definite lengths only counts what is still to come.
Counterpart: any CBOR encoder, ours is cbor2; `envelopes` reads the values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

MAX_ITEMS = 4096
"""Most items in one envelope, keys and all that is nested counted. A hello has 80 at most; this many are walked in
two milliseconds, where 1 MiB of single bytes would hold up everything else for half a second."""


class Kind(IntEnum):
    """The major types of RFC 8949, section 3.1."""

    UNSIGNED = 0
    NEGATIVE = 1
    BYTES = 2
    TEXT = 3
    ARRAY = 4
    MAP = 5
    TAG = 6
    SIMPLE = 7
    """Floats too."""


_KINDS: Final = tuple(Kind)
_STRINGS: Final = (Kind.BYTES, Kind.TEXT)
_INSIDE: Final = (0, 0, 0, 0, 1, 2, 0, 0)
"""By kind, how many items stand inside one for each that its head counts. A tag has one whatever its number."""


class NotAMapError(Exception):
    """The bytes are not one well-formed CBOR map of definite length from the first to the last."""


class MapRuleError(Exception):
    """The map breaks a rule of ours; what was found before it holds."""


class TooManyItemsError(MapRuleError):
    """There are more than `MAX_ITEMS` items."""


@dataclass(frozen=True, slots=True)
class Item:
    """One value: its kind, its number (the value, length, count or tag), and where what follows the head stands."""

    kind: Kind
    number: int
    start: int
    end: int


def read_map(body: bytes, entries: dict[str, Item]) -> None:
    """Fill `entries` with the map's values, by key, as they come.

    Raises `NotAMapError`, after which `entries` means nothing, or `MapRuleError`, after which it holds what stood
    before the breach, without the key that came twice.
    """
    walk = _Walk(body)
    kind, count, _ = walk.head()
    if kind != Kind.MAP:
        raise NotAMapError("not a map")
    for _ in range(count):
        key = walk.key()
        value = walk.item()
        if key in entries:
            del entries[key]
            raise MapRuleError("a key comes twice")
        entries[key] = value
    if walk.at != len(body):
        raise NotAMapError("bytes are left over")


def array_items(body: bytes, array: Item) -> Iterator[Item]:
    """The values of an array that `read_map` found in this body."""
    walk = _Walk(body, array.start)
    for _ in range(array.number):
        yield walk.item()


class _Walk:
    """A place in the body, and how many more items may be passed on the way."""

    __slots__ = ("_body", "_left", "at")

    def __init__(self, body: bytes, at: int = 0) -> None:
        self._body = body
        self._left = MAX_ITEMS
        self.at = at

    def key(self) -> str:
        """Step over a map's key."""
        kind, _, start = self.head()
        if kind != Kind.TEXT:
            raise MapRuleError("a key is not text")
        try:
            return self._body[start : self.at].decode("utf-8")
        except UnicodeDecodeError:
            raise MapRuleError("a key is not UTF-8") from None

    def item(self) -> Item:
        """Step over one whole item, whatever is inside it."""
        kind, number, start = self.head()
        inside = 1 if kind == Kind.TAG else _INSIDE[kind] * number
        while inside:
            inner, count, _ = self.head()
            inside += _INSIDE[inner] * count - (inner != Kind.TAG)
        return Item(_KINDS[kind], number, start, self.at)

    def head(self) -> tuple[int, int, int]:
        """Step over one head, and over the bytes of a string: the kind, its number, and where the head ends."""
        body, at = self._body, self.at
        if at >= len(body):
            raise NotAMapError("cut short")
        if not self._left:
            raise TooManyItemsError(f"more than {MAX_ITEMS} items")
        self._left -= 1
        kind, number = body[at] >> 5, body[at] & 31
        start = at + 1
        if number > 23:
            number, start = _long_head(body, at)
        self.at = start + number if kind in _STRINGS else start
        if self.at > len(body):
            raise NotAMapError("cut short")
        return kind, number, start


def _long_head(body: bytes, at: int) -> tuple[int, int]:
    """The number that follows the first byte of a head, and where it ends; past the body when it is cut short."""
    kind, form = body[at] >> 5, body[at] & 31
    if form > 27:
        if form == 31 and Kind.BYTES <= kind <= Kind.MAP:
            raise MapRuleError("an indefinite length")
        raise NotAMapError("a head that CBOR does not have")
    end = at + 1 + (1 << form - 24)
    number = int.from_bytes(body[at + 1 : end], "big")
    if kind == Kind.SIMPLE and form == 24 and number < 32:
        raise NotAMapError("a simple value written wrong")
    return number, end
