"""One TLS connection in memory: feed it what arrived, send what it hands out.

It is a `Handshake`, which is OpenSSL's, and after it `Records`, which are ours: the first is let go when the second
begins. Remote faults never raise: `fault` names them, and the alert that TLS wants sent, if any, is in `data_to_send`.
Counterpart: itself, with the other side.
"""

from __future__ import annotations

from uzel.errors import Reason
from uzel.tls.context import TlsContext
from uzel.tls.handshake import Handshake, TlsSummary
from uzel.tls.records import Records

_SLICE = 32 * 1024
"""So much is put into OpenSSL's buffers at once: they grow by copying."""


class TlsEngine:
    """One end. `fault` is set at most once; after it nothing more is read."""

    __slots__ = ("_handshake", "_peer", "_records", "_summary", "fault", "fault_detail")

    def __init__(self, context: TlsContext) -> None:
        self._handshake: Handshake | None = Handshake(context)
        self._records: Records | None = None
        self._peer = b""
        self._summary: TlsSummary | None = None
        self.fault: Reason | None = None
        self.fault_detail = ""

    @property
    def handshake_done(self) -> bool:
        """Whether the other side is known and data may be sent."""
        return self._records is not None

    @property
    def closed(self) -> bool:
        """The other side has said that it sends no more."""
        return self._records is not None and self._records.closed and self.fault is None

    def start(self) -> None:
        """As client: make the first flight."""
        if self._handshake is not None:
            self._handshake.start()

    def receive(self, ciphertext: bytes) -> bytes:
        """Take bytes from the network; returns the plaintext they bring, which may be empty."""
        for start in range(0, len(ciphertext), _SLICE) if self._records is None else ():
            if self.fault is not None:
                return b""
            rest = self._shake_hands(ciphertext[start : start + _SLICE])
            if self.handshake_done:
                ciphertext = rest + ciphertext[start + _SLICE :]
                break
        records = self._records
        if records is None or self.fault is not None or not ciphertext:
            return b""
        plaintext = records.receive(ciphertext)
        if records.fault:
            self.fault, self.fault_detail = Reason.TLS_FAILED, records.fault
        return plaintext

    def send(self, plaintext: bytes) -> None:
        """Encrypt; the outcome is in `data_to_send`. Only after the handshake; does nothing once closed."""
        if self.fault is not None or not plaintext:
            return
        if self._records is None:
            raise RuntimeError("nothing can be sent before the handshake is done")
        self._records.send(plaintext)

    def data_to_send(self) -> bytes:
        """The ciphertext to send, once; alerts too."""
        data = b""
        if self._handshake is not None:
            data = self._handshake.data_to_send()
            if self._records is not None:
                self._handshake = None
        return data + self._records.data_to_send() if self._records is not None else data

    def close(self) -> None:
        """Say close_notify, where the handshake was done; nothing is sent after it."""
        if self._records is not None and self.fault is None:
            self._records.close()

    @property
    def peer_certificate_der(self) -> bytes:
        """What the other side showed, after the handshake."""
        assert self._peer, "only after the handshake"
        return self._peer

    @property
    def summary(self) -> TlsSummary:
        """What was agreed, after the handshake."""
        assert self._summary is not None, "only after the handshake"
        return self._summary

    def _shake_hands(self, ciphertext: bytes) -> bytes:
        handshake = self._handshake
        assert handshake is not None, "there are records, or a handshake"
        rest = handshake.receive(ciphertext)
        if handshake.fault is not None:
            self.fault, self.fault_detail = handshake.fault, handshake.fault_detail
        elif handshake.done:
            self._records = handshake.take_records()
            self._peer, self._summary = handshake.peer_certificate_der, handshake.summary
        return rest
