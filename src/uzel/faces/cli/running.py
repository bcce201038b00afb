"""Runs a command's coroutine until it is done, or until SIGTERM or Ctrl-C.

What the coroutine holds is closed in order; a second signal ends the process at once. A signal that comes before is
raised wherever the program is; should a library take that for a failure of its own, the coroutine is not begun.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:  # help must not load it
    import asyncio

T = TypeVar("T")
_before: list[int] = []
"""Signals that came before the coroutine was begun."""
LoopFactory = Callable[[], "asyncio.AbstractEventLoop"]


class StoppedError(Exception):
    """A signal ended the command; `exit_code` is what shells expect then. `queued`: a text goes out all the same."""

    queued = False

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number
        self.exit_code = 128 + number


def stop_on_signals() -> None:
    """From now on SIGTERM and Ctrl-C raise `StoppedError`, wherever the program is."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def _stop(number: int, _: FrameType | None) -> NoReturn:
    _before.append(number)
    raise StoppedError(number)


def run_until_signal(work: Coroutine[Any, Any, T], loop_factory: LoopFactory | None = None) -> T:
    """Run it on a loop of its own, made by that. Raises `StoppedError`, and what it raises."""
    import asyncio  # noqa: PLC0415 - help must not load it

    async def guarded() -> T:
        task = asyncio.current_task()
        assert task is not None
        caught: list[int] = []

        def stop(number: int) -> None:
            if caught:
                os._exit(128 + number)
            caught.append(number)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        if _before:
            work.close()
            raise StoppedError(_before[0])
        try:
            return await work
        except asyncio.CancelledError:
            if caught:
                raise StoppedError(caught[0]) from None
            raise

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(guarded())
