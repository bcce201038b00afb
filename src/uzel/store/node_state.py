"""A node's folder: its identity, its memory of who owns which UIN, and its memory of other nodes.

`identity.pem` and `identity.json` (made at the first start), `claims.db`, `known.db`, and `node.lock`, held as long as
the node runs: two nodes on one folder would show one key at two places and hand out UINs behind each other's back.
While it runs there is also `admin.sock` (`uzel.store.admin_socket`).
Counterpart for a user: `uzel.store.profile`.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from uzel.errors import ConfigError, ProfileError
from uzel.identity import Identity
from uzel.store.claims import CLAIMS_BOUND, CLAIMS_DAYS
from uzel.store.files import locked, make_private_folder
from uzel.store.identities import has_identity, load_identity, save_identity
from uzel.store.known_nodes import KNOWN_NODES_BOUND
from uzel.store.sqlite_claims import SqliteClaims
from uzel.store.sqlite_known_nodes import SqliteKnownNodes


class NodeState:
    """An open node folder. Close it, or use it as a context manager. For one thread, as `SqliteClaims` is."""

    def __init__(
        self, folder: Path, identity: Identity, claims: SqliteClaims, known: SqliteKnownNodes, held: ExitStack
    ) -> None:
        self.folder = folder
        self.identity = identity
        self.claims = claims
        self.known = known
        self._held = held

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        bound: int = CLAIMS_BOUND,
        days: float = CLAIMS_DAYS,
        known_bound: int = KNOWN_NODES_BOUND,
    ) -> Self:
        """Open the folder, making it (mode 0700) and the node's identity at the first start. Slow then.

        `bound` (UINs) and `days` (unused) are those of `SqliteClaims`, `known_bound` (addresses) is that of
        `SqliteKnownNodes`. Raises `ConfigError` when another node runs on the folder or a file in it cannot be used,
        and `StorageError` when the disk refuses.
        """
        with ExitStack() as opening:
            try:
                make_private_folder(folder)
                opening.enter_context(locked(folder / "node.lock", wait=False))
                if not has_identity(folder):
                    save_identity(folder, Identity.generate())
                identity = load_identity(folder)
            except BlockingIOError:
                raise ConfigError(f"another node runs on the state folder {folder}: give each its own") from None
            except ProfileError as error:
                raise ConfigError(f"state folder: {error.detail}") from error
            claims = SqliteClaims(folder / "claims.db", bound=bound, days=days)
            opening.callback(claims.close)
            known = SqliteKnownNodes(folder / "known.db", bound=known_bound)
            opening.callback(known.close)
            return cls(folder, identity, claims, known, opening.pop_all())

    def flush(self) -> None:
        """Make durable what claims and known nodes only noted. Raises `StorageError`."""
        self.claims.flush()
        self.known.flush()

    def close(self) -> None:
        """Write what is buffered and let the folder go. May be called twice."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
