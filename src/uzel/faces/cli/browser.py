"""Opens the page in a browser, without its one-time address in any process's arguments.

Arguments can be read by everyone on the machine. So the browser is given a file that only its owner can read and that
leads on to the address; the file goes as soon as the address was opened. Counterpart: `uzel.faces.web`, where it leads.
"""

from __future__ import annotations

import html
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from uzel.store.files import write_atomically

FILE = "open-page.html"
PATIENCE = 20.0
"""Seconds in which a browser starts, or does not."""
LOOK_EVERY = 0.1
"""Seconds between looks at whether it has."""


@contextmanager
def leading_file(folder: Path, address: str) -> Iterator[str]:
    """The URL of a file that leads to the address while the block lasts. Raises `ProfileError`, `StorageError`."""
    path = folder.absolute() / FILE
    shown = html.escape(address, quote=True)
    write_atomically(
        path,
        '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>Uzel</title>'
        f'<meta http-equiv="refresh" content="0;url={shown}"><a href="{shown}">Uzel</a>\n'.encode(),
    )
    try:
        yield path.as_uri()
    finally:
        with suppress(OSError):
            path.unlink()


def open_page(folder: Path, address: str, is_open: Callable[[], bool]) -> bool:
    """Have the person's browser open the page, and wait until it did. False when there is none, or it did not."""
    with leading_file(folder, address) as url:
        if not webbrowser.open(url):
            return False
        until = time.monotonic() + PATIENCE
        while not is_open():
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_EVERY)
    return True
