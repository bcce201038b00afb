"""Asks the running core of a profile from a program that runs on an event loop. As `core_client`, but awaited.

Counterpart: `uzel.faces.api`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import ExitStack
from pathlib import Path

import httpx

from uzel.errors import NoCoreError
from uzel.local.core_client import STREAM_SILENCE, TIMEOUT, Events, Values, silence, values_of
from uzel.store.admin_socket import API_SOCKET, socket_address


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
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=name), base_url="http://core/v1", timeout=timeout, trust_env=False
        )

    async def ask(
        self, method: str, path: str, body: Values | None = None, *, timeout: float | None = None, **query: object
    ) -> Values:
        """As `CoreClient.ask`."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        try:
            answer = await self._client.request(
                method, path, json=body, params=given or None, timeout=timeout or self._timeout
            )
        except httpx.HTTPError as error:
            raise silence(error, self._folder, self._timeout) from None
        return values_of(answer)

    async def events(self, after: int | None = None) -> AsyncGenerator[tuple[str, Values], None]:
        """The event stream: kinds and data, until the core ends. Raises as `ask`."""
        query = {} if after is None else {"after": str(after)}
        timeout = httpx.Timeout(self._timeout, read=STREAM_SILENCE)
        events = Events()
        try:
            async with self._client.stream("GET", "/events", params=query, timeout=timeout) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    values_of(answer)
                async for line in answer.aiter_lines():
                    event = events.line(line)
                    if event is not None:
                        yield event
        except httpx.HTTPError as error:
            raise silence(error, self._folder, self._timeout) from None

    async def close(self) -> None:
        """Let go of it. May be called twice."""
        await self._client.aclose()
        self._held.close()
