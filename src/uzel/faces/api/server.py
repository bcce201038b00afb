"""Serves the interface: on `api.sock` in the profile's folder, and on a loopback port when asked.

The socket is its owner's alone from its first moment. The port's bearer token is made anew at each start and is in
`api.token` beside the socket, mode 0600, until the end: whoever may read the profile may use the port. The caller holds
the profile. Counterparts: `app`, what is served; `guard`, which lets in.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from uzel.core.messenger import Messenger
from uzel.errors import ConfigError
from uzel.faces.api.app import make_app
from uzel.store.admin_socket import API_SOCKET, API_TOKEN, bind_private
from uzel.store.files import write_atomically

LOOPBACK = "127.0.0.1"
TOKEN_BYTES = 32
GOODBYE = 2
"""Seconds in which answers may end."""
QUIET = 75
"""Seconds that a connection without a request is kept."""


class ApiServer:
    """`start`, then `stop`, both on the messenger's loop. `url` is that of the port, while there is one."""

    def __init__(
        self,
        messenger: Messenger,
        folder: Path,
        *,
        port: int | None = None,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self._messenger = messenger
        self._folder = folder
        self._port = port
        self._stop = stop
        self._served: list[tuple[FastAPI, _Server, asyncio.Task[None]]] = []
        self._made: list[Path] = []
        self.url: str | None = None

    async def start(self) -> None:
        """Listen. Raises `ConfigError` when the port or the socket's name is taken, `StorageError`."""
        try:
            if self._port is not None:
                await self._serve_port(self._port)
            path = self._folder / API_SOCKET
            sock = bind_private(path)
            self._made.append(path)
            await self._serve(make_app(self._messenger, stop=self._stop), sock)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the streams, let answers end, listen no more. May be called twice, and without `start`."""
        served, self._served = self._served, []
        for app, server, _ in served:
            app.state.context.over.set()
            server.end()
        await asyncio.gather(*(task for _, _, task in served), return_exceptions=True)
        self.url = None
        while self._made:
            with contextlib.suppress(OSError):
                self._made.pop().unlink()

    async def _serve_port(self, port: int) -> None:
        sock = _bind_loopback(port)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        try:
            write_atomically(self._folder / API_TOKEN, token.encode() + b"\n")
            self._made.append(self._folder / API_TOKEN)
        except BaseException:
            sock.close()
            raise
        await self._serve(make_app(self._messenger, token, stop=self._stop), sock)
        self.url = f"http://{LOOPBACK}:{sock.getsockname()[1]}"

    async def _serve(self, app: FastAPI, sock: socket.socket) -> None:
        server = _Server(
            uvicorn.Config(
                app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False,
                log_level="critical", proxy_headers=False,
                server_header=False, date_header=False, timeout_keep_alive=QUIET, timeout_graceful_shutdown=GOODBYE,
            )
        )  # fmt: skip
        task = asyncio.get_running_loop().create_task(server.serve([sock]))
        self._served.append((app, server, task))
        ready = asyncio.ensure_future(server.ready.wait())
        await asyncio.wait({ready, task}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if task.done():
            task.result()


class _Server(uvicorn.Server):
    """Without signals, which are the command's, and without ten looks a second at whether it is over."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._ended = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._ended.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        await super().startup(list(sockets or ()))
        self.ready.set()

    async def main_loop(self) -> None:
        await self._ended.wait()


def _bind_loopback(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio looks at that for no-delay
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        sock.close()
        raise ConfigError(f"--api-port {port}: {getattr(error, 'strerror', None) or error}") from None
    sock.setblocking(False)
    return sock
