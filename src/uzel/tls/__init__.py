"""TLS without sockets: ciphertext in, plaintext out (D8). TLS 1.3 only, both sides show certificates.

TLS proves that the other side holds the key of the certificate it shows; whether to trust that key is decided by
the caller after the handshake (`uzel.identity.trust`), before anything is said.
"""

from uzel.tls.context import GROUPS, Side, TlsContext, make_context
from uzel.tls.engine import TlsEngine
from uzel.tls.handshake import TlsSummary

__all__ = ["GROUPS", "Side", "TlsContext", "TlsEngine", "TlsSummary", "make_context"]
