"""The program `uzel`: its commands, and how every one of them ends.

No traceback reaches a user: an error is a sentence on stderr and an exit code (PRODUCT.md): 0 done, 1 the user can
fix it, 2 unexpected, 3 network, 4 key not trusted, 5 rate limited, 6 queued; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import click
import typer

from uzel.app.demo_command import demo
from uzel.app.node_command import node_app
from uzel.errors import ExitCode, UzelError
from uzel.faces.cli.identity import identity_app
from uzel.faces.cli.listen import listen
from uzel.faces.cli.send import send

INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="""A messenger without accounts: a number, a key, and nodes that can read nothing.

    \b
    uzel demo                                          watch two people talk through a node
    uzel identity new --profile alice                  make a number and a key
    uzel listen --profile alice --node HOST:PORT       be called
    uzel send --profile alice --node HOST:PORT 1234 hi send a text
    uzel node run --listen 0.0.0.0:8935 --state DIR    run a node

    Exit codes: 0 done, 1 you can fix it, 2 unexpected, 3 network, 4 key not trusted, 5 rate limited, 6 queued.
    """,
)
app.add_typer(identity_app, name="identity")
app.add_typer(node_app, name="node")
app.command("listen")(listen)
app.command("send")(send)
app.command("demo")(demo)


def _show_version(wanted: bool) -> None:
    if wanted:
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
        outcome = typer.main.get_command(app)(arguments, prog_name="uzel", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return ExitCode.FIXABLE
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more to say at exit
        return ExitCode.DONE
    except UzelError as error:
        print(f"uzel: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if os.environ.get("UZEL_DEBUG"):
            raise
        print(f"uzel: something unexpected happened: {type(error).__name__}: {error}", file=sys.stderr)
        print("uzel: this is a defect of Uzel; run it again with uzel --debug … to see where.", file=sys.stderr)
        return ExitCode.UNEXPECTED
    return outcome if isinstance(outcome, int) else ExitCode.DONE


def main() -> None:
    """The entry point."""
    sys.exit(run(sys.argv[1:]))
