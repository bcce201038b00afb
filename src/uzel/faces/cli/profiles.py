"""How the commands open a profile: held while they run, or only looked into; and what a person is told of its care."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from uzel.errors import PassphraseNeededError
from uzel.faces.cli.options import profile_folder
from uzel.faces.cli.output import say
from uzel.faces.cli.passphrases import asked

if TYPE_CHECKING:  # help must not load cryptography
    from uzel.store.profile import Profile

PROMPT = "Passphrase of the profile"
NEW = "New passphrase of the profile"


def open_profile(given: Path | None, passphrase_file: Path | None, program: str, *, from_stdin: bool = True) -> Profile:
    """Open and hold it; `program` is what others are told. Raises `ProfileError`, `StorageError`."""
    from uzel.store.profile import Profile  # noqa: PLC0415

    passphrase = asked(PROMPT, passphrase_file, from_stdin=from_stdin, needed=PassphraseNeededError)
    return Profile.open(profile_folder(given), passphrase=passphrase, program=program)


def peek_profile(given: Path | None, passphrase_file: Path | None) -> Profile:
    """Look into it, while another program may hold it. Raises `ProfileError`, `StorageError`."""
    from uzel.store.profile import Profile  # noqa: PLC0415

    return Profile.peek(profile_folder(given), passphrase=asked(PROMPT, passphrase_file, needed=PassphraseNeededError))


def say_how_to_keep_it(folder: Path, *, has_passphrase: bool) -> None:
    """What a person must know on the first day."""
    shown = shlex.quote(str(folder))
    say(
        f"Back up now: uzel profile backup FILE --profile {shown}\n"
        "A lost key is a lost number, and nobody can give it back. Keep FILE on another disk."
    )
    if not has_passphrase:
        say(
            f"There is no passphrase: whoever can read {folder} can be you. "
            f"Set one: uzel profile passphrase --profile {shown}"
        )
