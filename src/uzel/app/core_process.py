"""A running core with its faces: only here do they meet.

Counterparts: `uzel.core.messenger`; `uzel.faces.api`, through which programs reach it; `core_page`; `core_command` and
`run`, which start it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from uzel.app.core_page import CorePage, PagePlan
from uzel.client import ClientSettings
from uzel.core.messenger import Messenger
from uzel.faces.api import ApiServer
from uzel.faces.web import Sessions
from uzel.names import NodeReference
from uzel.store.profile import Profile

GOODBYE = 2.0
"""Seconds in which conversations may close in order."""


@dataclass(frozen=True, slots=True)
class RunningCore:
    """What runs. `url` is that of the interface's port, `page` who is let in to the page, where there is one."""

    messenger: Messenger
    page: Sessions | None
    url: str | None
    asked_to_end: asyncio.Event


@asynccontextmanager
async def running_core(
    profile: Profile,
    nodes: Sequence[NodeReference],
    *,
    roaming: bool = False,
    port: int | None = None,
    plan: PagePlan | None = None,
) -> AsyncIterator[RunningCore]:
    """The core of this profile and its faces, while the block lasts; a program may ask it to end. Raises `ConfigError`,
    `StorageError`.
    """
    asked = asyncio.Event()
    messenger = Messenger(profile, nodes, client=ClientSettings(roaming=roaming))
    await messenger.__aenter__()
    page = None if plan is None else CorePage(messenger, plan, asked.set)
    sessions = None if page is None else page.sessions
    server = ApiServer(messenger, profile.folder, port=port, stop=asked.set, page=sessions)
    try:
        if page is not None:
            await page.start()
        await server.start()
        yield RunningCore(messenger, sessions, server.url, asked)
    finally:
        if page is not None:
            await page.stop()
        await server.stop()
        await messenger.close(GOODBYE)
