"""What a bot needs of a core, wherever that runs.

Rule: a method that returns has happened, on disk. Counterparts: `own_core`, which runs the core in this process;
`running_core`, which asks the one that runs already.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from uzel.bot.text import Text
from uzel.names import ContactLink


class Desk(Protocol):
    """Everything raises `UzelError`: `NoCoreError`, `CoreSilentError`, `ClientClosedError`, `StorageError` when the
    core is away or its disk full, which may pass.
    """

    async def link(self) -> ContactLink:
        """One's own contact link."""

    async def begin(self) -> int:
        """The number of the text behind which this profile's bot answers."""

    async def unhandled(self, after: int, limit: int) -> list[Text]:
        """Received texts behind this number that nobody has acknowledged, in order."""

    async def answer(self, number: int, texts: Sequence[str]) -> None:
        """Queue the answers and acknowledge the text, in one. Raises `TextStateError` when it was acknowledged."""

    async def send(self, to: ContactLink, text: str) -> int:
        """Queue a text, for somebody who becomes a contact if need be; its number."""

    async def settled(self, number: int, timeout: float) -> tuple[str, str]:
        """Wait so many seconds for a text to be delivered, or to fail; its state, and the reason if it failed."""

    async def knocked(self) -> list[int]:
        """The UINs of strangers who knock."""

    async def let_in(self, uin: int) -> None:
        """Make a contact of a stranger who knocks."""

    def news(self) -> AsyncGenerator[str, None]:
        """The kinds of what happens, `"anything"` first and whenever some was missed. Ends when the core does."""

    async def close(self) -> None:
        """Let go of it. May be called twice."""
