"""What every route needs of its application: the messenger, and the means to end the core.

Counterpart: `app`, which puts them there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from uzel.core.messenger import Messenger


@dataclass(slots=True, eq=False)
class Context:
    """One application. `over` is set when its streams are to end; `streams` counts those that are open."""

    messenger: Messenger
    stop: Callable[[], None] | None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    streams: int = 0


async def _context(request: Request) -> Context:
    return cast("Context", request.app.state.context)


async def _messenger(request: Request) -> Messenger:
    return cast("Context", request.app.state.context).messenger


ContextOf = Annotated[Context, Depends(_context)]
Core = Annotated[Messenger, Depends(_messenger)]
