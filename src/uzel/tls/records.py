"""Records after the handshake: what protects the bytes of a connection from there on (RFC 8446, section 5).

OpenSSL makes the handshake and is then let go, which saves 30 KiB a connection (docs/decisions, 13). What is left are
two secrets and two counters; encryption itself is the library's. Nothing is chosen here: the rules are those of the
RFC, numbered where they are kept. Whatever a peer sends, `receive` gives the plaintext that came before the first
wrong thing, names that in `fault` and has the alert for it in its output. Counterparts: `uzel.tls.engine`, whose
one part this is, and any TLS 1.3 peer.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

MAX_PLAINTEXT = 16 * 1024
"""Most bytes of content in a record (5.1)."""
MAX_CIPHERTEXT = MAX_PLAINTEXT + 256
"""Most bytes behind a record's header (5.2)."""
MAX_MESSAGE = 16 * 1024
"""Longest handshake message that is taken, since an unfinished one is held. A ticket may have 64 KiB (4.6.1); real
ones, with a certificate in them, have under 4."""
MAX_IDLE = 64
"""Records and messages in a row that bring no data. OpenSSL sends two; more is a peer that only keeps us busy: a key
update is 27 bytes and 12 µs."""
RENEW_AFTER = 1 << 24
"""Records sent with one key before it is replaced: the bound for AES-GCM is some 24 million (5.5)."""

_HEADER = 5
_TAG = 16
_IV = 12
_ALERT, _HANDSHAKE, _DATA = 21, 22, 23
_NEW_SESSION_TICKET, _KEY_UPDATE = 4, 24
_WARNING, _FATAL = 1, 2
_CLOSE_NOTIFY, _USER_CANCELED = 0, 90
_UNEXPECTED_MESSAGE, _BAD_RECORD_MAC, _RECORD_OVERFLOW, _ILLEGAL_PARAMETER, _DECODE_ERROR = 10, 20, 22, 47, 50
_DATA_HEADER = bytes((_DATA, 3, 3))


@dataclass(frozen=True, slots=True)
class Suite:
    """A cipher suite: the cipher, the length of its key, the hash of its key schedule."""

    cipher: Callable[[bytes], AESGCM | ChaCha20Poly1305]
    key_length: int
    hash: str


SUITES: Final = {
    "TLS_AES_128_GCM_SHA256": Suite(AESGCM, 16, "sha256"),
    "TLS_AES_256_GCM_SHA384": Suite(AESGCM, 32, "sha384"),
    "TLS_CHACHA20_POLY1305_SHA256": Suite(ChaCha20Poly1305, 32, "sha256"),
}
"""Those that `context` offers, as OpenSSL names them."""


class _WrongError(Exception):
    """The peer broke a rule: the alert that says so, and the words for our log. Never leaves this module."""

    def __init__(self, alert: int, words: str) -> None:
        super().__init__(words)
        self.alert = alert
        self.words = words


class _Keys:
    """One direction's traffic secret, what follows from it, and the number of its next record (5.3, 7.3).

    The cipher object is made anew for each call (1.5 µs): kept, it would be 2 KiB.
    """

    __slots__ = ("_iv", "_key", "_secret", "_suite", "number")

    def __init__(self, suite: Suite, secret: bytes, number: int = 0) -> None:
        self._suite = suite
        self._secret = secret
        self._key = self._expand(b"key", suite.key_length)
        self._iv = int.from_bytes(self._expand(b"iv", _IV), "big")
        self.number = number

    def cipher(self) -> AESGCM | ChaCha20Poly1305:
        return self._suite.cipher(self._key)

    def nonce(self) -> bytes:
        """The next record's; it is counted by this."""
        nonce = (self._iv ^ self.number).to_bytes(_IV, "big")
        self.number += 1
        return nonce

    def renewed(self) -> _Keys:
        """The keys after a key update (7.2)."""
        return _Keys(self._suite, self._expand(b"traffic upd", len(self._secret)))

    def _expand(self, label: bytes, length: int) -> bytes:
        """HKDF-Expand-Label without a context (7.1); one block of the hash is always enough."""
        label = b"tls13 " + label
        info = b"".join((length.to_bytes(2, "big"), bytes((len(label),)), label, b"\0\1"))
        return hmac.digest(self._secret, info, self._suite.hash)[:length]


class Records:
    """Both directions of one connection.

    `sent`: records that OpenSSL has already sent with the sending secret. `tickets`: whether the peer may send them,
    being the TLS server. Raises `KeyError` for a suite that is not in `SUITES`: our own context would have to offer it.
    """

    __slots__ = (
        "_held",
        "_idle",
        "_message",
        "_output",
        "_receiving",
        "_sending",
        "_tickets",
        "closed",
        "ended",
        "fault",
    )

    def __init__(self, suite: str, *, sending: bytes, receiving: bytes, tickets: bool, sent: int = 0) -> None:
        self._sending = _Keys(SUITES[suite], sending, sent)
        self._receiving = _Keys(SUITES[suite], receiving)
        self._tickets = tickets
        self._held = self._message = b""
        self._idle = 0
        self._output: list[bytes] = []
        self.ended = False
        """We have said close_notify, and say no more: no answer to a key update, no alert (6.1)."""
        self.closed = False
        """The peer has said close_notify."""
        self.fault = ""
        """Why nothing more is read, in words."""

    def send(self, plaintext: bytes) -> None:
        """Encrypt; the outcome is in `data_to_send`. Nothing once closed."""
        if self.ended:
            return
        if self._sending.number >= RENEW_AFTER:
            self._renew_sending(asked=False)
        keys, view = self._sending, memoryview(plaintext)
        cipher = keys.cipher()
        for start in range(0, len(view), MAX_PLAINTEXT):
            inner = b"".join((view[start : start + MAX_PLAINTEXT], b"\x17"))
            header = _DATA_HEADER + (len(inner) + _TAG).to_bytes(2, "big")
            self._output += header, cipher.encrypt(keys.nonce(), inner, header)

    def close(self) -> None:
        """Say close_notify (6.1), once."""
        self._send_other(_ALERT, bytes((_WARNING, _CLOSE_NOTIFY)))
        self.ended = True

    def data_to_send(self) -> bytes:
        """The ciphertext to send, once."""
        if not self._output:
            return b""
        output, self._output = self._output, []
        return b"".join(output)

    def receive(self, ciphertext: bytes) -> bytes:
        """Take bytes from the network; returns the plaintext they bring, which may be empty."""
        if self.fault or self.closed:
            return b""
        data = self._held + ciphertext if self._held else ciphertext
        source, target = memoryview(data), memoryview(bytearray(len(data)))
        filled = at = 0
        try:
            keys = self._receiving
            cipher = keys.cipher()
            while not self._is_closed() and (length := _record_at(source, at)):
                kind, size = self._open(cipher, source[at : at + length], target[filled:])
                at += length
                if kind == _DATA and size and not self._message:
                    filled += size
                    self._idle = 0
                    continue
                self._take_other(kind, bytes(target[filled : filled + size]))
                if self._receiving is not keys:
                    keys = self._receiving
                    cipher = keys.cipher()
            self._held = data[at:] if at < len(data) and not self.closed else b""
        except _WrongError as wrong:
            self.fault = wrong.words
            self._held = self._message = b""
            self._send_other(_ALERT, bytes((_FATAL, wrong.alert)))
        return bytes(target[:filled])

    def _is_closed(self) -> bool:
        return self.closed

    def _open(self, cipher: AESGCM | ChaCha20Poly1305, record: memoryview, into: memoryview) -> tuple[int, int]:
        """Decrypt one record; returns the kind of its content and its length (5.2, 5.4)."""
        size = len(record) - _HEADER - _TAG
        try:
            cipher.decrypt_into(self._receiving.nonce(), record[_HEADER:], record[:_HEADER], into[:size])
        except InvalidTag:
            raise _WrongError(_BAD_RECORD_MAC, "a record that was changed, repeated or left out") from None
        if size > MAX_PLAINTEXT + 1:
            raise _WrongError(_RECORD_OVERFLOW, f"a record of {size} bytes inside")
        if not into[size - 1]:  # padding, perhaps 16 KiB of it: not byte by byte
            size = len(bytes(into[:size]).rstrip(b"\0"))
        if not size:
            raise _WrongError(_UNEXPECTED_MESSAGE, "a record without a kind")
        return into[size - 1], size - 1

    def _take_other(self, kind: int, content: bytes) -> None:
        self._count_idle()
        if kind == _ALERT and not self._message:
            self._take_alert(content)
        elif kind == _HANDSHAKE and content:
            self._take_messages(self._message + content)
        elif kind != _DATA or self._message:
            raise _WrongError(_UNEXPECTED_MESSAGE, f"a record of kind {kind} after the handshake")

    def _count_idle(self) -> None:
        self._idle += 1
        if self._idle > MAX_IDLE:
            raise _WrongError(_UNEXPECTED_MESSAGE, f"{MAX_IDLE} records or messages in a row without data")

    def _take_alert(self, alert: bytes) -> None:
        """The level says nothing in TLS 1.3 (6)."""
        if len(alert) != 2:
            raise _WrongError(_DECODE_ERROR, "an alert of another length")
        if alert[1] == _CLOSE_NOTIFY:
            self.closed = True
        elif alert[1] != _USER_CANCELED:
            self.fault = f"the other side sent alert {alert[1]}"
            self.closed = True  # and it wants no answer (6.2)

    def _take_messages(self, messages: bytes) -> None:
        """Tickets are left alone: nothing is resumed. Anything but them and key updates was not asked for (4.6)."""
        while len(messages) >= 4:
            kind, end = messages[0], 4 + int.from_bytes(messages[1:4], "big")
            if not (kind == _KEY_UPDATE or (kind == _NEW_SESSION_TICKET and self._tickets)) or end > MAX_MESSAGE:
                raise _WrongError(_UNEXPECTED_MESSAGE, f"handshake message {kind} of {end} bytes")
            if len(messages) < end:
                break
            if kind == _KEY_UPDATE:
                self._take_key_update(messages[4:end], last=len(messages) == end)
            messages = messages[end:]
            if messages:
                self._count_idle()  # each, as if it came in a record of its own
        self._message = messages

    def _take_key_update(self, body: bytes, *, last: bool) -> None:
        """The next record comes under new keys, so nothing may follow in this one (4.6.3, 5.1)."""
        if not last:
            raise _WrongError(_UNEXPECTED_MESSAGE, "a key update in the middle of a record")
        if len(body) != 1:
            raise _WrongError(_DECODE_ERROR, "a key update of another length")
        if body[0] > 1:
            raise _WrongError(_ILLEGAL_PARAMETER, "a key update that asks for something unknown")
        self._receiving = self._receiving.renewed()
        if body[0]:
            self._renew_sending(asked=True)

    def _renew_sending(self, *, asked: bool) -> None:
        """Say that new keys follow, and take them. Asked many times before our output is taken, we answer once."""
        if self.ended or (asked and self._output and self._sending.number == 0):
            return
        self._send_other(_HANDSHAKE, bytes((_KEY_UPDATE, 0, 0, 1, 0)))
        self._sending = self._sending.renewed()

    def _send_other(self, kind: int, content: bytes) -> None:
        if self.ended:
            return
        inner = content + bytes((kind,))
        header = _DATA_HEADER + (len(inner) + _TAG).to_bytes(2, "big")
        self._output += header, self._sending.cipher().encrypt(self._sending.nonce(), inner, header)


def _record_at(data: memoryview, at: int) -> int:
    """How long the record at `at` is, header included; 0 when it is not all there. Its header is judged at once."""
    have = len(data) - at
    if have and data[at] != _DATA:
        raise _WrongError(_UNEXPECTED_MESSAGE, f"an unprotected record of kind {data[at]}")
    if have < _HEADER:
        return 0
    length = data[at + 3] << 8 | data[at + 4]
    if length > MAX_CIPHERTEXT:
        raise _WrongError(_RECORD_OVERFLOW, f"a record of {length} bytes")
    if length <= _TAG:
        raise _WrongError(_DECODE_ERROR, f"a record of {length} bytes")
    return _HEADER + length if have >= _HEADER + length else 0
