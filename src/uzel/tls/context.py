"""One TLS context for all connections of one kind: made once, shared by thousands.

TLS 1.3 only; no resumption, no early data (docs/decisions, 7, on tickets); both sides show a certificate and ask for
one. ALPN only where it is given (end to end, D29). Key agreement: X25519MLKEM768, asked for again (HelloRetryRequest)
where the peer knows it and began with less, then X25519, and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from OpenSSL import SSL

from uzel.tls.openssl import accept_any_certificate, restrict_groups, tell_secrets

GROUPS = frozenset({"X25519MLKEM768", "x25519"})
"""The key agreements that are accepted (D8), as OpenSSL names them."""
_CIPHERS = b"TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
AlpnChoice: TypeAlias = "bytes | SSL._NoOverlappingProtocols"  # noqa: SLF001 - the type has no public name
_RELEASE_BUFFERS = 0x10
"""SSL_MODE_RELEASE_BUFFERS, which pyOpenSSL has but does not export: whoever waits in a handshake keeps no
record buffers."""


class Side(StrEnum):
    """Which end of TLS we are: the node and the caller are clients, the connecting side and the callee servers."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class TlsContext:
    """What `TlsEngine` needs: OpenSSL's context and the side."""

    context: SSL.Context
    side: Side


def make_context(
    *,
    private_key: Ed25519PrivateKey | EllipticCurvePrivateKey,
    certificate: x509.Certificate,
    side: Side,
    alpn: Sequence[bytes] = (),
) -> TlsContext:
    """Make a context that shows this certificate.

    As client it offers `alpn` in this order. As server it takes the first of `alpn` that the client offers, and goes
    on without when there is none (D29: none means the base protocol).
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD if side is Side.CLIENT else SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    context.set_tls13_ciphersuites(_CIPHERS)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_mode(_RELEASE_BUFFERS)
    accept_any_certificate(context)
    tell_secrets(context)
    restrict_groups(context, ("X25519MLKEM768", "X25519"))
    context.use_certificate(certificate)
    context.use_privatekey(private_key)
    context.check_privatekey()
    if alpn and side is Side.CLIENT:
        context.set_alpn_protos(list(alpn))
    elif alpn:
        ours = tuple(alpn)

        def select(connection: SSL.Connection, offered: list[bytes]) -> AlpnChoice:  # noqa: ARG001
            return next((name for name in ours if name in offered), SSL.NO_OVERLAPPING_PROTOCOLS)

        context.set_alpn_select_callback(select)
    return TlsContext(context, side)
