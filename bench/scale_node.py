"""One node of the scale simulation: the very `Switchboard` of the running node, in a shell without sockets.

A client is at its node without delay and is the simplest there is: it accepts every call and opens its data connection
at once. Keepalive is the one thing that is left out, because it would be nearly all that happens (see docs/scale.md): a
link to a machine that is off is lost after the silence time, as with it. Counterparts: `uzel.node.service`, the shell
of the running node, and `scale_people`, the users.
"""

from __future__ import annotations

from collections.abc import Callable

from scale_world import End, World
from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress, NodeReference
from uzel.node import effects as fx
from uzel.node.settings import SwitchboardSettings
from uzel.node.switchboard import Switchboard
from uzel.wire import Accept, Call, DataHello, IncomingCall, Message, Ready, Unavailable

DIAL_TRIPS = 6
"""One-way delays from the dial to the link: TCP, hello and TLS take a round trip each."""
HANDSHAKE = 10.0
"""Seconds after which a dial to a machine that is off is given up (section 8)."""
SILENCE = 90.0
"""Seconds after which keepalive would end a link to a machine that is off (section 8)."""
CLIENT_NETWORK = "198.18.0.1"


class SimNode:
    """A node: its switchboard, and the shell that carries out what it asks for. Its known nodes outlive an outage."""

    def __init__(self, world: World, number: int, settings: SwitchboardSettings) -> None:
        self.world = world
        self.number = number
        self.settings = settings
        self.address = NodeAddress(f"20.{number >> 8}.{number & 255}.1", 8935)
        self.fingerprint = Fingerprint(number.to_bytes(32, "big"))
        self.peers: list[SimNode] = []
        self.known: dict[NodeAddress, Fingerprint] = {}
        self.up = False
        self.is_off = False
        """The whole machine is: nobody even refuses."""
        self.life = 0
        self.uins: dict[int, int] = {}
        self._ids = 0
        world.nodes.append(self)
        world.by_host[self.address.host] = self
        self._clear()
        self._hands: dict[type[fx.Effect], Callable[..., None]] = {
            fx.Send: self._send,
            fx.Close: self._close,
            fx.Join: self._join,
            fx.Bridge: self._bridge,
            fx.EndData: self._end_data,
            fx.EndRelay: self._end_relay,
            fx.Dial: self._dial,
            fx.StopDial: self._stop_dial,
            fx.LinkOutput: self._link_output,
            fx.Remember: self._remember,
            fx.Forget: self._forget,
        }

    def _clear(self) -> None:
        self.connections: dict[int, int] = {}
        self.uins.clear()
        self.ends: dict[int, End] = {}
        self.bridged: set[int] = set()
        self.relays: dict[int, int] = {}
        self._dials: set[int] = set()
        self._armed_at = float("inf")

    # -- Life -------------------------------------------------------------------------------------------------

    def start(self, *, has_met: bool = False) -> None:
        """Begin, or begin again with the nodes that were known; unless it `has_met` them, it does, one a second."""
        world = self.world
        self.life += 1
        self.up, self.is_off = True, False
        chance = world.random
        self.board = Switchboard(
            self.settings, self.fingerprint, tokens=lambda: chance.randbytes(2), chance=chance.random
        )
        self.board.listening(self.address.port)
        for peer in self.peers:
            pinned = self.known.get(peer.address)
            self.board.configure(NodeReference(peer.address), pinned, world.now)
        for address, fingerprint in self.known.items():
            self.board.remember(address, fingerprint, world.now, world.now)
        if has_met:
            self.board._links.known._to_meet.clear()  # noqa: SLF001 - a wish of this simulation alone
        self.settle()

    def stop(self, *, machine: bool) -> None:
        """Be killed: the other ends are told by TCP, unless the machine is off as well."""
        self.world.past.update(self.board.stats)
        self.up, self.is_off = False, machine
        self.life += 1
        for end in self.ends.values():
            notice = SILENCE if machine else end.delay
            self.world.after(
                notice, end.peer.link_lost, end.peer_id, Reason.SILENCE if machine else Reason.CONNECTION_LOST
            )
        self._clear()
        del self.board

    # -- Clients ----------------------------------------------------------------------------------------------

    def login(self, uin: int) -> None:
        """This user's client comes online."""
        connection = self._new_id()
        self.uins[uin] = connection
        self.connections[connection] = uin
        allowed = self.board.client_online(connection, uin, CLIENT_NETWORK, self.world.now)
        assert allowed, "the churn is slower than the bound on logins"
        self.settle()

    def logout(self, uin: int) -> None:
        """It goes offline."""
        connection = self.uins.pop(uin)
        del self.connections[connection]
        self.board.client_offline(connection, self.world.now)
        self.settle()

    def call(self, caller: int, callee: int) -> None:
        """03; `World.answered` is told of the 07 or 05."""
        self.board.client_message(self.uins[caller], Call(callee), self.world.now)
        self.settle()

    def hang_up(self, life: int, data: int) -> None:
        """The caller ends the conversation of this data connection, if it still stands."""
        if life != self.life:
            return
        if data in self.bridged:
            self.bridged.discard(data)
            self.board.data_ended(data, None, self.world.now)
        elif data in self.relays:
            self.board.relay_ended(self.relays.pop(data), self.world.now)
        self.settle()

    def _send(self, effect: fx.Send) -> None:
        uin = self.connections.get(effect.connection)
        if uin is None:
            return
        match effect.message:
            case IncomingCall(caller=caller):
                self.board.client_message(effect.connection, Accept(caller), self.world.now)
                self._open_data(caller, uin)
            case Ready(callee=callee):
                self.world.answered(self, uin, callee, True)
            case Unavailable(uin=other):
                self.world.answered(self, uin, other, False)

    def open_data(self, caller: int, callee: int) -> int:
        """The caller opens its data connection; to be followed by `settle`."""
        return self._open_data(caller, callee)

    def _open_data(self, caller: int, callee: int) -> int:
        data = self._new_id()
        self.board.data_hello(data, DataHello(caller, callee), CLIENT_NETWORK, self.world.now)
        return data

    def _join(self, effect: fx.Join) -> None:
        self.relays[effect.caller_data] = effect.call

    def _bridge(self, effect: fx.Bridge) -> None:
        self.bridged.add(effect.connection)

    def _end_data(self, effect: fx.EndData) -> None:
        self.bridged.discard(effect.connection)

    def _end_relay(self, effect: fx.EndRelay) -> None:
        self.relays = {data: call for data, call in self.relays.items() if call != effect.call}

    # -- Links ------------------------------------------------------------------------------------------------

    def _new_id(self) -> int:
        self._ids += 1
        return self._ids

    def _dial(self, effect: fx.Dial) -> None:
        world = self.world
        self._dials.add(effect.dial)
        target = world.by_host[effect.address.host]
        delay = world.delay(self, target)
        if target.up:
            world.after(DIAL_TRIPS * delay, self._arrive, self.life, effect.dial, target, delay)
        elif target.is_off:
            world.after(HANDSHAKE, self._fail, self.life, effect.dial, Reason.HANDSHAKE_TIMEOUT)
        else:
            world.after(2 * delay, self._fail, self.life, effect.dial, Reason.NODE_UNREACHABLE)

    def _fail(self, life: int, dial: int, reason: Reason) -> None:
        if life == self.life and dial in self._dials:
            self._dials.discard(dial)
            self.world.dials["failed"] += 1
            self.board.dial_failed(dial, reason, self.world.now)
            self.settle()

    def _arrive(self, life: int, dial: int, target: SimNode, delay: float) -> None:
        if not target.up:
            self._fail(life, dial, Reason.CONNECTION_LOST)
        elif life == self.life and dial in self._dials:
            self._dials.discard(dial)
            ours, theirs = self._new_id(), target._new_id()
            self.ends[ours], target.ends[theirs] = End(target, theirs, delay), End(self, ours, delay)
            now = self.world.now
            target.board.link_accepted(theirs, self.address.host, self.fingerprint, now)
            self.board.link_dialled(ours, dial, target.address.host, target.fingerprint, now)
            self.settle()
            target.settle()
            self.world.dials["links" if ours in self.ends else "met"] += 1

    def _stop_dial(self, effect: fx.StopDial) -> None:
        self._dials.discard(effect.dial)

    def _close(self, effect: fx.Close) -> None:
        end = self.ends.pop(effect.connection, None)
        if end is not None:
            self.world.after(end.delay, end.peer.link_lost, end.peer_id, None)
        self.bridged.discard(effect.connection)

    def link_lost(self, connection: int, reason: Reason | None) -> None:
        """The other end is gone."""
        if self.ends.pop(connection, None) is not None:
            self.board.link_closed(connection, reason, self.world.now)
            self.settle()

    def _link_output(self, effect: fx.LinkOutput) -> None:
        board, world, connection = self.board, self.world, effect.connection
        end = self.ends.get(connection)
        if end is None:
            return
        messages: list[Message] = []
        while (message := board.link_output(connection, world.now)) is not None:
            world.passes(end, message)
            messages.append(message)
        world.after(end.delay, end.peer.heard, end.peer_id, messages)

    def heard(self, connection: int, messages: list[Message]) -> None:
        """Messages of a link."""
        if connection in self.ends:
            board, now = self.board, self.world.now
            board.link_heard(connection, now)
            for message in messages:
                board.link_message(connection, message, now)
            self.settle()

    def _remember(self, effect: fx.Remember) -> None:
        self.known[effect.address] = effect.fingerprint

    def _forget(self, effect: fx.Forget) -> None:
        self.known.pop(effect.address, None)

    # -- Effects and timers -----------------------------------------------------------------------------------

    def settle(self) -> None:
        """Carry out everything that is asked for, then see when to look again."""
        hands = self._hands
        while effects := self.board.take_effects():
            for effect in effects:
                hand = hands.get(type(effect))
                if hand is not None:
                    hand(effect)
        deadline = self.board.deadline()
        if deadline is not None and deadline < self._armed_at:
            self._armed_at = deadline
            self.world.after(max(0.0, deadline - self.world.now), self._tick, self.life, deadline)

    def _tick(self, life: int, armed_at: float) -> None:
        if life == self.life and armed_at == self._armed_at:
            self._armed_at = float("inf")
            self.board.on_timeout(self.world.now)
            self.settle()
