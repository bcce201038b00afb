"""The command line's own settings, in a file: what stands there counts where no option and no environment says else.

One TOML file in the user's configuration folder. It never holds a secret: a passphrase is named by its file. What
belongs to a profile (its nodes once named, strangers, how long chats are kept) stays in the profile. Counterparts:
`config`, which shows and changes it; `uzel.app.main`, which lets it count; `uzel.faces.page_settings`, what is in the
table `page`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uzel.errors import ConfigError, UzelError
from uzel.faces.page_settings import PageSettings
from uzel.names import NodeReference

MOST_FILE = 64 * 1024
"""Bytes that are read of the file."""
PAGE = "page"
"""The table of the page's bounds."""
Value = str | float | bool | list[str]
Wrong = tuple[object, str]
"""A value that cannot count, and why."""


@dataclass(frozen=True, slots=True)
class Setting:
    """`option` is the parameter of the commands that it stands for, `variable` the environment's name for it; bounds of
    the page have neither.
    """

    name: str
    option: str | None
    variable: str | None
    default: str
    help: str
    read: Callable[[list[str]], Value]
    """Makes its value of what was typed. Raises `ConfigError`."""


def _one(words: list[str]) -> str:
    if len(words) != 1 or not words[0] or any(ord(letter) < 32 or ord(letter) == 127 for letter in words[0]):
        raise ConfigError("give one value")
    return words[0]


def _path(words: list[str]) -> str:
    return str(Path(_one(words)).expanduser().absolute())


def _nodes(words: list[str]) -> list[str]:
    if not words:
        raise ConfigError("give at least one HOST:PORT")
    try:
        return [str(NodeReference.parse(word)) for word in words]
    except UzelError as error:
        raise ConfigError(str(error)) from None


def _switch(words: list[str]) -> bool:
    word = _one(words).lower()
    if word not in {"true", "false", "yes", "no", "on", "off"}:
        raise ConfigError("it is true or false")
    return word in {"true", "yes", "on"}


def _port(words: list[str]) -> int:
    word = _one(words)
    if not (word.isascii() and word.isdigit() and int(word) <= 65535):
        raise ConfigError("it is a port, 0 to 65535")
    return int(word)


def _of_page(bound: dataclasses.Field[Any]) -> Setting:
    """A bound of the page's, as a setting."""
    whole = isinstance(bound.default, int)
    least, most = bound.metadata["range"]

    def read(words: list[str]) -> float:
        try:
            value = int(_one(words)) if whole else float(_one(words))
        except ValueError:
            raise ConfigError("it is a whole number" if whole else "it is a number") from None
        if not least <= value <= most:
            raise ConfigError(f"it lies between {least:g} and {most:g}")
        return value

    return Setting(f"{PAGE}.{bound.name}", None, None, f"{bound.default:g}", "a bound of the page's", read)


SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("profile", "profile", "UZEL_PROFILE", "the user's data folder", "your profile's folder", _path),
        Setting("passphrase_file", "passphrase_file", None, "ask", "the file that holds its passphrase", _path),
        Setting("nodes", "node", "UZEL_NODE", "what the profile remembers", "your nodes, in this order", _nodes),
        Setting("roaming", "roaming", None, "false", "use other nodes when none of yours answers", _switch),
        Setting("api_port", "api_port", None, "none", "the port of uzel start's local interface", _port),
        *(_of_page(bound) for bound in dataclasses.fields(PageSettings)),
    )
}
"""Everything that can be set, by name."""


def config_path() -> Path:
    """Where the file is, or would be."""
    import platformdirs  # noqa: PLC0415 - only where it is needed

    return Path(platformdirs.user_config_dir("uzel")) / "config.toml"


def setting_of(name: str) -> Setting:
    """Raises `ConfigError`, with a suggestion, when there is no such setting."""
    found = SETTINGS.get(name)
    if found is None:
        import difflib  # noqa: PLC0415 - seldom needed

        near = difflib.get_close_matches(name, SETTINGS, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SETTINGS)}"
        raise ConfigError(f"there is no setting {name!r}; {hint}")
    return found


def load(path: Path) -> dict[str, Value]:
    """What the file says; nothing when there is none. Raises `ConfigError`: what is wrong, where, and how it goes."""
    values, wrong = load_with_wrong(path)
    for name, (_, error) in wrong.items():
        raise ConfigError(f"{path}: {name}: {error}; uzel config unset {shlex.quote(name)} removes it")
    return values


def load_with_wrong(path: Path) -> tuple[dict[str, Value], dict[str, Wrong]]:
    """What the file says that counts, and what cannot. Raises `ConfigError` when it cannot be read at all."""
    values: dict[str, Value] = {}
    wrong: dict[str, Wrong] = {}
    for name, value in _read(path).items():
        try:
            values[name] = _checked(name, value)
        except ConfigError as error:
            wrong[name] = value, error.detail
    return values, wrong


def _read(path: Path) -> dict[str, object]:
    """Everything that stands in the file, the page's bounds by their full names."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_FILE + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if len(data) > MOST_FILE:
        raise ConfigError(f"{path} has more than {MOST_FILE} bytes")
    import tomllib  # noqa: PLC0415 - only where there is a file

    try:
        values = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # both what is no TOML and what is no UTF-8
        raise ConfigError(f"{path}: {error}") from None
    page = values.get(PAGE)
    if isinstance(page, dict):
        del values[PAGE]
        values |= {f"{PAGE}.{name}": value for name, value in page.items()}
    return values


def page_settings() -> PageSettings:
    """The page's bounds, as the file says. Raises `ConfigError`."""
    table = f"{PAGE}."
    chosen = {name: value for name, value in load(config_path()).items() if name.startswith(table)}
    bounds: dict[str, Any] = {name.removeprefix(table): value for name, value in chosen.items()}
    return PageSettings(**bounds)


def _checked(name: str, value: object) -> Value:
    if name == PAGE:
        raise ConfigError("it has another kind of value")
    setting = setting_of(name)
    return setting.read(_words(setting, value))


def _words(setting: Setting, value: object) -> list[str]:
    """The value as it would be typed. Raises `ConfigError` when it is of another kind."""
    match value:
        case bool() if setting.read is _switch:
            return [str(value).lower()]
        case bool():
            pass
        case int() | float() if setting.name.startswith(PAGE):
            return [str(value)]
        case int() if setting.read is _port:
            return [str(value)]
        case str() if setting.read in {_path, _nodes}:
            return [value]
        case list() if setting.read is _nodes and all(isinstance(word, str) for word in value):
            return value
    raise ConfigError("it has another kind of value")


def save(path: Path, values: Mapping[str, object]) -> None:
    """Write the file anew; comments in it go. Raises `StorageError`."""
    from uzel.store.files import storage_errors, write_atomically  # noqa: PLC0415 - only where it is needed

    table = f"{PAGE}."
    names = {name: [PAGE, name.removeprefix(table)] if name.startswith(table) else [name] for name in values}
    lines = [f"{'.'.join(map(_key, names[name]))} = {as_toml(value)}\n" for name, value in values.items()]
    with storage_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(path, "".join(lines).encode())


def as_toml(value: object) -> str:
    """A value as the file has it: also of a kind that no setting has, which stays until it is removed."""
    match value:
        case list():
            return f"[{', '.join(map(as_toml, value))}]"
        case dict():
            return f"{{{', '.join(f'{_key(name)} = {as_toml(each)}' for name, each in value.items())}}}"
        case dt.date() | dt.time():
            return value.isoformat()
        case float():
            return repr(value)
    import json  # noqa: PLC0415 - only where it is needed

    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else as_toml(name)


def source_of(setting: Setting, values: Mapping[str, Value]) -> tuple[Value | None, str]:
    """What counts without an option, and whose word it is: environment, file or default."""
    if setting.variable is not None and os.environ.get(setting.variable):
        word = os.environ[setting.variable]
        return (word.split() if setting.name == "nodes" else word), "environment"
    if setting.name in values:
        return values[setting.name], "file"
    return None, "default"
