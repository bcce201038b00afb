"""A bot's core where one runs already on the profile: asked through its local interface.

The core may end and come back; whoever calls tries again. Counterparts: `own_core`, without one; `uzel.faces.api`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

from uzel.bot.text import Text
from uzel.errors import NotAContactError
from uzel.local.async_client import AsyncCoreClient
from uzel.names import ContactLink

LONGEST_WAIT = 30.0
"""Seconds of one question about a text."""
MORE = 5.0
"""Seconds that its answer may take longer."""


class RunningCore:
    """See `uzel.bot.desk`."""

    def __init__(self, folder: Path) -> None:
        self._core = AsyncCoreClient(folder)

    async def link(self) -> ContactLink:
        return ContactLink.parse((await self._core.ask("GET", "/me"))["link"])

    async def begin(self) -> int:
        return int((await self._core.ask("POST", "/unhandled/begin"))["after"])

    async def unhandled(self, after: int, limit: int) -> list[Text]:
        found = (await self._core.ask("GET", "/unhandled", None, after=after, limit=limit))["texts"]
        return [Text(each["number"], each["chat"], each["text"], _ms(each["at"]), each["id"]) for each in found]

    async def answer(self, number: int, texts: Sequence[str]) -> None:
        await self._core.ask("POST", f"/texts/{number}/answer", {"texts": list(texts)})

    async def send(self, to: ContactLink, text: str) -> int:
        await self._acquaint(to)
        return int((await self._core.ask("POST", "/texts", {"to": int(to.uin), "text": text}))["number"])

    async def settled(self, number: int, timeout: float) -> tuple[str, str]:
        left = timeout
        while True:
            asked = min(left, LONGEST_WAIT)
            path = f"/texts/{number}/wait?timeout={asked:.3f}"
            text = await self._core.ask("GET", path, timeout=asked + MORE)
            left -= asked
            if left <= 0 or text["state"] not in {"queued", "sending"}:
                return text["state"], text["reason"] or ""

    async def knocked(self) -> list[int]:
        return [each["uin"] for each in (await self._core.ask("GET", "/requests"))["requests"]]

    async def let_in(self, uin: int) -> None:
        await self._core.ask("POST", f"/requests/{uin}/accept", {"name": ""})

    async def news(self) -> AsyncGenerator[str, None]:
        async with aclosing(self._core.events()) as events:
            async for kind, _ in events:
                yield "anything" if kind in {"ready", "missed"} else kind

    async def close(self) -> None:
        await self._core.close()

    async def _acquaint(self, to: ContactLink) -> None:
        if to.fingerprint is None:
            try:
                await self._core.ask("GET", f"/contacts/{int(to.uin)}")
            except NotAContactError:
                pass
            else:
                return
        await self._core.ask("POST", "/contacts", {"link": str(to)})


def _ms(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1000)
