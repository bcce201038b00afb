"""A bot's core in the bot's own process, on a profile that it holds meanwhile.

Counterpart: `running_core`, where one runs already.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib.metadata import version
from typing import Self

from uzel.bot.text import Text
from uzel.core.messenger import Messenger
from uzel.core.own_nodes import remembered_nodes
from uzel.errors import NoTextError
from uzel.names import ContactLink, NodeReference, Uin
from uzel.store.profile import Profile

GOODBYE = 2.0
"""Seconds in which conversations may close in order."""


class OwnCore:
    """See `uzel.bot.desk`."""

    def __init__(self, profile: Profile, messenger: Messenger) -> None:
        self._profile = profile
        self._core = messenger

    @classmethod
    async def start(cls, profile: Profile, nodes: Sequence[NodeReference]) -> Self:
        """Run the core of this profile, which is closed with it. Raises `ConfigError`, `StorageError`."""
        try:
            used = remembered_nodes(profile, nodes)
            messenger = Messenger(profile, used, agent=f"uzel/{version('uzel')} bot")
            await messenger.__aenter__()
        except BaseException:
            profile.close()
            raise
        return cls(profile, messenger)

    async def link(self) -> ContactLink:
        return self._core.link

    async def begin(self) -> int:
        return await self._core.history.begin_answering()

    async def unhandled(self, after: int, limit: int) -> list[Text]:
        records = await self._core.history.unhandled(after, limit)
        return [Text(each.number, int(each.chat), each.text, each.at, each.id.hex()) for each in records]

    async def answer(self, number: int, texts: Sequence[str]) -> None:
        await self._core.answer(number, texts)

    async def send(self, to: ContactLink, text: str) -> int:
        if to.fingerprint is not None or to.uin not in self._core.ledger.people:
            await self._core.people.add(to)
        return (await self._core.send(to.uin, text)).number

    async def settled(self, number: int, timeout: float) -> tuple[str, str]:
        record = await self._core.wait_settled(number, timeout)
        if record is None:
            raise NoTextError(str(number))
        return str(record.state), record.reason

    async def knocked(self) -> list[int]:
        return [int(request.uin) for request in await self._core.people.requests()]

    async def let_in(self, uin: int) -> None:
        await self._core.people.accept(Uin(uin))

    async def news(self) -> AsyncGenerator[str, None]:
        last = await self._core.ledger.writer.run(lambda tables: tables.journal.last())
        yield "anything"
        async with aclosing(self._core.follow(last)) as entries:
            async for entry in entries:
                yield "anything" if entry is None else entry.kind

    async def close(self) -> None:
        await self._core.close(GOODBYE)
        self._profile.close()
