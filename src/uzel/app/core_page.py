"""The page of a running core: only here do the page and the local interface behind it meet.

Counterparts: `core_command`, which starts it; `uzel.faces.web`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uzel.errors import ConfigError
from uzel.faces.cli.config_file import page_settings
from uzel.faces.page_settings import PageSettings

if TYPE_CHECKING:  # help must not load cryptography
    from uzel.core.messenger import Messenger
    from uzel.faces.web.share import Share


@dataclass(frozen=True, slots=True)
class PagePlan:
    """Where the page is to be served. `port`: of the loopback; None is the usual one, or the next that is free.
    `share`: where other devices get it. `settings`: its times and bounds.
    """

    settings: PageSettings
    port: int | None = None
    share: Share | None = None

    @classmethod
    def read(
        cls, web: bool, port: int | None, share: str | None, certificate: Path | None, key: Path | None
    ) -> PagePlan | None:
        """What the options of the command say; None without a page. Raises `ConfigError`, `InvalidNameError`."""
        if not web:
            if port is not None or share is not None or certificate is not None or key is not None:
                raise ConfigError("--web-port, --share, --cert and --cert-key are for the page: add --web")
            return None
        if share is None:
            if certificate is not None or key is not None:
                raise ConfigError("--cert and --cert-key are for other devices: add --share HOST:PORT")
            return cls(page_settings(), port)
        from uzel.faces.web.server import PORT  # noqa: PLC0415 - help must not load them
        from uzel.faces.web.share import Share, refuse_without_certificate  # noqa: PLC0415

        if certificate is None or key is None:
            refuse_without_certificate(port or PORT)
        return cls(page_settings(), port, Share.read(share, certificate, key))


class CorePage:
    """`start`, then `stop`, both on the messenger's loop."""

    def __init__(self, messenger: Messenger, plan: PagePlan, stop: Callable[[], None]) -> None:
        from uzel.faces.api import make_app, time  # noqa: PLC0415 - help must not load them
        from uzel.faces.web import PageServer, Sessions  # noqa: PLC0415

        self.sessions = Sessions(messenger, plan.settings)
        self._api = make_app(messenger, stop=stop, page=self.sessions, guarded=False)
        self._server = PageServer(self.sessions, self._api, time, port=plan.port, share=plan.share)

    async def start(self) -> None:
        """Listen. Raises `ConfigError`, `StorageError`."""
        await self._server.start()

    async def stop(self) -> None:
        """End what streams, and listen no more."""
        self._api.state.context.over.set()
        await self._server.stop()
