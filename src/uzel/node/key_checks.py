"""Checks unseen keys off the event loop: does this UIN belong to this key? (section 7)

Each check takes 64 MiB and some 60 ms of a processor, so two run at a time, at a lower priority than the loop,
behind a bounded queue with a bound per address; whoever comes beyond is refused by name and may come again.
Known keys never come here. Counterpart: `identity.check_uin`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from uzel.errors import CertificateError, Reason
from uzel.identity import PeerCertificate, check_uin
from uzel.node.limits import Counts

_NICE = 10
"""Checks give way to the loop: known clients must not notice a thousand strangers."""


def _lower_priority() -> None:
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _check(certificate: PeerCertificate) -> Reason | None:
    try:
        check_uin(certificate)
    except CertificateError as error:
        return Reason(error.reason)
    return None


class KeyChecks:
    """The queue and its workers."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, waiting: int, per_address: int, workers: int) -> None:
        self._loop = loop
        self._bound = waiting + workers
        self._per_address_bound = per_address
        self._per_address: Counts[str] = Counts()
        self._running = 0
        self._pool = ThreadPoolExecutor(workers, "key-check", _lower_priority)

    def __len__(self) -> int:
        return self._running

    def submit(
        self, certificate: PeerCertificate, network: str, done: Callable[[Reason | None], None]
    ) -> Reason | None:
        """Check; `done` is called on the loop with None or why not. Returns a reason when the queue has no room."""
        if self._per_address[network] >= self._per_address_bound:
            return Reason.KEY_CHECKS_ADDRESS_FULL
        if self._running >= self._bound:
            return Reason.KEY_CHECKS_FULL
        self._running += 1
        self._per_address.add(network)

        def finish(result: Reason | None) -> None:
            self._running -= 1
            self._per_address.remove(network)
            done(result)

        def hand_over(future: Future[Reason | None]) -> None:
            if not future.cancelled() and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(finish, future.result())

        self._pool.submit(_check, certificate).add_done_callback(hand_over)
        return None

    async def close(self) -> None:
        """Drop what waits and let what runs end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        await self._loop.run_in_executor(None, self._pool.shutdown)
