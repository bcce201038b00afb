"""The safety number: what two people read to each other to know that nobody stands between them (section 7)."""

from __future__ import annotations

import hashlib

from uzel.names import Fingerprint

_DOMAIN = b"uzel-safety-1"
_GROUPS = 12


def safety_number(a: Fingerprint, b: Fingerprint) -> str:
    """Twelve groups of five digits with spaces between; the same whichever of the two comes first."""
    digest = hashlib.sha512(_DOMAIN + min(a.raw, b.raw) + max(a.raw, b.raw)).digest()
    groups = (int.from_bytes(digest[5 * i : 5 * i + 5], "big") % 100_000 for i in range(_GROUPS))
    return " ".join(f"{group:05}" for group in groups)
