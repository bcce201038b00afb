"""How each kind of fault is made and mended on the stage: one generator for each, which breaks, yields, and mends.

Mending never raises because of what else is broken at the time: two faults may overlap. Counterparts: `schedule`,
which says which and when; `stage`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress

from chaos.schedule import Fault, Kind
from chaos.stage import Stage
from e2e.netns import until

Broken = Generator[None, None, None]


def make(stage: Stage, fault: Fault) -> AbstractContextManager[None]:
    """The fault, as long as the block lasts."""
    return contextmanager(_WAYS[fault.kind])(stage, fault)


def _core_killed(stage: Stage, fault: Fault) -> Broken:
    side = stage.sides[fault.side]
    if not side.core.is_over:
        side.core.kill()
    yield
    side.revive()


def _core_stopped(stage: Stage, fault: Fault) -> Broken:
    side = stage.sides[fault.side]
    with suppress(ProcessLookupError):
        side.core.process.send_signal(signal.SIGTERM)
    yield
    with suppress(ProcessLookupError):
        side.core.process.send_signal(signal.SIGCONT)  # the same act may have frozen it, for longer
    until("the core stops", lambda: side.core.process.poll() is not None)
    side.revive()


def _core_frozen(stage: Stage, fault: Fault) -> Broken:
    process = stage.sides[fault.side].core.process
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGSTOP)
    yield
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGCONT)


def _node_killed(stage: Stage, fault: Fault) -> Broken:
    node = stage.nodes[fault.side]
    if not node.is_over:
        node.kill()
    yield
    stage.revive_node(fault.side)


def _cable_out(stage: Stage, fault: Fault) -> Broken:
    with stage.sides[fault.side].host.unplugged():
        yield


def _nodes_parted(stage: Stage, fault: Fault) -> Broken:
    with stage.field.network.parted([stage.nodes[0].host], [stage.nodes[1].host]):
        yield


def _disk_full(stage: Stage, fault: Fault) -> Broken:
    """To the last byte."""
    ballast = stage.sides[fault.side].disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        free = os.statvfs(ballast)
        size = free.f_bavail * free.f_frsize
        while size:
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
            except OSError:
                size //= 2  # somebody else took some meanwhile
        with suppress(OSError):
            file.write(b"x" * 4096)
    yield
    ballast.unlink()


def _clock_jumped(stage: Stage, fault: Fault) -> Broken:
    """Until it jumps again."""
    stage.sides[fault.side].jump(fault.jump)
    yield


def _writer_busy(stage: Stage, fault: Fault) -> Broken:
    yield from _held(stage, fault, "write")


def _reader_busy(stage: Stage, fault: Fault) -> Broken:
    yield from _held(stage, fault, "read")


def _held(stage: Stage, fault: Fault, how: str) -> Broken:
    attendant = stage.sides[fault.side].attendant()
    attendant.holds(how)  # where it cannot, the disk being full, nobody is disturbed either
    yield
    attendant.kill()


_WAYS: dict[Kind, Callable[[Stage, Fault], Broken]] = {
    Kind.CORE_KILLED: _core_killed,
    Kind.CORE_STOPPED: _core_stopped,
    Kind.CORE_FROZEN: _core_frozen,
    Kind.NODE_KILLED: _node_killed,
    Kind.CABLE_OUT: _cable_out,
    Kind.NODES_PARTED: _nodes_parted,
    Kind.DISK_FULL: _disk_full,
    Kind.CLOCK_JUMPED: _clock_jumped,
    Kind.WRITER_BUSY: _writer_busy,
    Kind.READER_BUSY: _reader_busy,
}
