"""What outlives the process: a user's profile (identity, pins) and a node's folder (identity, claims on UINs).

Everything here is durable when its method returns, unless it says otherwise. Files belong to their owner alone.
Counterpart: `uzel.identity` decides what is written; nothing here decides whom to trust.
"""

from uzel.store.claims import Claims, MemoryClaims
from uzel.store.node_state import NodeState
from uzel.store.pins import FilePins
from uzel.store.profile import Profile
from uzel.store.sqlite_claims import SqliteClaims

__all__ = ["Claims", "FilePins", "MemoryClaims", "NodeState", "Profile", "SqliteClaims"]
