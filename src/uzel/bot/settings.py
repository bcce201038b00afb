"""A bot's times and bounds, with their defaults. Seconds, unless said otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSettings:
    """How a bot works.

    tries: how often a text is given to the function before it is left until the bot starts again.
    first, last, growth: the delay after a function that failed grows from `first` by this factor up to `last`; so does
    that after a core that did not answer, without end.
    patience: how long an async function may take; a plain one cannot be stopped, and is waited for.
    at_once: chats whose texts are worked on at the same time.
    waiting: texts held in memory; more stay in the profile until there is room.
    """

    tries: int = 5
    first: float = 1.0
    last: float = 60.0
    growth: float = 4.0
    patience: float = 300.0
    at_once: int = 8
    waiting: int = 256

    def delay(self, failures: int) -> float:
        """How long to wait after so many failures, of which there was one at least."""
        return float(min(self.last, self.first * self.growth ** min(failures - 1, 64)))
