"""The program `uzel`: its commands, and how every one of them ends.

No traceback reaches a user: an error is a sentence on stderr and an exit code (PRODUCT.md): 0 done, 1 the user can
fix it, 2 unexpected, 3 network, 4 key not trusted, 5 rate limited, 6 queued; 130 interrupted.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from uzel.app.core_command import start
from uzel.app.demo_command import demo
from uzel.app.node_command import node_app
from uzel.app.run_command import run as run_everything
from uzel.errors import ExitCode, StorageError, UzelError
from uzel.faces.cli.chats import chats, history, search
from uzel.faces.cli.config import config_app
from uzel.faces.cli.config_file import SETTINGS, config_path, load
from uzel.faces.cli.contacts import contact_app
from uzel.faces.cli.core import me, status, stop
from uzel.faces.cli.doctor import doctor
from uzel.faces.cli.identity import identity_app
from uzel.faces.cli.listen import listen
from uzel.faces.cli.output import give_up_stdout, printable, say, silence_stdout
from uzel.faces.cli.page import web
from uzel.faces.cli.profile import profile_app
from uzel.faces.cli.running import StoppedError
from uzel.faces.cli.send import send
from uzel.faces.cli.strangers import invite_app, request_app, strangers
from uzel.faces.cli.texts import cancel, draft, export, read, retention, retry

INTERRUPTED = 130
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""A disk that takes no more: no defect of ours."""
COMPLETE = "_UZEL_COMPLETE"
"""The variable through which a shell asks for completions."""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="""\b
    uzel run                                           try it: your messenger, and Echo to talk with
    uzel demo                                          watch two people talk through two nodes
    uzel identity new --profile alice                  make a number and a key
    uzel profile backup alice.uzel --profile alice     back it up
    uzel start --profile alice --node HOST:PORT        run your messenger
    uzel listen --profile alice --node HOST:PORT       be called
    uzel send --profile alice --node HOST:PORT 1234 hi send a text
    uzel node run --listen 0.0.0.0:8935 --state DIR    run a node

    A messenger without accounts: a number, a key, and nodes that can read nothing.

    Exit codes: 0 done, 1 you can fix it, 2 unexpected, 3 network, 4 key not trusted, 5 rate limited, 6 queued.
    """,
)
app.add_typer(identity_app, name="identity", short_help="Your number and key.")
app.add_typer(profile_app, name="profile", short_help="Back up, restore, lock and check your profile.")
app.add_typer(contact_app, name="contact", short_help="The people whom you know.")
app.add_typer(request_app, name="request", short_help="Strangers who want to be let in.")
app.add_typer(invite_app, name="invite", short_help="Contact links that let people in.")
app.add_typer(config_app, name="config", short_help="What counts where you give no option.")
app.add_typer(node_app, name="node", short_help="Run a node, and print its settings.")
app.command("run", short_help="Try Uzel: a private node, your messenger, Echo, and the page.")(run_everything)
app.command("start", short_help="Run your messenger: online, delivering, keeping what comes.")(start)
app.command("web", short_help="Open your running messenger's page in the browser.")(web)
app.command("status", short_help="Show how your running messenger is.")(status)
app.command("stop", short_help="End your running messenger.")(stop)
app.command("doctor", short_help="Look what is wrong, and how to mend it.")(doctor)
app.command("me", short_help="Show your number, contact link and QR code.")(me)
app.command("chats", short_help="List your chats.")(chats)
app.command("history", short_help="Show the texts of a chat.")(history)
app.command("search", short_help="Find texts.")(search)
app.command("export", short_help="Print every text of a chat, as JSON lines.")(export)
app.command("read", short_help="Mark a chat as read.")(read)
app.command("draft", short_help="Show or keep what is typed and not sent.")(draft)
app.command("retention", short_help="Show or choose how long a chat is kept.")(retention)
app.command("cancel", short_help="Take back a text that waits.")(cancel)
app.command("retry", short_help="Queue a text again that failed.")(retry)
app.command("strangers", short_help="Show or choose whether strangers may knock.")(strangers)
app.command("listen", short_help="Be called, and print texts as they arrive.")(listen)
app.command("send", short_help="Send one text and wait until it is delivered.")(send)
app.command("demo", short_help="Watch two nodes and two people on this machine talk.")(demo)


class Shell(StrEnum):
    """The shells that can complete our commands."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command("completion", short_help="Print what completes commands in your shell.")
def completion(shell: Shell) -> None:
    """\b
    uzel completion bash > ~/.local/share/bash-completion/completions/uzel
    uzel completion zsh > ~/.zfunc/_uzel
    uzel completion fish > ~/.config/fish/completions/uzel.fish

    Print the script that completes commands, options and contacts in your shell.
    """
    os.environ[COMPLETE] = f"source_{shell}"
    typer.main.get_command(app)([], prog_name="uzel", complete_var=COMPLETE)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - seldom asked for

        typer.echo(f"uzel {version('uzel')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
) -> None:
    del show_version
    if debug:
        os.environ["UZEL_DEBUG"] = "1"


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    try:
        command = typer.main.get_command(app)
        given = _from_file(command, arguments)
        outcome = command(arguments, prog_name="uzel", standalone_mode=False, complete_var=COMPLETE, default_map=given)
    except typer.TyperException as error:
        _show_misuse(error)
        return ExitCode.FIXABLE
    except StoppedError as stopped:
        return stopped.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        silence_stdout()
        return ExitCode.DONE
    except UzelError as error:
        say(f"uzel: {printable(str(error))}")
        return error.exit_code
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:  # behind standard output, where help was printed
            give_up_stdout()
            say(f"uzel: {StorageError(error.strerror or '')}")
            return ExitCode.FIXABLE
        if os.environ.get("UZEL_DEBUG"):
            raise
        say(f"uzel: something unexpected happened: {type(error).__name__}: {printable(str(error))}")
        say("uzel: this is a defect of Uzel; run it again with uzel --debug … to see where.")
        return ExitCode.UNEXPECTED
    return outcome if isinstance(outcome, int) else ExitCode.DONE


def _from_file(command: Any, arguments: list[str]) -> dict[str, Any]:
    """What the settings' file says, for each command and option that it is about. Raises `ConfigError`."""
    if not arguments or arguments[0] in {"config", "completion"} or "--help" in arguments or COMPLETE in os.environ:
        return {}  # they work, and help, while the file is wrong
    given = ((SETTINGS[name].option, value) for name, value in load(config_path()).items())
    values = {option: value for option, value in given if option is not None}
    return _defaults(command, values) if values else {}


def _defaults(command: Any, values: dict[str, Any]) -> dict[str, Any]:
    below = getattr(command, "commands", {})
    named = {name: _defaults(each, values) for name, each in below.items() if name != "node"}
    own = {each.name: values[each.name] for each in command.params if each.name in values}
    return {**named, **own}


def _show_misuse(error: typer.TyperException) -> None:
    """The usage, the way to the help, and what is wrong with what was typed, with a suggestion."""
    show = getattr(error, "show", None)  # every misuse has it; only the base class has not
    if show is None:
        say(f"uzel: {error}")
        return
    show()
    context = getattr(error, "ctx", None)
    if hasattr(error, "option_name") and context is not None and context.command_path == "uzel send":
        say("A text that begins with a dash goes after --, at the end: uzel send … UIN -- TEXT")


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # data is UTF-8 in every locale
    sys.exit(run(sys.argv[1:]))
