"""Many strangers at once, in one thread: each says CA, finishes TLS as its server, pings, and waits for what comes."""

from __future__ import annotations

import selectors
import threading
import time
from functools import partial

from OpenSSL import SSL

from e2e.raw_client import Address, Closed, Tcp, Tls, context, frame
from e2e.raw_identity import RawIdentity

PATIENCE = 20.0


class Stranger:
    """One of them, driven by what comes."""

    def __init__(self, tls_context: SSL.Context, node: Address, source: str) -> None:
        self.tls_context = tls_context
        self.tcp = Tcp(node, source)
        self.accepted = b""
        self.tls: Tls | None = None
        self.secured = False
        self.served = False
        self.tcp.send(frame(0xCA, b"\x01\x00"))

    def on_readable(self) -> bool:
        """Go on; false when the node has ended it."""
        try:
            return self._go_on()
        except (Closed, SSL.Error, OSError):
            return False

    def _go_on(self) -> bool:
        if self.tls is None:
            part = self.tcp.socket.recv(4 - len(self.accepted))
            self.accepted += part
            if len(self.accepted) == 4:
                self.tls = Tls(self.tcp, self.tls_context, server=True)
            return part != b""
        if not self.secured:
            self.tls.feed()
            if self.tls.advance():
                self.secured = True
                self.tls.send(frame(0x68, b"rr"))
            return True
        data = self.tls.receive()
        self.served = self.served or data != b""
        return data != b""


class Swarm(threading.Thread):
    """All of them. Whoever is ended comes again, until `over` is set; then it ends with the last."""

    def __init__(self, identities: list[RawIdentity], node: Address, source: str) -> None:
        super().__init__(name="swarm", daemon=True)
        self.over = threading.Event()
        self.fault: str | None = None
        self.refused = 0
        self.served = 0
        self._come = partial(Stranger, node=node, source=source)
        self._strangers = {self._come(context(identity, server=True)) for identity in identities}

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for stranger in self._strangers:
                selector.register(stranger.tcp, selectors.EVENT_READ, stranger)
            patience = float("inf")
            while self._strangers and time.monotonic() < patience:
                if self.over.is_set():
                    patience = min(patience, time.monotonic() + PATIENCE)
                for key, _ in selector.select(0.1):
                    if not key.data.on_readable():
                        selector.unregister(key.fileobj)
                        self._ended(key.data, selector)
        if self._strangers:
            self.fault = f"{len(self._strangers)} strangers are still there"

    def _ended(self, stranger: Stranger, selector: selectors.BaseSelector) -> None:
        self.refused += 1
        self.served += stranger.served
        stranger.tcp.close()
        self._strangers.remove(stranger)
        if not self.over.is_set():
            again = self._come(stranger.tls_context)
            self._strangers.add(again)
            selector.register(again.tcp, selectors.EVENT_READ, again)

    def close(self) -> None:
        self.over.set()
        self.join(PATIENCE)
        for stranger in self._strangers:
            stranger.tcp.close()
