"""From a key to its UIN and its fingerprint (section 7).

Both are functions of the key's SubjectPublicKeyInfo in DER (`spki`), always in the form that this module writes:
for P-256 the point is uncompressed. So one key has one UIN and one fingerprint.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from uzel.names import Fingerprint

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey

_UIN_SALT = b"uzel-uin-v1"
_UIN_MEMORY_KIB = 64 * 1024
_UIN_BYTES = 4


def derive_uin(spki: bytes) -> int:
    """The UIN of a key; 0 means that the key has none and another must be drawn.

    Slow on purpose: Argon2id over 64 MiB, some tens of milliseconds. It releases the interpreter lock.
    """
    argon2 = Argon2id(salt=_UIN_SALT, length=_UIN_BYTES, iterations=1, lanes=1, memory_cost=_UIN_MEMORY_KIB)
    return int.from_bytes(argon2.derive(spki), "little")


def fingerprint_of(spki: bytes) -> Fingerprint:
    """SHA-256 of the key's SubjectPublicKeyInfo."""
    return Fingerprint(hashlib.sha256(spki).digest())


def spki_of(key: PublicKey) -> bytes:
    """The key's SubjectPublicKeyInfo in DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def usable_private_key(key: object) -> PrivateKey | None:
    """The key itself when it is Ed25519 or P-256, else None."""
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key
    return None


def usable_public_key(key: object) -> PublicKey | None:
    """The key itself when it is Ed25519 or P-256, else None."""
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    return None
