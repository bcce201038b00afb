"""Profiles of the first version become today's when they are opened, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from identity.identity_helpers import cheap_identity, real_identity
from store.store_helpers import NODE, OLD_FILES, PEER, PINS, A, B, old_folder
from uzel.errors import ProfileError
from uzel.identity import MemoryPins, Pin
from uzel.store.profile import Profile
from uzel.store.profile_folder import read_pins

NOTE_OF_ANOTHER = json.dumps({"fingerprint": str(A), "uin": 5}).encode()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*PINS, "5", "key"]), inner),
    max_leaves=8,
)
DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"[" * 100_000,
    b'{"version":1}',
    b'{"version":1,"peers":{"0":{"key":"x","verified":true}},"nodes":{}}',
    b'{"version":1,"peers":{"5":{"key":"x","verified":true}},"nodes":{}}',
    b'{"version":1,"peers":{"5":{"key":"' + str(A).encode() + b'","verified":1}},"nodes":{}}',
    b'{"version":1,"peers":{},"nodes":{"a:b:c":"' + str(A).encode() + b'"}}',
    b'{"version":1,"peers":{},"nodes":{},"more":1}',
    b'{"version":1,"peers":{},"nodes":{"\xff":"x"}}',
]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return old_folder(tmp_path / "profile", real_identity())


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("way", [Profile.open, Profile.peek])
def test_it_becomes_a_profile_of_today(old: Path, way: Callable[[Path], Profile]) -> None:
    with way(old) as profile:
        me = real_identity()
        assert (profile.identity.uin, profile.identity.fingerprint) == (me.uin, me.fingerprint)
        assert profile.pins.peers() == {PEER: Pin(A, verified=True)}
        assert profile.pins.node(NODE) == B
        assert not OLD_FILES & names(old)
    assert names(old) - {"profile.db-wal", "profile.db-shm"} == {"profile.db", "profile.key", "profile.lock"}
    Profile.open(old).close()


def test_a_remembered_uin_is_not_derived_again(old: Path) -> None:
    note = json.loads((old / "identity.json").read_bytes())
    (old / "identity.json").write_text(json.dumps(note | {"uin": 5}))
    with Profile.open(old) as profile:
        assert profile.identity.uin == 5


@pytest.mark.parametrize("note", [b"", b"{", b"[" * 16_000, NOTE_OF_ANOTHER, None])
def test_a_uin_that_is_not_remembered_is_derived(old: Path, note: bytes | None) -> None:
    (old / "identity.json").unlink()
    if note is not None:
        (old / "identity.json").touch(mode=0o600)
        (old / "identity.json").write_bytes(note)
    with Profile.open(old) as profile:
        assert profile.identity.uin == real_identity().uin


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_key(old: Path, content: bytes) -> None:
    (old / "identity.pem").write_bytes(content)
    with pytest.raises(ProfileError, match=r"identity\.pem.*put back"):
        Profile.open(old)
    assert names(old) >= OLD_FILES
    assert "profile.db" not in names(old)


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_pins(old: Path, content: bytes) -> None:
    (old / "pins.json").write_bytes(content)
    with pytest.raises(ProfileError, match=r"pins\.json.*Put back") as caught:
        Profile.open(old)
    assert (old / "pins.json").read_bytes() == content
    assert names(old) >= OLD_FILES
    assert "profile.db" not in names(old)
    (old / "pins.json").write_text(caught.value.detail.partition("write ")[2].partition(" into")[0])
    with Profile.open(old) as profile:  # the way out that the error names works
        assert profile.pins.peers() == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(content=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_pins_or_the_one_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pins.json"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with suppress(ProfileError):
        assert isinstance(read_pins(tmp_path), MemoryPins)


def test_missing_pins_are_not_taken_for_none(old: Path) -> None:
    (old / "pins.json").unlink()
    with pytest.raises(ProfileError, match=r"pins\.json"):
        Profile.open(old)


@pytest.mark.parametrize("name", ["identity.pem", "pins.json"])
def test_files_that_others_can_read(old: Path, name: str) -> None:
    (old / name).chmod(0o644)
    with pytest.raises(ProfileError, match=f"chmod 600 .*{name}"):
        Profile.open(old)


def test_pins_of_a_newer_uzel(old: Path) -> None:
    (old / "pins.json").write_text('{"version":2,"peers":{},"nodes":{}}')
    with pytest.raises(ProfileError, match="newer Uzel"):
        Profile.open(old)


def test_no_new_identity_beside_an_old_one(old: Path) -> None:
    with pytest.raises(ProfileError, match="already"):
        Profile.create(old)


def test_pins_outlive_a_lost_key(old: Path) -> None:
    (old / "identity.pem").unlink()
    with pytest.raises(ProfileError, match="identity new"):
        Profile.open(old)
    with Profile.create(old, cheap_identity(9)) as profile:
        assert profile.pins.peers() == {PEER: Pin(A, verified=True)}
    assert "pins.json" not in names(old)


def test_the_key_of_another_identity_is_not_removed(old: Path) -> None:
    pem = (old / "identity.pem").read_bytes()
    (old / "identity.pem").rename(old / "aside")
    Profile.create(old, cheap_identity(9)).close()
    (old / "aside").rename(old / "identity.pem")
    with Profile.open(old) as profile:
        assert profile.identity.uin == 9
    assert (old / "identity.pem").read_bytes() == pem
