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
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI

from uzel.core.messenger import Messenger
from uzel.faces.api.app import make_app
from uzel.faces.api.context import Page
from uzel.faces.http.serving import LOOPBACK, Served, bind_loopback
from uzel.store.admin_socket import API_SOCKET, API_TOKEN, bind_private
from uzel.store.files import write_atomically

TOKEN_BYTES = 32


class ApiServer:
    """`start`, then `stop`, both on the messenger's loop. `url` is that of the port, while there is one."""

    def __init__(
        self,
        messenger: Messenger,
        folder: Path,
        *,
        port: int | None = None,
        stop: Callable[[], None] | None = None,
        page: Page | None = None,
    ) -> None:
        self._messenger = messenger
        self._folder = folder
        self._port = port
        self._stop = stop
        self._page = page
        self._served: list[tuple[FastAPI, Served]] = []
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
            await self._serve(make_app(self._messenger, stop=self._stop, page=self._page), sock)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the streams, let answers end, listen no more. May be called twice, and without `start`."""
        served, self._served = self._served, []
        for app, _ in served:
            app.state.context.over.set()
        await asyncio.gather(*(each.stop() for _, each in served))
        self.url = None
        while self._made:
            with contextlib.suppress(OSError):
                self._made.pop().unlink()

    async def _serve_port(self, port: int) -> None:
        sock = bind_loopback(port, "--api-port")
        token = secrets.token_urlsafe(TOKEN_BYTES)
        try:
            write_atomically(self._folder / API_TOKEN, token.encode() + b"\n")
            self._made.append(self._folder / API_TOKEN)
        except BaseException:
            sock.close()
            raise
        await self._serve(make_app(self._messenger, token, stop=self._stop, page=self._page), sock)
        self.url = f"http://{LOOPBACK}:{sock.getsockname()[1]}"

    async def _serve(self, app: FastAPI, sock: socket.socket) -> None:
        served = Served(app)
        self._served.append((app, served))
        await served.start(sock)
