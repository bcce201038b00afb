"""Many strangers at once, in one thread: each says CA, finishes TLS as its server, pings, and waits for what comes."""

from __future__ import annotations

import selectors
import threading
import time

from OpenSSL import SSL

from e2e.raw_client import Address, Closed, Tcp, Tls, context, frame
from e2e.raw_identity import RawIdentity

PATIENCE = 50.0


class Stranger:
    """One of them, driven by what comes."""

    def __init__(self, identity: RawIdentity, node: Address, source: str) -> None:
        self.identity = identity
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
                self.tls = Tls(self.tcp, context(self.identity, server=True), server=True)
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
    """All of them; ends when the node has ended the last."""

    def __init__(self, identities: list[RawIdentity], node: Address, source: str) -> None:
        super().__init__(name="swarm", daemon=True)
        self.fault: str | None = None
        self.refused = 0
        self.served = 0
        self._strangers = [Stranger(identity, node, source) for identity in identities]

    def run(self) -> None:
        deadline = time.monotonic() + PATIENCE
        with selectors.DefaultSelector() as selector:
            for stranger in self._strangers:
                selector.register(stranger.tcp, selectors.EVENT_READ, stranger)
            while selector.get_map():
                if time.monotonic() > deadline:
                    self.fault = f"{len(selector.get_map())} strangers are still there"
                    break
                for key, _ in selector.select(1):
                    if not key.data.on_readable():
                        selector.unregister(key.fileobj)
                        self.refused += 1
                        self.served += key.data.served

    def close(self) -> None:
        self.join(PATIENCE)
        for stranger in self._strangers:
            stranger.tcp.close()
