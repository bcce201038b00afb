"""Where a running node answers its operator: the Unix socket `admin.sock` in its state folder, and how to name it.

A Unix socket's address holds about a hundred bytes of path, a state folder's path may be longer. Counterparts:
`uzel.node.admin`, which listens there, and `uzel.faces.cli.node_status`, which asks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADMIN_SOCKET = "admin.sock"
MOST_PATH = 100
"""Bytes; Linux takes 107, others 103."""


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """A name of `path` that fits into a Unix socket's address, for as long as the block lasts. Raises `OSError`."""
    if len(os.fsencode(path)) <= MOST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"  # Linux; elsewhere there is no shorter name
    finally:
        os.close(folder)
