"""The page of a running core: only here do the page and the local interface behind it meet.

Counterparts: `core_command`, which starts it; `uzel.faces.web`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # help must not load cryptography
    from uzel.core.messenger import Messenger


@dataclass(frozen=True, slots=True)
class PagePlan:
    """Where the page is to be served. `port`: of the loopback; None is the usual one, or the next that is free."""

    port: int | None = None


class CorePage:
    """`start`, then `stop`, both on the messenger's loop."""

    def __init__(self, messenger: Messenger, plan: PagePlan, stop: Callable[[], None]) -> None:
        from uzel.faces.api import make_app, time  # noqa: PLC0415 - help must not load them
        from uzel.faces.web import PageServer, Sessions  # noqa: PLC0415

        self.sessions = Sessions(messenger)
        self._api = make_app(messenger, stop=stop, page=self.sessions, guarded=False)
        self._server = PageServer(self.sessions, self._api, time, port=plan.port)

    async def start(self) -> None:
        """Listen. Raises `ConfigError`, `StorageError`."""
        await self._server.start()

    async def stop(self) -> None:
        """End what streams, and listen no more."""
        self._api.state.context.over.set()
        await self._server.stop()
