"""A node written from PROTOCOL.md sections 3 and 4 alone, to drive real clients: nothing of uzel is imported.

It accepts CA, starts TLS as TLS client, takes the UIN from the certificate without checking it, answers pings, and
leaves the rest to a script: a function that is given every other message. `relaying` is an honest node; `playing` has
the node itself be the user who is called; `RawNode.ring` has it be the caller. Each connection is a thread with
blocking sockets; every wait has the raw client's deadline.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable
from typing import Self

from OpenSSL import SSL

from e2e.raw_client import (
    TIMEOUT,
    Closed,
    Conversation,
    Inbox,
    Message,
    Tcp,
    Tls,
    Unexpected,
    context,
    frame,
    pair,
    u32,
)
from e2e.raw_identity import RawIdentity, identity


class Session:
    """One client's control connection, seen from the node."""

    def __init__(self, node: RawNode, tcp: Tcp) -> None:
        self.node = node
        self.tcp = tcp
        self.uin = 0
        self.said: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def serve(self) -> None:
        """Hello, TLS, then every message to the script, until the connection ends."""
        self.inbox = Inbox(self.tcp)
        if self.inbox.message() != (0xCA, b"\x01\x00"):
            raise Unexpected("a client says CA 1.0 first")
        self.tcp.send(frame(*self.node.answer))
        if self.node.answer[0] != 0x01:
            return
        self.tls = Tls(self.tcp, context(self.node.identity, server=False), server=False)
        self.tls.handshake()
        self.uin = int(self.tls.peer_common_name)
        self.inbox = Inbox(self.tls)
        self.node.online(self)
        while True:
            code, tail = self.inbox.message()
            if code == 0x68:
                if self.node.pongs:
                    self.send(0x69, tail)
                continue
            self.said.put((code, tail))
            self.node.script(self, code, tail)

    def send(self, code: int, tail: bytes = b"") -> None:
        self.tls.send(frame(code, tail))

    def next(self, code: int) -> bytes:
        """Wait for the client's next message with this code; others before it are dropped."""
        while True:
            got, tail = self.said.get(timeout=TIMEOUT)
            if got == code:
                return tail


Script = Callable[[Session, int, bytes], None]


class Listening:
    """Two listeners on neighbouring ports (D7), and a thread for each connection that comes.

    Use it in a `with` block; faults of what runs in the threads are raised at its end.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.faults: list[Exception] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.control, self.data = _free_pair(host, port)
        self.address: tuple[str, int] = self.control.getsockname()[:2]

    def serve_control(self, tcp: Tcp) -> None:
        """A connection to the control port; it is ended when this returns."""
        raise NotImplementedError

    def serve_data(self, tcp: Tcp) -> None:
        """A connection to the data port; it stays when this returns."""
        raise NotImplementedError

    def go(self, what: Callable[[], None]) -> None:
        """Run something beside the others."""
        self._start(what)

    def __enter__(self) -> Self:
        self._start(self._accept, self.control, self._serve_control)
        self._start(self._accept, self.data, self.serve_data)
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
        if self.faults and exception[0] is None:
            raise self.faults[0]

    def close(self) -> None:
        """End everything, and wait for the threads. May be called twice."""
        for listener in (self.control, self.data):
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(TIMEOUT)
        for each in self._sockets:
            each.close()

    def _start(self, what: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=self._run, args=(what, *arguments), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, what: Callable[..., None], *arguments: object) -> None:
        try:
            what(*arguments)
        except (Closed, OSError, SSL.Error):
            pass  # the other side may end at any time; what a test expected of it, the test itself awaits
        except (Unexpected, AssertionError, ValueError, queue.Empty) as error:
            self.faults.append(error)

    def _accept(self, listener: socket.socket, serve: Callable[[Tcp], None]) -> None:
        while True:
            accepted, _ = listener.accept()
            self._sockets.append(accepted)
            tcp = Tcp.over(accepted)
            tcp.socket.settimeout(None)  # being idle is no fault
            self._start(serve, tcp)

    def _serve_control(self, tcp: Tcp) -> None:
        try:
            self.serve_control(tcp)
        finally:
            with contextlib.suppress(OSError):
                tcp.socket.shutdown(socket.SHUT_RDWR)


def _free_pair(host: str, wanted: int) -> tuple[socket.socket, socket.socket]:
    """Two listeners on neighbouring ports (D7): the wanted ones, or with 0 any that are free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        control = socket.create_server((host, wanted), family=family)
        port = control.getsockname()[1]
        try:
            return control, socket.create_server((host, port + 1), family=family)
        except (OSError, OverflowError):
            control.close()
            if wanted:
                raise


class RawNode(Listening):
    """Listens on a free pair of loopback ports. Use it in a `with` block; faults of scripts are raised at its end."""

    def __init__(self, script: Script | None = None, who: RawIdentity | None = None) -> None:
        super().__init__()
        self.script: Script = script or (lambda *_: None)
        self.identity = who or identity(71)
        self.answer: Message = (0x01, b"OK")
        self.pongs = True
        self.sessions: dict[int, Session] = {}
        self._came = threading.Condition()
        self._data: dict[tuple[bytes, int], Tcp] = {}
        self._turns: dict[bytes, int] = {}

    def serve_control(self, tcp: Tcp) -> None:
        """A client."""
        Session(self, tcp).serve()

    def online(self, session: Session) -> None:
        with self._came:
            self.sessions[session.uin] = session
            self._came.notify_all()

    def session(self, uin: int) -> Session:
        """The control connection of this client, once it is there."""
        with self._came:
            assert self._came.wait_for(lambda: uin in self.sessions, TIMEOUT), f"{uin} did not log in"
            return self.sessions[uin]

    def taken(self, caller: int, callee: int, turn: int = 0) -> Tcp:
        """The first (0), second (1) … data connection that says 20 for this pair, once it is there."""
        key = (pair(caller, callee), turn)
        with self._came:
            assert self._came.wait_for(lambda: key in self._data, TIMEOUT), "no data connection came"
            return self._data[key]

    def turns(self, caller: int, callee: int) -> int:
        """How many data connections have said 20 for this pair so far."""
        with self._came:
            return self._turns.get(pair(caller, callee), 0)

    def ring(self, uin: int, caller: RawIdentity) -> Conversation:
        """Call this client as `caller`, all the way to the conversation; the end-to-end TLS client is this side."""
        session = self.session(uin)
        session.send(0x04, u32(caller.uin))
        if session.next(0x06) != u32(caller.uin):
            raise Unexpected("06 names another caller")
        conversation = Conversation(self.taken(caller.uin, uin), caller, caller=True)
        conversation.tls.handshake()
        return conversation

    def splice(self, one: Tcp, other: Tcp) -> None:
        """Copy both ways until one side ends, then end the other (section 4, step 5)."""

        def copy(source: Tcp, target: Tcp) -> None:
            with contextlib.suppress(Closed, OSError):
                while data := source.receive():
                    target.send(data)
            for tcp in (source, target):
                with contextlib.suppress(OSError):
                    tcp.socket.shutdown(socket.SHUT_RDWR)

        self._start(copy, one, other)
        self._start(copy, other, one)

    def serve_data(self, tcp: Tcp) -> None:
        """A data connection, kept under the pair that it names."""
        hello = b""
        while len(hello) < 10:  # not one byte more: what follows belongs to the conversation
            part = tcp.socket.recv(10 - len(hello))
            if not part:
                raise Closed("before its data hello")
            hello += part
        if hello[:2] != b"\x20\x20":
            raise Unexpected(f"not a data hello: {hello.hex()}")
        with self._came:
            turn = self._turns.get(hello[2:], 0)
            self._turns[hello[2:]] = turn + 1
            self._data[hello[2:], turn] = tcp
            self._came.notify_all()


def relaying(session: Session, code: int, tail: bytes) -> None:
    """The script of an honest node, as far as two well-behaved clients need one."""
    node, other = session.node, int.from_bytes(tail[:4], "little")
    peer = node.sessions.get(other)
    if code == 0x90:
        session.send(0xA4, b"\x00\x00")
    elif code == 0x03 and (peer is None or peer is session):
        session.send(0x05, tail)
    elif code == 0x03 and peer is not None:
        peer.send(0x04, u32(session.uin))
    elif code == 0x08 and peer is not None:
        peer.send(0x05, u32(session.uin))
    elif code == 0x06 and peer is not None:
        caller, callee = peer, session

        def join() -> None:
            turn = node.turns(caller.uin, callee.uin) // 2 * 2
            theirs = node.taken(caller.uin, callee.uin, turn)
            caller.send(0x07, u32(callee.uin))
            node.splice(node.taken(caller.uin, callee.uin, turn + 1), theirs)

        node.go(join)


def playing(user: RawIdentity, talk: Callable[[Conversation], None]) -> Script:
    """A script in which the node itself is `user`: it answers 07, is the end-to-end TLS server, and talks."""

    def script(session: Session, code: int, tail: bytes) -> None:
        if code == 0x03 and tail == u32(user.uin):
            turn = session.node.turns(session.uin, user.uin)

            def converse() -> None:
                data = session.node.taken(session.uin, user.uin, turn)
                conversation = Conversation(data, user, caller=False)
                conversation.tls.handshake()
                talk(conversation)

            session.node.go(converse)
            session.send(0x07, tail)
        elif code == 0x03:
            session.send(0x05, tail)

    return script


def echoing(conversation: Conversation) -> None:
    """Report every text and send it back, until the conversation ends."""
    with contextlib.suppress(Closed):
        while True:
            code, tail = conversation.message()
            if code == 0x30:
                conversation.tls.send(frame(0x40, b"rr"))
                conversation.text(tail[2:].decode())
