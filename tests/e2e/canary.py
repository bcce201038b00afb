"""Two people who talk all the while something bad happens elsewhere: they must notice nothing."""

from __future__ import annotations

import threading
import time

from OpenSSL import SSL

from e2e.raw_client import (
    Address,
    Closed,
    Conversation,
    RawClient,
    Unexpected,
    converse,
    exchange,
    handshake_together,
    pair,
    ready,
    u32,
)
from e2e.raw_identity import identity, node_identity
from e2e.raw_link import RawLink

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
        self.prepare(node)
        self.start()

    def prepare(self, node: Address) -> None:
        """What must stand before it begins."""

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


class LinkCanary(Canary):
    """One of them talks to somebody behind a link as well."""

    def prepare(self, node: Address) -> None:
        far = identity(61)
        self.link = RawLink.dial(node, node_identity(61), "127.0.91.1")
        self.link.found_here(far.uin)
        self.link.sync()
        self.caller.call(far.uin)
        self.link.expect(0xAA, pair(self.caller.uin, far.uin))
        self.there = self.link.conversation(far, self.caller.uin, caller=False)
        self.link.call_ready(self.caller.uin, far.uin)
        self.caller.expect(0x07, u32(far.uin))
        self.across = Conversation(self.caller.data(self.caller.uin, far.uin), self.caller.identity, caller=True)
        handshake_together(self.across.tls, self.there.tls)
        self.link.script = hearing_nothing

    def round(self) -> None:
        super().round()
        exchange(self.across, self.there, f"across {self.rounds}")
        exchange(self.there, self.across, f"and back across {self.rounds}")

    def close(self) -> None:
        super().close()
        self.link.close()


def hearing_nothing(link: RawLink, code: int, tail: bytes) -> bool:
    """The script of a node that has nobody else: searches, hints and housekeeping are all that may come."""
    if code in {0xAA, 0xAB, 0xB8, 0xD0, 0xA9}:
        raise Unexpected(f"the canary's link was told {code:02X}")
    return True
