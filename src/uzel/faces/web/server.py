"""Serves the page: on a loopback port, over plain HTTP, and nowhere else unless it is shared.

Counterparts: `app`, what is served; `uzel.app`, which gives the local interface that is behind it.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

from starlette.types import ASGIApp

from uzel.errors import ConfigError
from uzel.faces.http.door import DoorBounds
from uzel.faces.http.gate import LOOPBACK as LOOPBACK_NAMES
from uzel.faces.http.serving import LOOPBACK, DoorPlan, Served, bind_loopback
from uzel.faces.web.app import PageApp, Time, guarded
from uzel.faces.web.files import read_files
from uzel.faces.web.guard import Place
from uzel.faces.web.sessions import Sessions
from uzel.faces.web.share import Share

PORT = 8940
"""Where the page is unless it is said otherwise: always the same, so that a browser finds its secret again."""
STEPS = 50
"""Ports behind it that are tried when it is taken."""


class PageServer:
    """`start`, then `stop`, both on the messenger's loop. `time` writes times as the interface does."""

    def __init__(
        self, sessions: Sessions, api: ASGIApp, time: Time, *, port: int | None = None, share: Share | None = None
    ) -> None:
        self._sessions = sessions
        self._api = api
        self._time = time
        self._port = port
        self._share = share
        self._served: list[Served] = []

    async def start(self) -> None:
        """Listen. Raises `ConfigError` when the port is taken, `StorageError`."""
        await self._sessions.load()
        try:
            sock = _bind(self._port)
            port = int(sock.getsockname()[1])
            self._sessions.address = f"http://{LOOPBACK}:{port}/"
            await self._serve(Place("http", port, LOOPBACK_NAMES), sock)
            if self._share is not None:
                await self._serve_others(self._share)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the streams, let answers end, listen no more. May be called twice, and without `start`."""
        served, self._served = self._served, []
        self._sessions.end_streams()
        await asyncio.gather(*(each.stop() for each in served))

    async def _serve_others(self, share: Share) -> None:
        sock = share.bind()
        place = share.place(int(sock.getsockname()[1]))
        self._sessions.shared = f"https://{place.hosts[0]}:{place.port}/"
        await self._serve(place, sock, share.tls)

    async def _serve(self, place: Place, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        settings = self._sessions.settings
        bounds = DoorBounds(first=settings.first_request, most=settings.connections, each=settings.connections_each)
        refusals = self._sessions.refusals
        app = PageApp(self._sessions, self._api, place, read_files(), self._time)
        served = Served(guarded(app, place, refusals.add), DoorPlan(bounds, refusals.add, tls))
        self._served.append(served)
        await served.start(sock)


def _bind(port: int | None) -> socket.socket:
    """The port that was asked for; without one the usual one, or the next that is free."""
    if port is not None:
        return bind_loopback(port, "--web-port")
    for each in range(PORT, PORT + STEPS):
        try:
            return bind_loopback(each, "--web-port")
        except ConfigError as error:
            if getattr(error.__context__, "errno", None) != errno.EADDRINUSE:
                raise
    return bind_loopback(0, "--web-port")
