"""The shell that runs a node: sockets and time on one side, the switchboard on the other.

It decides nothing about calls. Every event goes into the switchboard, every effect is carried out here, at once
and in order. Bounds on connections come from `connections`, trust in certificates from `identity`, memory of UINs
from the node's state folder. Counterpart: the clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
import socket
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from uzel.errors import Reason
from uzel.identity import PeerCertificate
from uzel.names import Fingerprint
from uzel.net.descriptors import SpareDescriptor, prepare_descriptors
from uzel.net.listen import Listener, bind_pair, network_of, peer_host
from uzel.net.pipes import PipePool
from uzel.net.relay import Relay, RelayEnd, RelaySettings
from uzel.net.runner import Runner
from uzel.node.config import NodeConfig
from uzel.node.connections import Connections
from uzel.node.control_connection import ControlConnection
from uzel.node.data_connection import DataConnection
from uzel.node.key_checks import KeyChecks
from uzel.node.log import NodeLog
from uzel.node.registry import ConnectionId
from uzel.node.switchboard import Close, Effect, EndRelay, Hold, Join, Note, Send, Switchboard
from uzel.session.control import NodeControl
from uzel.session.hello import HelloAnswerer
from uzel.store.node_state import NodeState
from uzel.tls import Side, make_context
from uzel.wire import DataHello, Message


def _token() -> bytes:
    return secrets.token_bytes(2)


class NodeService:
    """One node. `start`, then `stop`; both on the loop it lives on.

    Raises `ConfigError` when it cannot listen or its state folder is in use.
    """

    def __init__(self, config: NodeConfig, state_dir: Path) -> None:
        self._config = config
        self._state_dir = state_dir
        self._log = NodeLog()
        self._switchboard = Switchboard(config.switchboard_settings())
        self._ids = itertools.count(1)
        self._controls: dict[ConnectionId, ControlConnection] = {}
        self._data: dict[ConnectionId, DataConnection] = {}
        self._relays: dict[int, Relay] = {}
        self._relay_data: dict[Relay, tuple[ConnectionId, ConnectionId]] = {}
        self._listeners: list[Listener] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._relays_gone = asyncio.Event()
        self._stopping = False
        self.control_addresses: list[tuple[str, int]] = []

    # -- Life -------------------------------------------------------------------------------------------------

    async def start(self, listen: Iterable[tuple[str, int]]) -> None:
        """Open the state folder, bind every address, accept."""
        config, limits = self._config, self._config.limits
        self._loop = asyncio.get_running_loop()
        self._state = NodeState.open(self._state_dir, bound=limits.claims, days=config.times.claim_days)
        identity = self._state.identity
        self.tls_context = make_context(
            private_key=identity.private_key, certificate=identity.certificate, side=Side.CLIENT
        )
        self._spare = SpareDescriptor()
        self._pipes = PipePool(limit=limits.pipes) if limits.pipes else None
        self._relay_settings = RelaySettings(drain=config.times.drain)
        self._key_checks = KeyChecks(
            self._loop,
            waiting=limits.key_checks,
            per_address=limits.key_checks_per_address,
            workers=limits.key_check_workers,
        )
        bound = prepare_descriptors(limits.descriptor_reserve)
        self._connections = Connections(config.connection_bounds(bound))
        for host, port in listen:
            for control, data in bind_pair(host, port, backlog=limits.backlog):  # nobody waits for us yet
                self._listen(control, data)
        self._log.event("listening", fields={"addresses": len(self.control_addresses), "connections": bound})
        self._housekeeping = self._loop.call_later(config.times.flush, self._keep_house)

    @property
    def fingerprint(self) -> Fingerprint:
        """The node's own."""
        return self._state.identity.fingerprint

    @property
    def counters(self) -> Counter[Reason]:
        """How often each reason occurred since the start."""
        return self._log.counters

    @property
    def claims(self) -> object:
        """The memory of UINs, for tests and the operator's tools."""
        return self._state.claims

    def snapshot(self) -> dict[str, int]:
        """How much of everything there is now; all zero when nobody is connected."""
        return self._switchboard.counts() | {
            "connections": len(self._connections),
            "half_open": self._connections.half_open,
            "controls": len(self._controls),
            "held": len(self._data),
            "relays": len(self._relay_data),
            "key_checks": len(self._key_checks),
            "timers": self._timer is not None,
            "tasks": len(self._tasks),
            "pipes": self._pipes.out if self._pipes else 0,
        }

    async def stop(self, drain: float | None = None) -> None:
        """No new calls; conversations may go on for `drain` seconds (default: the setting); then all ends."""
        if self._stopping:
            return
        self._stopping = True
        patience = self._config.times.shutdown if drain is None else drain
        self._log.event("stopping", fields={"conversations": len(self._relay_data), "drain_seconds": patience})
        for listener in self._listeners:
            listener.close()
        self._switchboard.drain(self._loop.time())
        self._carry_out()
        if self._relay_data and patience:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._relays_gone.wait(), patience)
        await self._close_everything()
        self._state.claims.flush()
        self._state.close()
        self._log.event("counters", fields={str(reason): count for reason, count in self.counters.items()})
        self._log.event("stopped")

    def hurry(self) -> None:
        """End the drain time now."""
        self._relays_gone.set()

    async def _close_everything(self) -> None:
        for relay in list(self._relay_data):
            relay.abort()
        for data in list(self._data.values()):
            data.close(Reason.NODE_STOPPING)
        for control in list(self._controls.values()):
            control.close(Reason.NODE_STOPPING)
        for _ in range(100):
            if not self._controls and not self._tasks:
                break
            await asyncio.sleep(0.01)
        for control in list(self._controls.values()):
            if control.runner is not None:
                control.runner.abort()
        await self._key_checks.close()
        self._housekeeping.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pipes is not None:
            self._pipes.close()
        self._spare.close()

    def _keep_house(self) -> None:
        self._state.claims.flush()
        self._state.claims.expire(time.time())
        self._housekeeping = self._loop.call_later(self._config.times.flush, self._keep_house)

    # -- Accepting --------------------------------------------------------------------------------------------

    def _listen(self, control: socket.socket, data: socket.socket) -> None:
        host, port = control.getsockname()[:2]
        self.control_addresses.append((host, port))
        for sock, accepted, is_data in ((control, self._accept_control, False), (data, self._accept_data, True)):
            self._listeners.append(
                Listener(
                    self._loop,
                    sock,
                    accepted,
                    on_refused=self._refused,
                    spare=self._spare,
                    batch=self._config.limits.accept_batch,
                    keepalive=is_data,
                )
            )

    def _refused(self, reason: Reason) -> None:
        self._log.event("connection_refused", reason)

    def _admit_connection(self, sock: socket.socket, network: str, *, is_data: bool) -> ConnectionId | None:
        connection = next(self._ids)
        verdict = self._connections.open(connection, network, self._loop.time(), is_data=is_data)
        if verdict.evicted is not None:
            self._close_connection(*verdict.evicted)
        if verdict.refused is not None:
            sock.close()
            self._log.event("connection_refused", verdict.refused, {"address": self._log.hidden(network)})
            return None
        self._arm()
        return connection

    def _accept_control(self, sock: socket.socket, address: tuple[object, ...]) -> None:
        network = network_of(peer_host(address))
        connection = self._admit_connection(sock, network, is_data=False)
        if connection is None:
            return
        control = ControlConnection(self, connection, network)
        control.runner = Runner(self._loop, control, HelloAnswerer(), send_queue=self._config.limits.send_queue)
        self._controls[connection] = control
        task = self._loop.create_task(self._attach(control.runner, sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attach(self, runner: Runner, sock: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: runner, sock)
        except OSError as error:
            sock.close()
            runner.connection_lost(error)

    def _accept_data(self, sock: socket.socket, address: tuple[object, ...]) -> None:
        network = network_of(peer_host(address))
        connection = self._admit_connection(sock, network, is_data=True)
        if connection is not None:
            self._data[connection] = DataConnection(self._loop, self, connection, network, sock)

    # -- Control connections ----------------------------------------------------------------------------------

    def secured(self, connection: ControlConnection) -> None:
        """TLS is done: no longer half-open."""
        self._connections.established(connection.id)

    def admit(self, connection: ControlConnection, certificate: PeerCertificate) -> None:
        """Let in who owns the UIN; check a key that was never seen; refuse a second key for a UIN (section 7)."""
        owner = self._state.claims.owner(certificate.uin)
        if owner == certificate.fingerprint:
            self._register(connection, certificate)
        elif owner is not None:
            connection.close(Reason.UIN_TAKEN)
        else:

            def checked(reason: Reason | None) -> None:
                self._key_checked(connection, certificate, reason)

            full = self._key_checks.submit(certificate, connection.network, checked)
            if full is not None:
                connection.close(full)

    def _key_checked(self, connection: ControlConnection, certificate: PeerCertificate, reason: Reason | None) -> None:
        if self._stopping:
            return
        if reason is not None:
            connection.close(reason)
        elif not self._state.claims.claim(certificate.uin, certificate.fingerprint, time.time()):
            connection.close(Reason.UIN_TAKEN)
        elif connection.id in self._controls:
            self._register(connection, certificate)

    def _register(self, connection: ControlConnection, certificate: PeerCertificate) -> None:
        runner = connection.runner
        if self._stopping or runner is None or runner.is_closing:
            connection.close(Reason.NODE_STOPPING if self._stopping else None)
            return
        now = self._loop.time()
        welcome = self._switchboard.client_online(connection.id, certificate.uin, connection.network, now)
        self._carry_out()
        if welcome:
            connection.go_online(certificate.uin, NodeControl(self._config.keepalive_times(), _token, now))

    def message(self, connection: ControlConnection, message: Message) -> None:
        """A client says something other than a pong."""
        self._switchboard.client_message(connection.id, message, self._loop.time())
        self._carry_out()

    def control_closed(self, connection: ControlConnection) -> None:
        """Forget it; its calls in set-up end."""
        if self._controls.pop(connection.id, None) is None:
            return
        self._connections.closed(connection.id)
        if (runner := connection.runner) is not None:
            self._log_closed("control_closed", connection.network, runner.reason, runner.detail)
        if connection.uin:
            self._state.claims.used(connection.uin, time.time())
            self._switchboard.client_offline(connection.id, self._loop.time())
        self._carry_out()

    # -- Data connections -------------------------------------------------------------------------------------

    def data_hello(self, connection: DataConnection, hello: DataHello) -> None:
        """A data connection has said which call it belongs to."""
        self._switchboard.data_hello(connection.id, hello, connection.network, self._loop.time())
        self._carry_out()

    def data_closed(self, connection: DataConnection, reason: Reason | None, detail: str) -> None:
        """Forget it; its call learns of it."""
        self._data.pop(connection.id, None)
        self._connections.closed(connection.id)
        self._log_closed("data_closed", connection.network, reason, detail)
        self._switchboard.data_lost(connection.id, self._loop.time())
        self._carry_out()

    def _join(self, effect: Join) -> None:
        caller = self._data.pop(effect.caller_data)
        callee = self._data.pop(effect.callee_data)
        self._connections.established(caller.id)
        caller_socket, caller_early = caller.release()
        callee_socket, callee_early = callee.release()
        pair = (effect.caller, effect.callee)

        def ended(end: RelayEnd) -> None:
            self._relays.pop(effect.call, None)
            self._note_conversation(pair, end)
            self._switchboard.relay_ended(effect.call, self._loop.time())
            self._carry_out()

        def closed(reason: Reason | None) -> None:
            for connection in self._relay_data.pop(relay):
                self._connections.closed(connection)
            if reason is not None:
                self._log.event("relay_closed", reason)
            if not self._relay_data and self._stopping:
                self._relays_gone.set()

        relay = Relay(
            self._loop,
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
        self._relay_data[relay] = (caller.id, callee.id)

    def _note_conversation(self, pair: tuple[int, int], end: RelayEnd) -> None:
        fields = {"caller": self._log.hidden(pair[0]), "callee": self._log.hidden(pair[1])}
        sizes = {"caller_bytes": end.a_to_b, "callee_bytes": end.b_to_a}
        self._log.event("conversation_ended", end.reason, {**fields, **sizes})

    # -- Effects and time -------------------------------------------------------------------------------------

    def _carry_out(self) -> None:
        while effects := self._switchboard.take_effects():
            for effect in effects:
                self._do(effect)
        self._arm()

    def _do(self, effect: Effect) -> None:
        match effect:
            case Send(connection=connection, message=message):
                if (control := self._controls.get(connection)) is not None:
                    control.send(message)
            case Close(connection=connection, reason=reason):
                self._close_connection(connection, reason)
            case Hold(connection=connection):
                self._connections.established(connection)
                self._data[connection].hold()
            case Join():
                self._join(effect)
            case EndRelay(call=call, reason=reason):
                self._log.event("conversation_restarted", reason)
                self._relays.pop(call).end()
            case Note():
                self._note(effect)
            case _:
                raise AssertionError(f"no hand for {effect}")

    def _note(self, note: Note) -> None:
        people = {"caller": note.caller, "callee": note.callee}
        fields = {name: self._log.hidden(uin) for name, uin in people.items() if uin}
        self._log.event(note.event, note.reason, fields)

    def _close_connection(self, connection: ConnectionId, reason: Reason) -> None:
        owner = self._controls.get(connection) or self._data.get(connection)
        if owner is not None:
            owner.close(reason)

    def _log_closed(self, event: str, network: str, reason: Reason | None, detail: str) -> None:
        level = logging.DEBUG if reason is None else logging.INFO
        fields = {"address": self._log.hidden(network)} | ({"detail": detail} if detail else {})
        self._log.event(event, reason, fields, level=level)

    def _arm(self) -> None:
        due = [when for when in (self._switchboard.deadline(), self._connections.deadline()) if when is not None]
        deadline = min(due, default=None)
        if self._timer is not None and (deadline is None or deadline < self._timer_at):
            self._timer.cancel()
            self._timer = None
        if self._timer is None and deadline is not None:
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._loop.time()
        self._switchboard.on_timeout(now)
        for connection, reason in self._connections.take_due(now):
            self._close_connection(connection, reason)
        self._carry_out()
