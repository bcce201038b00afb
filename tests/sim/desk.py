"""The data connections of a simulated node: held, joined in a relay, or bridged to a link.

As in the running node, what becomes of them is only what the switchboard says. Counterparts: `shell.SimNode`, whose
part this is, and in the product `uzel.node.data_shell`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

from sim.data import DataLine, Stream
from sim.world import World
from uzel.errors import Reason
from uzel.node import effects as fx
from uzel.node.settings import SwitchboardSettings
from uzel.node.switchboard import Switchboard

DRAIN = 10.0
RELAY_KEEPS = 32768
"""Bytes that a local relay keeps for one side before it stops reading the other."""


@dataclass(slots=True, eq=False)
class Relay:
    """A conversation between two clients of this node."""

    call: int
    lines: tuple[DataLine, DataLine]


class DeskChecks(Protocol):
    """What the checkers want to know of data connections."""

    def fail(self, what: str) -> NoReturn:
        """End the run."""

    def data_closed(self, settings: SwitchboardSettings, line: DataLine, reason: Reason | None) -> None:
        """A node with these settings closes one at once."""


class DeskOwner(Protocol):
    """What the desk needs of its node."""

    world: World
    name: str
    settings: SwitchboardSettings
    board: Switchboard

    @property
    def checks(self) -> DeskChecks:
        """Who looks on."""

    def next_id(self) -> int:
        """A name for a new connection."""

    def settle(self) -> None:
        """Carry out what the switchboard asks for."""

    def data_said(self, line: DataLine) -> None:
        """A 20 came, and the connection was not closed for it."""


class DataDesk:
    """See the module's text."""

    def __init__(self, node: DeskOwner) -> None:
        self._node = node
        self._world = node.world
        self.data: dict[int, DataLine] = {}
        self.bridged: dict[int, DataLine] = {}
        self.relays: dict[int, Relay] = {}
        self._held: set[int] = set()

    @property
    def lines(self) -> list[DataLine]:
        """All of them."""
        joined = [line for relay in self.relays.values() for line in relay.lines]
        return [*self.data.values(), *self.bridged.values(), *joined]

    def crash(self, notice: Callable[[], float | None]) -> None:
        """The node is dead; `notice` says when each client learns of it."""
        for line in self.lines:
            line.node_open = False
            line.up.kill()
            wait = notice()
            line.down.break_off(60.0 if wait is None else wait)
        self.data.clear()
        self.bridged.clear()
        self.relays.clear()

    def close(self, connection: int, reason: Reason | None) -> None:
        """Close it now, if it is still there."""
        line = self.data.pop(connection, None) or self.bridged.pop(connection, None)
        if line is not None:
            self._world.tell(self._node.name, "closes data connection", connection, reason)
            self._node.checks.data_closed(self._node.settings, line, reason)
            line.node_close()

    def data_connects(self, line: DataLine) -> None:
        """A data connection has said its 20."""
        line.id = connection = self._node.next_id()
        self.data[connection] = line
        line.up.paused = True
        line.up.on_peeked_end = lambda: self._data_lost(line)
        node, hello = self._node, line.hello
        self._world.tell(node.name, "data connection", connection, "for", hello.caller, ">", hello.callee)
        node.board.data_hello(connection, hello, line.network, self._world.now)
        node.settle()
        if connection in self.data and connection not in self._held:
            node.checks.fail(f"{node.name} forgot data connection {connection}")
        if line.node_open:
            node.data_said(line)

    def _data_lost(self, line: DataLine) -> None:
        if self.data.pop(line.id, None) is not None:
            self._world.tell(self._node.name, "data connection", line.id, "is lost")
            line.node_close()
            self._node.board.data_lost(line.id, self._world.now)
            self._node.settle()

    # -- What the switchboard asks for ------------------------------------------------------------------------

    def hold(self, effect: fx.Hold) -> None:
        self._held.add(effect.connection)

    def bridge(self, effect: fx.Bridge) -> None:
        line = self.bridged[effect.connection] = self.data.pop(effect.connection)
        line.up.on_data = lambda data: self._data_came(line, data)
        line.up.on_end = lambda: self._data_ended(line)
        line.up.on_peeked_end = _nothing
        line.down.on_drained = lambda: self._drained(line)
        line.up.read_on()

    def _data_came(self, line: DataLine, data: bytes) -> None:
        self._node.board.data_received(line.id, data, self._world.now)
        self._node.settle()

    def _data_ended(self, line: DataLine) -> None:
        self._world.tell(self._node.name, "data connection", line.id, "ends")
        self._node.board.data_ended(line.id, Reason.CONNECTION_LOST if line.was_reset else None, self._world.now)
        if line.was_reset:
            self.bridged.pop(line.id, None)
            line.node_close()
        self._node.settle()

    def _drained(self, line: DataLine) -> None:
        if line.id in self.bridged:
            self._node.board.data_backlog(line.id, 0, self._world.now)
            self._node.settle()

    def write(self, effect: fx.Write) -> None:
        line = self.bridged.get(effect.connection)
        if line is not None:
            line.down.write(effect.data)
            if line.down.unsent:
                self._node.board.data_backlog(effect.connection, line.down.unsent, self._world.now)

    def pause(self, effect: fx.Pause) -> None:
        line = self.bridged.get(effect.connection)
        if line is not None:
            line.up.paused = True

    def resume(self, effect: fx.Resume) -> None:
        line = self.bridged.get(effect.connection)
        if line is not None:
            line.up.read_on()

    def end_data(self, effect: fx.EndData) -> None:
        line = self.bridged.pop(effect.connection, None)
        if line is not None:
            line.node_end(DRAIN)

    # -- Relays -----------------------------------------------------------------------------------------------

    def join(self, effect: fx.Join) -> None:
        caller, callee = self.data.pop(effect.caller_data), self.data.pop(effect.callee_data)
        relay = self.relays[effect.call] = Relay(effect.call, (caller, callee))
        for line, other in ((caller, callee), (callee, caller)):
            line.up.on_data = _copier(line.up, other.down)
            line.up.on_end = lambda: self._relay_ended(relay)
            line.up.on_peeked_end = _nothing
            other.down.on_drained = line.up.read_on
        for line in relay.lines:
            line.up.read_on()

    def _relay_ended(self, relay: Relay) -> None:
        if self.relays.pop(relay.call, None) is not None:
            self._finish(relay)
            self._node.board.relay_ended(relay.call, self._world.now)
            self._node.settle()

    def end_relay(self, effect: fx.EndRelay) -> None:
        relay = self.relays.pop(effect.call, None)
        if relay is not None:
            self._finish(relay)

    @staticmethod
    def _finish(relay: Relay) -> None:
        for line in relay.lines:
            line.down.on_drained = _nothing
            line.node_end(DRAIN)


def _copier(source: Stream, sink: Stream) -> Callable[[bytes], None]:
    def copy(data: bytes) -> None:
        sink.write(data)
        if sink.unsent > RELAY_KEEPS:
            source.paused = True

    return copy


def _nothing() -> None:
    """Nobody is interested any more."""
