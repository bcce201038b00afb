"""The kinds of field that a message's tail is made of, and the address, the one field with a form of its own.

A layout is a tuple of fields in wire order; `codec` turns it into reading and writing, `tools/protocol_tables.py`
into the documentation. Integers are little-endian, addresses and ports big-endian (PROTOCOL.md section 2). What a
stranger wrote wrong raises `MalformedError`, which never leaves this package: the framer turns it into a `Reason`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal

from uzel.errors import Reason

MAX_ADDRESS_NAME = 253
"""Longest DNS name in an address, in bytes (D3)."""
_IPV4, _IPV6, _NAME = 0xA0, 0xA1, 0xA2
_IPV4_TYPE, _IPV6_TYPE = bytes((_IPV4,)), bytes((_IPV6,))
_IPV4_LENGTH, _IPV6_LENGTH = 7, 19
_NAME_OVERHEAD = 4
_NAME_BYTES = b"abcdefghijklmnopqrstuvwxyz0123456789.-_"
_MAPPED_PREFIX = bytes(10) + b"\xff\xff"


class MalformedError(Exception):
    """A received message breaks the format. Internal to this package."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Plain:
    """A field of fixed width: `form` is its letter for `struct`, `words` what the documentation calls it."""

    name: str
    form: str
    words: str
    big_endian: bool = False
    opaque_length: int = 0


@dataclass(frozen=True, slots=True)
class Constant:
    """Bytes that are always the same; others are a fault named `reason`."""

    value: bytes
    reason: Reason


@dataclass(frozen=True, slots=True)
class Size:
    """The leading size field, of `width` 2 or 4 bytes: how many bytes follow it, `minimum` … `maximum`.

    With `counts_itself` it counts its own two bytes too (D2); receivers then take the length from the address that
    ends the message, and accept the size counted either way.
    """

    minimum: int
    maximum: int
    counts_itself: bool = False
    width: Literal[2, 4] = 2


@dataclass(frozen=True, slots=True)
class Count:
    """The leading count of addresses, 2 bytes, 0 … `maximum` (D4)."""

    maximum: int


@dataclass(frozen=True, slots=True)
class Variable:
    """The last field of a message with a size or count, of a length that those tell."""

    name: str
    kind: Literal["utf8", "bytes", "address", "addresses"]


Field = Plain | Constant | Size | Count | Variable
Layout = tuple[Field, ...]


def u8(name: str) -> Plain:
    """One byte."""
    return Plain(name, "B", f"{name}(1)")


def u16(name: str) -> Plain:
    """Two bytes, little-endian."""
    return Plain(name, "H", f"{name}(2)")


def u16be(name: str) -> Plain:
    """Two bytes, big-endian: a port."""
    return Plain(name, "H", f"{name}(2, big-endian)", big_endian=True)


def u32(name: str) -> Plain:
    """Four bytes, little-endian: a UIN; the wire carries 0 too."""
    return Plain(name, "I", "UIN(4)" if name == "uin" else f"{name} UIN(4)")


def opaque(name: str, length: int) -> Plain:
    """That many bytes without a meaning of their own."""
    return Plain(name, f"{length}s", f"{name}({length})", opaque_length=length)


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A node's address as messages carry it (D3): an IPv4 or IPv6 address or a DNS name, and any port 0 … 65535.

    `host` is canonical: dotted IPv4, compressed IPv6 without brackets or scope, or a lower-case name of 1 … 253
    characters out of a-z, 0-9, dot, hyphen and underscore. The type byte (A0, A1, A2) follows from it, so a received
    name that reads as an IPv4 address is that address, and so is an IPv4-mapped IPv6 address (D22). Whether one may
    use it, port 0 included, is policy's business.
    """

    host: str
    port: int


def measure_address(data: bytes, at: int, have: int) -> int:
    """How long the address at `at` is, as far as `have` bytes tell: more than `have` means "look again then".

    Raises `MalformedError` for an unknown type (ADDRESS_MALFORMED) or a name of 0 or over 253 bytes
    (SIZE_OUT_OF_RANGE).
    """
    if have < 1:
        return 1
    kind = data[at]
    if kind == _IPV4:
        return _IPV4_LENGTH
    if kind == _IPV6:
        return _IPV6_LENGTH
    if kind != _NAME:
        raise MalformedError(Reason.ADDRESS_MALFORMED, f"address type 0x{kind:02X}")
    if have < 2:
        return 2
    length = data[at + 1]
    if not 0 < length <= MAX_ADDRESS_NAME:
        raise MalformedError(Reason.SIZE_OUT_OF_RANGE, f"a name of {length} bytes")
    return _NAME_OVERHEAD + length


def read_address(data: bytes, at: int, length: int) -> Address:
    """The address of `length` bytes, as measured, at `at`. Raises `MalformedError` for a name with other characters."""
    end = at + length
    port = data[end - 2] << 8 | data[end - 1]
    kind = data[at]
    if kind == _IPV4:
        return Address(f"{data[at + 1]}.{data[at + 2]}.{data[at + 3]}.{data[at + 4]}", port)
    if kind == _IPV6:
        return Address(_ipv6_text(data[at + 1 : end - 2]), port)
    name = data[at + 2 : end - 2].lower()
    if name.translate(None, _NAME_BYTES):
        raise MalformedError(Reason.ADDRESS_MALFORMED, f"name {name[:80]!a}")
    return Address(name.decode("ascii"), port)


def write_address(address: Address) -> bytes:
    """The address with its type byte. Raises `ValueError` when its host is not canonical or its port out of range."""
    host = address.host
    if not 0 <= address.port <= 65535:
        raise ValueError(f"not a port: {address.port}")
    port = address.port.to_bytes(2, "big")
    if ":" in host:
        packed = ipaddress.IPv6Address(host).packed
        if _ipv6_text(packed) != host:
            raise ValueError(f"not a canonical host: {host!a}")
        return b"".join((_IPV6_TYPE, packed, port))
    if packed := _packed_ipv4(host):
        return b"".join((_IPV4_TYPE, packed, port))
    name = host.encode("ascii")
    if not 0 < len(name) <= MAX_ADDRESS_NAME or name.translate(None, _NAME_BYTES):
        raise ValueError(f"not a canonical host: {host!a}")
    return b"".join((bytes((_NAME, len(name))), name, port))


def _ipv6_text(packed: bytes) -> str:
    if packed.startswith(_MAPPED_PREFIX):
        return str(ipaddress.IPv4Address(packed[12:]))
    return str(ipaddress.IPv6Address(packed))


def _packed_ipv4(host: str) -> bytes:
    """Four bytes, or none when the host is a name."""
    if not host[-1:].isdigit():
        return b""
    try:
        return ipaddress.IPv4Address(host).packed
    except ValueError:
        return b""
