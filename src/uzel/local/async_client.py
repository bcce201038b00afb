"""Asks the running core of a profile from a program that runs on an event loop. As `core_client`, but awaited.

Counterpart: `uzel.faces.api`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import httpcore

from uzel.errors import CoreSilentError, NoCoreError, UzelError
from uzel.local.asyncio_socket import UnixSockets
from uzel.local.core_client import MOST_EVENT, STREAM_SILENCE, TIMEOUT, Events, Values, values_of
from uzel.store.admin_socket import API_SOCKET, socket_address

_HEADERS: dict[bytes | str, bytes | str] = {"Content-Type": "application/json"}


class AsyncCoreClient:
    """The core that runs on this profile's folder; it need not run yet, nor all the time. Close it in the end."""

    def __init__(self, folder: Path, timeout: float = TIMEOUT) -> None:
        self._folder = folder
        self._timeout = timeout
        self._held = ExitStack()
        try:
            name = self._held.enter_context(socket_address(folder / API_SOCKET))
        except OSError as error:
            raise NoCoreError(f"{folder}: {error.strerror}") from None
        self._pool = httpcore.AsyncConnectionPool(uds=name, network_backend=UnixSockets())

    async def ask(
        self, method: str, path: str, body: Values | None = None, *, timeout: float | None = None, **query: object
    ) -> Values:
        """As `CoreClient.ask`."""
        content = None if body is None else json.dumps(body).encode()
        given = _extensions(timeout or self._timeout, timeout or self._timeout)
        url = _url(path, query)
        try:
            answer = await self._pool.request(method, url, headers=_HEADERS, content=content, extensions=given)
        except _FAULTS as error:
            raise self._silence(error) from None
        return values_of(answer.status, answer.content)

    async def events(self, after: int | None = None) -> AsyncGenerator[tuple[str, Values], None]:
        """The event stream: kinds and data, until the core ends. Raises as `ask`."""
        events, rest = Events(), b""
        given = _extensions(self._timeout, STREAM_SILENCE)
        try:
            async with self._pool.stream("GET", _url("/events", {"after": after}), extensions=given) as answer:
                if answer.status != 200:
                    values_of(answer.status, await answer.aread())
                async for piece in answer.aiter_stream():
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        event = events.line(line.decode("utf-8", "replace"))
                        if event is not None:
                            yield event
                    if len(rest) > MOST_EVENT:
                        raise CoreSilentError("it sent something else than events")
        except _FAULTS as error:
            raise self._silence(error) from None

    async def close(self) -> None:
        """Let go of it. May be called twice."""
        await self._pool.aclose()
        self._held.close()

    def _silence(self, error: Exception) -> UzelError:
        if isinstance(error, httpcore.ConnectError):
            return NoCoreError(str(self._folder))
        if isinstance(error, httpcore.TimeoutException):
            return CoreSilentError(f"not within {self._timeout:g} s")
        return CoreSilentError("it ended the connection")


_FAULTS = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)


def _url(path: str, query: dict[str, object]) -> str:
    given = {name: str(value) for name, value in query.items() if value is not None}
    return f"http://core/v1{path}" + (f"?{urlencode(given)}" if given else "")


def _extensions(timeout: float, read: float) -> dict[str, dict[str, float]]:
    return {"timeout": {"connect": timeout, "pool": timeout, "write": timeout, "read": read}}
