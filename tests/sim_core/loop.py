"""An event loop whose time costs nothing: real coroutines, real timers, and no clock but its own.

Whatever is due next is due at once, and a run is a function of its seed. Nobody hears the exceptions that callbacks
and forgotten tasks end with: the first of them ends the run. Counterpart: `sim.clock`, which does the same for what
needs no coroutines.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sim.story import Violation

MOST_STEPS = 400_000
"""More turns of the loop than any honest run takes: then somebody answers somebody for ever."""
TICK = 1e-6
"""Seconds between things of which one must follow the other: timers of one time go off in any order."""


class _Waiting:
    """In the place of a selector: nothing ever comes from outside, so waiting is only a leap of the clock."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[object]:
        self._loop.pass_time(timeout)
        return []


class SimLoop(asyncio.BaseEventLoop):
    """See the module's text. `fault` is what ended the run before its end."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._steps = 0
        self._selector = _Waiting(self)
        self._clock_resolution = 1e-9
        self.fault: BaseException | None = None
        self.set_exception_handler(self._broken)

    def time(self) -> float:
        return self._now

    def fail(self, fault: BaseException) -> None:
        """End the run; the first fault is the one."""
        self.fault = self.fault or fault
        self.stop()

    def pass_time(self, timeout: float | None) -> None:
        self._steps += 1
        if timeout is None:
            self.fail(Violation("nothing will ever happen any more"))
        elif self._steps > MOST_STEPS:
            self.fail(Violation(f"more than {MOST_STEPS} turns of the loop: this never ends"))
        else:
            self._now += timeout

    def play(self, main: asyncio.Task[None]) -> None:
        """Run until this task has ended. Raises what it, or anything else, ended with."""
        main.add_done_callback(lambda _: self.stop())
        self.run_forever()
        if self.fault is not None:
            raise self.fault
        main.result()

    def _broken(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None:  # else a task of a process that was killed is swept up: what never ends was killed
            self.fail(error)

    def _process_events(self, events: list[object]) -> None:
        """None come."""

    def _write_to_self(self) -> None:
        """Nobody waits to be woken."""
