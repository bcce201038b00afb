"""Who is who: keys, certificates, UINs, safety numbers, and the one place that says whom we trust (section 7).

Cryptography is allowed here; sockets, files and the event loop are not. What is slow (Argon2id, 64 MiB and some
tens of milliseconds) says so, and releases the interpreter lock, so that callers can put it on a thread.
Counterparts: `uzel.store` keeps identities and pins on disk; `uzel.tls` shows and receives the certificates.
"""

from uzel.identity.certificates import (
    NodeCertificate,
    PeerCertificate,
    check_uin,
    read_certificate,
    read_node_certificate,
)
from uzel.identity.keys import derive_uin, fingerprint_of
from uzel.identity.own import Identity
from uzel.identity.safety import safety_number
from uzel.identity.trust import (
    CheckedPeer,
    MemoryPins,
    NodeTrust,
    PeerTrust,
    Pin,
    Pins,
    UncheckedPeer,
    trust_first_use,
    trust_node,
    trust_peer,
)

__all__ = [
    "CheckedPeer",
    "Identity",
    "MemoryPins",
    "NodeCertificate",
    "NodeTrust",
    "PeerCertificate",
    "PeerTrust",
    "Pin",
    "Pins",
    "UncheckedPeer",
    "check_uin",
    "derive_uin",
    "fingerprint_of",
    "read_certificate",
    "read_node_certificate",
    "safety_number",
    "trust_first_use",
    "trust_node",
    "trust_peer",
]
