"""A node's folder: its identity, and its memory of who owns which UIN.

`identity.pem` and `identity.json` (made at the first start), `claims.db`, and `node.lock`, held as long as the
node runs: two nodes on one folder would show one key at two places and hand out UINs behind each other's back.
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
from uzel.store.sqlite_claims import SqliteClaims


class NodeState:
    """An open node folder. Close it, or use it as a context manager. For one thread, as `SqliteClaims` is."""

    def __init__(self, folder: Path, identity: Identity, claims: SqliteClaims, held: ExitStack) -> None:
        self.folder = folder
        self.identity = identity
        self.claims = claims
        self._held = held

    @classmethod
    def open(cls, folder: Path, *, bound: int = CLAIMS_BOUND, days: float = CLAIMS_DAYS) -> Self:
        """Open the folder, making it (mode 0700) and the node's identity at the first start. Slow then.

        `bound` (UINs) and `days` (unused) are those of `SqliteClaims`. Raises `ConfigError` when another node runs
        on the folder or a file in it cannot be used, and `StorageError` when the disk refuses.
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
            return cls(folder, identity, claims, opening.pop_all())

    def close(self) -> None:
        """Write what is buffered and let the folder go. May be called twice."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
