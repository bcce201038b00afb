"""One's own identity: drawing, writing, reading, and what its certificate says."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from identity.identity_helpers import cheap_identity, real_identity
from uzel.errors import ProfileError
from uzel.identity import Identity, derive_uin
from uzel.names import Uin


def test_generated_uin_is_that_of_the_key() -> None:
    mine = real_identity()
    assert mine.uin == derive_uin(mine.spki)


def test_a_key_without_a_uin_is_drawn_again() -> None:
    draws = [0, 0, 42]
    assert Identity.generate(derive=lambda spki: draws.pop(0) if spki else 1).uin == 42
    assert not draws


def test_pem_there_and_back() -> None:
    mine = real_identity()
    again = Identity.from_pem(mine.to_pem())
    assert (again.uin, again.fingerprint, again.certificate_der) == (mine.uin, mine.fingerprint, mine.certificate_der)
    assert mine.to_pem().startswith(b"-----BEGIN PRIVATE KEY-----")


def test_a_remembered_uin_is_believed() -> None:
    assert Identity.from_pem(real_identity().to_pem(), uin=Uin(5)).uin == 5


def test_p256_is_taken() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    mine = Identity.from_pem(_pem(key), uin=Uin(5))
    assert mine.certificate.public_key() == key.public_key()


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        real_identity().certificate.public_bytes(Encoding.PEM),
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        ),
    ],
)
def test_what_is_no_key(pem: bytes) -> None:
    with pytest.raises(ProfileError, match="unencrypted PEM"):
        Identity.from_pem(pem)


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())])
def test_keys_of_another_kind(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(ProfileError, match="Ed25519 or P-256"):
        Identity.from_pem(_pem(key))


def test_the_certificate() -> None:
    mine = cheap_identity(4294967295)
    certificate = x509.load_der_x509_certificate(mine.certificate_der)
    assert certificate.version is x509.Version.v3
    assert certificate.subject.rfc4514_string() == "CN=4294967295" == certificate.issuer.rfc4514_string()
    assert not list(certificate.extensions)
    assert certificate.not_valid_after_utc.year == 9999
    assert 0 < certificate.serial_number < 2**159
    certificate.verify_directly_issued_by(certificate)
    assert load_der_private_key(mine.private_key_der, None).public_key() == certificate.public_key()


def test_repr_shows_no_secret() -> None:
    mine = cheap_identity(12)
    assert repr(mine) == f"<Identity 12, {mine.fingerprint}>"


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
