"""Lines that go out while a loop runs: whole, in order, and known to have left this process.

They are written by a thread of their own, past Python's buffers, so that a reader who stalls holds up the reports of
texts but neither the keepalive nor the end of the process. Counterpart: `output`, for commands that print once.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
import threading
from queue import SimpleQueue

PATIENCE = 0.5
"""Seconds that `close` gives a reader to take what was emitted."""


class Emitter:
    """Prints lines on stdout. Await what `emit` returns to know that a line has left this process."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = sys.stdout.fileno() if sys.stdout is not None else None
        self._lines: SimpleQueue[tuple[bytes, asyncio.Future[None]]] = SimpleQueue()
        self._last: asyncio.Future[None] | None = None
        threading.Thread(target=self._write_all, name="stdout", daemon=True).start()

    def emit(self, line: str) -> asyncio.Future[None]:
        """Print a line; the future fails with `OSError`, most often `BrokenPipeError`: nobody reads any more."""
        self._last = written = self._loop.create_future()
        self._lines.put((line.encode("utf-8", "backslashreplace"), written))
        return written

    async def close(self) -> None:
        """Wait until everything is written, but not for a reader who stalls."""
        if self._last is not None:
            await asyncio.wait({self._last}, timeout=PATIENCE)

    def _write_all(self) -> None:
        while True:
            line, written = self._lines.get()
            error: OSError | None = None
            try:
                self._write(line)
            except OSError as refused:
                error = refused
            try:
                self._loop.call_soon_threadsafe(_settle, written, error)
            except RuntimeError:  # the loop is closed: so is the command
                return

    def _write(self, line: bytes) -> None:
        if self._descriptor is None:
            raise BrokenPipeError
        left = memoryview(line)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # whoever started us made it non-blocking
                select.select((), (self._descriptor,), ())


def _settle(written: asyncio.Future[None], error: OSError | None) -> None:
    if written.done():
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
