"""Pins in a profile beyond their contract: bounded, and durable at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from identity.identity_helpers import cheap_identity
from store.store_helpers import A, run_python
from uzel.errors import ProfileError
from uzel.identity import Pin
from uzel.names import Uin
from uzel.store.pins import DatabasePins
from uzel.store.profile import Profile

PIN_AND_DIE = """
import os, pathlib, sys
from uzel.names import Fingerprint, Uin
from uzel.store.profile import Profile
Profile.open(pathlib.Path(sys.argv[1])).pins.pin_peer(Uin(5), Fingerprint(b"a" * 32), verified=True)
os.kill(os.getpid(), 9)
"""


def test_they_are_bounded(tmp_path: Path) -> None:
    with Profile.create(tmp_path / "profile", cheap_identity(9)) as profile:
        pins = DatabasePins(profile.file, most_peers=3)
        for uin in (1, 2, 3):
            pins.pin_peer(Uin(uin), A, verified=False)
        with pytest.raises(ProfileError, match="forget some contacts"):
            pins.pin_peer(Uin(4), A, verified=False)
        assert pins.pin_peer(Uin(3), A, verified=True) == Pin(A, verified=True)  # those that are there can still change
        assert pins.forget_peer(Uin(1))
        pins.pin_peer(Uin(4), A, verified=False)
        assert list(pins.peers()) == [2, 3, 4]


def test_a_pin_outlives_a_kill(tmp_path: Path) -> None:
    Profile.create(tmp_path / "profile", cheap_identity(9)).close()
    assert run_python(PIN_AND_DIE, tmp_path / "profile").returncode == -9
    with Profile.open(tmp_path / "profile") as profile:
        assert profile.pins.peer(Uin(5)) == Pin(A, verified=True)
