"""The walk over a CBOR map, against another reader of CBOR and on bytes that are none."""

from __future__ import annotations

import tracemalloc
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uzel.session.cbor_map import (
    MAX_ITEMS,
    Item,
    Kind,
    MapRuleError,
    NotAMapError,
    TooManyItemsError,
    array_items,
    read_map,
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(-(2**64), 2**64 - 1),
    st.binary(max_size=40),
    st.text(max_size=40),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers() | st.text(), inner, max_size=4),
    max_leaves=8,
)
maps = st.dictionaries(st.text(max_size=30), values, max_size=4)


def walked(body: bytes) -> dict[str, Item]:
    entries: dict[str, Item] = {}
    read_map(body, entries)
    return entries


def value_of(body: bytes, item: Item) -> Any:
    """The value that the item says is there, as far as the walk tells values."""
    match item.kind:
        case Kind.UNSIGNED:
            return item.number
        case Kind.NEGATIVE:
            return -1 - item.number
        case Kind.BYTES:
            return body[item.start : item.end]
        case Kind.TEXT:
            return body[item.start : item.end].decode("utf-8")
        case Kind.ARRAY:
            return [value_of(body, inner) for inner in array_items(body, item)]
    return item.kind


def told(value: Any) -> Any:
    """The same of what was written."""
    match value:
        case None | bool() | float():
            return Kind.SIMPLE
        case list():
            return [told(inner) for inner in value]
        case dict():
            return Kind.MAP
    return value


@given(maps, st.booleans())
@settings(deadline=None, max_examples=60)
def test_what_another_writes_is_found(written: dict[str, Any], canonical: bool) -> None:
    body = cbor2.dumps(written, canonical=canonical)
    found = {key: value_of(body, item) for key, item in walked(body).items()}
    assert found == {key: told(value) for key, value in written.items()}


@given(maps, st.data())
@settings(deadline=None, max_examples=40)
def test_a_map_that_is_cut_or_longer_is_none(written: dict[str, Any], data: st.DataObject) -> None:
    body = cbor2.dumps(written)
    cut = data.draw(st.integers(0, len(body) - 1))
    for other in (body[:cut], body + b"\x00"):
        with pytest.raises(NotAMapError):
            walked(other)


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=20).map(lambda tail: b"\xa2\x61a" + tail)))
@settings(deadline=None, max_examples=400)
def test_of_any_bytes_it_takes_only_what_another_reader_takes(body: bytes) -> None:
    """Ours is the narrower of the two; but it looks neither into tags nor into the encoding of texts."""
    try:
        entries = walked(body)
    except (NotAMapError, MapRuleError):
        return
    if not any(byte >> 5 == Kind.TAG for byte in body):
        assert set(cbor2.loads(body, str_errors="replace")) == set(entries)


@pytest.mark.parametrize("filling", [b"\x00", b"\x80", b"\xa0", b"\x81", b"\xc1", b"\x60", b"\xf6"])
def test_the_bound_of_items_holds_for_every_kind(filling: bytes) -> None:
    end = b"\x00" if filling in {b"\x81", b"\xc1"} else b""
    list_of = MAX_ITEMS - 3  # beside the map, the key and the list
    inside = filling * (list_of - len(end)) + end
    count = 1 if end else list_of
    body = b"\xa1\x61a\x99" + count.to_bytes(2, "big") + inside
    assert walked(body).keys() == {"a"}
    more = b"\xa1\x61a\x99" + (count + (not end)).to_bytes(2, "big") + filling + inside
    with pytest.raises(TooManyItemsError):
        walked(more)


def test_a_megabyte_of_lists_costs_next_to_nothing() -> None:
    body = b"\xa1\x61a\x9a\x00\x0f\x42\x40" + b"\x80" * 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(TooManyItemsError):
            walked(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(body), "other threads may need some meanwhile; lists would be some sixty times as much"
