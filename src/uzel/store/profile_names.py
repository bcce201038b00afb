"""Whether a folder holds a profile, told by the names in it alone. Light, because every command may ask.

Counterparts: `uzel.store.profile` and `uzel.store.identities`, which open what has these names.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from uzel.errors import NoProfileError
from uzel.store.files import check_folder

DATABASE = "profile.db"
IDENTITY = "identity.pem"
"""The private key in a profile of the first version, and in a node's folder."""


def holds_profile(folder: Path) -> bool:
    """Whether something stands where a profile would, of today or of the first version."""
    return any(os.path.lexists(folder / name) for name in (DATABASE, IDENTITY))


def require_profile(folder: Path) -> None:
    """Raises `NoProfileError` when none is there, `ProfileError` when the folder cannot be used."""
    with suppress(OSError):  # whatever else keeps us from looking is said below
        if not folder.exists():
            raise NoProfileError(f"{folder} is not there")
    check_folder(folder)
    if not holds_profile(folder):
        raise NoProfileError(f"{folder} holds none")
