"""The lock of a profile, and what its file may say."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uzel.errors import ProfileError, ProfileHeldError
from uzel.store.profile_lock import MOST_TOLD, holding, is_held_here


def test_it_says_who_holds_it_and_for_how_long(tmp_path: Path) -> None:
    path = tmp_path / "profile.lock"
    path.write_bytes(b"something longer than what is written there now " * 20)
    with holding(path, "uzel start " + "x" * 500):
        told = json.loads(path.read_bytes())
        assert (told["pid"], len(told["program"])) == (os.getpid(), 60)
        assert is_held_here(path)
        assert is_held_here(tmp_path / "." / "profile.lock")
    assert path.read_bytes() == b""
    assert not is_held_here(path)
    path.unlink()
    with holding(path):
        assert path.stat().st_mode & 0o777 == 0o600
        assert json.loads(path.read_bytes())["program"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    said=st.binary(max_size=50)
    | st.sampled_from(
        [b"[" * MOST_TOLD, b'{"pid":"x","program":1,"since":2}', b'{"pid":1}', b'{"pid":1e999,"program":"","since":""}']
    )
)
def test_whatever_the_file_says(tmp_path: Path, said: bytes) -> None:
    path = tmp_path / "profile.lock"
    path.write_bytes(said)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ProfileHeldError), holding(path):
            pass
    assert path.read_bytes() == said


def test_it_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "profile.lock"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ProfileError, match="not a file"), holding(path):
        pass
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ProfileError, match="not a file"), holding(path):
        pass
    path.unlink()
    path.mkdir()
    with pytest.raises(ProfileError, match="not a file"), holding(path):
        pass
