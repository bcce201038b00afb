"""Envelopes: what the body of a 31 says, as values, and back (section 6, D29).

Three kinds: `hello`, `text`, and any other type, of which only a `text` inside is of interest. Reading raises one
fault, `EnvelopeFaultError`, whatever the bytes are. Where the id could be read it says so, and the envelope is
answered with a 42; where not, nothing can be said about it and the conversation ends (D6). The id counts as read when
it stands before whatever stopped the reading (see `cbor_map`), so writers put the short entries first, as the
deterministic encoding of RFC 8949 does. Entries that nobody knows are stepped over. Counterpart: the far end's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import cbor2

from uzel.session.cbor_map import Item, Kind, MapRuleError, NotAMapError, TooManyItemsError, array_items, read_map
from uzel.session.ids import ID_LENGTH

MAX_ENVELOPE_TEXT = 512 * 1024
"""Longest text, in bytes of UTF-8 (section 6): with all that may stand beside it, it fits an envelope."""
MAX_TYPE_NAME = 64
"""Longest name of a type, in bytes."""
MAX_CAPS = 64
"""Most types that a hello names."""
MAX_AGENT = 128
"""Longest name of a program, in characters: it is shown."""
MAX_INVITE = 256
"""Longest invite token, in bytes: it has to fit a contact link, too."""
MAX_AT = 253_402_300_799_999
"""The last millisecond of the year 9999: what comes later no calendar or database here could take."""
_NAME = re.compile(r"[!-~]+")
"""A type is named in visible ASCII, so that names can be logged as they are."""
_MAX_GATE = 64


class Gate(StrEnum):
    """How the writer of a hello stands to its reader: may texts come?"""

    OPEN = "open"
    ASKED = "asked"
    """The writer's user is asked; until then one text waits, unreported."""
    REFUSED = "refused"


class Refusal(IntEnum):
    """The reason byte of a 42. A peer may send others: they mean "refused" and no more."""

    MALFORMED = 1
    """An entry is missing, or is not what the protocol says."""
    TOO_LARGE = 2
    """An entry is over its bound, or there are too many."""
    NOT_ALLOWED = 3
    """The receiver's user does not take it."""


class EnvelopeFaultError(ValueError):
    """An envelope that cannot be taken. With an `id` it is to be refused for `refusal`; without one, to end it all.

    `detail` names what is wrong and never what the envelope holds.
    """

    def __init__(self, detail: str, identifier: bytes | None, refusal: Refusal) -> None:
        super().__init__(detail)
        self.detail = detail
        self.id = identifier
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Hello:
    """The first envelope each way: what its writer can read, and how it stands to the reader.

    `at`: the writer's clock, ms since 1970 UTC. `caps`: names of types, sorted, each once. `agent`: the program's name.
    `invite`: the token that opens the reader's gate, a secret. A gate that is not named is OPEN; one of an unknown
    name is read as ASKED, at which nothing is lost and next to nothing sent.
    """

    id: bytes
    at: int
    caps: tuple[str, ...] = ()
    agent: str = ""
    invite: bytes | None = field(default=None, repr=False)
    gate: Gate = Gate.OPEN


@dataclass(frozen=True, slots=True)
class TextEnvelope:
    """A text, perhaps in `reply` to the one of that id."""

    id: bytes
    at: int
    text: str = field(repr=False)
    reply: bytes | None = None


@dataclass(frozen=True, slots=True)
class OtherEnvelope:
    """Any other type: shown as its `text` if it carries one, else reported and dropped."""

    id: bytes
    at: int
    type: str
    text: str | None = field(default=None, repr=False)


AnyEnvelope = Hello | TextEnvelope | OtherEnvelope


def encode_hello(hello: Hello) -> bytes:
    """The body of a hello's envelope. Raises `ValueError` for what could not be read back the same."""
    entries = {"caps": list(hello.caps), "agent": hello.agent, "gate": str(hello.gate)}
    return _written(hello, "hello", entries | _given("invite", hello.invite))


def encode_text(text: TextEnvelope) -> bytes:
    """The body of a text's envelope. Raises `ValueError` for what could not be read back the same."""
    return _written(text, "text", {"text": text.text} | _given("reply", text.reply))


def encode_other(other: OtherEnvelope) -> bytes:
    """The body of an envelope of another type. Raises `ValueError` for what could not be read back the same."""
    return _written(other, other.type, _given("text", other.text))


def read_envelope(body: bytes) -> AnyEnvelope:
    """What the body says. Raises `EnvelopeFaultError` and nothing else.

    It holds what it returns and, while it reads, where the entries stand: twice the body's size at most for ASCII,
    and 0.6 MiB for the most entries that there may be.
    """
    entries: dict[str, Item] = {}
    fields = _Fields(body, entries)
    try:
        read_map(body, entries)
    except NotAMapError as fault:
        raise EnvelopeFaultError(str(fault), None, Refusal.MALFORMED) from None
    except MapRuleError as fault:
        refusal = Refusal.TOO_LARGE if isinstance(fault, TooManyItemsError) else Refusal.MALFORMED
        raise EnvelopeFaultError(str(fault), fields.id(), refusal) from None
    identifier = fields.id()
    if identifier is None:
        raise EnvelopeFaultError("no id", None, Refusal.MALFORMED)
    try:
        return _read(fields, identifier)
    except _FieldError as fault:
        raise EnvelopeFaultError(str(fault), identifier, fault.refusal) from None


def _read(fields: _Fields, identifier: bytes) -> AnyEnvelope:
    kind, at = _type_name(fields.text("t", MAX_TYPE_NAME)), fields.moment("at")
    if kind == "hello":
        return Hello(
            identifier,
            at,
            fields.names("caps"),
            fields.agent("agent"),
            fields.data("invite", MAX_INVITE) if "invite" in fields else None,
            _gate(fields.text("gate", _MAX_GATE)) if "gate" in fields else Gate.OPEN,
        )
    if kind == "text":
        reply = fields.data("reply", ID_LENGTH, ID_LENGTH) if "reply" in fields else None
        return TextEnvelope(identifier, at, fields.text("text", MAX_ENVELOPE_TEXT), reply)
    return OtherEnvelope(identifier, at, kind, fields.text("text", MAX_ENVELOPE_TEXT) if "text" in fields else None)


class _FieldError(Exception):
    def __init__(self, detail: str, refusal: Refusal = Refusal.MALFORMED) -> None:
        super().__init__(detail)
        self.refusal = refusal


class _Fields:
    """The entries of one envelope, each read only when asked for, within its bound."""

    def __init__(self, body: bytes, entries: dict[str, Item]) -> None:
        self._body = body
        self._entries = entries

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def id(self) -> bytes | None:
        """The envelope's id, if it can be read."""
        item = self._entries.get("id")
        if item is None or item.kind is not Kind.BYTES or item.number != ID_LENGTH:
            return None
        return self._body[item.start : item.end]

    def moment(self, name: str) -> int:
        item = self._item(name, Kind.UNSIGNED)
        if item.number > MAX_AT:
            raise _FieldError(f"{name} is past the year 9999")
        return item.number

    def data(self, name: str, most: int, least: int = 0) -> bytes:
        item = self._item(name, Kind.BYTES)
        _bounded(name, item.number, most)
        if item.number < least:
            raise _FieldError(f"{name} is too short")
        return self._body[item.start : item.end]

    def text(self, name: str, most: int) -> str:
        """A text of at most so many bytes."""
        return self._text(name, self._item(name, Kind.TEXT), most)

    def agent(self, name: str) -> str:
        text = self.text(name, 4 * MAX_AGENT)
        _bounded(name, len(text), MAX_AGENT)
        return text

    def names(self, name: str) -> tuple[str, ...]:
        """Names of types, sorted and each once, however they come."""
        array = self._item(name, Kind.ARRAY)
        _bounded(name, array.number, MAX_CAPS)
        items = array_items(self._body, array)
        return tuple(sorted({_type_name(self._text(name, item, MAX_TYPE_NAME)) for item in items}))

    def _item(self, name: str, kind: Kind) -> Item:
        item = self._entries.get(name)
        if item is None:
            raise _FieldError(f"{name} is missing")
        if item.kind is not kind:
            raise _FieldError(f"{name} is of the wrong kind")
        return item

    def _text(self, name: str, item: Item, most: int) -> str:
        if item.kind is not Kind.TEXT:
            raise _FieldError(f"{name} holds something of the wrong kind")
        _bounded(name, item.number, most)
        try:
            return self._body[item.start : item.end].decode("utf-8")
        except UnicodeDecodeError:
            raise _FieldError(f"{name} is not UTF-8") from None


def _bounded(name: str, size: int, most: int) -> None:
    if size > most:
        raise _FieldError(f"{name} is over its bound of {most}", Refusal.TOO_LARGE)


def _type_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise _FieldError("a type's name is not visible ASCII")
    return name


def _gate(word: str) -> Gate:
    return Gate(word) if word in set(Gate) else Gate.ASKED


def _given(name: str, value: bytes | str | None) -> dict[str, object]:
    return {} if value is None else {name: value}


def _written(envelope: AnyEnvelope, kind: str, entries: dict[str, object]) -> bytes:
    """The map in the deterministic encoding. What we would not read, or read as something else, we do not write."""
    body = cbor2.dumps({"id": envelope.id, "t": kind, "at": envelope.at} | entries, canonical=True)
    if read_envelope(body) != envelope:
        raise ValueError("not to be written: it would be read as something else")
    return body
