"""The shell that runs a node: sockets and time on one side, the switchboard on the other.

It decides nothing about calls. Every event goes into the switchboard, every effect is carried out here, at once
and in order. Bounds on connections come from `connections`, trust in certificates from `identity`, memory of UINs
and nodes from the node's state folder; data connections are kept by `data_shell`, links by `link_shell`.
Counterparts: the clients, and other nodes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from uzel.errors import Reason, StorageError
from uzel.identity import PeerCertificate
from uzel.names import Fingerprint, NodeReference, network_of
from uzel.net.descriptors import SpareDescriptor, prepare_descriptors
from uzel.net.listen import Listener, bind_pair, peer_host
from uzel.net.runner import Runner
from uzel.node.admin import AdminServer
from uzel.node.config import NodeConfig
from uzel.node.connections import Connections
from uzel.node.control_connection import ControlConnection
from uzel.node.data_shell import DataShell
from uzel.node.effects import (
    Bridge,
    Close,
    Dial,
    Effect,
    EndData,
    EndRelay,
    Forget,
    Hold,
    Join,
    LinkOutput,
    Note,
    Pause,
    PinNode,
    Remember,
    Resume,
    Send,
    StopDial,
    Write,
)
from uzel.node.key_checks import KeyChecks
from uzel.node.link_shell import LinkShell
from uzel.node.log import NodeLog
from uzel.node.registry import ConnectionId
from uzel.node.shared import Shared
from uzel.node.status import ServiceNumbers, peers_report, status_report
from uzel.node.switchboard import Switchboard
from uzel.session.control import NodeControl
from uzel.session.hello import HelloAnswerer
from uzel.store.node_state import NodeState
from uzel.tls import Side, make_context
from uzel.wire import Message

_TURN = 0.01
"""Seconds between looks at whether what is being stopped has stopped."""


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
        self._controls: dict[ConnectionId, ControlConnection] = {}
        self._listeners: list[Listener] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._hurried = asyncio.Event()
        self._stopping = False
        self.control_addresses: list[tuple[str, int]] = []

    # -- Life -------------------------------------------------------------------------------------------------

    async def start(self, listen: Iterable[tuple[str, int]], peers: Sequence[NodeReference] = ()) -> None:
        """Open the state folder, bind every address, accept; link to these peers and to what was known before."""
        config, limits = self._config, self._config.limits
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._state = NodeState.open(
            self._state_dir, bound=limits.claims, days=config.times.claim_days, known_bound=limits.addresses
        )
        identity = self._state.identity
        key, certificate = identity.private_key, identity.certificate
        self.tls_context = make_context(private_key=key, certificate=certificate, side=Side.CLIENT)
        self._spare = SpareDescriptor()
        self._key_checks = KeyChecks(
            self._loop,
            waiting=limits.key_checks,
            per_address=limits.key_checks_per_address,
            workers=limits.key_check_workers,
        )
        bound = prepare_descriptors(limits.descriptor_reserve)
        self._connections = Connections(config.connection_bounds(bound))
        self._switchboard = Switchboard(
            config.switchboard_settings(), identity.fingerprint, tokens=_token, chance=random.SystemRandom().random
        )
        self._shared = shared = Shared(
            config, self._log, self._switchboard, self._connections, hand=self._do, after=self._arm
        )
        self._data = DataShell(shared)
        self._links = LinkShell(
            shared,
            accept_context=self.tls_context,
            dial_context=make_context(private_key=key, certificate=certificate, side=Side.SERVER),
            close_other=self._close_connection,
        )
        for host, port in listen:
            for control, data in bind_pair(host, port, backlog=limits.backlog):  # nobody waits for us yet
                self._listen(control, data)
        self._log.event("listening", fields={"addresses": len(self.control_addresses), "connections": bound})
        self._housekeeping = self._loop.call_later(config.times.flush, self._keep_house)
        self._admin = AdminServer(self._state_dir, self)
        await self._admin.start()
        self._meet(peers)

    def _meet(self, peers: Sequence[NodeReference]) -> None:
        """Tell the switchboard where we are and whom we know."""
        now, known = self._loop.time(), self._state.known
        self._switchboard.listening(self.control_addresses[0][1])
        for node in known.all():
            self._switchboard.remember(node.address, node.fingerprint, node.answered, now)
        for reference in peers:
            self._switchboard.configure(reference, known.pin(reference.address), now)
        self._shared.carry_out()

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
        """How much of everything there is now; all zero when nobody is connected and no node is known."""
        return {
            **self._switchboard.counts(),
            **self._data.snapshot(),
            **self._links.snapshot(),
            "connections": len(self._connections),
            "half_open": self._connections.half_open,
            "controls": len(self._controls),
            "key_checks": len(self._key_checks),
            "timers": self._timer is not None,
            "tasks": len(self._tasks) + self._links.tasks,
        }

    def status(self) -> Mapping[str, object]:
        """What the operator is told of the node."""
        numbers = ServiceNumbers(
            now=self._loop.time(),
            since=self._started,
            control=self.control_addresses,
            fingerprint=self.fingerprint,
            refusals=self.counters,
            traffic=self._links.traffic,
        )
        return status_report(self._switchboard, numbers)

    def peers(self) -> Iterable[Mapping[str, object]]:
        """What the operator is told of other nodes."""
        answered = {node.address: node.answered for node in self._state.known.all()}
        return peers_report(self._switchboard.nodes(), answered)

    async def stop(self, drain: float | None = None) -> None:
        """No new calls; conversations may go on for `drain` seconds (default: the setting); then all ends."""
        if self._stopping:
            return
        self._stopping = True
        patience = self._config.times.shutdown if drain is None else drain
        self._log.event("stopping", fields={"conversations": len(self._data), "drain_seconds": patience})
        for listener in self._listeners:
            listener.close()
        self._switchboard.drain(self._loop.time())
        self._shared.carry_out()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._quiet()
        await self._admin.stop()
        await self._close_everything()
        self._store(self._state.flush)
        self._store(self._state.close)
        self._log.event("counters", fields={str(reason): count for reason, count in self.counters.items()})
        self._log.event("stopped")

    def hurry(self) -> None:
        """End the drain time now."""
        self._hurried.set()

    async def _quiet(self) -> None:
        """Wait until the conversations have ended and the links have taken the last of them, or somebody hurries."""
        while (len(self._data) or self._links.has_output) and not self._hurried.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurried.wait(), _TURN)

    async def _close_everything(self) -> None:
        self._data.close_all(Reason.NODE_STOPPING)
        for control in list(self._controls.values()):
            control.close(Reason.NODE_STOPPING)
        self._links.close_all(Reason.NODE_STOPPING)
        for _ in range(100):
            if not (self._controls or self._tasks or self._links or self._links.tasks):
                break
            await asyncio.sleep(_TURN)
        for control in list(self._controls.values()):
            if control.runner is not None:
                control.runner.abort()
        self._links.abort_all()
        await self._key_checks.close()
        self._housekeeping.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._spare.close()

    def _keep_house(self) -> None:
        self._store(self._state.flush)
        self._store(lambda: self._state.claims.expire(time.time()))
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
        connection = self._shared.new_id()
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
        host = peer_host(address)
        network = network_of(host)
        connection = self._admit_connection(sock, network, is_data=False)
        if connection is None:
            return
        control = ControlConnection(self, connection, host, network)
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
            self._data.accept(connection, network, sock)

    # -- Control connections ----------------------------------------------------------------------------------

    def node_hello(self, connection: ControlConnection, runner: Runner) -> None:
        """Another node has dialled us."""
        del self._controls[connection.id]
        self._links.accept(connection.id, connection.host, connection.network, runner)

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
        if self._switchboard.client_online(connection.id, certificate.uin, connection.network, now):
            # before what that brought about is carried out: a call that was searching for it rings here now
            connection.go_online(certificate.uin, NodeControl(self._config.keepalive_times(), _token, now))
        self._shared.carry_out()

    def message(self, connection: ControlConnection, message: Message) -> None:
        """A client says something other than a pong."""
        self._switchboard.client_message(connection.id, message, self._loop.time())
        self._shared.carry_out()

    def control_closed(self, connection: ControlConnection) -> None:
        """Forget it; its calls in set-up end."""
        if self._controls.pop(connection.id, None) is None:
            return
        self._connections.closed(connection.id)
        if (runner := connection.runner) is not None:
            self._shared.log_closed("control_closed", connection.network, runner.reason, runner.detail)
        if connection.uin:
            self._state.claims.used(connection.uin, time.time())
            self._switchboard.client_offline(connection.id, self._loop.time())
        self._shared.carry_out()

    # -- Effects and time -------------------------------------------------------------------------------------

    def _do(self, effect: Effect) -> None:
        match effect:
            case Send(connection=connection, message=message):
                if (control := self._controls.get(connection)) is not None:
                    control.send(message)
            case Close(connection=connection, reason=reason):
                self._close_connection(connection, reason)
            case Hold() | Join() | EndRelay() | Bridge() | Write() | Pause() | Resume() | EndData():
                self._data.do(effect)
            case LinkOutput() | Dial() | StopDial():
                self._links.do(effect)
            case Remember() | PinNode() | Forget():
                self._store(lambda: self._keep(effect))
            case Note():
                self._note(effect)
            case _:
                raise AssertionError(f"no hand for {effect}")

    def _keep(self, effect: Remember | PinNode | Forget) -> None:
        known = self._state.known
        match effect:
            case Remember(address=address, fingerprint=fingerprint):
                known.answered(address, fingerprint, time.time())
            case PinNode(address=address, fingerprint=fingerprint):
                known.set_pin(address, fingerprint)
            case Forget(address=address):
                known.forget(address)

    def _store(self, action: Callable[[], object]) -> None:
        """A full disk must not stop the node: what it could not keep it learns again."""
        try:
            action()
        except StorageError as error:
            self._log.event("not_stored", fields={"detail": error.detail}, level=logging.ERROR)

    def _note(self, note: Note) -> None:
        people = {"caller": note.caller, "callee": note.callee}
        fields = {name: self._log.hidden(uin) for name, uin in people.items() if uin}
        if note.node is not None:
            fields["node"] = str(note.node)
        self._log.event(note.event, note.reason, fields)

    def _close_connection(self, connection: ConnectionId, reason: Reason | None) -> None:
        if (control := self._controls.get(connection)) is not None:
            control.close(reason)
        elif not self._data.close(connection, reason):
            self._links.close(connection, reason)

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
        self._shared.carry_out()
