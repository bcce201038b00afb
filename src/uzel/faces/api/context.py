"""What every route needs of its application: the messenger, the page beside it, and the means to end the core.

Counterpart: `app`, which puts them there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol, cast

from fastapi import Depends, Request

from uzel.core.messenger import Messenger
from uzel.errors import NoPageError


class PageDevice(Protocol):
    """A browser that is let in to the page. Times are milliseconds since 1970."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Literal["local", "paired"]: ...
    @property
    def created_at(self) -> int: ...
    @property
    def last_seen(self) -> int: ...


class PageTicket(Protocol):
    """What lets one browser in: `value` is a one-time address or a code, which is for `address`."""

    @property
    def value(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def expires_at(self) -> int: ...


class Page(Protocol):
    """The page that the core serves beside this interface."""

    def new_address(self) -> PageTicket:
        """A one-time address for a browser of this machine."""

    def new_code(self) -> PageTicket:
        """A code that pairs one device."""

    def refused(self) -> Mapping[str, int]:
        """How many were not let in since the start, by reason."""

    def devices(self) -> Sequence[PageDevice]:
        """Everyone who is let in, the oldest first."""

    async def rename(self, device: str, name: str) -> PageDevice:
        """Call it something else. Raises `NoDeviceError`, `StorageError`."""

    async def remove(self, device: str) -> None:
        """Sign it out. Raises `NoDeviceError`, `StorageError`."""


@dataclass(slots=True, eq=False)
class Context:
    """One application. `over` is set when its streams are to end; `streams` counts those that are open."""

    messenger: Messenger
    stop: Callable[[], None] | None
    page: Page | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    streams: int = 0


async def _context(request: Request) -> Context:
    return cast("Context", request.app.state.context)


async def _messenger(request: Request) -> Messenger:
    return cast("Context", request.app.state.context).messenger


async def _page(request: Request) -> Page:
    page = cast("Context", request.app.state.context).page
    if page is None:
        raise NoPageError
    return page


async def _asker(request: Request) -> Any:
    return request.scope.get("uzel.device")


ContextOf = Annotated[Context, Depends(_context)]
Core = Annotated[Messenger, Depends(_messenger)]
PageOf = Annotated[Page, Depends(_page)]
Asker = Annotated[Any, Depends(_asker)]
"""The id of the device that asks, when it is one: the page's guard puts it into the scope."""
