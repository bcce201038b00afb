"""The few fields of a certificate that we look at, taken out of its DER (RFC 5280, section 4.1).

The library that reads certificates warns on stderr about odd ones and reads some fields only when asked, each time
with errors of another kind: not what one wants from bytes that a stranger sent. So it checks the whole and the
key (`uzel.identity.certificates`), and the form is looked at here. Whatever is wrong raises `ValueError`.
"""

from __future__ import annotations

from dataclasses import dataclass

_SEQUENCE, _SET, _INTEGER, _OBJECT, _OCTETS = 0x30, 0x31, 0x02, 0x06, 0x04
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_TEXT = frozenset({0x0C, 0x13, 0x14, 0x16})  # UTF8String, PrintableString, TeletexString, IA5String
_COMMON_NAME = bytes.fromhex("550403")
_EXTENDED_KEY_USAGE = bytes.fromhex("551d25")

Element = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class CertificateFields:
    """`spki` is the whole SubjectPublicKeyInfo; `uses` are the object identifiers of each extended key usage."""

    serial: int
    common_names: list[bytes]
    spki: bytes
    uses: list[list[bytes]]


def certificate_fields(der: bytes) -> CertificateFields:
    """Take the fields out. Raises `ValueError`."""
    ((_, certificate),) = _elements(der, _SEQUENCE)
    _, body = _elements(certificate)[0]
    fields = _elements(body)
    if fields[0][0] == _VERSION:
        del fields[0]
    if len(fields) < 6:
        raise ValueError("a field is missing")
    serial, _, _, _, subject, key = fields[:6]
    extensions = [value for tag, value in fields[6:] if tag == _EXTENSIONS]
    return CertificateFields(
        int.from_bytes(_expect(_INTEGER, serial), "big", signed=True),
        _common_names(_expect(_SEQUENCE, subject)),
        _encode(_SEQUENCE, _expect(_SEQUENCE, key)),
        [uses for value in extensions for uses in _extended_key_usages(value)],
    )


def _common_names(subject: bytes) -> list[bytes]:
    names = []
    for _, relative in _elements(subject, _SET):
        for _, attribute in _elements(relative, _SEQUENCE):
            (_, kind), (tag, value) = _elements(attribute)
            if kind == _COMMON_NAME:
                names.append(value if tag in _TEXT else b"")
    return names


def _extended_key_usages(value: bytes) -> list[list[bytes]]:
    found = []
    ((_, extensions),) = _elements(value, _SEQUENCE)
    for _, extension in _elements(extensions, _SEQUENCE):
        parts = _elements(extension)
        if _expect(_OBJECT, parts[0]) == _EXTENDED_KEY_USAGE:
            ((_, uses),) = _elements(_expect(_OCTETS, parts[-1]), _SEQUENCE)
            found.append([use for _, use in _elements(uses, _OBJECT)])
    return found


def _expect(tag: int, element: Element) -> bytes:
    if element[0] != tag:
        raise ValueError("an element of another type was expected")
    return element[1]


def _elements(data: bytes, tag: int | None = None) -> list[Element]:
    """Split into (tag, value); at least one, all of the tag if one is given."""
    found: list[Element] = []
    at = 0
    while at < len(data):
        kind, size, start = data[at], *_size(data, at + 1)
        if start + size > len(data) or (tag is not None and kind != tag):
            raise ValueError("an element is too long or of another type")
        found.append((kind, data[start : start + size]))
        at = start + size
    if not found and tag != _SET:
        raise ValueError("nothing where an element was expected")
    return found


def _size(data: bytes, at: int) -> tuple[int, int]:
    """The size that stands at `at`, and where the value begins."""
    head = data[at : at + 1]
    if not head:
        raise ValueError("an element ends early")
    if head[0] < 0x80:
        return head[0], at + 1
    length = head[0] & 0x7F
    if not 0 < length <= 2 or at + 1 + length > len(data):  # more than 65535 bytes are never looked at
        raise ValueError("a size that cannot be read")
    return int.from_bytes(data[at + 1 : at + 1 + length], "big"), at + 1 + length


def _encode(tag: int, value: bytes) -> bytes:
    size = len(value)
    if size < 0x80:
        return bytes([tag, size]) + value
    width = (size.bit_length() + 7) // 8
    return bytes([tag, 0x80 | width]) + size.to_bytes(width, "big") + value
