"""Two people who talk all the while something bad happens elsewhere: they must notice nothing."""

from __future__ import annotations

import threading
import time

from OpenSSL import SSL

from e2e.raw_client import Address, Closed, RawClient, converse, exchange, ready
from e2e.raw_identity import identity

PATIENCE = 10.0
SOURCE = "127.0.0.20"
"""Where they come from: an address of their own, so that bounds per address do not meet them."""


class Canary(threading.Thread):
    """A conversation that goes to and fro in a thread; `check` says whether it still does."""

    def __init__(self, node: Address, first: int = 0, second: int = 1) -> None:
        super().__init__(name="canary", daemon=True)
        self.caller = RawClient(identity(first), node, SOURCE).login()
        self.callee = RawClient(identity(second), node, SOURCE).login()
        self.ours, self.theirs = converse(self.caller, self.callee)
        self.rounds = 0
        self.slowest = 0.0
        self.fault: BaseException | None = None
        self.still = threading.Lock()
        """Whoever holds it has the canary wait between two rounds."""
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            while not self._over.wait(0.005):
                with self.still:
                    self.round()
        except (Closed, OSError, SSL.Error, AssertionError) as fault:
            self.fault = fault

    def round(self) -> None:
        began = time.monotonic()
        exchange(self.ours, self.theirs, f"there {self.rounds}")
        exchange(self.theirs, self.ours, f"and back {self.rounds}")
        for client in (self.caller, self.callee):
            self.keep(client)
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.rounds += 1

    def keep(self, client: RawClient) -> None:
        """Answer the node's pings; nothing else should come."""
        while client.inbox.buffer or client.tls.pending() or ready([client.tcp]):
            code, tail = client.inbox.message()
            if code != 0x68:
                raise AssertionError(f"the canary was told {code:02X}")
            client.send(0x69, tail)

    def check(self) -> None:
        """Two more rounds go through."""
        rounds, deadline = self.rounds, time.monotonic() + PATIENCE
        while self.rounds < rounds + 2:
            assert self.fault is None, f"the canary noticed: {self.fault!r}"
            assert time.monotonic() < deadline, "the canary's conversation hangs"
            time.sleep(0.002)

    def close(self) -> None:
        self._over.set()
        self.join(PATIENCE)
        self.caller.close()
        self.callee.close()
