"""One data connection at the node until it is joined: its 20, then the wait for the other side (D12).

Exactly the ten bytes of the hello are read, never more: what follows belongs to the conversation and stays in the
kernel until a relay copies it. Plain sockets, since the relay needs them. Counterpart: `client.data_connection`.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

from uzel.errors import Reason
from uzel.net.held import HeldData
from uzel.node.registry import ConnectionId
from uzel.wire import Channel, DataHello, Framer

HELLO_SIZE = 10


class DataDesk(Protocol):
    """What a data connection needs of the service."""

    def data_hello(self, connection: DataConnection, hello: DataHello) -> None:
        """Its 20 came: `hold`, `release` or `close` it."""

    def data_closed(self, connection: DataConnection, reason: Reason | None, detail: str) -> None:
        """It is gone, for this reason."""


class DataConnection:
    """Owns one accepted socket until `release` hands it to a relay."""

    __slots__ = ("_desk", "_framer", "_held", "_left", "_loop", "_socket", "id", "network")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        desk: DataDesk,
        connection: ConnectionId,
        network: str,
        sock: socket.socket,
    ) -> None:
        self._loop = loop
        self._desk = desk
        self.id = connection
        self.network = network
        self._socket: socket.socket | None = sock
        self._held: HeldData | None = None
        self._framer = Framer(Channel.DATA_HELLO)
        self._left = HELLO_SIZE
        loop.add_reader(sock.fileno(), self._read_hello)

    def hold(self) -> None:
        """Wait for the other side: early bytes are kept, the end is noticed."""
        assert self._socket is not None
        self._held = HeldData(self._loop, self._socket, on_lost=self._lost)
        self._socket = None

    def release(self) -> tuple[socket.socket, bytes]:
        """Hand the socket, and what it has brought early, to a relay."""
        if self._held is not None:
            held, self._held = self._held, None
            return held.release()
        assert self._socket is not None
        sock, self._socket = self._socket, None
        return sock, b""

    def close(self, reason: Reason | None = None, detail: str = "") -> None:
        """Close it under this name, unless it is gone already."""
        if self._held is not None:
            self._held.close()
        elif self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
        else:
            return
        self._held = self._socket = None
        self._desk.data_closed(self, reason, detail)

    def _lost(self, reason: Reason | None) -> None:
        self._held = None
        self._desk.data_closed(self, reason or Reason.DATA_LOST, "")

    def _read_hello(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(self._left)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.close(Reason.CONNECTION_LOST, type(error).__name__)
            return
        if not data:
            self.close(self._framer.eof())
            return
        self._left -= len(data)
        messages = self._framer.feed(data)
        if self._framer.fault is not None:
            self.close(self._framer.fault, self._framer.fault_detail)
        elif messages:
            self._loop.remove_reader(self._socket.fileno())
            hello = messages[0]
            assert isinstance(hello, DataHello)
            self._desk.data_hello(self, hello)
