"""Envelopes: the golden ones, what is written is read back, and any bytes give a value or the one fault."""

from __future__ import annotations

import string
import tracemalloc

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from uzel.session.cbor_map import MAX_ITEMS
from uzel.session.envelopes import (
    MAX_AGENT,
    MAX_AT,
    MAX_CAPS,
    MAX_ENVELOPE_TEXT,
    MAX_INVITE,
    MAX_TYPE_NAME,
    AnyEnvelope,
    EnvelopeFaultError,
    Gate,
    Hello,
    OtherEnvelope,
    Refusal,
    TextEnvelope,
    encode_hello,
    encode_other,
    encode_text,
    read_envelope,
)
from uzel.wire import MAX_ENVELOPE
from vectors.read_vectors import EnvelopeVector, envelope_vectors

VECTORS = envelope_vectors()
GOOD = [pytest.param(vector, id=vector.name) for vector in VECTORS if vector.envelope is not None]
BAD = [pytest.param(vector, id=vector.name) for vector in VECTORS if vector.envelope is None]
ID = bytes(range(16))

ids = st.binary(min_size=16, max_size=16)
moments = st.integers(0, MAX_AT)
names = st.text(string.ascii_letters + string.digits + string.punctuation, min_size=1, max_size=MAX_TYPE_NAME)
texts = st.text(st.characters(codec="utf-8"), max_size=300)
hellos = st.builds(
    Hello,
    ids,
    moments,
    st.sets(names, max_size=MAX_CAPS).map(lambda caps: tuple(sorted(caps))),
    st.text(st.characters(codec="utf-8"), max_size=MAX_AGENT),
    st.none() | st.binary(max_size=MAX_INVITE),
    st.sampled_from(Gate),
)
text_envelopes = st.builds(TextEnvelope, ids, moments, texts, st.none() | ids)
others = st.builds(
    OtherEnvelope, ids, moments, names.filter(lambda name: name not in {"hello", "text"}), st.none() | texts
)


def encoded(envelope: AnyEnvelope) -> bytes:
    match envelope:
        case Hello():
            return encode_hello(envelope)
        case TextEnvelope():
            return encode_text(envelope)
        case OtherEnvelope():
            return encode_other(envelope)


@pytest.mark.parametrize("vector", GOOD)
def test_golden(vector: EnvelopeVector) -> None:
    assert vector.envelope is not None
    assert read_envelope(vector.data) == vector.envelope
    if not vector.read_only:
        assert encoded(vector.envelope) == vector.data


@pytest.mark.parametrize("vector", BAD)
def test_golden_faults(vector: EnvelopeVector) -> None:
    with pytest.raises(EnvelopeFaultError) as caught:
        read_envelope(vector.data)
    fault = caught.value
    assert fault.detail
    if vector.closes:
        assert fault.id is None
    else:
        assert (fault.id, fault.refusal) == (ID, vector.refused)


def test_each_refusal_of_a_reader_has_a_vector() -> None:
    assert {vector.refused for vector in VECTORS} == {None, Refusal.MALFORMED, Refusal.TOO_LARGE}


@given(st.one_of(hellos, text_envelopes, others))
@settings(deadline=None)
def test_what_is_written_is_read_back_and_is_plain_cbor(envelope: AnyEnvelope) -> None:
    body = encoded(envelope)
    assert read_envelope(body) == envelope
    other = cbor2.loads(body)
    assert (other["id"], other["at"]) == (envelope.id, envelope.at)


@given(st.one_of(hellos, text_envelopes, others), st.data())
@settings(deadline=None, max_examples=50)
def test_entries_of_tomorrow_are_stepped_over(envelope: AnyEnvelope, data: st.DataObject) -> None:
    values = st.sampled_from([0, "x", b"", [], [[1], {"a": [None]}], {1: 2}, 2**70, 1.5, {3, 4}])
    more = data.draw(st.dictionaries(st.text(min_size=8, max_size=12), values, max_size=5))
    body = cbor2.dumps(cbor2.loads(encoded(envelope)) | more)
    assert read_envelope(body) == envelope


@given(st.one_of(hellos, text_envelopes, others), st.data())
@settings(deadline=None, max_examples=150)
def test_a_byte_changed_gives_a_value_or_the_one_fault(envelope: AnyEnvelope, data: st.DataObject) -> None:
    body = bytearray(encoded(envelope))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] = data.draw(st.integers(0, 255))
    _value_or_fault(bytes(body))


@given(st.binary(max_size=100))
@example(b"")
@settings(deadline=None)
def test_any_bytes_give_a_value_or_the_one_fault(body: bytes) -> None:
    _value_or_fault(body)


def _value_or_fault(body: bytes) -> None:
    fault = _fault_of(body)
    if fault is None:
        assert read_envelope(encoded(read_envelope(body))) == read_envelope(body)
    else:
        assert fault.id is None or fault.id in body


def _fault_of(body: bytes) -> EnvelopeFaultError | None:
    try:
        read_envelope(body)
    except EnvelopeFaultError as fault:
        return fault
    return None


wild = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.binary(max_size=20), st.text(max_size=20)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
KEYS = ("at", "t", "text", "reply", "caps", "agent", "invite", "gate")


@given(st.dictionaries(st.sampled_from(KEYS), wild), st.sampled_from(["hello", "text", "x", None]))
@settings(deadline=None, max_examples=100)
def test_entries_of_any_kind_are_refused_never_closed(entries: dict[str, object], kind: str | None) -> None:
    """A map whose id can be read is answered with a 42 whatever else is in it."""
    body = cbor2.dumps({"id": ID} | entries | ({} if kind is None else {"t": kind}))
    fault = _fault_of(body)
    assert (read_envelope(body) if fault is None else fault).id == ID


@pytest.mark.parametrize(
    "envelope",
    [
        TextEnvelope(ID[:15], 1, "x"),
        TextEnvelope(ID + b"x", 1, "x"),
        TextEnvelope(ID, -1, "x"),
        TextEnvelope(ID, MAX_AT + 1, "x"),
        TextEnvelope(ID, 2**70, "x"),
        TextEnvelope(ID, 1, "\ud800"),
        TextEnvelope(ID, 1, "a" * (MAX_ENVELOPE_TEXT + 1)),
        TextEnvelope(ID, 1, "x", reply=b""),
        OtherEnvelope(ID, 1, "text", "x"),
        OtherEnvelope(ID, 1, "hello"),
        OtherEnvelope(ID, 1, ""),
        OtherEnvelope(ID, 1, "опрос"),
        OtherEnvelope(ID, 1, "a b"),
        OtherEnvelope(ID, 1, "x" * (MAX_TYPE_NAME + 1)),
        Hello(ID, 1, ("b", "a")),
        Hello(ID, 1, ("a", "a")),
        Hello(ID, 1, tuple(sorted(str(number) for number in range(MAX_CAPS + 1)))),
        Hello(ID, 1, (), "я" * (MAX_AGENT + 1)),
        Hello(ID, 1, invite=bytes(MAX_INVITE + 1)),
    ],
    ids=repr,
)
def test_what_could_not_be_read_back_is_not_written(envelope: AnyEnvelope) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        encoded(envelope)


def test_the_largest_of_each_fits_an_envelope_and_its_items() -> None:
    caps = tuple(sorted(f"{number:064}" for number in range(MAX_CAPS)))
    hello = Hello(ID, MAX_AT, caps, "\U0001f600" * MAX_AGENT, bytes(MAX_INVITE), Gate.REFUSED)
    assert len(encode_hello(hello)) < 8192
    text = TextEnvelope(ID, MAX_AT, "\U0001f600" * (MAX_ENVELOPE_TEXT // 4), ID)
    assert len(encode_text(text)) < MAX_ENVELOPE_TEXT + 100 < MAX_ENVELOPE


def test_secrets_and_texts_are_not_in_a_repr() -> None:
    shown = repr([Hello(ID, 1, invite=b"s3cret"), TextEnvelope(ID, 1, "s3cret"), OtherEnvelope(ID, 1, "x", "s3cret")])
    assert "s3cret" not in shown


def test_a_fault_does_not_tell_what_the_envelope_holds() -> None:
    for entries in (
        {"t": "s3cret\n"},
        {"t": "x", "at": 0, "s3cret": 1, "text": 5},
        {"t": "hello", "caps": ["s3cret "]},
    ):
        with pytest.raises(EnvelopeFaultError) as caught:
            read_envelope(cbor2.dumps({"id": ID, "at": 0} | entries))
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        cbor2.dumps({"id": ID, "t": "x", "at": 1, "z": [[]] * (MAX_ENVELOPE - 100)}),
        cbor2.dumps({"id": ID, "t": "x", "at": 1, "z": [[]] * (MAX_ITEMS - 9)} | {"y": bytes(MAX_ENVELOPE - 8192)}),
        encode_text(TextEnvelope(ID, 1, "a" * MAX_ENVELOPE_TEXT)),
    ],
    ids=["too_many", "as_many_as_may_be", "longest_text"],
)
def test_memory_is_a_small_multiple_of_the_body(body: bytes) -> None:
    tracemalloc.start()
    try:
        _fault_of(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 2 * len(body) + 65_536
