"""A client of the network, written from PROTOCOL.md sections 1–4, 6 and 7 alone: nothing of uzel is imported.

Plain blocking sockets, with pyOpenSSL for TLS in memory. Every wait has a deadline (`TIMEOUT`); whatever does not come
in time raises. It keeps to the protocol when it is asked to and lets a test break every rule: bytes can be sent
at each layer (TCP, inside the control TLS, inside the conversation). `Inbox` cuts the messages of links as well; all
else about links stands in `raw_link`.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from OpenSSL import SSL

from e2e.raw_identity import RawIdentity

TIMEOUT = 10.0
"""Seconds that any single wait may last: longer than anything that a healthy node does."""

Address = tuple[str, int]
Message = tuple[int, bytes]


class Closed(Exception):  # noqa: N818 - it is an outcome that tests wait for
    """The other side ended the connection before what was expected came."""


class Unexpected(AssertionError):  # noqa: N818 - as above
    """Another message came than the one that was expected."""


FIXED_TAILS = {
    0xCA: 2, 0xCB: 2, 0x01: 2, 0x02: 2, 0x03: 4, 0x04: 4, 0x05: 4, 0x06: 4, 0x07: 4, 0x08: 4, 0x20: 8, 0x40: 2,
    0x68: 2, 0x69: 2, 0x90: 2, 0xA2: 2, 0xA5: 4, 0xA8: 4, 0xAA: 8, 0xAB: 8, 0xB8: 8,
}  # fmt: skip
"""Code → bytes of tail (section 2). 30, A4, A9 and D0 have sizes of their own."""


def frame(code: int, tail: bytes = b"") -> bytes:
    """A message: the header of two equal bytes, then the tail."""
    return bytes((code, code)) + tail


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def pair(caller: int, callee: int) -> bytes:
    return struct.pack("<II", caller, callee)


VALID_TAILS: dict[int, bytes] = {
    0xCA: b"\x01\x00", 0xCB: b"\x01\x00", 0x01: b"OK", 0x02: b"\x01\x00", 0x03: u32(7), 0x04: u32(7), 0x05: u32(7),
    0x06: u32(7), 0x07: u32(7), 0x08: u32(7), 0x20: pair(7, 8), 0x30: b"\x02\x00hi", 0x40: b"rr", 0x68: b"rr",
    0x69: b"rr", 0x90: b"rr", 0xA2: b"\x22\xe7", 0xA4: b"\x01\x00\xa0\0\0\0\0\x22\xe7", 0xA5: u32(7),
    0xA8: u32(7), 0xA9: b"\x0d\x00" + u32(7) + b"\xa0\0\0\0\0\x22\xe7", 0xAA: pair(7, 8), 0xAB: pair(7, 8),
    0xB8: pair(7, 8), 0xD0: b"\x09\x00" + pair(7, 8) + b"x",
}  # fmt: skip
"""A valid tail for each of the 25 codes, with made-up UINs 7 and 8, and the address 0.0.0.0, where no node can be."""


class Stream(Protocol):
    """Bytes both ways: a TCP connection, or TLS over another stream."""

    def send(self, data: bytes) -> None: ...
    def receive(self) -> bytes:
        """What has come; empty at the end."""
        ...

    def fileno(self) -> int: ...
    def close(self) -> None: ...


class Tcp:
    """One TCP connection, from a chosen loopback address, so that limits per address can be met."""

    early = b""
    """Bytes that were read with something before them, and belong to what comes next."""

    def __init__(self, address: Address, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(address, timeout=TIMEOUT, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def over(cls, accepted: socket.socket) -> Self:
        """Wrap a socket that a listener accepted."""
        tcp = cls.__new__(cls)
        tcp.socket = accepted
        accepted.settimeout(TIMEOUT)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return tcp

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed("while sending") from error

    def receive(self) -> bytes:
        if self.early:
            early, self.early = self.early, b""
            return early
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def end(self) -> None:
        """Send the end of file, and keep reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Vanish: the other side meets a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


S = TypeVar("S", bound=Stream)


def ready(streams: list[S], seconds: float = 0) -> list[S]:
    """Those for which something has come, or comes within the time. (`select.select` knows 1,024 descriptors only.)"""
    poll = select.poll()
    for stream in streams:
        poll.register(stream.fileno(), select.POLLIN)
    come = {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
    return [stream for stream in streams if stream.fileno() in come]


def context(identity: RawIdentity | None, *, server: bool, max_version: int | None = None) -> SSL.Context:
    """A TLS context: 1.3 only (unless told to offer less), own certificate shown, the other's asked for, any taken."""
    made = SSL.Context(SSL.TLS_SERVER_METHOD if server else SSL.TLS_CLIENT_METHOD)
    if max_version is None:
        made.set_min_proto_version(SSL.TLS1_3_VERSION)
    else:
        made.set_max_proto_version(max_version)
    made.set_options(SSL.OP_NO_TICKET)
    made.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    made.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    if identity is not None:
        made.use_certificate(identity.certificate)
        made.use_privatekey(identity.key)
    return made


class Tls:
    """TLS in memory over any stream. `receive` gives plaintext; what TLS itself refuses raises `SSL.Error`.

    One thread may send while another receives: `_lock` is held around OpenSSL, never while waiting for the stream.
    """

    def __init__(self, below: Stream, tls_context: SSL.Context, *, server: bool) -> None:
        self.below = below
        self._lock = threading.RLock()
        self.sending = threading.RLock()
        """Held while something is sent: who holds it sends several things with nothing in between."""
        self.connection = SSL.Connection(tls_context, None)
        if server:
            self.connection.set_accept_state()
        else:
            self.connection.set_connect_state()

    def flush(self) -> None:
        """Send what OpenSSL wants sent, in its order."""
        with self.sending, contextlib.suppress(SSL.WantReadError):
            while True:
                with self._lock:
                    data = self.connection.bio_read(65536)
                self.below.send(data)

    def advance(self) -> bool:
        """One step of the handshake with what has come so far; true once it is done."""
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            return False
        finally:
            self.flush()
        return True

    def feed(self) -> None:
        data = self.below.receive()
        if not data:
            raise Closed("during the TLS handshake")
        self.connection.bio_write(data)

    def handshake(self) -> None:
        while not self.advance():
            self.feed()

    def send(self, data: bytes) -> None:
        for start in range(0, len(data), 65536):
            with self.sending:
                with self._lock:
                    self.connection.sendall(data[start : start + 65536])
                self.flush()

    def receive(self) -> bytes:
        while True:
            with self._lock:
                try:
                    return bytes(self.connection.recv(65536))
                except SSL.WantReadError:
                    pass
                except SSL.ZeroReturnError:
                    return b""
            if self.sending.acquire(blocking=False):  # whoever sends just now, perhaps waiting, takes it along
                try:
                    self.flush()
                finally:
                    self.sending.release()
            data = self.below.receive()
            if not data:
                return b""
            with self._lock:
                self.connection.bio_write(data)

    def pending(self) -> bool:
        """True when plaintext waits that no socket will announce."""
        return self.connection.pending() > 0

    def fileno(self) -> int:
        return self.below.fileno()

    def close(self) -> None:
        self.below.close()

    @property
    def peer_common_name(self) -> str:
        certificate = self.connection.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        return str(next(iter(certificate.subject)).value)


def handshake_together(*ends: Tls) -> None:
    """Run both ends of one end-to-end handshake in this one thread."""
    deadline = time.monotonic() + TIMEOUT
    waiting = [end for end in ends if not end.advance()]
    while waiting:
        if time.monotonic() > deadline:
            raise TimeoutError("the end-to-end handshake hangs")
        for end in ready(waiting, 1):
            end.feed()
            if end.advance():
                waiting.remove(end)


class Inbox:
    """Messages cut from a stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.buffer = bytearray()

    def take(self, count: int) -> bytes:
        while len(self.buffer) < count:
            data = self.stream.receive()
            if not data:
                raise Closed(f"with {bytes(self.buffer)!r} left over")
            self.buffer += data
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def message(self) -> Message:
        header = self.take(2)
        code = header[0]
        if header[1] != code:
            raise Unexpected(f"unequal header {header.hex()}")
        if code in FIXED_TAILS:
            return code, self.take(FIXED_TAILS[code])
        if code == 0x30:
            size = self.take(2)
            return code, size + self.take(int.from_bytes(size, "little"))
        if code == 0xA4:
            count = self.take(2)
            return code, count + b"".join(self.address() for _ in range(int.from_bytes(count, "little")))
        if code == 0xA9:
            start = self.take(6)
            address = self.address()
            if int.from_bytes(start[:2], "little") != 6 + len(address):
                raise Unexpected(f"A9 of size {start[:2].hex()} with {address!r}")  # senders count the size itself (D2)
            return code, start + address
        if code == 0xD0:
            size = self.take(2)
            if not 8 <= int.from_bytes(size, "little") <= 65532:
                raise Unexpected(f"D0 of size {size.hex()}")
            return code, size + self.take(int.from_bytes(size, "little"))
        raise Unexpected(f"no such message: {header.hex()}")

    def address(self) -> bytes:
        kind = self.take(1)
        if kind == b"\xa2":
            length = self.take(1)
            return kind + length + self.take(length[0] + 2)
        return kind + self.take({b"\xa0": 6, b"\xa1": 18}[kind])

    def end(self) -> list[Message]:
        """Read on to the end of the stream; gives the messages that came before it."""
        messages = []
        with contextlib.suppress(Closed, SSL.Error):
            while True:
                messages.append(self.message())
        return messages


@dataclass
class RawClient:
    """One user. `login()` goes all the way; the steps can be taken, or left out, one by one."""

    identity: RawIdentity
    node: Address
    source: str = "127.0.0.1"
    version: bytes = b"\x01\x00"
    tls_context: SSL.Context | None = None

    def __post_init__(self) -> None:
        self.opened: list[Tcp] = []

    @property
    def uin(self) -> int:
        return self.identity.uin

    def connect(self) -> None:
        self.tcp = Tcp(self.node, self.source)
        self.opened.append(self.tcp)

    def hello(self) -> None:
        """CA, and its answer 01 (section 3, step 1)."""
        self.tcp.send(frame(0xCA, self.version))
        self.inbox = Inbox(self.tcp)
        self.expect(0x01, b"OK")
        self.tcp.early = bytes(self.inbox.buffer)

    def handshake(self) -> None:
        """TLS with this side as its server (step 2)."""
        self.tls = Tls(self.tcp, self.tls_context or context(self.identity, server=True), server=True)
        self.tls.handshake()
        self.inbox = Inbox(self.tls)

    def login(self) -> Self:
        """Everything up to the first pong, which proves the login (D9)."""
        self.connect()
        self.hello()
        self.handshake()
        self.sync()
        return self

    def send(self, code: int, tail: bytes = b"") -> None:
        self.tls.send(frame(code, tail))

    def message(self) -> Message:
        """The next message that is not a ping; pings are answered."""
        while True:
            code, tail = self.inbox.message()
            if code != 0x68:
                return code, tail
            self.send(0x69, tail)

    def expect(self, code: int, tail: bytes | None = None) -> bytes:
        got = self.message()
        if got[0] != code or (tail is not None and got[1] != tail):
            raise Unexpected(f"expected {code:02X} {tail!r}, got {got[0]:02X} {got[1]!r}")
        return got[1]

    def sync(self) -> list[Message]:
        """Ping twice, one after the other: everything sent before has been dealt with. Gives what came in between.

        Once is not enough: nothing says that a pong may not overtake the answer to what came together with its ping.
        """
        before = []
        for _ in range(2):
            token = os.urandom(2)
            self.send(0x68, token)
            while (message := self.message()) != (0x69, token):
                before.append(message)
        return before

    def ended(self) -> list[Message]:
        """Wait until the node ends the control connection; gives the messages that came before."""
        return self.inbox.end()

    def call(self, uin: int) -> None:
        self.send(0x03, u32(uin))

    def accept(self, uin: int) -> None:
        self.send(0x06, u32(uin))

    def refuse(self, uin: int) -> None:
        self.send(0x08, u32(uin))

    def data(self, caller: int, callee: int, source: str | None = None) -> Tcp:
        """A data connection with its hello 20 sent (sections 4.3 and 4.4)."""
        tcp = Tcp((self.node[0], self.node[1] + 1), source or self.source)
        self.opened.append(tcp)
        tcp.send(frame(0x20, pair(caller, callee)))
        return tcp

    def close(self) -> None:
        for tcp in self.opened:
            tcp.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Conversation:
    """The end-to-end stream inside a relayed data connection: texts and their reports (section 6)."""

    def __init__(self, data: Stream, identity: RawIdentity, *, caller: bool) -> None:
        self.data = data
        self.tls = Tls(data, context(identity, server=not caller), server=not caller)
        self.inbox = Inbox(self.tls)

    def text(self, text: str) -> None:
        body = text.encode()
        self.tls.send(frame(0x30, struct.pack("<H", len(body)) + body))

    def read(self) -> str:
        """The next text, reported at once."""
        code, tail = self.message()
        if code != 0x30:
            raise Unexpected(f"expected a text, got {code:02X} {tail!r}")
        self.tls.send(frame(0x40, os.urandom(2)))
        return tail[2:].decode()

    def reported(self) -> None:
        code, tail = self.message()
        if code != 0x40:
            raise Unexpected(f"expected 40, got {code:02X} {tail!r}")

    def message(self) -> Message:
        while True:
            code, tail = self.inbox.message()
            if code != 0x68:
                return code, tail
            self.tls.send(frame(0x69, tail))


def set_up(caller: RawClient, callee: RawClient) -> tuple[Tcp, Tcp]:
    """A call through one node (section 4), up to the two data connections: the caller's, the callee's."""
    caller.call(callee.uin)
    callee.expect(0x04, u32(caller.uin))
    callee.accept(caller.uin)
    theirs = callee.data(caller.uin, callee.uin)
    caller.expect(0x07, u32(callee.uin))
    return caller.data(caller.uin, callee.uin), theirs


def converse(caller: RawClient, callee: RawClient) -> tuple[Conversation, Conversation]:
    """A whole conversation between two logged-in clients, ready for texts."""
    ours, theirs = set_up(caller, callee)
    a = Conversation(ours, caller.identity, caller=True)
    b = Conversation(theirs, callee.identity, caller=False)
    handshake_together(a.tls, b.tls)
    if (a.tls.peer_common_name, b.tls.peer_common_name) != (str(callee.uin), str(caller.uin)):
        raise Unexpected("someone else is in the conversation")
    return a, b


def exchange(a: Conversation, b: Conversation, text: str = "hello") -> None:
    """One text and its report."""
    a.text(text)
    if b.read() != text:
        raise Unexpected("the text did not arrive as it was sent")
    a.reported()
