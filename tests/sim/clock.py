"""A clock that costs no time: one heap of events, in the order of their time and then of their making."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from sim.story import Story, Violation

MOST_EVENTS = 200_000
"""More events than any honest run takes: then somebody answers somebody for ever."""


class Clock:
    """Time, chance and the story of one run. `now` is in seconds."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.story = Story()
        self.events = 0
        self._heap: list[tuple[float, int, Callable[..., object], tuple[object, ...]]] = []
        self._numbers = 0

    def at(self, when: float, action: Callable[..., object], *arguments: object) -> None:
        """Do it then; things of one time are done in the order in which they were asked for."""
        self._numbers += 1
        heapq.heappush(self._heap, (when, self._numbers, action, arguments))

    def after(self, delay: float, action: Callable[..., object], *arguments: object) -> None:
        """Do it in so many seconds."""
        self._numbers += 1
        heapq.heappush(self._heap, (self.now + delay, self._numbers, action, arguments))

    def run(self, until: float) -> None:
        """Let everything happen up to this time."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= until:
            self.now, _, action, arguments = pop(heap)
            action(*arguments)
            self.events += 1
            if self.events > MOST_EVENTS:
                raise Violation(f"more than {MOST_EVENTS} events: this never ends")
        self.now = until

    def tell(self, who: str, *what: object) -> None:
        """Note it in the story."""
        self.story.tell(self.now, who, *what)
