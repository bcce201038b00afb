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
from cryptography.x509.oid import NameOID

from uzel.errors import CertificateError, InvalidNameError, Reason
from uzel.identity.der import CertificateFields, certificate_fields
from uzel.identity.keys import PrivateKey, derive_uin, fingerprint_of, spki_of, usable_public_key
from uzel.names import Fingerprint, Uin

MAX_CERTIFICATE = 16 * 1024
"""Longest certificate that is read, in bytes; ours have about 250."""

_NOT_BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
_NOT_AFTER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280, 4.1.2.5: "has no well-defined expiration"
# 1.3.6.1.5.5.7.3.1 and .2
_SERVER_AND_CLIENT = frozenset({bytes.fromhex("2b06010505070301"), bytes.fromhex("2b06010505070302")})

# The two forms that a key may have, each up to where the key's own bytes begin: one form, so that one key has one
# fingerprint and one UIN.
_ED25519 = bytes.fromhex("302a300506032b6570032100")
_P256_UNCOMPRESSED = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")


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
    fields = _read(der)
    if len(fields.common_names) != 1:
        raise _malformed("it must have exactly one common name, the UIN")
    try:
        uin = Uin.parse(fields.common_names[0].decode("ascii", errors="replace"))
    except InvalidNameError as error:
        raise _malformed(error.detail) from None
    return PeerCertificate(uin, fingerprint_of(fields.spki), fields.spki)


def read_node_certificate(der: bytes) -> NodeCertificate:
    """Read a node's certificate: the key is checked like a user's, the name is not looked at.

    Raises `CertificateError` like `read_certificate`.
    """
    spki = _read(der).spki
    return NodeCertificate(fingerprint_of(spki), spki)


def check_uin(certificate: PeerCertificate) -> None:
    """Check that the UIN is that of the key. Slow (Argon2id, `derive_uin`): call it on a thread.

    Raises `CertificateError` with the reason UIN_NOT_OF_KEY.
    """
    if derive_uin(certificate.spki) != certificate.uin:
        raise CertificateError(f"UIN {certificate.uin} does not belong to the key shown", reason=Reason.UIN_NOT_OF_KEY)


def _read(der: bytes) -> CertificateFields:
    if len(der) > MAX_CERTIFICATE:
        raise _malformed(f"it is longer than {MAX_CERTIFICATE} bytes")
    try:
        fields = certificate_fields(der)
    except ValueError:
        raise _malformed("it cannot be read") from None
    if fields.serial <= 0:
        raise _malformed("its serial number is not positive")
    if not fields.spki.startswith((_ED25519, _P256_UNCOMPRESSED)):
        raise CertificateError("its key is neither Ed25519 nor P-256", reason=Reason.CERTIFICATE_KEY_TYPE)
    if not all(_SERVER_AND_CLIENT.issubset(uses) for uses in fields.uses):
        raise _malformed("extended key usage must be absent or name server and client")
    _check_whole(der, fields.spki)
    return fields


def _check_whole(der: bytes, spki: bytes) -> None:
    """Have the library read all of it: what we took out must be what it sees, and a usable key."""
    try:
        key = usable_public_key(x509.load_der_x509_certificate(der).public_key())
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        raise _malformed("it cannot be read") from None
    if key is None or spki_of(key) != spki:
        raise _malformed("its key cannot be read")


def _malformed(what: str) -> CertificateError:
    return CertificateError(what, reason=Reason.CERTIFICATE_MALFORMED)
