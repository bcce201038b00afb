"""Serves an application with uvicorn, on a socket that is bound already, for as long as its owner wants.

Counterparts: `uzel.faces.api.server` and `uzel.faces.web.server`, which own the applications.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from uzel.errors import ConfigError
from uzel.faces.http.door import Door, DoorBounds, Visit
from uzel.faces.http.refusals import Refused

LOOPBACK = "127.0.0.1"
GOODBYE = 2
"""Seconds in which answers may end."""
BACKLOG = 256
"""Connections that the kernel holds for us."""
QUIET = 75
"""Seconds that a connection without a request is kept."""


@dataclass(frozen=True, slots=True)
class DoorPlan:
    """How strangers are let in: within which bounds, over TLS or not, and who is told of those who are not."""

    bounds: DoorBounds
    refused: Refused
    tls: ssl.SSLContext | None = None


class Served:
    """One application on one socket. `start`, then `stop`, on the same loop.

    Without `door` whoever connects is trusted not to hold connections, and there is no TLS.
    """

    def __init__(self, app: ASGIApp, door: DoorPlan | None = None) -> None:
        self._server = _Server(
            door,
            uvicorn.Config(
                app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False,
                log_level="critical", proxy_headers=False,
                server_header=False, date_header=False, timeout_keep_alive=QUIET, timeout_graceful_shutdown=GOODBYE,
                backlog=BACKLOG,
            ),
        )  # fmt: skip
        self._task: asyncio.Task[None] | None = None

    async def start(self, sock: socket.socket) -> None:
        """Listen there; the socket is this server's from now on."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve([sock]))
        ready = asyncio.ensure_future(self._server.ready.wait())
        await asyncio.wait({ready, self._task}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        """Let answers end, listen no more. What streams must have been told before."""
        self._server.end()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


class _Server(uvicorn.Server):
    """Without signals, which are the command's, and without ten looks a second at whether it is over."""

    def __init__(self, plan: DoorPlan | None, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._plan = plan
        self._door: Door | None = None
        self.ready = asyncio.Event()
        self._ended = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._ended.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        if self._plan is None:
            await super().startup(list(sockets or ()))
        else:
            (sock,) = sockets or ()
            self.servers = []
            plan = self._plan
            self._door = Door(sock, self._visit, plan.bounds, plan.tls, plan.refused)
            self.started = True
        self.ready.set()

    def _visit(self) -> Visit:
        return Visit(self.config, self.server_state, self.lifespan.state)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._door is not None:
            self._door.close()
        await super().shutdown(sockets)

    async def main_loop(self) -> None:
        await self._ended.wait()


def bind_loopback(port: int, option: str) -> socket.socket:
    """A listening socket on that loopback port; 0 picks one. Raises `ConfigError`, which names that option."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio looks at that for no-delay
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOOPBACK, port))
        sock.listen(BACKLOG)  # until somebody listens others could bind it, too
    except (OSError, OverflowError) as error:
        sock.close()
        raise ConfigError(f"{option} {port}: {getattr(error, 'strerror', None) or error}") from None
    sock.setblocking(False)
    return sock
