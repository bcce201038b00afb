"""A bounded pool of pipes, through which a relay moves bulk with splice(2) and copies nothing.

A pipe is borrowed while bytes are in it and no longer: a relay takes one, fills it, empties it into the other socket
and gives it back within one event, and keeps it between events only while the other socket is full. So a few pipes
serve any number of streams, and an idle pair holds none. Whoever gets None (all are out, no descriptors, no splice on
this system) copies through a buffer instead: to be without a pipe is never an error.

The kernel counts the pipe pages of a user who is not root (/proc/sys/fs/pipe-user-pages-soft, 64 MiB by default):
beyond it new pipes are tiny and growing them fails with EPERM. We then take the size that we get.
Counterpart: `uzel.net.relay`.
"""

from __future__ import annotations

import fcntl
import os

PIPE_SIZE = 512 * 1024
"""Bytes asked for, and the most that goes through at once. Measured over loopback with eight streams: as cheap as
1 MiB (about 0.25 CPU s/GB); 256 KiB and less took 0.27 to 0.67 from run to run, since more events move the same."""
MAX_PIPES = 64
"""Pipes at a time: 32 MiB, half of the default quota, and 128 descriptors. Only stalled streams keep one."""
KEPT_IDLE = 4
"""Empty pipes kept for the next taker: an event needs one, or two when it moves both directions."""
_SET_SIZE = getattr(fcntl, "F_SETPIPE_SZ", None)
_GET_SIZE = getattr(fcntl, "F_GETPIPE_SZ", None)


class Pipe:
    """Two descriptors and how many bytes may be put in between them."""

    __slots__ = ("entry", "exit", "size")

    def __init__(self, exit_fd: int, entry_fd: int, size: int) -> None:
        self.exit = exit_fd
        self.entry = entry_fd
        self.size = size


class PipePool:
    """Lends out empty pipes, at most `limit` at a time, each of `size` bytes where the system allows it."""

    __slots__ = ("_idle", "_kept", "_limit", "_size", "out", "without_descriptors")

    def __init__(self, *, size: int = PIPE_SIZE, limit: int = MAX_PIPES, kept: int = KEPT_IDLE) -> None:
        self._size = size
        self._limit = limit
        self._kept = kept
        self._idle: list[Pipe] = []
        self.out = 0
        """Pipes lent out now."""
        self.without_descriptors = 0
        """How often there was none to be had for want of descriptors; the taker copied instead."""

    @property
    def idle(self) -> int:
        """Empty pipes that wait for a taker."""
        return len(self._idle)

    def take(self) -> Pipe | None:
        """An empty pipe to be given back or discarded, or None when there is none to be had."""
        if self.out >= self._limit:
            return None
        pipe = self._idle.pop() if self._idle else self._open()
        if pipe is not None:
            self.out += 1
        return pipe

    def give(self, pipe: Pipe) -> None:
        """Take back a pipe that is empty."""
        self.out -= 1
        if len(self._idle) < self._kept:
            self._idle.append(pipe)
        else:
            _close(pipe)

    def discard(self, pipe: Pipe) -> None:
        """Take back a pipe that still holds bytes; they are lost."""
        self.out -= 1
        _close(pipe)

    def close(self) -> None:
        """Close what is idle and lend out no more. Pipes that are out are closed when they come back."""
        self._limit = self._kept = 0
        while self._idle:
            _close(self._idle.pop())

    def _open(self) -> Pipe | None:
        if _SET_SIZE is None or not hasattr(os, "splice"):
            return None
        try:
            exit_fd, entry_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self.without_descriptors += 1
            return None
        return Pipe(exit_fd, entry_fd, _resize(entry_fd, self._size))


def _resize(fd: int, size: int) -> int:
    """The size that the pipe has after asking for `size` bytes."""
    if _SET_SIZE is None or _GET_SIZE is None:
        raise RuntimeError("this system has no resizable pipes")
    try:
        return int(fcntl.fcntl(fd, _SET_SIZE, size))
    except OSError:
        return int(fcntl.fcntl(fd, _GET_SIZE))


def _close(pipe: Pipe) -> None:
    os.close(pipe.exit)
    os.close(pipe.entry)
