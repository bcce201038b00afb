"""`uzel config`: show and change the command line's own settings. Counterpart: `config_file`, what they are."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated

import typer

from uzel.errors import ConfigError
from uzel.faces.cli.config_file import (
    SETTINGS,
    Setting,
    Value,
    Wrong,
    as_toml,
    config_path,
    load_with_wrong,
    save,
    setting_of,
    source_of,
)
from uzel.faces.cli.options import JsonOption
from uzel.faces.cli.output import json_line, printable, put, say
from uzel.faces.cli.table import table

config_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""\b
    uzel config set nodes node.example:8935
    uzel config show

    What counts where you give no option: option, then environment, then this file, then the default.
    """,
)
WRONG = "wrong"
"""The source of what stands in the file and cannot count: it is no setting, or no value of one."""
NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="SETTING",
        help="profile, passphrase_file, nodes, roaming, api_port, or a bound of the page's: page.NAME.",
        autocompletion=lambda: list(SETTINGS),
        show_default=False,
    ),
]


@config_app.command("show", short_help="Show every setting, and whose word it is.")
def show(as_json: JsonOption = False) -> None:
    """\b
    uzel config show
    uzel config show --json

    Show every setting, and whether it comes from the environment, the file or the default.

    A profile keeps its own: the nodes it was started with, uzel strangers, uzel retention.
    """
    values, wrong = load_with_wrong(config_path())
    if as_json:
        put("".join(_counts(setting, values) for setting in SETTINGS.values()))
        for name, (value, _) in wrong.items():
            put(json_line({"setting": name, "value": as_toml(value), "source": WRONG}))
        return
    rows = [(setting, *source_of(setting, values)) for setting in SETTINGS.values()]
    shown = [
        [setting.name, setting.default if value is None else _written(value), source] for setting, value, source in rows
    ]
    shown += [[name, as_toml(value), WRONG] for name, (value, _) in wrong.items()]
    put("\n".join(table(("setting", "value", "from"), shown)) + "\n")
    for name, (_, error) in wrong.items():
        say(f"{printable(name)}: {printable(error)}; uzel config unset {printable(shlex.quote(name))} removes it")
    say("A profile keeps its own: the nodes it was started with, uzel strangers, uzel retention.")


@config_app.command("get", short_help="Print one setting.")
def get(name: NameArgument, as_json: JsonOption = False) -> None:
    """\b
    uzel config get nodes

    Print one setting; nothing when only its default counts.
    """
    setting, (values, wrong) = setting_of(name), load_with_wrong(config_path())
    if name in wrong:
        raise ConfigError(f"{name}: {wrong[name][1]}")
    if as_json:
        put(_counts(setting, values))
        return
    value, _ = source_of(setting, values)
    if value is not None:
        put(_written(value) + "\n")


@config_app.command("set", short_help="Choose a setting.")
def set_(
    name: NameArgument,
    values: Annotated[list[str], typer.Argument(metavar="VALUE…", help="Several for nodes.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """\b
    uzel config set profile ~/alice
    uzel config set nodes node.example:8935 other.example:8935
    uzel config set roaming true
    uzel config set page.devices 4

    Choose a setting. Comments in the file are not kept. With --json it says what counts now, as uzel config get.
    """
    path, setting = config_path(), setting_of(name)
    try:
        value = setting.read(values)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error.detail}") from None
    others, wrong = load_with_wrong(path)
    save(path, {**others, **_kept(wrong), name: value})
    if as_json:
        put(_counts(setting, {name: value}))


@config_app.command("unset", short_help="Go back to the default.")
def unset(name: NameArgument, as_json: JsonOption = False) -> None:
    """\b
    uzel config unset nodes

    Go back to the default, or remove what is no setting. With --json it says what counts now, as uzel config get.
    """
    path = config_path()
    values, wrong = load_with_wrong(path)
    setting = None if name in wrong and name not in SETTINGS else setting_of(name)
    if name in values or name in wrong:
        others = {**values, **_kept(wrong)}
        del others[name]
        save(path, others)
    if as_json and setting is not None:
        values.pop(name, None)
        put(_counts(setting, values))


@config_app.command("path", short_help="Print where the file is.")
def path() -> None:
    """\b
    uzel config path

    Print where the file is, or would be.
    """
    put(f"{config_path()}\n")


def _kept(wrong: Mapping[str, Wrong]) -> dict[str, object]:
    """What cannot count stays as it is until it is removed."""
    return {name: value for name, (value, _) in wrong.items()}


def _counts(setting: Setting, values: Mapping[str, Value]) -> str:
    """What counts, and whose word it is, as a line of JSON."""
    value, source = source_of(setting, values)
    return json_line({"setting": setting.name, "value": value, "source": source})


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, list) else str(value)
