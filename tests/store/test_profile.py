"""A user's profile: made, opened, shared by several processes, and everything that can be wrong with its files."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from identity.identity_helpers import cheap_identity, real_identity
from store.store_helpers import run_python
from uzel.errors import PeerKeyChangedError, ProfileError
from uzel.identity import Pin
from uzel.names import Fingerprint, NodeAddress, Uin
from uzel.store.pins import FilePins
from uzel.store.profile import Profile

A, B = Fingerprint(b"a" * 32), Fingerprint(b"b" * 32)
NODE = NodeAddress("node.example", 8935)
PIN_MANY = """
import sys, pathlib
from uzel.names import Fingerprint, Uin
from uzel.store.pins import FilePins
folder, first = pathlib.Path(sys.argv[1]), int(sys.argv[2])
pins = FilePins(folder / "pins.json", folder / "profile.lock")
for uin in range(first, first + 30):
    pins.pin_peer(Uin(uin), Fingerprint(uin.to_bytes(32, "big")), verified=uin % 2 == 0)
"""


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return Profile.create(tmp_path / "profile", real_identity())


def test_create_makes_a_new_identity(tmp_path: Path) -> None:
    made = Profile.create(tmp_path / "deep" / "profile")
    opened = Profile.open(made.folder)
    assert (opened.identity.uin, opened.identity.fingerprint) == (made.identity.uin, made.identity.fingerprint)
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.folder.iterdir()} == {
        "identity.pem": 0o600,
        "identity.json": 0o600,
        "pins.json": 0o600,
        "profile.lock": 0o600,
    }


def test_an_identity_is_never_overwritten(profile: Profile) -> None:
    before = (profile.folder / "identity.pem").read_bytes()
    with pytest.raises(ProfileError, match="holds an identity already"):
        Profile.create(profile.folder)
    assert (profile.folder / "identity.pem").read_bytes() == before


def test_pins_survive(profile: Profile) -> None:
    profile.pins.pin_peer(Uin(5), A, verified=True)
    profile.pins.pin_node(NODE, B)
    again = Profile.open(profile.folder).pins
    assert (again.peers(), again.node(NODE)) == ({Uin(5): Pin(A, verified=True)}, B)


def test_pins_outlive_a_lost_key(profile: Profile) -> None:
    profile.pins.pin_peer(Uin(5), A, verified=True)
    (profile.folder / "identity.pem").unlink()
    with pytest.raises(ProfileError, match="identity new"):
        Profile.open(profile.folder)
    assert Profile.create(profile.folder, cheap_identity(9)).pins.peer(Uin(5)) == Pin(A, verified=True)


def test_the_uin_is_remembered(profile: Profile) -> None:
    remembered = profile.folder / "identity.json"
    note = json.loads(remembered.read_bytes())
    assert note == {"fingerprint": str(profile.identity.fingerprint), "uin": profile.identity.uin}
    remembered.write_text(json.dumps(note | {"uin": 5}))
    assert Profile.open(profile.folder).identity.uin == 5  # it was not derived again


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 16_000,
        b'{"fingerprint":"\xff","uin":5}',
        b'{"fingerprint":"x","uin":5}',
        json.dumps({"fingerprint": str(A), "uin": 5}).encode(),
        json.dumps({"fingerprint": str(A), "uin": 0}).encode(),
        b" " * 20_000,
        None,
    ],
)
def test_a_uin_remembered_for_another_key_is_derived_again(profile: Profile, note: bytes | None) -> None:
    remembered = profile.folder / "identity.json"
    before = remembered.read_bytes()
    if note is None:
        remembered.unlink()
    else:
        remembered.write_bytes(note)
    assert Profile.open(profile.folder).identity.uin == real_identity().uin
    assert remembered.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_key(profile: Profile, content: bytes) -> None:
    (profile.folder / "identity.pem").write_bytes(content)
    with pytest.raises(ProfileError, match=r"identity\.pem.*put back"):
        Profile.open(profile.folder)


@pytest.mark.parametrize("name", ["identity.pem", "pins.json"])
def test_files_that_others_can_read(profile: Profile, name: str) -> None:
    (profile.folder / name).chmod(0o644)
    with pytest.raises(ProfileError, match=f"chmod 600 .*{name}"):
        Profile.open(profile.folder)


@pytest.mark.parametrize(
    "content",
    [
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
    ],
)
def test_damaged_pins(profile: Profile, content: bytes) -> None:
    (profile.folder / "pins.json").write_bytes(content)
    with pytest.raises(ProfileError, match=r"pins\.json.*Put back"):
        Profile.open(profile.folder)
    with pytest.raises(ProfileError, match=r"pins\.json"):
        profile.pins.peer(Uin(5))
    with pytest.raises(ProfileError, match=r"pins\.json"):
        profile.pins.pin_peer(Uin(5), A, verified=True)
    assert (profile.folder / "pins.json").read_bytes() == content


def test_missing_pins_are_not_taken_for_none(profile: Profile) -> None:
    (profile.folder / "pins.json").unlink()
    with pytest.raises(ProfileError, match=r"pins\.json"):
        profile.pins.peer(Uin(5))
    with pytest.raises(ProfileError, match=r"pins\.json"):
        Profile.open(profile.folder)


def test_the_way_out_that_the_error_names_works(profile: Profile) -> None:
    path = profile.folder / "pins.json"
    path.write_bytes(b"{")
    with pytest.raises(ProfileError) as caught:
        Profile.open(profile.folder)
    path.write_text(caught.value.detail.partition("write ")[2].partition(" into")[0])
    assert Profile.open(profile.folder).pins.peers() == {}


def test_pins_of_a_newer_uzel(profile: Profile) -> None:
    (profile.folder / "pins.json").write_text('{"version":2,"peers":{},"nodes":{}}')
    with pytest.raises(ProfileError, match="newer Uzel"):
        Profile.open(profile.folder)


def test_pins_are_bounded(profile: Profile) -> None:
    pins = FilePins(profile.folder / "pins.json", profile.folder / "profile.lock", limit=1000)
    with pytest.raises(ProfileError, match="1000 bytes"):
        _pin_many(pins)
    kept = pins.peers()
    assert 5 < len(kept) < 20
    assert Profile.open(profile.folder).pins.peers() == kept


def _pin_many(pins: FilePins) -> None:
    for uin in range(1, 100):
        pins.pin_peer(Uin(uin), A, verified=False)


def test_another_process_is_seen_and_respected(profile: Profile) -> None:
    other = Profile.open(profile.folder).pins
    other.pin_peer(Uin(5), A, verified=False)
    assert profile.pins.peer(Uin(5)) == Pin(A, verified=False)
    with pytest.raises(PeerKeyChangedError):
        profile.pins.pin_peer(Uin(5), B, verified=False)


def test_processes_that_pin_at_once_lose_nothing(profile: Profile) -> None:
    programs = [
        subprocess.Popen([sys.executable, "-c", PIN_MANY, str(profile.folder), str(first)]) for first in (100, 200, 300)
    ]
    for program in programs:
        assert program.wait(50) == 0
    expected = [uin for first in (100, 200, 300) for uin in range(first, first + 30)]
    assert profile.pins.peers() == {
        Uin(uin): Pin(Fingerprint(uin.to_bytes(32, "big")), uin % 2 == 0) for uin in expected
    }


def test_leftovers_of_a_crash_are_removed(profile: Profile) -> None:
    leftovers = [profile.folder / f".{name}.0123.tmp" for name in ("identity.pem", "identity.json", "pins.json")]
    for leftover in leftovers:
        leftover.write_bytes(b"half")
    assert Profile.open(profile.folder).identity.uin == profile.identity.uin
    assert not any(leftover.exists() for leftover in leftovers)


def test_a_crash_in_create_can_be_repeated(tmp_path: Path) -> None:
    program = """
import os, pathlib, signal, sys
replace = pathlib.Path.replace
def die(self, target):
    if target.name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
pathlib.Path.replace = die
from uzel.store.profile import Profile
Profile.create(pathlib.Path(sys.argv[1]))
"""
    for name in ("pins.json", "identity.json", "identity.pem"):
        assert run_python(program, tmp_path / "profile", name).returncode == -9
        with pytest.raises(ProfileError, match="no identity"):
            Profile.open(tmp_path / "profile")
    Profile.create(tmp_path / "profile", real_identity())


def test_looking_up_a_pin_is_quick(profile: Profile) -> None:
    profile.pins.pin_peer(Uin(5), A, verified=True)
    before = time.perf_counter()
    for _ in range(1000):
        profile.pins.peer(Uin(5))
    assert time.perf_counter() - before < 1.0  # a look at the file's date, not at its content
