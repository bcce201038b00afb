"""Asks a running node about itself, over the admin socket in its state folder.

Every way in which there is no answer is an error of its own, for a person: no node runs there, the folder belongs to
someone else, it does not answer in time, it answers something else. Counterpart: `uzel.node.admin`.
"""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

from uzel.errors import NodeSilentError, NoNodeError, NotYourNodeError
from uzel.store.admin_socket import ADMIN_SOCKET, socket_address

MOST_ANSWER = 64 * 1024 * 1024
"""Bytes; 20,000 known nodes take a tenth of it."""


def ask_node(folder: Path, command: str, timeout: float) -> Any:
    """The node's answer, as JSON gives it; `timeout`, in seconds, is for everything.

    Raises `NoNodeError`, `NotYourNodeError`, `NodeSilentError`.
    """
    until = time.monotonic() + timeout
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, socket_address(folder / ADMIN_SOCKET) as name:
            sock.settimeout(timeout)
            sock.connect(name)
            sock.sendall(json.dumps({"command": command}).encode() + b"\n")
            data = _read_all(sock, until)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        raise NoNodeError(str(folder)) from None
    except PermissionError:
        raise NotYourNodeError(str(folder)) from None
    except (TimeoutError, BlockingIOError):  # the second: more are waiting to be accepted than the kernel holds
        raise NodeSilentError(f"not within {timeout:g} s") from None
    except OSError as error:
        raise NodeSilentError(error.strerror or "the connection ended") from None
    return _answer_in(data)


def _read_all(sock: socket.socket, until: float) -> bytes:
    data = bytearray()
    while True:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        some = sock.recv(1 << 16)
        if not some:
            return bytes(data)
        data += some
        if len(data) > MOST_ANSWER:
            raise NodeSilentError(f"its answer is longer than {MOST_ANSWER} bytes")


def _answer_in(data: bytes) -> Any:
    try:
        reply = json.loads(data)
    except (ValueError, RecursionError):
        reply = None
    if not isinstance(reply, dict) or not reply:
        raise NodeSilentError("its answer is cut off" if data else "it ended the connection")
    if "answer" not in reply:
        raise NodeSilentError(str(reply.get("error", "it answered something else")))
    return reply["answer"]
