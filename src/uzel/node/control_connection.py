"""One control connection at the node, from its first byte to its registered client (section 3).

Steps: hello → TLS, the node being the TLS client → certificate → its key known or checked → registered; only then
is anything inside TLS read or answered (D9). Every failure closes this connection under a named reason. The
service above it keeps the bounds and runs the switchboard. One that says CB is a node's and goes on as a
`link_connection`. Counterpart: `client.login`.
"""

from __future__ import annotations

from typing import Protocol

from uzel.errors import CertificateError, Reason
from uzel.identity import PeerCertificate, read_certificate
from uzel.net.runner import Runner
from uzel.node.registry import ConnectionId
from uzel.session.control import NodeControl
from uzel.session.hello import HelloAnswerer, HelloTaken
from uzel.session.machine import Event, Received
from uzel.tls import TlsContext
from uzel.wire import Message


class Desk(Protocol):
    """What a control connection needs of the service."""

    tls_context: TlsContext

    def node_hello(self, connection: ControlConnection, runner: Runner) -> None:
        """It said CB: the runner goes on as a link's, and this object is done."""

    def secured(self, connection: ControlConnection) -> None:
        """It is no longer half-open."""

    def admit(self, connection: ControlConnection, certificate: PeerCertificate) -> None:
        """Register it, at once or after its key was checked: then `go_online`, or `close`."""

    def message(self, connection: ControlConnection, message: Message) -> None:
        """A message for the switchboard."""

    def control_closed(self, connection: ControlConnection) -> None:
        """It is gone."""


class ControlConnection:
    """Owner of the runner of one control connection from `host`, whose `network` counts for bounds and for D12."""

    __slots__ = ("_desk", "host", "id", "network", "runner", "uin")

    def __init__(self, desk: Desk, connection: ConnectionId, host: str, network: str) -> None:
        self._desk = desk
        self.id = connection
        self.host = host
        self.network = network
        self.uin = 0
        self.runner: Runner | None = None

    def go_online(self, uin: int, machine: NodeControl) -> None:
        """The client is registered: answer what it says from here on."""
        assert self.runner is not None
        self.uin = uin
        self.runner.run(machine)

    def send(self, message: Message) -> None:
        """Send a control message; does nothing once the connection is closing."""
        runner = self.runner
        if runner is not None and not runner.is_closing and isinstance(runner.machine, NodeControl):
            runner.machine.send(message)
            runner.update()

    def close(self, reason: Reason | None = None, detail: str = "") -> None:
        """Close it under this name."""
        if self.runner is not None:
            self.runner.close(reason, detail)

    # -- What the runner says ---------------------------------------------------------------------------------

    def on_events(self, runner: Runner, events: list[Event]) -> None:
        """The hello, then the client's messages."""
        for event in events:
            if runner.is_closing:
                return
            match event:
                case Received(message=message):
                    self._desk.message(self, message)
                case HelloTaken(is_node=True):
                    self.runner = None
                    self._desk.node_hello(self, runner)
                    return
                case HelloTaken():
                    self._start_tls(runner)
                case _:
                    raise AssertionError(f"unexpected event {event}")

    def on_secured(self, runner: Runner) -> None:
        """TLS is done: read the certificate, ask to be admitted."""
        self._desk.secured(self)
        assert runner.engine is not None
        try:
            certificate = read_certificate(runner.engine.peer_certificate_der)
        except CertificateError as error:
            runner.close(Reason(error.reason), error.detail)
            return
        self._desk.admit(self, certificate)

    def on_closed(self, runner: Runner) -> None:  # noqa: ARG002 - it is ours
        """Tell the service; break the cycle of references so that nothing waits for the collector."""
        self._desk.control_closed(self)
        self.runner = None

    def _start_tls(self, runner: Runner) -> None:
        hello = runner.machine
        assert isinstance(hello, HelloAnswerer)
        hello.accept()
        runner.start_tls(self._desk.tls_context, hello.rest())
