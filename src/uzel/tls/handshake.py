"""One TLS handshake: OpenSSL in memory, which is let go when the handshake is done.

`receive` until `done`; then `take_records` hands over what goes on without OpenSSL. Remote faults never raise: they
are in `fault`, and the alert that TLS wants sent, if any, is in `data_to_send`. A server learns only with the
client's last flight whether the client showed a certificate, so a client may think the handshake complete before
the server refuses it. Counterparts: `uzel.tls.engine`, which owns it, and the other side's.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from OpenSSL import SSL, crypto

from uzel.errors import Reason
from uzel.tls.context import GROUPS, Side, TlsContext
from uzel.tls.openssl import CLIENT_SECRET, SERVER_SECRET, shake_hands, unread
from uzel.tls.records import Records

_TAKE = 64 * 1024
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


class Handshake:
    """One end's. `fault` is set at most once; after it nothing more is read."""

    __slots__ = ("_bytes", "_connection", "_last", "_output", "_secrets", "_side", "done", "fault", "fault_detail")

    def __init__(self, context: TlsContext) -> None:
        self._connection = SSL.Connection(context.context, None)
        self._side = context.side
        self._bytes = 0
        self._secrets: dict[bytes, bytes] = {}
        self._output = self._last = b""
        self.done = False
        self.fault: Reason | None = None
        self.fault_detail = ""
        if context.side is Side.CLIENT:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()

    def start(self) -> None:
        """As client: make the first flight."""
        if self._side is Side.CLIENT:
            self._go_on()

    def receive(self, ciphertext: bytes) -> bytes:
        """Take bytes from the network; returns those behind the handshake once it is done."""
        self._connection.bio_write(ciphertext)
        self._bytes += len(ciphertext)
        self._go_on()
        if self.done:
            return unread(self._connection, len(ciphertext))
        if self._bytes > _MAX_HANDSHAKE:
            self._fail(Reason.TLS_FAILED, "the handshake is too long")
        return b""

    def data_to_send(self) -> bytes:
        """The flight to send, once; alerts too."""
        output, self._output = self._output, b""
        return output

    def take_records(self) -> Records:
        """What protects the bytes from here on. Only once it is `done`."""
        ours, theirs = CLIENT_SECRET, SERVER_SECRET
        if self._side is Side.SERVER:
            ours, theirs = theirs, ours
        return Records(
            self._connection.get_cipher_name() or "",
            sending=self._secrets[ours],
            receiving=self._secrets[theirs],
            tickets=self._side is Side.CLIENT,
            sent=_records_in(self._last) if self._side is Side.SERVER else 0,
        )

    @property
    def peer_certificate_der(self) -> bytes:
        """What the other side showed. Only once it is `done`."""
        certificate = self._connection.get_peer_certificate()
        assert certificate is not None, "a handshake without a certificate does not complete"
        return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)

    @property
    def summary(self) -> TlsSummary:
        """What was agreed. Only once it is `done`."""
        connection = self._connection
        return TlsSummary(
            sys.intern(connection.get_protocol_version_name()),
            sys.intern(connection.get_group_name() or ""),
            sys.intern(connection.get_cipher_name() or ""),
            sys.intern(connection.get_alpn_proto_negotiated().decode("ascii", "replace")),
        )

    def _go_on(self) -> None:
        try:
            shake_hands(self._connection, self._secrets)
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self._fail_by(error)
        else:
            group = self._connection.get_group_name()
            if group not in GROUPS:
                self._fail(Reason.TLS_FAILED, f"key agreement {group}")
            elif not {CLIENT_SECRET, SERVER_SECRET} <= self._secrets.keys():
                self._fail(Reason.TLS_FAILED, "this OpenSSL did not tell the secrets of the handshake")
            else:
                self.done = True
        self._take_output()

    def _take_output(self) -> None:
        """Each step's apart: what a server writes in the step that ends its handshake is under the new keys.

        All of it and no other, which the counter hangs on: a record before this step would be a ticket, and tickets
        follow from the client's Finished (RFC 8446, 7.1), which no server can know before where clients sign.
        """
        try:
            self._last = self._connection.bio_read(_TAKE)
        except SSL.Error:  # nothing is there
            self._last = b""
        self._output += self._last

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


def _records_in(output: bytes) -> int:
    """How many records there are; they are whole, since OpenSSL wrote them."""
    count = at = 0
    while at < len(output):
        at += 5 + int.from_bytes(output[at + 3 : at + 5], "big")
        count += 1
    return count
