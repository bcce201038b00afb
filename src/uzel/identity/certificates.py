"""Certificates: how ours is made, and what is read from another's (section 7).

A certificate carries a key and claims a UIN, no more. It is self-signed because TLS wants a signature there; that
signature, the issuer and the dates are not examined. They could prove nothing: TLS 1.3 itself proves that the
other side holds the key, the UIN follows from the key, and trust comes from pins (`uzel.identity.trust`).

Whatever bytes a stranger shows, reading them gives a certificate or raises `CertificateError` with its reason.
Reading is fast (tens of microseconds) and does not check the UIN against the key: `check_uin` does, slowly.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from uzel.errors import CertificateError, InvalidNameError, Reason
from uzel.identity.keys import PrivateKey, derive_uin, fingerprint_of, spki_of, usable_public_key
from uzel.names import Fingerprint, Uin

MAX_CERTIFICATE = 16 * 1024
"""Longest certificate that is read, in bytes; ours have about 250."""

_NOT_BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
_NOT_AFTER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280, 4.1.2.5: "has no well-defined expiration"
_EXTENDED_KEY_USAGE_DER = b"\x06\x03\x55\x1d\x25"
_BOTH_USES = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH})

# What cryptography raises over bytes that are not a certificate, at loading or at the first look at a field.
_UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)


@dataclass(frozen=True, slots=True)
class NodeCertificate:
    """The key that a node showed. A node is known by its fingerprint alone; its name means nothing."""

    fingerprint: Fingerprint
    spki: bytes


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """The key that a user showed, and the UIN it claims: claimed only, see `check_uin` and `trust_peer`."""

    uin: Uin
    fingerprint: Fingerprint
    spki: bytes


def make_certificate(key: PrivateKey, uin: Uin) -> x509.Certificate:
    """A self-signed certificate, version 3, CN = the UIN in decimal, without extensions."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(uin))])
    fingerprint = fingerprint_of(spki_of(key.public_key()))
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(fingerprint.raw[:16], "big") | 1)  # the same at each load; never 0
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
    )
    return builder.sign(key, None if isinstance(key, Ed25519PrivateKey) else SHA256())


def read_certificate(der: bytes) -> PeerCertificate:
    """Read a user's certificate and check its form, not yet its UIN.

    One common name, a UIN in decimal without leading zeros; an Ed25519 or P-256 key; extended key usage absent or
    naming both server and client. Raises `CertificateError` with the reason CERTIFICATE_MALFORMED or
    CERTIFICATE_KEY_TYPE.
    """
    certificate = _load(der)
    spki = _read_key(certificate)
    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except _UNREADABLE:
        raise _malformed("its name cannot be read") from None
    if len(names) != 1 or not isinstance(names[0].value, str):
        raise _malformed("it must have exactly one common name, the UIN")
    try:
        uin = Uin.parse(names[0].value)
    except InvalidNameError as error:
        raise _malformed(error.detail) from None
    _check_uses(certificate)
    return PeerCertificate(uin, fingerprint_of(spki), spki)


def read_node_certificate(der: bytes) -> NodeCertificate:
    """Read a node's certificate: the key is checked like a user's, the name is not looked at.

    Raises `CertificateError` like `read_certificate`.
    """
    certificate = _load(der)
    spki = _read_key(certificate)
    _check_uses(certificate)
    return NodeCertificate(fingerprint_of(spki), spki)


def check_uin(certificate: PeerCertificate) -> None:
    """Check that the UIN is that of the key. Slow (Argon2id, `derive_uin`): call it on a thread.

    Raises `CertificateError` with the reason UIN_NOT_OF_KEY.
    """
    if derive_uin(certificate.spki) != certificate.uin:
        raise CertificateError(f"UIN {certificate.uin} does not belong to the key shown", reason=Reason.UIN_NOT_OF_KEY)


def _load(der: bytes) -> x509.Certificate:
    if len(der) > MAX_CERTIFICATE:
        raise _malformed(f"it is longer than {MAX_CERTIFICATE} bytes")
    if not _serial_is_positive(der):
        raise _malformed("its serial number cannot be read or is not positive")
    try:
        return x509.load_der_x509_certificate(der)
    except _UNREADABLE:
        raise _malformed("it cannot be read") from None


def _read_key(certificate: x509.Certificate) -> bytes:
    try:
        key = usable_public_key(certificate.public_key())
    except UnsupportedAlgorithm:
        key = None
    except _UNREADABLE:
        raise _malformed("its key cannot be read") from None
    if key is None:
        raise CertificateError("its key is neither Ed25519 nor P-256", reason=Reason.CERTIFICATE_KEY_TYPE)
    spki = spki_of(key)
    if spki not in certificate.tbs_certificate_bytes:
        # Another encoding of the same key would give it a second UIN in the eyes of who hashes what was shown.
        raise _malformed("its key is not in the usual encoding")
    return spki


def _check_uses(certificate: x509.Certificate) -> None:
    if _EXTENDED_KEY_USAGE_DER not in certificate.tbs_certificate_bytes:
        return  # asking cryptography would have it read every extension there is
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    except _UNREADABLE:
        raise _malformed("its extensions cannot be read") from None
    if not _BOTH_USES.issubset(uses):
        raise _malformed("extended key usage must be absent or name server and client")


def _malformed(what: str) -> CertificateError:
    return CertificateError(what, reason=Reason.CERTIFICATE_MALFORMED)


def _serial_is_positive(der: bytes) -> bool:
    """Look at the serial number before cryptography does.

    It only warns about a number that is not positive, on stderr, and a stranger shall not write there.
    """
    at = _inside(der, _inside(der, 0, 0x30), 0x30)
    if der[at : at + 1] == b"\xa0":  # [0] version
        at = _inside(der, at, 0xA0) + 3
    start = _inside(der, at, 0x02)
    first = der[start : start + 1]
    return start < len(der) and first[0] < 0x80 and (first != b"\0" or der[at + 1] > 1)


def _inside(der: bytes, at: int, tag: int) -> int:
    """Where the value of the DER element at `at` begins; past the end when there is no such element."""
    if len(der) < at + 2 or der[at] != tag:
        return len(der)
    return at + 2 + (der[at + 1] & 0x7F if der[at + 1] & 0x80 else 0)
