"""A core with its page on real sockets, and a browser that keeps its cookie and its secret."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from client.client_world import ALICE, world
from core.core_world import Core, cores
from faces.api.api_world import good
from uzel.faces.api import make_app, time
from uzel.faces.web import PageServer, PageSettings, Sessions
from uzel.faces.web.guard import SECRET


class Page:
    """The page of one core."""

    def __init__(self, core: Core, sessions: Sessions) -> None:
        self.core = core
        self.sessions = sessions
        self.url = sessions.address.rstrip("/")
        self.port = int(self.url.rpartition(":")[2])

    def browser(self) -> httpx.AsyncClient:
        """One that is not signed in."""
        return httpx.AsyncClient(base_url=self.url)

    def token(self) -> str:
        """Of a new one-time address."""
        return self.sessions.new_address().value.partition("#")[2]

    @asynccontextmanager
    async def signed_in(self, **body: str) -> AsyncIterator[httpx.AsyncClient]:
        """A browser that opened a one-time address, or did what the body says."""
        async with self.browser() as browser:
            said = good(await browser.post("/session", json=body or {"token": self.token()}))
            browser.headers[SECRET] = said["secret"]
            yield browser


@asynccontextmanager
async def page_of(core: Core, settings: PageSettings | None = None, **places: Any) -> AsyncIterator[Page]:
    """The page of this core, on a free port."""
    sessions = Sessions(core.messenger, settings)
    api = make_app(core.messenger, page=sessions, guarded=False)
    server = PageServer(sessions, api, time, **{"port": 0, **places})
    await server.start()
    try:
        yield Page(core, sessions)
    finally:
        api.state.context.over.set()
        await server.stop()
        await server.stop()


@asynccontextmanager
async def paged(tmp_path: Path, settings: PageSettings | None = None, **places: Any) -> AsyncIterator[Page]:
    """Alice's core and its page."""
    async with (
        world() as w,
        cores(tmp_path, ALICE, at=w) as (alice,),
        page_of(alice, settings, **places) as page,
    ):
        yield page
