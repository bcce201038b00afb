"""The command line's settings: read, written, refused by name, and in their place between environment and default."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e.cli_harness import uzel
from uzel.errors import ConfigError
from uzel.faces.cli.config_file import SETTINGS, Value, load, load_with_wrong, save, setting_of

FILLED: dict[str, Value] = {
    "profile": '/a "b"\\c é',
    "passphrase_file": "/p",
    "nodes": ["[::1]:8935", "n.example:1"],
    "roaming": True,
    "api_port": 0,
    "page.devices": 4,
    "page.idle": 60.0,
}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "config.toml"
    assert load(path) == {}
    save(path, FILLED)
    assert load(path) == FILLED
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nodez = 1", "did you mean nodes"),
        ("x = 1", "there are profile"),
        ("roaming = 'true'", "another kind"),
        ("roaming = 1", "another kind"),
        ("api_port = true", "another kind"),
        ("api_port = 65536", "a port"),
        ("api_port = -1", "a port"),
        ("profile = ''", "one value"),
        ("profile = ['a']", "another kind"),
        ("profile = 'a\\u0000'\n", "one value"),
        ("nodes = []", "at least one"),
        ("nodes = ['a b']", "nodes: That is not"),
        ("nodes = [[1]]", "another kind"),
        ("[nodes]\na = 1", "another kind"),
        ("page = 1", "page: it has another kind"),
        ("page.devices = 0", "page.devices: it lies between 1 and 1000"),
        ("[page]\ndevices = 1.5", "a whole number"),
        ("page.devices = true", "another kind"),
        ("page.devices = 'x'", "another kind"),
        ("page.idle = nan", "it lies between"),
        ("page.device = 1", "did you mean page.devices"),
        ("page.devices.more = 1", "another kind"),
        ("= 1", "config.toml"),
        ("profile = '\xff'", "config.toml"),
        ("a = " + "[" * 5000, "config.toml"),
        ("#" * 70_000, "more than"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(text.replace("'a\\u0000'", '"a\\u0000"').encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert words in str(caught.value)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"profile = {text}".encode()))
def test_nothing_else_is_raised(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "config.toml"
    path.write_bytes(data)
    try:
        values = load(path)
    except ConfigError:
        return
    assert set(values) <= set(SETTINGS)


def test_every_setting_has_its_name() -> None:
    assert all(setting_of(name).name == name for name in SETTINGS)


def test_option_environment_file_default(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    for name in ("one", "two", "three"):
        assert uzel("identity", "new", "--profile", tmp_path / name).returncode == 0
    wanted = [json.loads(uzel("me", "--profile", tmp_path / name, "--json").stdout) for name in ("one", "two", "three")]
    chosen = uzel("config", "set", "profile", tmp_path / "one", "--json", env=env)
    assert json.loads(chosen.stdout) == {"setting": "profile", "value": f"{tmp_path}/one", "source": "file"}
    assert uzel("config", "get", "profile", env=env).stdout == f"{tmp_path}/one\n"
    both = {**env, "UZEL_PROFILE": str(tmp_path / "two")}
    found = [
        json.loads(uzel("me", "--json", env=env).stdout),
        json.loads(uzel("me", "--json", env=both).stdout),
        json.loads(uzel("me", "--json", "--profile", tmp_path / "three", env=both).stdout),
    ]
    assert found == wanted
    shown = [json.loads(line) for line in uzel("config", "show", "--json", env=both).stdout.splitlines()]
    assert shown[0] == {"setting": "profile", "value": str(tmp_path / "two"), "source": "environment"}
    assert shown[2] == {"setting": "nodes", "value": None, "source": "default"}
    chosen = uzel("config", "unset", "profile", "--json", env=env)
    assert json.loads(chosen.stdout) == {"setting": "profile", "value": None, "source": "default"}
    assert uzel("config", "get", "profile", env=env).stdout == ""
    path = Path(uzel("config", "path", env=env).stdout.strip())
    path.write_text("nodez = 1\n")
    done = uzel("me", env=env)
    assert (done.returncode, "did you mean nodes" in done.stderr) == (1, True)
    assert "uzel config unset nodez removes it" in done.stderr
    assert uzel("me", "--help", env=env).returncode == 0
    assert uzel("config", "set", "roaming", "on", env=env).returncode == 0
    shown = [json.loads(line) for line in uzel("config", "show", "--json", env=env).stdout.splitlines()]
    assert shown[-1] == {"setting": "nodez", "value": "1", "source": "wrong"}
    assert "nodez " in uzel("config", "show", env=env).stdout
    assert uzel("config", "unset", "nodez", env=env).returncode == 0
    assert path.read_text() == "roaming = true\n"
    assert "did you mean roaming" in uzel("config", "set", "raoming", "on", env=env).stderr


KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
WRONG = st.recursive(
    st.integers(-9, 9) | st.booleans() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | st.floats(allow_nan=False) | st.datetimes() | st.times() | st.dates(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@given(st.dictionaries(KEYS.map("?{}".format) | KEYS.map("page.?{}".format), WRONG, max_size=3))
def test_what_is_no_setting_is_kept_as_it_was(tmp_path_factory: pytest.TempPathFactory, wrong: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "kept.toml"
    save(path, {"roaming": True, **wrong})
    values, found = load_with_wrong(path)
    assert values == {"roaming": True}
    assert {name: value for name, (value, _) in found.items()} == wrong


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_and_answers(shell: str) -> None:
    done = uzel("completion", shell)
    assert (done.returncode, "_UZEL_COMPLETE" in done.stdout) == (0, True)
    asked = {
        "_UZEL_COMPLETE": f"complete_{shell}", "COMP_WORDS": "uzel conf", "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "uzel conf", "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }  # fmt: skip
    assert "config" in uzel(env=asked).stdout
