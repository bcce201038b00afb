"""What the parts of a node's shell share: the loop, the switchboard and the way of its effects, the log, the bounds.

Whoever tells the switchboard something calls `carry_out` after it. Effects are carried out strictly in order: what
one of them causes at once (a socket that fails while it is written to) has its own effects carried out behind those
that were there before. Counterparts: `service`, `data_shell` and `link_shell`, which do what the effects say.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable

from uzel.errors import Reason
from uzel.node.config import NodeConfig
from uzel.node.connections import Connections
from uzel.node.effects import Effect
from uzel.node.log import NodeLog
from uzel.node.registry import ConnectionId
from uzel.node.switchboard import Switchboard


class Shared:
    """One for each running node. `hand` does one effect; `after` is called when all are done."""

    def __init__(
        self,
        config: NodeConfig,
        log: NodeLog,
        switchboard: Switchboard,
        connections: Connections,
        *,
        hand: Callable[[Effect], None],
        after: Callable[[], None],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.config = config
        self.log = log
        self.switchboard = switchboard
        self.connections = connections
        self._hand = hand
        self._after = after
        self._ids = itertools.count(1)
        self._carrying = self._soon = False

    def now(self) -> float:
        """The switchboard's time."""
        return self.loop.time()

    def new_id(self) -> ConnectionId:
        """A name for a connection, never used before."""
        return next(self._ids)

    def carry_out(self) -> None:
        """Do what the switchboard has decided."""
        if self._carrying:
            return
        self._carrying = True
        try:
            while effects := self.switchboard.take_effects():
                for effect in effects:
                    self._hand(effect)
        finally:
            self._carrying = False
        self._after()

    def carry_out_soon(self) -> None:
        """Do it in the loop's next turn, unless it is being done."""
        if not (self._carrying or self._soon):
            self._soon = True
            self.loop.call_soon(self._carry_out_now)

    def _carry_out_now(self) -> None:
        self._soon = False
        self.carry_out()

    def log_closed(
        self, event: str, network: str, reason: Reason | None, detail: str, fields: dict[str, object] | None = None
    ) -> None:
        """A connection is gone: log it, count its reason."""
        level = logging.DEBUG if reason is None else logging.INFO
        known = {"address": self.log.hidden(network)} | ({"detail": detail} if detail else {}) | (fields or {})
        self.log.event(event, reason, known, level=level)
