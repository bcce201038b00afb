"""The shell of a simulated node: it carries out what the switchboard asks, over connections that are only objects.

The switchboard is the very class that the running node builds, and is told exactly what the running node tells it.
What a node keeps on disk (known nodes, pins) outlives its crashes here too. Counterpart: `uzel.node.service`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sim.data import DataLine
from sim.desk import DataDesk, DeskChecks
from sim.lines import LinkEnd, MachineEnd
from sim.world import Dialling, World
from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress, NodeReference
from uzel.node import effects as fx
from uzel.node.settings import SwitchboardSettings
from uzel.node.switchboard import Switchboard
from uzel.session.control import NodeControl
from uzel.session.keepalive import KeepaliveTimes
from uzel.session.machine import Event, Received
from uzel.wire import Address, Message, NodeList, RelayedData, encode

PIECE = 64
"""Addresses in one piece of a node list, as the framer hands them out."""

Build = Callable[..., Switchboard]


@dataclass(slots=True, eq=False)
class Control:
    """A client's control connection, as the node has it."""

    uin: int
    end: MachineEnd


class NodeChecks(DeskChecks, Protocol):
    """What the checkers want to know of nodes."""

    def step(self, node: SimNode) -> None:
        """It has dealt with something."""

    def client_said(self, node: SimNode, connection: int, uin: int, message: Message) -> None:
        """A message of a client reached it."""

    def client_told(self, node: SimNode, connection: int, message: Message) -> None:
        """It sends a client a message."""

    def data_said(self, node: SimNode, line: DataLine) -> None:
        """A data connection has said 20."""

    def control_ended(self, node: SimNode, connection: int) -> None:
        """A client is gone."""

    def link_closed(self, node: SimNode, end: LinkEnd, reason: Reason | None) -> None:
        """It closes a link."""

    def taken(self, node: SimNode, end: LinkEnd, message: Message) -> None:
        """It puts a message on a link."""

    def dials(self, node: SimNode, address: NodeAddress) -> None:
        """It dials."""

    def node_crashed(self, node: SimNode) -> None:
        """All that it owed is forgotten."""


class SimNode:
    """See the module's text. `hosts` are its IP addresses; `build` is what makes its switchboard."""

    def __init__(
        self,
        world: World,
        checks: NodeChecks,
        name: str,
        hosts: tuple[str, ...],
        port: int,
        settings: SwitchboardSettings,
        build: Build = Switchboard,
    ) -> None:
        self.world = world
        self.checks = checks
        self.name = name
        self.hosts = hosts
        self.port = port
        self.settings = settings
        self.fingerprint = Fingerprint(name.encode().ljust(32, b"."))
        self.up = False
        self.peers: list[NodeReference] = []
        self.known: dict[NodeAddress, tuple[Fingerprint, float]] = {}
        self.pins: dict[NodeAddress, Fingerprint] = {}
        self.incarnation = 0
        self.board: Switchboard
        self._build = build
        self._ids = 0
        self.desk = DataDesk(self)
        self._clear()
        world.listen(self)
        world.story.name(self.fingerprint, name)
        desk = self.desk
        self._hands: dict[type[fx.Effect], Callable[..., None]] = {
            fx.Send: self._send,
            fx.Close: self._close,
            fx.Hold: desk.hold,
            fx.Join: desk.join,
            fx.EndRelay: desk.end_relay,
            fx.Bridge: desk.bridge,
            fx.Write: desk.write,
            fx.Pause: desk.pause,
            fx.Resume: desk.resume,
            fx.EndData: desk.end_data,
            fx.Dial: self._dial,
            fx.StopDial: self._stop_dial,
            fx.LinkOutput: self._link_output,
            fx.Remember: self._remember,
            fx.PinNode: self._pin,
            fx.Forget: self._forget,
            fx.Note: self._note,
        }

    def _clear(self) -> None:
        self.controls: dict[int, Control] = {}
        self.links: dict[int, LinkEnd] = {}
        self.dials: dict[int, Dialling] = {}
        self._to_pull: list[LinkEnd] = []
        self._armed_at: float | None = None

    # -- Life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, or begin again with what was kept."""
        world = self.world
        self.up = True
        self.incarnation += 1
        world.tell(self.name, "starts")
        chance = world.random
        self.board = self._build(
            self.settings, self.fingerprint, tokens=lambda: chance.randbytes(2), chance=chance.random
        )
        self.board.listening(self.port)
        for reference in self.peers:
            self.board.configure(reference, self.pins.get(reference.address), world.now)
        for address, (node, answered) in self.known.items():
            self.board.remember(address, node, answered, world.now)
        self.settle()

    def drain(self) -> None:
        """Take no more calls: it is going to stop."""
        if self.up:
            self.world.tell(self.name, "drains")
            self.board.drain(self.world.now)
            self.settle()

    def crash(self, notice: Callable[[], float | None]) -> None:
        """Die without a word. `notice` says for each connection when its other end learns of it, if it does."""
        self.up = False
        self.incarnation += 1
        self.world.tell(self.name, "crashes")
        for link in self.links.values():
            link.vanish(notice())
        for control in self.controls.values():
            control.end.vanish(notice())
        self.desk.crash(notice)
        for dialling in self.dials.values():
            dialling.is_wanted = False
        self._clear()
        self.checks.node_crashed(self)

    def next_id(self) -> int:
        """A name for a new connection."""
        self._ids += 1
        return self._ids

    # -- Clients ----------------------------------------------------------------------------------------------

    def client_connects(self, uin: int, network: str, end: Callable[[NodeControl], MachineEnd]) -> None:
        """A client has proven who it is; `end` makes our end of its connection."""
        connection, now = self.next_id(), self.world.now
        machine = NodeControl(KeepaliveTimes(), lambda: self.world.random.randbytes(2), now)
        control = self.controls[connection] = Control(uin, end(machine))
        self.world.tell(self.name, "client", uin, "is connection", connection)
        if not self.board.client_online(connection, uin, network, now):
            self.checks.fail(f"{self.name} refuses the login of {uin}")
        self.settle()
        control.end.flush()

    def control_says(self, uin: int, end: MachineEnd, events: list[Event]) -> None:
        """Messages of a client."""
        connection = self._control_id(end)
        for event in events:
            if isinstance(event, Received) and connection is not None:
                message = event.message
                self.world.tell(self.name, "from", uin, message)
                self.checks.client_said(self, connection, uin, message)
                self.board.client_message(connection, message, self.world.now)
                self.settle()

    def control_gone(self, uin: int, end: MachineEnd) -> None:
        """A control connection ended."""
        connection = self._control_id(end)
        if connection is not None:
            self.world.tell(self.name, "client", uin, "is gone")
            del self.controls[connection]
            self._client_offline(connection)

    def _control_id(self, end: MachineEnd) -> int | None:
        for connection, control in self.controls.items():
            if control.end is end:
                return connection
        return None

    def _client_offline(self, connection: int) -> None:
        self.checks.control_ended(self, connection)
        self.board.client_offline(connection, self.world.now)
        self.settle()

    def data_said(self, line: DataLine) -> None:
        """A data connection has said its 20, and was not closed for it."""
        self.checks.data_said(self, line)

    # -- Links ------------------------------------------------------------------------------------------------

    def link_opened(self, end: LinkEnd, host: str, other: Fingerprint) -> None:
        """Somebody dialled us."""
        self._adopt(end)
        self.world.tell(self.name, "link", end.id, "accepted from", other)
        self.board.link_accepted(end.id, host, other, self.world.now)
        self.settle()

    def _adopt(self, end: LinkEnd) -> None:
        end.id, end.owner = self.next_id(), self
        self.links[end.id] = end

    def link_arrived(self, end: LinkEnd, message: Message) -> None:
        """A message came."""
        board, now = self.board, self.world.now
        board.link_heard(end.id, now)
        for piece in _pieces(message) if type(message) is NodeList else (message,):
            board.link_message(end.id, piece, now)
        self.settle()

    def link_gone(self, end: LinkEnd, reason: Reason | None) -> None:
        """A link ended, and not by us."""
        if self.links.pop(end.id, None) is not None:
            self.world.tell(self.name, "link", end.id, "to", end.other, "is gone", reason)
            self.board.link_closed(end.id, reason, self.world.now)
            self.settle()

    def _closed(self, end: LinkEnd, reason: Reason | None, incarnation: int) -> None:
        if self.incarnation == incarnation:
            self.board.link_closed(end.id, reason, self.world.now)
            self.settle()

    def _dial(self, effect: fx.Dial) -> None:
        number = effect.dial
        self.world.tell(self.name, "dials", effect.address, "as", number)
        self.checks.dials(self, effect.address)

        def done(end: LinkEnd | None, host: str, other: Fingerprint | None, reason: Reason | None) -> None:
            del self.dials[number]
            if end is None or other is None:
                assert reason is not None
                self.world.tell(self.name, "dial", number, "failed:", reason)
                self.board.dial_failed(number, reason, self.world.now)
            else:
                self._adopt(end)
                self.world.tell(self.name, "link", end.id, "dialled to", other)
                self.board.link_dialled(end.id, number, host, other, self.world.now)
            self.settle()

        dialling = self.dials[number] = Dialling(self, done)
        self.world.dial(dialling, effect.address, effect.ranges)

    def _stop_dial(self, effect: fx.StopDial) -> None:
        self.dials.pop(effect.dial).is_wanted = False

    def _link_output(self, effect: fx.LinkOutput) -> None:
        end = self.links.get(effect.connection)
        if end is not None:
            self._to_pull.append(end)

    def _pull(self, end: LinkEnd) -> None:
        board, now, out, world = self.board, self.world.now, end.out, self.world
        while end.is_open:
            if out.is_full:
                out.when_room(lambda: self._pull_again(end))
                return
            message = board.link_output(end.id, now)
            if message is None:
                return
            world.tell(self.name, "to", end.other, "on", end.id, message)
            self.checks.taken(self, end, message)
            out.send(message, len(message.data) + 12 if type(message) is RelayedData else len(encode(message)))

    def _pull_again(self, end: LinkEnd) -> None:
        if end.is_open and self.up:
            self._pull(end)
            self.settle()

    # -- Other effects ----------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Carry out everything that is asked for, then see when to look again."""
        take, hands = self.board.take_effects, self._hands
        while True:
            effects = take()
            if not effects and not self._to_pull:
                break
            for effect in effects:
                hands[type(effect)](effect)
            to_pull, self._to_pull = self._to_pull, []
            for end in to_pull:
                self._pull(end)
        self.checks.step(self)
        deadline = self.board.deadline()
        if deadline is not None and (self._armed_at is None or deadline < self._armed_at):
            self._armed_at = deadline = max(deadline, self.world.now)
            self.world.at(deadline, self._tick, self.incarnation, deadline)

    def _tick(self, incarnation: int, armed_at: float) -> None:
        if incarnation != self.incarnation or self._armed_at != armed_at:
            return
        self._armed_at = None
        deadline = self.board.deadline()
        if deadline is not None and deadline <= self.world.now:
            self.board.on_timeout(self.world.now)
        self.settle()

    def _send(self, effect: fx.Send) -> None:
        control = self.controls.get(effect.connection)
        self.checks.client_told(self, effect.connection, effect.message)
        if control is not None:
            self.world.tell(self.name, "to", control.uin, effect.message)
            machine = control.end.machine
            assert isinstance(machine, NodeControl)
            machine.send(effect.message)
            control.end.flush()

    def _close(self, effect: fx.Close) -> None:
        connection = effect.connection
        if (link := self.links.pop(connection, None)) is not None:
            self.world.tell(self.name, "closes link", connection, "to", link.other, effect.reason)
            self.checks.link_closed(self, link, effect.reason)
            link.close()
            self.world.after(0.0, self._closed, link, effect.reason, self.incarnation)
        elif (control := self.controls.pop(connection, None)) is not None:
            self.world.tell(self.name, "closes client", control.uin, effect.reason)
            control.end.close()
            self.checks.control_ended(self, connection)
        else:
            self.desk.close(connection, effect.reason)

    def _remember(self, effect: fx.Remember) -> None:
        self.known[effect.address] = (effect.fingerprint, self.world.now)

    def _pin(self, effect: fx.PinNode) -> None:
        self.pins[effect.address] = effect.fingerprint

    def _forget(self, effect: fx.Forget) -> None:
        self.known.pop(effect.address, None)

    def _note(self, effect: fx.Note) -> None:
        self.world.tell(self.name, "notes", effect.event, effect.caller, effect.callee, effect.reason, effect.node)

    @property
    def addresses(self) -> list[Address]:
        """Where it listens, as messages carry it."""
        return [Address(host, self.port) for host in self.hosts]


def _pieces(message: NodeList) -> list[NodeList]:
    """A list in the pieces in which the framer hands it out."""
    addresses = message.addresses
    count = len(addresses)
    if count <= PIECE:
        return [message]
    return [NodeList(addresses[at : at + PIECE], max(0, count - at - PIECE)) for at in range(0, count, PIECE)]
