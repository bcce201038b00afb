"""Keys from passphrases and key files, and what may stand in their place."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uzel.errors import (
    BadPassphraseError,
    ForeignProfileError,
    KeyFileError,
    ProfileError,
    ProfileTruncatedError,
)
from uzel.store import keys
from uzel.store.backup import new_recovery_code
from uzel.store.keys import MAX_PASSPHRASE, check_passphrase, derive_key, read_key_file, read_salt, write_key_file

SALT = bytes(range(16))


def test_the_key_is_argon2id_with_these_very_parameters() -> None:
    expected = Argon2id(salt=SALT, length=32, iterations=3, lanes=4, memory_cost=65536).derive("пароль".encode())
    key = derive_key("пароль", SALT)
    assert key.raw == expected
    assert key.sqlcipher() == f"x'{expected.hex()}{SALT.hex()}'".encode()


@pytest.mark.usefixtures("cheap_passphrases")
def test_what_looks_the_same_is_the_same() -> None:
    composed = unicodedata.normalize("NFC", "йё naïve")
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    assert derive_key(composed, SALT) == derive_key(decomposed, SALT)
    assert derive_key("a ", SALT) != derive_key("a", SALT)  # a passphrase is taken as it is
    code = new_recovery_code()
    assert derive_key(code, SALT) == derive_key(code.lower().replace("-", " "), SALT)


@pytest.mark.usefixtures("cheap_passphrases")
def test_another_salt_makes_another_key() -> None:
    assert derive_key("a", SALT).raw != derive_key("a", bytes(16)).raw


@pytest.mark.parametrize("secret", ["", "x" * (MAX_PASSPHRASE + 1), "ё" * MAX_PASSPHRASE, "\ud800"])
def test_what_is_no_passphrase(secret: str) -> None:
    with pytest.raises(BadPassphraseError):
        derive_key(secret, SALT)
    with pytest.raises(BadPassphraseError):
        check_passphrase(secret)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(secret=st.text(st.characters(), max_size=40))
def test_any_text_gives_a_key_or_the_one_error(secret: str) -> None:
    try:
        check_passphrase(secret)
    except BadPassphraseError:
        assert not secret or any(0xD800 <= ord(character) < 0xE000 for character in secret)


def test_nothing_is_shown() -> None:
    key = keys.FileKey(b"s" * 32, SALT)
    assert repr(key) == "FileKey()"


def test_a_key_file(tmp_path: Path) -> None:
    path = tmp_path / "profile.key"
    written = write_key_file(path, SALT)
    assert (path.stat().st_mode & 0o777, len(path.read_bytes())) == (0o600, 32)
    assert read_key_file(path, SALT) == written != write_key_file(path, SALT)


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33, b"x" * 5000])
def test_a_key_file_of_another_length(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "profile.key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match="32 bytes"):
        read_key_file(path, SALT)


def test_a_key_file_that_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "profile.key"
    write_key_file(path, SALT)
    path.chmod(0o640)
    with pytest.raises(ProfileError, match="chmod 600"):
        read_key_file(path, SALT)


def test_the_salt_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "profile.db"
    path.touch(mode=0o600)
    for content in (b"", SALT[:15]):
        path.write_bytes(content)
        with pytest.raises(ProfileTruncatedError):
            read_salt(path)
    path.write_bytes(b"SQLite format 3\0" + bytes(100))
    with pytest.raises(ForeignProfileError, match="not encrypted"):
        read_salt(path)
    path.write_bytes(SALT + bytes(100))
    assert read_salt(path) == SALT
    path.chmod(0o644)
    assert read_salt(path, private=False) == SALT
    with pytest.raises(ProfileError, match="chmod 600"):
        read_salt(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    for other in (link, tmp_path, tmp_path / "none"):
        with pytest.raises(ProfileError, match=other.name):
            read_salt(other, private=False)
