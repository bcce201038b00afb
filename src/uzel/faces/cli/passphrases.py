"""Where passphrases come from: a file of mode 0600, a prompt at a terminal, else the next line of standard input.

Never from an argument or the environment, which others can see. They are asked for only when one is needed, in the
order that the command's help names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from uzel.errors import BadPassphraseError, PassphraseNeededError, SecretNeededError

MOST_LINE = 4096
"""Bytes that are read of a line; the longest passphrase is a quarter of it."""

PassphraseFileOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="The profile's passphrase: the first line of a file of mode 0600. Default: ask, or read standard input.",
        show_default=False,
    ),
]


def asked(
    prompt: str,
    file: Path | None,
    *,
    confirm: bool = False,
    from_stdin: bool = True,
    needed: type[PassphraseNeededError] = SecretNeededError,
) -> Callable[[], str]:
    """Something that asks when it is called. `confirm` has a person type it twice.

    With `from_stdin` off, a standard input that is no terminal is left alone: it is something else.
    Raises `ProfileError` (the file), `BadPassphraseError`, `needed` when there is none to be had.
    """

    def ask() -> str:
        if file is not None:
            from uzel.store.files import read_start  # noqa: PLC0415 - help must not load it

            return _first_line(read_start(file, MOST_LINE + 1), str(file))
        if sys.stdin is not None and sys.stdin.isatty():
            return _typed(prompt, confirm=confirm)
        if not from_stdin or sys.stdin is None:
            raise needed("standard input is taken: give it with --passphrase-file")
        line = sys.stdin.buffer.readline(MOST_LINE + 1)
        if not line:
            raise needed(f"{prompt}: standard input has ended; give it there, or in a file")
        return _first_line(line, "standard input")

    return ask


def _typed(prompt: str, *, confirm: bool) -> str:
    import getpass  # noqa: PLC0415 - seldom needed

    try:
        typed = getpass.getpass(f"{prompt}: ", stream=sys.stderr)
        if confirm and getpass.getpass("Once more: ", stream=sys.stderr) != typed:
            raise BadPassphraseError("the two are not the same")
    except (EOFError, UnicodeDecodeError):
        raise BadPassphraseError("nothing was typed that can be read") from None
    return typed


def _first_line(data: bytes, where: str) -> str:
    line = data.split(b"\n", 1)[0].removesuffix(b"\r")
    if len(line) > MOST_LINE:
        raise BadPassphraseError(f"{where}: its first line is longer than {MOST_LINE} bytes")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise BadPassphraseError(f"{where} is not valid UTF-8") from None
