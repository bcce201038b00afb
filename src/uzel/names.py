"""Value types with a printed form: UIN, fingerprint, node address, contact link.

Each parses, prints and validates itself, and nothing else: no look-up, no network, no state. What is printed
parses back to an equal value. Whatever a person or a stranger typed goes through `parse` and fails with
`InvalidNameError` alone. Sources: PROTOCOL.md sections 2 (addresses, D3), 6 (ports, D7) and 7 (who is who).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Self
from urllib.parse import parse_qsl, quote

from uzel.errors import InvalidNameError

MAX_UIN = 2**32 - 1
MAX_PORT = 65534
"""The highest control port: the data port is the one above it (D7)."""
DEFAULT_PORT = 8935
MAX_DNS_NAME = 253
MAX_CONTACT_NAME = 64
MAX_LINK = 4096
"""Longest contact link that is parsed, in characters: a QR code holds fewer."""
MAX_LINK_NODES = 8
_DNS_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Uin(int):
    """A user's number, 1 … 2³²-1 (D1: 0 is never a user). Raises `InvalidNameError` for anything else."""

    __slots__ = ()

    def __new__(cls, value: int) -> Self:
        if not 0 < value <= MAX_UIN:
            raise InvalidNameError(f"a UIN lies between 1 and {MAX_UIN}")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read decimal digits without sign, spaces or leading zeros."""
        if not (text.isascii() and text.isdigit() and len(text) <= 10) or text.startswith("0"):
            raise InvalidNameError(f"not a UIN: {_shown(text)}")
        return cls(int(text))


@dataclass(frozen=True, slots=True, order=True)
class Fingerprint:
    """SHA-256 of a key's SubjectPublicKeyInfo: 32 raw bytes, printed as 43 base64url characters (section 7)."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise InvalidNameError("a fingerprint has 32 bytes")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the 43 characters; only the one canonical form is taken."""
        try:
            raw = base64.b64decode(text + "=", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(text) != 43 or len(raw) != 32 or str(cls(raw)) != text:
            raise InvalidNameError(f"not a fingerprint of 43 characters: {_shown(text)}")
        return cls(raw)

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(self.raw).rstrip(b"=").decode("ascii")


def dns_name(text: str) -> str:
    """The lower-case IDNA form of a DNS name, 1 … 253 ASCII characters (D3). Raises `InvalidNameError`."""
    name = text.rstrip(".").lower()
    if not name.isascii():
        import idna  # noqa: PLC0415 - its tables take half a MiB, and most nodes never see such a name

        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise InvalidNameError(f"not a host name: {_shown(text)}") from None
    labels = name.split(".")
    if (
        not 0 < len(name) <= MAX_DNS_NAME
        or not _DNS_CHARACTERS.issuperset(name)
        or not all(0 < len(label) <= 63 for label in labels)
        or _looks_like_ip(labels)
    ):
        raise InvalidNameError(f"not a host name: {_shown(text)}")
    return name


def _looks_like_ip(labels: list[str]) -> bool:
    """Resolvers read a last label in decimal or hexadecimal as the end of an IPv4 address: 127.1, 0x7f000001."""
    last = labels[-1]
    return last.isdigit() or (last.startswith("0x") and set(last[2:]) <= set("0123456789abcdef"))


def ip_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Parse an IP address; an IPv4-mapped IPv6 address is the IPv4 address (D22). Raises `ValueError`."""
    host = text.partition("%")[0]  # an IPv6 zone names an interface of one machine
    address = ipaddress.ip_address(host if ":" in host else text)
    return getattr(address, "ipv4_mapped", None) or address


class Range(StrEnum):
    """The kinds of IP address that are kept apart (D22): what a node in one of them says does not count in another."""

    LOOPBACK = "loopback"
    LINK_LOCAL = "link_local"
    PRIVATE = "private"
    """RFC 1918, unique local IPv6, and 100.64.0.0/10, which providers share out among their customers."""
    PUBLIC = "public"
    NOWHERE = "nowhere"
    """Unspecified, multicast, reserved: no node can be there."""


_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10")
)
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")


@lru_cache(maxsize=8192)
def range_of(host: str) -> Range | None:
    """The range that an IP address lies in; None for a DNS name, which may stand for any."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if address.is_loopback:
        return Range.LOOPBACK
    if address.is_link_local:
        return Range.LINK_LOCAL
    if any(address in network for network in _PRIVATE):
        return Range.PRIVATE
    if address.is_unspecified or address.is_multicast or address.is_reserved or address in _THIS_NETWORK:
        return Range.NOWHERE
    return Range.PUBLIC


def network_of(host: str) -> str:
    """Whom an IP address stands for in bounds and comparisons (D12): an IPv4 address itself, an IPv6 address its /64.

    `host` is canonical, as `ip_address` gives it.
    """
    return str(ipaddress.IPv6Network((host, 64), strict=False)) if ":" in host else host


@dataclass(frozen=True, slots=True, order=True)
class NodeAddress:
    """Where a node listens: an IPv4 address, an IPv6 address or a DNS name, and its control port.

    `host` is canonical (compressed IPv6 without brackets, lower-case IDNA name). `port` is 1 … 65534, because the
    data port is one above (D7). Construct through `of` or `parse` when the host may not be canonical.
    """

    host: str
    port: int

    def __post_init__(self) -> None:
        if not 0 < self.port <= MAX_PORT:
            raise InvalidNameError(f"a control port lies between 1 and {MAX_PORT}")

    @classmethod
    def of(cls, host: str, port: int) -> Self:
        """Make the host canonical. Raises `InvalidNameError`."""
        try:
            return cls(str(ip_address(host)), port)
        except ValueError:
            return cls(dns_name(host), port)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`; the port is 8935 when left out."""
        host, port = split_host_port(text, default_port=DEFAULT_PORT)
        return cls.of(host, port)

    @property
    def data_port(self) -> int:
        """The node's data port: the control port + 1, always (D7)."""
        return self.port + 1

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def split_host_port(text: str, *, default_port: int | None = None) -> tuple[str, int]:
    """Split `HOST:PORT` or `[IPV6]:PORT` into its halves; a bare IPv6 address needs its brackets.

    The port is any of 0 … 65535 here. Raises `InvalidNameError`, also when there is no port and no default.
    """
    host, port_text = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or (rest and not rest.startswith(":")):
            raise InvalidNameError(f"not a node address: {_shown(text)}")
        port_text = rest[1:] if rest else ""
        has_port = bool(rest)
    else:
        host, colon, port_text = text.partition(":")
        has_port = bool(colon)
    if not host or ":" in port_text:
        raise InvalidNameError(f"not a node address (IPv6 goes in brackets): {_shown(text)}")
    if not has_port:
        if default_port is None:
            raise InvalidNameError(f"the port is missing: {_shown(text)}")
        return host, default_port
    if not (port_text.isascii() and port_text.isdigit() and len(port_text) <= 5 and int(port_text) <= 65535):
        raise InvalidNameError(f"not a port: {_shown(text)}")
    return host, int(port_text)


@dataclass(frozen=True, slots=True)
class NodeReference:
    """A node as a person writes it down: `HOST:PORT` or `HOST:PORT,FINGERPRINT`."""

    address: NodeAddress
    fingerprint: Fingerprint | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read it; raises `InvalidNameError`."""
        address, comma, fingerprint = text.partition(",")
        return cls(NodeAddress.parse(address), Fingerprint.parse(fingerprint) if comma else None)

    def __str__(self) -> str:
        return f"{self.address},{self.fingerprint}" if self.fingerprint else str(self.address)


@dataclass(frozen=True, slots=True)
class ContactLink:
    """`uzel:UIN?key=FINGERPRINT&node=HOST:PORT[,FINGERPRINT]&name=…&invite=…` (section 7).

    Every part but the UIN may be missing; a link without `key` is a bare number and proves nothing. `name` is at
    most 64 characters and holds no control characters; `invite` is at most 256 raw bytes, written in base64url.
    """

    uin: Uin
    fingerprint: Fingerprint | None = None
    nodes: tuple[NodeReference, ...] = ()
    name: str = ""
    invite: bytes = b""

    def __post_init__(self) -> None:
        check_contact_name(self.name)
        if len(self.nodes) > MAX_LINK_NODES:
            raise InvalidNameError(f"a contact link names at most {MAX_LINK_NODES} nodes")
        if len(self.invite) > 256:
            raise InvalidNameError("an invite is at most 256 bytes")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a contact link or a bare UIN. Unknown parameters are left aside, for later versions.

        Raises `InvalidNameError`.
        """
        text = text.strip()
        if len(text) > MAX_LINK:
            raise InvalidNameError("a contact link has at most 4096 characters")
        if not text.lower().startswith("uzel:"):
            return cls(Uin.parse(text))
        number, _, query = text[5:].partition("?")
        try:
            literal_plus = query.replace("+", "%2B")
            parameters = parse_qsl(literal_plus, keep_blank_values=True, strict_parsing=bool(query), errors="strict")
        except (ValueError, UnicodeDecodeError):
            raise InvalidNameError(f"not a contact link: {_shown(text)}") from None
        single: dict[str, str] = {}
        nodes: list[NodeReference] = []
        for key, value in parameters:
            if key == "node":
                nodes.append(NodeReference.parse(value))
            elif key in single:
                raise InvalidNameError(f"the contact link names its {_shown(key)} twice")
            else:
                single[key] = value
        return cls(
            Uin.parse(number),
            Fingerprint.parse(single["key"]) if "key" in single else None,
            tuple(nodes),
            single.get("name", ""),
            _invite_bytes(single.get("invite", "")),
        )

    def __str__(self) -> str:
        parts = []
        if self.fingerprint:
            parts.append(f"key={self.fingerprint}")
        parts += [f"node={quote(str(node), safe=':,[]')}" for node in self.nodes]
        if self.name:
            parts.append(f"name={quote(self.name, safe='')}")
        if self.invite:
            parts.append(f"invite={base64.urlsafe_b64encode(self.invite).rstrip(b'=').decode('ascii')}")
        return f"uzel:{int(self.uin)}" + ("?" + "&".join(parts) if parts else "")


def check_contact_name(name: str) -> None:
    """Raise `InvalidNameError` unless this can stand as a name: 64 characters, none that controls the screen."""
    if len(name) > MAX_CONTACT_NAME:
        raise InvalidNameError(f"a contact's name has at most {MAX_CONTACT_NAME} characters")
    if any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} or c in _BIDI_CONTROLS for c in name):
        raise InvalidNameError("a contact's name holds no control characters")


def _invite_bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidNameError("the invite in the contact link is not valid") from None


def _shown(text: str) -> str:
    """Untrusted text, cut and escaped, for an error message."""
    return ascii(text if len(text) <= 80 else text[:77] + "…")
