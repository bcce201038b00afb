"""Who is online at this node: one control connection per UIN (D10), pure.

Counterpart: the clients' `session.control.ClientControl`. The switchboard owns the registry and is its only user.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

ConnectionId = int
"""Names a connection for as long as the node runs; given by the shell, never used twice."""


@dataclass(slots=True)
class LocalClient:
    """One online client.

    `network` is where its control connection comes from (an IPv4 address or an IPv6 /64), for the check of its
    data connections (D12). `told` holds the callers whose ended calls it was told of since their last 04, so that
    an 06 which crossed the 05 is not answered by a second one (D15).
    """

    uin: int
    connection: ConnectionId
    network: str
    calling: set[int] = field(default_factory=set)
    called_by: set[int] = field(default_factory=set)
    told: dict[int, None] = field(default_factory=dict)

    MAX_TOLD: ClassVar[int] = 64

    def tell(self, caller: int) -> None:
        """Remember that this callee was told 05 for the caller's call; the oldest memory goes beyond 64."""
        self.told.pop(caller, None)
        self.told[caller] = None
        if len(self.told) > self.MAX_TOLD:
            del self.told[next(iter(self.told))]


class Registry:
    """UIN → client and connection → client."""

    def __init__(self) -> None:
        self._by_uin: dict[int, LocalClient] = {}
        self._by_connection: dict[ConnectionId, LocalClient] = {}

    def __len__(self) -> int:
        return len(self._by_uin)

    def add(self, client: LocalClient) -> None:
        """Register; whoever had the UIN before must have been removed."""
        assert client.uin not in self._by_uin
        self._by_uin[client.uin] = client
        self._by_connection[client.connection] = client

    def remove(self, client: LocalClient) -> None:
        """Take out."""
        del self._by_uin[client.uin]
        del self._by_connection[client.connection]

    def user(self, uin: int) -> LocalClient | None:
        """The online client with this UIN."""
        return self._by_uin.get(uin)

    def connection(self, connection: ConnectionId) -> LocalClient | None:
        """The online client on this control connection."""
        return self._by_connection.get(connection)
