"""Cores of several people at real nodes, each with an encrypted profile of its own, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from client.client_world import DEADLINE, QUICK, World, identity, run, world
from uzel.client import ClientSettings
from uzel.core.gate import Strangers
from uzel.core.messenger import Messenger
from uzel.core.settings import CoreSettings, GateBounds, OutboxTimes
from uzel.names import ContactLink, NodeReference, Uin
from uzel.node.limits import Rate
from uzel.store.profile import Profile
from uzel.store.records import TextRecord, TextState
from uzel.store.tables import Tables

EAGER = CoreSettings(
    outbox=OutboxTimes(first=0.02, last=0.2, hurry=0.01, greet_every=0.01, calls=Rate(1e6, 1000)),
    gate=GateBounds(calls=Rate(1e6, 1000), strangers=Rate(1e6, 1000), invite=0.5),
)
"""Tries all the time."""


class Core:
    """One person's core, which can be ended, also without a word, and started again."""

    def __init__(self, folder: Path, number: int, nodes: list[NodeReference], settings: CoreSettings) -> None:
        self.folder = folder
        self.uin = identity(number).uin
        self._nodes = nodes
        self._settings = settings
        if not folder.exists():
            Profile.create(folder, identity(number)).close()

    async def start(self, *, client: ClientSettings = QUICK) -> None:
        self.profile = Profile.open(self.folder)
        self.messenger = Messenger(self.profile, self._nodes, self._settings, client)
        await self.messenger.__aenter__()

    async def stop(self) -> None:
        await self.messenger.close()
        self.profile.close()

    async def knows(self, *others: Core, verified: bool = True) -> None:
        for other in others:
            key = other.profile.identity.fingerprint if verified else None
            await self.messenger.people.add(ContactLink(other.uin, key))

    async def says(self, other: Core, text: str) -> TextRecord:
        return await self.messenger.send(other.uin, text)

    async def texts(self, other: Core | Uin) -> list[TextRecord]:
        uin = other.uin if isinstance(other, Core) else other
        return await self.messenger.ledger.writer.run(lambda tables: tables.texts.page(uin, limit=10_000))

    async def heard(self, other: Core | Uin) -> list[str]:
        return [record.text for record in await self.texts(other) if not record.outgoing]

    async def settled(self, record: TextRecord) -> TextRecord:
        settled = await self.messenger.wait_settled(record.number)  # without a time: a missed wake-up is a failure
        assert settled is not None
        return settled

    async def disk_is_full(self, *, full: bool = True) -> None:
        """From now on the database takes no further page, or takes them again."""

        def work(_: Tables) -> None:
            pages = self.messenger._file.db.execute("PRAGMA page_count").fetchall()[0][0]
            limit = pages if full else 1_000_000
            self.messenger._file.db.execute(f"PRAGMA max_page_count = {limit}").fetchall()

        await self.messenger.ledger.writer.run(work)

    def breaks(self) -> None:
        """Every conversation is lost."""
        for talk in list(self.messenger._talks.open.values()):
            talk._runner.abort()


@asynccontextmanager
async def cores(
    tmp_path: Path, *numbers: int, at: World, settings: CoreSettings = EAGER, acquainted: bool = True
) -> AsyncIterator[list[Core]]:
    """Cores of these people, online; each has the others as contacts when they are acquainted."""
    made = [Core(tmp_path / f"core{number}", number, [at.reference], settings) for number in numbers]
    for core in made:
        await core.start()
    try:
        for core in made:
            await core.messenger.wait_online(DEADLINE / 2)
            if acquainted:
                await core.knows(*(each for each in made if each is not core))
        yield made
    finally:
        for core in made:
            await core.stop()


async def until_async(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
    """Look until it holds."""
    deadline = asyncio.get_running_loop().time() + DEADLINE / 2
    while not await holds():
        assert asyncio.get_running_loop().time() < deadline, f"never came about: {what}"
        await asyncio.sleep(0.005)


__all__ = [
    "EAGER", "Core", "Strangers", "TextState", "cores", "run", "until_async", "world",
]  # fmt: skip
