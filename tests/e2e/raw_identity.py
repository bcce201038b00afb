"""Identities for the raw client and the raw node: keys, certificates, and certificates that are wrong on purpose.

Written from PROTOCOL.md section 7 alone; nothing of uzel is imported. The keys are derived from a fixed text, so
their UINs, which cost 64 MiB and 60 ms each, stand here as numbers; `test_bad_input.py` computes some of them anew.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

Key = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

UINS = (
    1825126481, 3134975170, 1701189319, 1670693900, 2293205699, 1675536832, 2013001978, 679784610, 3191361975,
    906805941, 3940998078, 515599688, 3080039089, 2582405367, 1015780594, 1227058604, 797620014, 1886096282,
    992183896, 3558850155, 2434003953, 2933748430, 159857850, 19774079, 1544546835, 1429633929, 539755713,
    2858929056, 393149844, 335034587, 3151151062, 3382500274, 2218333286, 1065692430, 2428868431, 4050451087,
    1156363656, 3050255751, 2656148155, 3300703913, 2247429307, 517346283, 2328026679, 2380236352, 1467579924,
    3774911861, 1100534134, 138301338, 903464372, 2193742688, 2472021946, 2115932780, 348174576, 521211105,
    111065944, 2441569099, 298724051, 2125680912, 2062797717, 1438266846, 1984685570, 2027697600, 3567905281,
    152532303, 3639199165, 2128371591, 3280504970, 165879931, 220821619, 2320648190, 2790060961, 2120254639,
)  # fmt: skip
"""The UINs of `identity(0)`, `identity(1)`, … as Argon2id gives them."""
P256_UIN = 3381185617


@dataclass(frozen=True)
class RawIdentity:
    """A key and the certificate shown for it. `uin` is the number that the certificate names, true or not."""

    uin: int
    key: Key
    certificate: x509.Certificate

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the SubjectPublicKeyInfo, 32 raw bytes."""
        return fingerprint_of(self.key.public_key())


def fingerprint_of(public_key: CertificatePublicKeyTypes) -> bytes:
    return hashlib.sha256(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def spki(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def uin_of(key: Key) -> int:
    """Section 7's number of a key: 64 MiB, about 60 ms."""
    kdf = Argon2id(salt=b"uzel-uin-v1", length=4, iterations=1, lanes=1, memory_cost=65536)
    return int.from_bytes(kdf.derive(spki(key)), "little")


def _seed(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def self_signed(key: Key, *names: str) -> x509.Certificate:
    """A self-signed certificate whose subject holds the given common names: none, one or several."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2001, 1, 1, tzinfo=dt.UTC))  # long over: dates are ignored
    )
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


@cache
def identity(index: int) -> RawIdentity:
    """One of the true identities."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(_seed(f"uzel raw identity {index}"))
    return RawIdentity(UINS[index], key, self_signed(key, str(UINS[index])))


@cache
def node_identity(index: int) -> RawIdentity:
    """A node's identity: it is known by its key alone, and the name in its certificate means nothing."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(_seed(f"uzel raw node {index}"))
    return RawIdentity(0, key, self_signed(key, f"{1000 + index}"))


@cache
def p256_identity() -> RawIdentity:
    """A true identity with the other key type that is accepted."""
    key = ec.derive_private_key(int.from_bytes(_seed("uzel raw identity p256"), "big"), ec.SECP256R1())
    return RawIdentity(P256_UIN, key, self_signed(key, str(P256_UIN)))


def lying(uin: int, salt: str = "") -> RawIdentity:
    """A well-formed certificate whose UIN is not its key's."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(_seed(f"uzel raw liar {uin} {salt}"))
    return RawIdentity(uin, key, self_signed(key, str(uin)))


def named(*names: str) -> RawIdentity:
    """A certificate with any common names: "not a number", "007", "0", none, two."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(_seed(f"uzel raw named {names}"))
    return RawIdentity(0, key, self_signed(key, *names))


@cache
def rsa_identity() -> RawIdentity:
    """A key type that is not accepted."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return RawIdentity(12345, key, self_signed(key, "12345"))


@cache
def p384_identity() -> RawIdentity:
    """A curve that is not accepted."""
    key = ec.derive_private_key(int.from_bytes(_seed("uzel raw identity p384"), "big"), ec.SECP384R1())
    return RawIdentity(12346, key, self_signed(key, "12346"))
