"""Whether a core runs on a profile: what its socket says when one knocks. Light, because every send asks.

Counterparts: `core_client`, which talks; `uzel.faces.api.server`, which listens.
"""

from __future__ import annotations

from pathlib import Path

from uzel.errors import CoreSilentError, NoCoreError, NotYourCoreError

CONNECT_TIME = 5.0
"""Seconds; a socket that is listened on takes connections at once."""


def knock(folder: Path) -> None:
    """Raises `NoCoreError`, `NotYourCoreError`, `CoreSilentError` unless a core listens there."""
    import socket  # noqa: PLC0415 - help must not load it

    from uzel.store.admin_socket import API_SOCKET, socket_address  # noqa: PLC0415

    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, socket_address(folder / API_SOCKET) as name:
            sock.settimeout(CONNECT_TIME)
            sock.connect(name)
    except PermissionError:
        raise NotYourCoreError(str(folder)) from None
    except (TimeoutError, BlockingIOError):  # the second: more are waiting to be accepted than the kernel holds
        raise CoreSilentError(f"not within {CONNECT_TIME:g} s") from None
    except OSError:
        raise NoCoreError(str(folder)) from None


def core_runs(folder: Path) -> bool:
    """Whether there is a core to go through. Raises `NotYourCoreError`, `CoreSilentError`."""
    try:
        knock(folder)
    except NoCoreError:
        return False
    return True
