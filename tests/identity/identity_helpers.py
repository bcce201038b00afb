"""Certificates of every wrong kind, and identities that cost nothing."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from uzel.identity import Identity
from uzel.names import Uin

AnyKey = ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@functools.cache
def real_identity(number: int = 0) -> Identity:
    """An identity whose UIN is that of its key; made once a test run for each `number`."""
    return Identity.generate()


def cheap_identity(uin: int = 7) -> Identity:
    """An identity whose UIN is not that of its key."""
    return Identity(ed25519.Ed25519PrivateKey.generate(), Uin(uin))


def certificate_with(
    names: list[str],
    *,
    key: AnyKey | None = None,
    uses: list[x509.ObjectIdentifier] | None = None,
    years: tuple[int, int] = (2000, 2001),
    state: str | None = None,
) -> bytes:
    key = key or ed25519.Ed25519PrivateKey.generate()
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, value, _validate=False) for value in names]
    if state:
        attributes.append(x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, state))
    name = x509.Name(attributes)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(datetime(years[0], 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(years[1], 1, 1, tzinfo=UTC))
    )
    if uses is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    hashless = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(key, None if hashless else SHA256()).public_bytes(Encoding.DER)


def rich_certificate() -> bytes:
    """A legal certificate with extensions of many kinds, some with values that cryptography has no name for."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "12"), x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")])
    reasons = frozenset({x509.ReasonFlags.key_compromise})
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    extensions: list[x509.ExtensionType] = [
        x509.SubjectAlternativeName(
            [x509.DNSName("a"), x509.IPAddress(IPv4Address("1.2.3.4")), x509.RFC822Name("a@b")]
        ),
        x509.IssuerAlternativeName([x509.DirectoryName(name), x509.OtherName(NameOID.COMMON_NAME, b"\x05\0")]),
        x509.NameConstraints([x509.IPAddress(IPv4Network("1.0.0.0/8"))], None),
        x509.BasicConstraints(ca=True, path_length=1),
        x509.ExtendedKeyUsage(uses),
        x509.AuthorityInformationAccess(
            [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.DNSName("a"))]
        ),
        x509.CRLDistributionPoints([x509.DistributionPoint([x509.DNSName("a")], None, reasons, None)]),
        x509.CertificatePolicies([x509.PolicyInformation(NameOID.COMMON_NAME, ["x"])]),
        x509.PolicyConstraints(1, 1),
        x509.TLSFeature([x509.TLSFeatureType.status_request]),
        x509.SubjectKeyIdentifier(b"abc"),
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2001, 1, 1, tzinfo=UTC))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, None).public_bytes(Encoding.DER)
