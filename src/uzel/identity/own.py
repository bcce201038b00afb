"""One's own identity: a private key, its UIN, and the certificate that shows it (section 7).

A node's identity has the same form; its UIN is not used as a user's. Counterpart: `certificates.read_certificate`
reads on the other side what is shown here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from uzel.errors import ProfileError
from uzel.identity.certificates import make_certificate
from uzel.identity.keys import PrivateKey, derive_uin, fingerprint_of, spki_of, usable_private_key
from uzel.names import Fingerprint, Uin


class Identity:
    """A key and its UIN. Make one with `generate` or `from_pem`; it never changes.

    Losing the key loses the UIN: nobody can give either back.
    """

    def __init__(self, private_key: PrivateKey, uin: Uin) -> None:
        """`uin` is believed: it must be that of the key, or every node will refuse the certificate."""
        self.private_key = private_key
        self.uin = uin
        self.spki = spki_of(private_key.public_key())
        self.fingerprint: Fingerprint = fingerprint_of(self.spki)
        self.certificate: x509.Certificate = make_certificate(private_key, uin)

    @classmethod
    def generate(cls, *, derive: Callable[[bytes], int] = derive_uin) -> Self:
        """A new Ed25519 key, drawn again while its UIN is 0. Slow: `derive_uin`."""
        while True:
            key = Ed25519PrivateKey.generate()
            uin = derive(spki_of(key.public_key()))
            if uin:
                return cls(key, Uin(uin))

    @classmethod
    def from_pem(cls, pem: bytes, *, uin: Uin | None = None) -> Self:
        """Read an unencrypted private key, Ed25519 or P-256.

        Slow (`derive_uin`) unless `uin` is given by someone who remembers it for this very key.
        Raises `ProfileError`.
        """
        try:
            key = usable_private_key(load_pem_private_key(pem, password=None))
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ProfileError("the private key cannot be read: it must be unencrypted PEM") from None
        if key is None:
            raise ProfileError("the private key must be Ed25519 or P-256")
        number = uin or derive_uin(spki_of(key.public_key()))
        if not number:
            raise ProfileError("the private key has no UIN: make another")
        return cls(key, Uin(number))

    def to_pem(self) -> bytes:
        """The private key as PKCS #8 in PEM, unencrypted: keep it where only its owner can read."""
        return self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @cached_property
    def certificate_der(self) -> bytes:
        """The certificate as it is shown in TLS."""
        return self.certificate.public_bytes(Encoding.DER)

    @cached_property
    def private_key_der(self) -> bytes:
        """The private key as PKCS #8 in DER, unencrypted."""
        return self.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def __repr__(self) -> str:
        return f"<Identity {int(self.uin)}, {self.fingerprint}>"
