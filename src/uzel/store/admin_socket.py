"""Where running programs are spoken to: Unix sockets in their folders, how to name them and how to make them.

A node has `admin.sock` in its state folder, a core `api.sock` in its profile's. A Unix socket's address holds about a
hundred bytes of path, a folder's path may be longer. Counterparts: `uzel.node.admin` and `uzel.faces.api`, which listen
there; `uzel.faces.cli.node_client` and `uzel.local.core_client`, which ask.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uzel.errors import ConfigError
from uzel.store.files import PRIVATE_FILE, storage_errors

ADMIN_SOCKET = "admin.sock"
API_SOCKET = "api.sock"
API_TOKEN = "api.token"  # noqa: S105 - the file's name
"""The file beside the profile that holds the bearer token of the core's port, while it has one."""
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


def bind_private(path: Path) -> socket.socket:
    """A bound socket that only its owner may open, from its first moment. What a crash left there is replaced.

    The caller holds the folder's lock. Raises `ConfigError` when something else has the name, `StorageError`.
    """
    with storage_errors(path):
        _remove_stale(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            os.fchmod(sock.fileno(), PRIVATE_FILE)  # Linux takes the mode from here: at no moment is it wider
            with socket_address(path) as address:
                sock.bind(address)
            path.chmod(PRIVATE_FILE)
            sock.setblocking(False)
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE:  # it came into being since we looked
                raise ConfigError(f"{path} is in use: give each program a folder of its own") from None
            raise
    return sock


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} is not a socket: move it away")
    path.unlink()
