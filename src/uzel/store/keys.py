"""What opens an encrypted file: a passphrase or a recovery code, or a key file beside it.

From a passphrase the key is Argon2id with the file's own salt, its first 16 bytes; so the file alone tells all that
is needed beside the passphrase. The parameters cannot stand in the file, which says nothing before its key is known:
they are part of the file's format. A key file holds the 32 bytes themselves: it saves the person a passphrase, and
protects nothing from whoever has both files. No key or passphrase is ever shown: not in a repr, not in an error.
"""

from __future__ import annotations

import os
import secrets
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from uzel.errors import BadPassphraseError, ForeignProfileError, KeyFileError, ProfileTruncatedError
from uzel.store.files import read_start, write_atomically
from uzel.store.recovery_codes import read_code

KEY_BYTES = 32
SALT_BYTES = 16
"""SQLCipher's."""
ARGON2_PASSES = 3
ARGON2_MEMORY_KIB = 64 * 1024
ARGON2_LANES = 4
"""RFC 9106's choice for where memory is short (a telephone): a fifth of a second on a small machine, and 64 MiB a
guess. Fixed for ever: another choice is another format."""
MAX_PASSPHRASE = 1024
"""Bytes in UTF-8; nobody types more, and a file given by mistake is noticed."""

_PLAIN_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class FileKey:
    """The key of one file, with the salt that stands at its beginning."""

    raw: bytes = field(repr=False)
    salt: bytes = field(repr=False)

    def sqlcipher(self) -> bytes:
        """As SQLCipher takes it: used as it is, nothing is derived any more."""
        return f"x'{self.raw.hex()}{self.salt.hex()}'".encode()


def new_salt() -> bytes:
    """The salt of a file to be made."""
    return os.urandom(SALT_BYTES)


def read_salt(path: Path, *, private: bool = True) -> bytes:
    """The salt of a file. Raises `ProfileError`: no file, others may read it (if `private`), none of ours."""
    start = read_start(path, SALT_BYTES, private=private)
    if start == _PLAIN_SQLITE:
        raise ForeignProfileError(f"{path} is not encrypted")
    if len(start) < SALT_BYTES:
        raise ProfileTruncatedError(f"{path} has {len(start)} bytes")
    return start


def derive_key(secret: str, salt: bytes) -> FileKey:
    """The key that a passphrase or a recovery code gives. Slow on purpose: a fifth of a second and 64 MiB.

    It releases the interpreter lock. Raises `BadPassphraseError` when it is empty, too long, or no text.
    """
    argon2 = Argon2id(
        salt=salt, length=KEY_BYTES, iterations=ARGON2_PASSES, lanes=ARGON2_LANES, memory_cost=ARGON2_MEMORY_KIB
    )
    return FileKey(argon2.derive(_typed(secret)), salt)


def has_key_file(path: Path) -> bool:
    """Whether something stands where the key file would."""
    return path.exists() or path.is_symlink()


def read_key_file(path: Path, salt: bytes) -> FileKey:
    """The key in a key file. Raises `KeyFileError`, `ProfileError`."""
    raw = read_start(path, KEY_BYTES + 1)
    if len(raw) != KEY_BYTES:
        raise KeyFileError(f"{path} does not have {KEY_BYTES} bytes")
    return FileKey(raw, salt)


def write_key_file(path: Path, salt: bytes) -> FileKey:
    """Write a new key file (0600), in the place of one that opens nothing. Raises `StorageError`, `ProfileError`."""
    key = FileKey(secrets.token_bytes(KEY_BYTES), salt)
    write_atomically(path, key.raw)
    return key


def check_passphrase(secret: str) -> None:
    """Raises `BadPassphraseError` when nobody could use this."""
    _typed(secret)


def _typed(secret: str) -> bytes:
    """The bytes of what was typed, the same whatever keyboard and system composed its letters."""
    code = read_code(secret)
    try:
        data = (code or unicodedata.normalize("NFC", secret)).encode()
    except UnicodeEncodeError:
        raise BadPassphraseError("it is not valid text") from None
    if not data:
        raise BadPassphraseError("it is empty")
    if len(data) > MAX_PASSPHRASE:
        raise BadPassphraseError(f"it is longer than {MAX_PASSPHRASE} bytes")
    return data
