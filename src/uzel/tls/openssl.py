"""The little of OpenSSL that pyOpenSSL carries and does not show: the one place that reaches behind its public names.

Each function says what it buys. The pinned version has all of it; a test fails when a later one has not.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from OpenSSL import SSL
from OpenSSL._util import ffi as _ffi
from OpenSSL._util import lib as _lib


@_ffi.callback("int (*)(int, X509_STORE_CTX *)", error=1)  # type: ignore[untyped-decorator] # cffi has no types
def _accept(ok: int, store: Any) -> int:  # noqa: ARG001
    return 1


def accept_any_certificate(context: SSL.Context) -> None:
    """Ask for a certificate, insist on one, and accept whichever it is: trust is decided after the handshake.

    Without pyOpenSSL's wrapper, which builds objects for each call and can lose an exception: 10 µs a handshake.
    """
    _lib.SSL_CTX_set_verify(
        context._context,  # noqa: SLF001
        SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
        _accept,
    )


def restrict_groups(context: SSL.Context, groups: Sequence[str]) -> None:
    """Agree on these groups only, the first before the next even where that costs a HelloRetryRequest.

    A client then sends a share of the first alone; OpenSSL's own list sends two and costs 50 µs more.
    """
    if _lib.SSL_CTX_set1_curves_list(context._context, "/".join(groups).encode()) != 1:  # noqa: SLF001
        _lib.ERR_clear_error()
        raise RuntimeError("this OpenSSL does not know the groups of section 3, D8")


class _Told(threading.local):
    """Where the secrets of the handshake go that this thread is at."""

    secrets: dict[bytes, bytes] | None = None


_told = _Told()


@_ffi.callback("void (*)(const SSL *, const char *)")  # type: ignore[untyped-decorator]
def _hear(_: Any, line: Any) -> None:
    name, _random, secret = bytes(_ffi.string(line)).split(b" ")
    if _told.secrets is not None and name in {CLIENT_SECRET, SERVER_SECRET}:
        _told.secrets[name] = bytes.fromhex(secret.decode("ascii"))


CLIENT_SECRET, SERVER_SECRET = b"CLIENT_TRAFFIC_SECRET_0", b"SERVER_TRAFFIC_SECRET_0"
"""What OpenSSL calls the secrets that protect what the TLS client sends after the handshake, and the TLS server."""


def tell_secrets(context: SSL.Context) -> None:
    """Have `shake_hands` told the secrets of the handshakes in this context: `uzel.tls.records` goes on with them."""
    _lib.SSL_CTX_set_keylog_callback(context._context, _hear)  # noqa: SLF001


def shake_hands(connection: SSL.Connection, secrets: dict[bytes, bytes]) -> None:
    """Go on with the handshake and put the secrets that are agreed into `secrets`. Raises what `do_handshake` does."""
    _told.secrets = secrets
    try:
        connection.do_handshake()
    finally:
        _told.secrets = None


def unread(connection: SSL.Connection, size: int) -> bytes:
    """Take back what the connection was given, at most `size` bytes, and has not looked at.

    OpenSSL takes one record at a time; what came behind the one that ended the handshake is still whole.
    """
    into = _ffi.new("char[]", size)
    count = _lib.BIO_read(connection._into_ssl, into, size)  # noqa: SLF001
    return bytes(_ffi.buffer(into, max(count, 0))[:])
