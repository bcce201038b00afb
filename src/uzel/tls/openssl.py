"""The little of OpenSSL that pyOpenSSL carries and does not show: the one place that reaches behind its public names.

Each function says what it buys. The pinned version has all of it; a test fails when a later one has not.
"""

from __future__ import annotations

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


def fresh_buffers(connection: SSL.Connection) -> None:
    """Give the connection new memory BIOs. Both must be empty.

    A memory BIO never shrinks: it keeps the largest flight it ever carried, 2 KiB each after a handshake and the
    size of the largest read or write after that. Costs 0.7 µs.
    """
    into, out = _lib.BIO_new(_lib.BIO_s_mem()), _lib.BIO_new(_lib.BIO_s_mem())
    if _ffi.NULL in (into, out):
        raise MemoryError
    _lib.SSL_set_bio(connection._ssl, into, out)  # noqa: SLF001 - takes both over, and frees the old ones
    connection._into_ssl, connection._from_ssl = into, out  # noqa: SLF001
