"""One TLS connection in memory: feed it what arrived, send what it hands out.

Remote faults never raise: `fault` names them, and the alert that TLS wants sent, if any, is in `data_to_send`.
A server learns only with the client's last flight whether the client showed a certificate, so a client may think
the handshake complete, and send, before the server refuses it. Counterpart: itself, with the other side.
"""

from __future__ import annotations

from dataclasses import dataclass

from OpenSSL import SSL, crypto

from uzel.errors import Reason
from uzel.tls.context import GROUPS, Side, TlsContext
from uzel.tls.openssl import fresh_buffers

_READ = 16 * 1024
"""A TLS record holds at most this much plaintext."""
_SLICE = 32 * 1024
"""So much is put into OpenSSL's buffers at once: they grow by copying."""
_TAKE = 64 * 1024
_KEEP = 4 * 1024
"""OpenSSL's buffers keep what they once held: past this they are replaced, so that a burst leaves nothing behind."""
_MAX_HANDSHAKE = 64 * 1024
"""Bytes of handshake that a peer may send; an honest one needs under 4 KiB."""
_VERSION_FAULTS = frozenset(
    {
        "unsupported protocol",
        "tlsv1 alert protocol version",
        "version too low",
        "no protocols available",
    }
)
_NO_CERTIFICATE = "peer did not return a certificate"


@dataclass(frozen=True, slots=True)
class TlsSummary:
    """What was agreed: for example TLSv1.3, X25519MLKEM768, TLS_AES_128_GCM_SHA256, and the ALPN name or ""."""

    version: str
    group: str
    cipher: str
    alpn: str


class TlsEngine:
    """One end. `fault` is set at most once; after it nothing more is read."""

    __slots__ = (
        "_connection",
        "_ended",
        "_handshake_bytes",
        "_side",
        "_stretched",
        "_taken",
        "closed",
        "fault",
        "fault_detail",
        "handshake_done",
    )

    def __init__(self, context: TlsContext) -> None:
        self._connection = SSL.Connection(context.context, None)
        self._side = context.side
        self._handshake_bytes = 0
        self._stretched = True
        self._ended = False
        self._taken: list[bytes] = []
        self.fault: Reason | None = None
        self.fault_detail = ""
        self.handshake_done = False
        self.closed = False
        if context.side is Side.CLIENT:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()

    def start(self) -> None:
        """As client: make the first flight."""
        if self._side is Side.CLIENT:
            self._handshake()

    def receive(self, ciphertext: bytes) -> bytes:
        """Take bytes from the network; returns the plaintext they bring, which may be empty."""
        if self.fault is not None or self.closed or not ciphertext:
            return b""
        self._stretched = self._stretched or len(ciphertext) > _KEEP
        if len(ciphertext) <= _SLICE:
            return self._receive_slice(ciphertext)
        view = memoryview(ciphertext)
        return b"".join(self._receive_slice(view[start : start + _SLICE]) for start in range(0, len(view), _SLICE))

    def _receive_slice(self, ciphertext: bytes | memoryview) -> bytes:
        if self.fault is not None or self.closed:
            return b""
        self._connection.bio_write(ciphertext)
        if not self.handshake_done:
            self._handshake_bytes += len(ciphertext)
            self._handshake()
            if not self.handshake_done:
                if self._handshake_bytes > _MAX_HANDSHAKE and self.fault is None:
                    self._fail(Reason.TLS_FAILED, "the handshake is too long")
                return b""
        return self._read()

    def send(self, plaintext: bytes) -> None:
        """Encrypt; the outcome is in `data_to_send`. Only after the handshake; does nothing once closed."""
        if self.fault is not None or self._ended or not plaintext:
            return
        if not self.handshake_done:
            raise RuntimeError("nothing can be sent before the handshake is done")
        self._stretched = self._stretched or len(plaintext) > _KEEP
        view = memoryview(plaintext)
        try:
            for start in range(0, len(view), _SLICE):
                self._connection.sendall(view[start : start + _SLICE])
                if len(view) > _SLICE:
                    self._taken.append(self._connection.bio_read(_TAKE))
        except SSL.Error as error:
            self._fail_by(error)

    def data_to_send(self) -> bytes:
        """The ciphertext to send, once; alerts too."""
        chunks, self._taken = self._taken, []
        try:
            while True:
                chunks.append(self._connection.bio_read(_TAKE))
        except SSL.Error:  # nothing is left
            pass
        if self._stretched and self.handshake_done and self.fault is None and not self.closed:
            fresh_buffers(self._connection)  # both are empty: what came was read, what was written is taken
            self._stretched = False
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def close(self) -> None:
        """Say close_notify, where the handshake was done; nothing is sent after it."""
        if not self.handshake_done or self.fault is not None or self._ended:
            return
        self._ended = True
        try:
            self._connection.shutdown()
        except SSL.Error as error:
            self._fail_by(error)

    @property
    def peer_certificate_der(self) -> bytes:
        """What the other side showed, after the handshake."""
        certificate = self._connection.get_peer_certificate()
        assert certificate is not None, "a handshake without a certificate does not complete"
        return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)

    @property
    def summary(self) -> TlsSummary:
        """What was agreed."""
        connection = self._connection
        return TlsSummary(
            connection.get_protocol_version_name(),
            connection.get_group_name() or "",
            connection.get_cipher_name() or "",
            connection.get_alpn_proto_negotiated().decode("ascii", "replace"),
        )

    def _handshake(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            self._fail_by(error)
            return
        group = self._connection.get_group_name()
        if group not in GROUPS:
            self._fail(Reason.TLS_FAILED, f"key agreement {group}")
            return
        self.handshake_done = True

    def _read(self) -> bytes:
        chunks: list[bytes] = []
        try:
            while True:
                chunks.append(self._connection.recv(_READ))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.closed = True
        except SSL.Error as error:
            self._fail_by(error)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _fail_by(self, error: SSL.Error) -> None:
        reasons = _reasons(error)
        if _VERSION_FAULTS.intersection(reasons):
            self._fail(Reason.TLS_VERSION, reasons[0])
        elif _NO_CERTIFICATE in reasons:
            self._fail(Reason.CERTIFICATE_MISSING, _NO_CERTIFICATE)
        else:
            self._fail(Reason.TLS_FAILED, reasons[0] if reasons else type(error).__name__)

    def _fail(self, reason: Reason, detail: str) -> None:
        if self.fault is None:
            self.fault, self.fault_detail = reason, detail


def _reasons(error: SSL.Error) -> list[str]:
    """OpenSSL's own words, from the queue of errors that pyOpenSSL puts into the exception."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return [entry[2] for entry in queue if isinstance(entry, tuple) and len(entry) == 3]
