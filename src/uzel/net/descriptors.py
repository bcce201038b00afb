"""File descriptors: how many there may be, and one kept aside for when there are none.

A node raises its soft limit to the hard one at the start and derives from it how many connections it takes (the bounds
of section 8). If descriptors run out all the same, a listening socket that cannot accept would be readable for
ever; the spare descriptor lets the newcomer in for as long as it takes to close it. Counterpart: `uzel.net.listen`.
"""

from __future__ import annotations

import contextlib
import os
import resource

MOST_CONNECTIONS = 1_000_000
"""Highest bound that is derived: some systems name a hard limit of a thousand million, which no memory would carry."""
LEAST_CONNECTIONS = 16
"""Lowest bound that is derived, so that a node with a tiny limit still serves someone; the spare does the rest."""


def prepare_descriptors(reserve: int) -> int:
    """Raise the soft limit of open files to the hard one; return how many connections may stand at a time.

    That is what the limit leaves beside those open now and `reserve` (descriptors for files, pipes, dialling and
    look-ups). A system that does not let the limit be raised keeps its own.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(LEAST_CONNECTIONS, min(soft - reserve - open_descriptors(), MOST_CONNECTIONS))


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/dev/fd")) - 1  # the listing itself opens one


class SpareDescriptor:
    """One descriptor that is held for nothing but to be let go when there is no other.

    Raises `OSError` from the start when there is none even then.
    """

    __slots__ = ("_fd",)

    def __init__(self) -> None:
        self._fd = -1
        self._open()

    @property
    def held(self) -> bool:
        """Whether the descriptor is here to be released."""
        return self._fd >= 0

    def release(self) -> None:
        """Let it go, so that the next call that needs one can have it. Repeats do nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def take(self) -> bool:
        """Hold one again; False when there is none to be had yet: try again later."""
        if self._fd < 0:
            with contextlib.suppress(OSError):
                self._open()
        return self.held

    close = release

    def _open(self) -> None:
        self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
