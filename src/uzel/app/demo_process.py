"""The processes of the demo and of `uzel run`: started as `demo_child`, read line by line, ended by their id.

None outlives the block it was started in, nor the program that started it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

Line = dict[str, Any]
Told = TypeVar("Told")
MOST_LINE = 1 << 20
"""Bytes of a line that a process tells."""


class DemoFailedError(Exception):
    """Something that should have happened did not."""


@asynccontextmanager
async def child(module: str, *arguments: str, apart: bool = False) -> AsyncIterator[asyncio.subprocess.Process]:
    """A module of ours as a process, which does not outlive this block. `apart`: Ctrl-C in a terminal does not reach
    it, so that whoever started it ends it in order.
    """
    pipe = asyncio.subprocess.PIPE
    program = (sys.executable, "-P", "-m", "uzel.app.demo_child", str(os.getpid()))
    process = await asyncio.create_subprocess_exec(
        *program, module, *arguments, stdin=pipe, stdout=pipe, stderr=pipe, limit=MOST_LINE, start_new_session=apart
    )
    try:
        yield process
    except BaseException:
        send_signal(process, signal.SIGTERM)
        raise
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            send_signal(process, signal.SIGKILL)
            await process.wait()


def send_signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """By its id: the process's own method would collect a dead child before asyncio does, and confuse it."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


async def next_line(process: asyncio.subprocess.Process) -> Line:
    """What it tells next. Raises `DemoFailedError` with its last words when it has ended."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        assert process.stderr is not None
        words = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
        raise DemoFailedError(words[-1] if words else "a process ended without a word")
    parsed: Line = json.loads(line)
    return parsed


async def while_they_live(
    processes: Sequence[asyncio.subprocess.Process], work: Coroutine[None, None, Told], what: str
) -> Told:
    """Do it, but not longer than each of them lives; `what` they are is said when one does not."""
    working = asyncio.create_task(work)
    living = [asyncio.create_task(process.wait()) for process in processes]
    try:
        await asyncio.wait({working, *living}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise DemoFailedError(f"{what} ended by itself")
        return working.result()
    finally:
        for task in (working, *living):
            task.cancel()
        await asyncio.gather(working, *living, return_exceptions=True)
