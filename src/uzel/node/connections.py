"""How many connections a node keeps, and which one goes when there are too many: pure (section 8).

A connection is half-open until it has said who it is (control: TLS done; data: a 20 that meets a call). Beyond a
bound the oldest half-open connection goes, so that a flood of silent ones never keeps a newcomer out; when all are
established, the newcomer is refused. A quarter of all places is kept for data connections, so that clients who are
there can talk however many others log in. Links count as control connections; those that this node dials are never
half-open, since nobody floods us with them. Counterpart: the shell, which closes what it is told to.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import takewhile

from uzel.errors import Reason
from uzel.node.limits import Counts, Deadlines
from uzel.node.registry import ConnectionId


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """Counts; times in seconds. `for_data` is the share of `in_all` that control connections cannot take."""

    half_open_per_address: int = 256
    half_open: int = 4096
    per_address: int = 1024
    in_all: int = 16_000
    for_data: float = 0.25
    handshake: float = 10.0
    data_hello: float = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a newcomer may stay, and who has to go for it."""

    refused: Reason | None = None
    evicted: tuple[ConnectionId, Reason] | None = None


class Connections:
    """All connections of a node, control and data."""

    def __init__(self, bounds: ConnectionBounds) -> None:
        self._bounds = bounds
        self._networks: dict[ConnectionId, str] = {}
        self._per_network: Counts[str] = Counts()
        self._controls: set[ConnectionId] = set()
        self._most_controls = bounds.in_all - int(bounds.in_all * bounds.for_data)
        self._half_open: dict[str, OrderedDict[ConnectionId, None]] = {}
        self._handshakes: Deadlines[ConnectionId] = Deadlines(bounds.handshake)
        self._data_hellos: Deadlines[ConnectionId] = Deadlines(bounds.data_hello)

    def __len__(self) -> int:
        return len(self._networks)

    @property
    def half_open(self) -> int:
        """How many have not said who they are."""
        return len(self._handshakes) + len(self._data_hellos)

    def open(
        self, connection: ConnectionId, network: str, now: float, *, is_data: bool, dialled: bool = False
    ) -> Verdict:
        """A newcomer. Whoever is evicted must be closed; its `closed` may come before or after."""
        excess = self._excess(network, is_data=is_data, dialled=dialled)
        evicted = None
        if excess is not None:
            reason, from_network = excess
            crowded = not is_data and len(self._controls) >= self._most_controls
            oldest = self._handshakes.oldest() if crowded else self._oldest(network if from_network else None)
            if oldest is None:
                return Verdict(refused=reason)
            evicted = (oldest, reason)
            self.closed(oldest)
        self._networks[connection] = network
        self._per_network.add(network)
        if not dialled:
            self._half_open.setdefault(network, OrderedDict())[connection] = None
            (self._data_hellos if is_data else self._handshakes).set(connection, now)
        if not is_data:
            self._controls.add(connection)
        return Verdict(evicted=evicted)

    def established(self, connection: ConnectionId) -> None:
        """It has said who it is."""
        if self._handshakes.clear(connection) or self._data_hellos.clear(connection):
            network = self._networks[connection]
            waiting = self._half_open[network]
            del waiting[connection]
            if not waiting:
                del self._half_open[network]

    def closed(self, connection: ConnectionId) -> None:
        """It is gone; harmless when it already was."""
        if connection in self._networks:
            self.established(connection)
            self._controls.discard(connection)
            self._per_network.remove(self._networks.pop(connection))

    def deadline(self) -> float | None:
        """When `take_due` wants to be called."""
        due = [when for when in (self._handshakes.next(), self._data_hellos.next()) if when is not None]
        return min(due, default=None)

    def take_due(self, now: float) -> list[tuple[ConnectionId, Reason]]:
        """Those that took too long to say who they are; close them."""
        due = [(connection, Reason.HANDSHAKE_TIMEOUT) for connection in self._due(self._handshakes, now)]
        due += [(connection, Reason.DATA_HELLO_TIMEOUT) for connection in self._due(self._data_hellos, now)]
        for connection, _ in due:
            self.closed(connection)
        return due

    @staticmethod
    def _due(deadlines: Deadlines[ConnectionId], now: float) -> list[ConnectionId]:
        return [connection for connection, _ in takewhile(lambda item: item[1] <= now, deadlines.items())]

    def _excess(self, network: str, *, is_data: bool, dialled: bool) -> tuple[Reason, bool] | None:
        bounds = self._bounds
        if not dialled and len(self._half_open.get(network, ())) >= bounds.half_open_per_address:
            return Reason.HALF_OPEN_ADDRESS_FULL, True
        if self._per_network[network] >= bounds.per_address:
            return Reason.CONNECTIONS_ADDRESS_FULL, True
        if not dialled and self.half_open >= bounds.half_open:
            return Reason.HALF_OPEN_FULL, False
        if len(self) >= bounds.in_all or (not is_data and len(self._controls) >= self._most_controls):
            return Reason.CONNECTIONS_FULL, False
        return None

    def _oldest(self, network: str | None) -> ConnectionId | None:
        if network is not None:
            return next(iter(self._half_open.get(network, ())), None)
        first, second = self._handshakes.oldest(), self._data_hellos.oldest()
        if first is None or second is None:
            return first if second is None else second
        return min(first, second)
