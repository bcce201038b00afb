"""The shell's data connections: from their 20 on, then joined in a relay, or bridged to a link (sections 4 and 5).

It does what the switchboard's effects about data connections say and reports what becomes of them. Counterparts:
`data_connection`, `uzel.net.relay`, `uzel.net.bridge`.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from uzel.errors import Reason
from uzel.net.bridge import BridgedData
from uzel.net.pipes import PipePool
from uzel.net.relay import Relay, RelayEnd, RelaySettings
from uzel.node.data_connection import DataConnection
from uzel.node.effects import Bridge, Effect, EndData, EndRelay, Hold, Join, Pause, Resume, Write
from uzel.node.registry import ConnectionId
from uzel.node.shared import Shared
from uzel.wire import DataHello


@dataclass(slots=True)
class _Bridged:
    """A bridge, whose it is, and why it ended, as far as that is known."""

    data: BridgedData
    caller: int
    callee: int
    reason: Reason | None = None


class DataShell:
    """See the module's text. Its length is the number of conversations."""

    def __init__(self, shared: Shared) -> None:
        limits = shared.config.limits
        self._shared = shared
        self._data: dict[ConnectionId, DataConnection] = {}
        self._relays: dict[int, Relay] = {}
        self._relay_data: dict[Relay, tuple[ConnectionId, ConnectionId]] = {}
        self._bridges: dict[ConnectionId, _Bridged] = {}
        self._pipes = PipePool(limit=limits.pipes) if limits.pipes else None
        self._relay_settings = RelaySettings(drain=shared.config.times.drain)

    def __len__(self) -> int:
        return len(self._relay_data) + len(self._bridges)

    def snapshot(self) -> dict[str, int]:
        """How much of everything there is now."""
        return {
            "held": len(self._data),
            "relays": len(self._relay_data),
            "bridges": len(self._bridges),
            "pipes": self._pipes.out if self._pipes else 0,
        }

    def do(self, effect: Effect) -> None:
        """Carry out an effect about data connections. One that is gone already needs nothing done."""
        match effect:
            case Hold(connection=connection):
                self._hold(connection)
            case Join():
                self._join(effect)
            case EndRelay(call=call, reason=reason):
                self._end_relay(call, reason)
            case Bridge():
                self._bridge(effect)
            case Write(connection=connection) | Pause(connection=connection) | Resume(connection=connection):
                if (bridged := self._bridges.get(connection)) is not None:
                    self._move(bridged.data, effect)
            case EndData(connection=connection):
                self._end_data(connection)
            case _:
                raise AssertionError(f"no hand for {effect}")

    @staticmethod
    def _move(data: BridgedData, effect: Write | Pause | Resume) -> None:
        match effect:
            case Write(data=given):
                data.write(given)
            case Pause():
                data.pause()
            case Resume():
                data.resume()

    def accept(self, connection: ConnectionId, network: str, sock: socket.socket) -> None:
        """A new data connection."""
        self._data[connection] = DataConnection(self._shared.loop, self, connection, network, sock)

    def close(self, connection: ConnectionId, reason: Reason | None) -> bool:
        """Close it; False when it is none of ours."""
        if (data := self._data.get(connection)) is not None:
            data.close(reason)
        elif (bridged := self._bridges.get(connection)) is not None:
            bridged.reason = reason
            bridged.data.close()
        else:
            return False
        return True

    def close_all(self, reason: Reason) -> None:
        """Close everything, and lend no more pipes."""
        for relay in list(self._relay_data):
            relay.abort()
        for connection in [*self._data, *self._bridges]:
            self.close(connection, reason)
        if self._pipes is not None:
            self._pipes.close()

    # -- Until it is joined or bridged (DataDesk) -------------------------------------------------------------

    def data_hello(self, connection: DataConnection, hello: DataHello) -> None:
        """A data connection has said which call it belongs to."""
        shared = self._shared
        shared.switchboard.data_hello(connection.id, hello, connection.network, shared.now())
        shared.carry_out()

    def data_closed(self, connection: DataConnection, reason: Reason | None, detail: str) -> None:
        """Forget it; its call learns of it."""
        shared = self._shared
        self._data.pop(connection.id, None)
        shared.connections.closed(connection.id)
        shared.log_closed("data_closed", connection.network, reason, detail)
        shared.switchboard.data_lost(connection.id, shared.now())
        shared.carry_out()

    def _hold(self, connection: ConnectionId) -> None:
        """Keep it for its call."""
        self._shared.connections.established(connection)
        self._data[connection].hold()

    def _release(self, connection: ConnectionId) -> tuple[socket.socket, bytes]:
        self._shared.connections.established(connection)
        return self._data.pop(connection).release()

    # -- Joined -----------------------------------------------------------------------------------------------

    def _join(self, effect: Join) -> None:
        """Copy between these two until one ends."""
        shared = self._shared
        caller_socket, caller_early = self._release(effect.caller_data)
        callee_socket, callee_early = self._release(effect.callee_data)

        def ended(end: RelayEnd) -> None:
            self._relays.pop(effect.call, None)
            sizes = {"caller_bytes": end.a_to_b, "callee_bytes": end.b_to_a}
            self._note_ended(effect.caller, effect.callee, end.reason, sizes)
            shared.switchboard.relay_ended(effect.call, shared.now())
            shared.carry_out()

        def closed(reason: Reason | None) -> None:
            for connection in self._relay_data.pop(relay):
                shared.connections.closed(connection)
            if reason is not None:
                shared.log.event("relay_closed", reason)

        relay = Relay(
            shared.loop,
            caller_socket,
            callee_socket,
            on_ended=ended,
            on_closed=closed,
            pending_a=caller_early,
            pending_b=callee_early,
            settings=self._relay_settings,
            pipes=self._pipes,
        )
        self._relays[effect.call] = relay
        self._relay_data[relay] = (effect.caller_data, effect.callee_data)

    def _end_relay(self, call: int, reason: Reason) -> None:
        """End this one in good order; nobody asks how it went."""
        self._shared.log.event("conversation_restarted", reason)
        if (relay := self._relays.pop(call, None)) is not None:
            relay.end()

    # -- Bridged ----------------------------------------------------------------------------------------------

    def _bridge(self, effect: Bridge) -> None:
        """From here on it belongs to a conversation over a link."""
        shared, connection = self._shared, effect.connection
        sock, early = self._release(connection)
        data = BridgedData(shared.loop, sock, self, name=connection, early=early, drain=shared.config.times.drain)
        self._bridges[connection] = _Bridged(data, effect.caller, effect.callee)

    def _end_data(self, connection: ConnectionId) -> None:
        if (bridged := self._bridges.get(connection)) is not None:
            bridged.data.end()

    def data_came(self, bridge: BridgedData, data: bytes) -> None:
        """Bytes for the link."""
        shared = self._shared
        shared.switchboard.data_received(bridge.name, data, shared.now())
        shared.carry_out()

    def data_ended(self, bridge: BridgedData, reason: Reason | None) -> None:
        """The client has ended."""
        shared = self._shared
        self._bridges[bridge.name].reason = reason
        shared.switchboard.data_ended(bridge.name, reason, shared.now())
        shared.carry_out()

    def backlog_changed(self, bridge: BridgedData, unsent: int) -> None:
        """The client does not take everything, or has taken it (D25)."""
        shared = self._shared
        shared.switchboard.data_backlog(bridge.name, unsent, shared.now())
        shared.carry_out()

    def bridge_closed(self, bridge: BridgedData, reason: Reason | None) -> None:
        """Its socket is closed."""
        entry = self._bridges.pop(bridge.name)
        self._shared.connections.closed(bridge.name)
        sizes = {"client_sent": bridge.received, "client_got": bridge.sent}
        self._note_ended(entry.caller, entry.callee, reason or entry.reason, sizes)

    def _note_ended(self, caller: int, callee: int, reason: Reason | None, sizes: dict[str, int]) -> None:
        log = self._shared.log
        people = {"caller": log.hidden(caller), "callee": log.hidden(callee)}
        log.event("conversation_ended", reason, {**people, **sizes})
