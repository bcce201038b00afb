"""Which profile a command is about when none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from uzel.faces.cli.options import new_profile_folder, profile_folder, run_folder


def make_profile(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "profile.db").touch()
    return folder


def test_the_default_profile_goes_before_that_of_uzel_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("UZEL_RUN", raising=False)
    default = tmp_path / "uzel" / "profile"
    assert profile_folder(None) == default
    of_run = make_profile(run_folder() / "profile")
    assert profile_folder(None) == of_run == tmp_path / "uzel" / "run" / "profile"
    assert new_profile_folder(None) == default
    assert profile_folder(Path("named")) == new_profile_folder(Path("named")) == Path("named")
    monkeypatch.setenv("UZEL_RUN", str(tmp_path / "elsewhere"))
    assert profile_folder(None) == default
    elsewhere = make_profile(tmp_path / "elsewhere" / "profile")
    assert profile_folder(None) == elsewhere
    make_profile(default)
    assert profile_folder(None) == default
    assert run_folder(Path("given")) == Path("given")
