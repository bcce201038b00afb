"""What the parts of the switchboard share: settings, effects, timers, numbers. Pure.

One `Context` belongs to one `switchboard.Switchboard`; its parts (`calls`, `links`, `finder`, `known_nodes`) write
their effects into the same list, so that these keep their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from uzel.errors import Reason
from uzel.names import Fingerprint
from uzel.node.effects import Effect, Note
from uzel.node.limits import Timers
from uzel.node.settings import SwitchboardSettings
from uzel.session.machine import TokenSource

TimerKey = tuple[Hashable, ...]
"""The name of whose timer it is (`calls`, `links`, `finder`), then what that part likes."""


@dataclass(slots=True)
class Context:
    """See the module's text. `chance` gives numbers in 0 … 1, without 1."""

    settings: SwitchboardSettings
    own: Fingerprint
    tokens: TokenSource
    chance: Callable[[], float]
    effects: list[Effect] = field(default_factory=list)
    timers: Timers[TimerKey] = field(default_factory=Timers)
    stats: Counter[str] = field(default_factory=Counter)

    def do(self, effect: Effect) -> None:
        """Ask the shell for it."""
        self.effects.append(effect)

    def note(
        self,
        event: str,
        reason: Reason | None = None,
        *,
        caller: int = 0,
        callee: int = 0,
        node: Fingerprint | None = None,
    ) -> None:
        """Log it, and count it when it has a reason."""
        self.effects.append(Note(event, caller, callee, reason, node))

    def pick(self, count: int) -> int:
        """A random number below `count`."""
        return int(self.chance() * count)

    def vary(self, seconds: float, share: float) -> float:
        """Seconds, give or take a random share."""
        return seconds * (1 - share + 2 * share * self.chance())
