"""A node that links with other nodes, written from PROTOCOL.md sections 2, 3 and 5 alone: nothing of uzel is imported.

`RawLink` is one link, dialled or accepted. A thread reads it: pings and 90 are answered (both can be switched off), D0
and B8 of a pair with a `RelayedStream` go there, everything else waits to be expected. It keeps to the protocol where
it is left alone (fences of D19 included) and lets a test break every rule: any message can be sent at any time, and the
set-up can be taken step by step. Counterpart: `raw_federate`, a whole node.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Self

from OpenSSL import SSL

from e2e.raw_client import (
    TIMEOUT,
    Address,
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
from e2e.raw_identity import RawIdentity, fingerprint_of

HOUSEKEEPING = frozenset((0x68, 0x69, 0x90, 0xA2, 0xA4, 0xA8))
"""What a node may send at any time, hints (unasked A8) included: passed over unless it is what is expected."""
MOST_RELAYED = 65532 - 8

Pair = tuple[int, int]


def home(number: int) -> str:
    """Where the raw node with this number lives: each in a /24 of its own (D23)."""
    return f"127.0.{30 + number}.1"


def address_bytes(host: str, port: int) -> bytes:
    """An address as A4 and A9 carry it: A0, A1 or A2, whichever the host is."""
    big_endian_port = struct.pack(">H", port)
    try:
        packed = ipaddress.ip_address(host).packed
    except ValueError:
        return b"\xa2" + bytes((len(host),)) + host.encode() + big_endian_port
    return (b"\xa0" if len(packed) == 4 else b"\xa1") + packed + big_endian_port


def node_list(*addresses: bytes) -> bytes:
    """The tail of an A4."""
    return struct.pack("<H", len(addresses)) + b"".join(addresses)


def found_in_cache(uin: int, address: bytes) -> bytes:
    """The tail of an A9; its size counts itself (D2)."""
    return struct.pack("<H", 6 + len(address)) + u32(uin) + address


def relayed(sender: int, recipient: int, data: bytes) -> bytes:
    """The tail of a D0."""
    return struct.pack("<H", 8 + len(data)) + pair(sender, recipient) + data


def the_pair(tail: bytes) -> Pair:
    """The pair that B8, AA or AB names, smaller first."""
    one, other = struct.unpack("<II", tail)
    return min(one, other), max(one, other)


class RelayedStream:
    """One conversation's bytes over a link: what `own` sends to `other` as D0, and back."""

    def __init__(self, link: RawLink, own: int, other: int) -> None:
        self.link = link
        self.own = own
        self.other = other
        self._chunks: deque[bytes] = deque()
        self._count = os.eventfd(0, os.EFD_SEMAPHORE)
        self._over = False

    def send(self, data: bytes) -> None:
        for start in range(0, len(data), MOST_RELAYED):
            with self.link.tls.sending:  # the 69 that lifts the other's fence stays behind it
                if self._over:
                    raise Closed("the conversation has ended")
                self.link.relayed(self.own, self.other, data[start : start + MOST_RELAYED])

    def receive(self) -> bytes:
        poll = select.poll()
        poll.register(self._count, select.POLLIN)
        if not poll.poll(TIMEOUT * 1000):
            raise TimeoutError("no D0 came")
        if self._chunks:
            os.eventfd_read(self._count)
            return self._chunks.popleft()
        return b""

    def fileno(self) -> int:
        return self._count

    def feed(self, data: bytes) -> None:
        """A D0 came."""
        if data:
            self._chunks.append(data)
            os.eventfd_write(self._count, 1)

    def end(self) -> None:
        """Nothing more comes: a B8, or the end of the link."""
        if not self._over:
            self._over = True
            os.eventfd_write(self._count, 1)

    def close(self) -> None:
        """End the conversation, as a node does whose client's data connection has ended."""
        self.link.end_conversation(self)

    def free(self) -> None:
        os.close(self._count)


Script = Callable[["RawLink", int, bytes], bool]
"""Given every message in the reading thread; true when it has dealt with it."""


def passive(link: RawLink, code: int, tail: bytes) -> bool:
    """The script of a node that leaves everything to the test."""
    return False


class RawLink:
    """One link. `dial` goes all the way; the steps can be taken, or left out, one by one."""

    def __init__(
        self,
        tcp: Tcp,
        who: RawIdentity,
        *,
        dialled: bool,
        tls_context: SSL.Context | None = None,
        script: Script = passive,
    ) -> None:
        self.tcp = tcp
        self.identity = who
        self.dialled = dialled
        self.script = script
        self.tls = Tls(tcp, tls_context or context(who, server=dialled), server=dialled)
        self.pongs = True
        self.lists = True
        """Whether 90 is answered, with `known`."""
        self.fences = True
        """Whether D19 is kept: a B8 that ends a conversation is followed by a 68; until 69 its pair is dropped."""
        self.known: tuple[bytes, ...] = ()
        self.heard: list[Message] = []
        """Everything that came, in order, but for D0 taken by a stream."""
        self.fault: Exception | None = None
        self.over = False
        self._unread: list[Message] = []
        self._came = threading.Condition()
        self._streams: dict[Pair, RelayedStream] = {}
        self._every_stream: list[RelayedStream] = []
        self._fenced: dict[bytes, Pair] = {}
        self._reader: threading.Thread | None = None
        self._reading = threading.Event()
        self._reading.set()

    # -- Set-up (section 3) -------------------------------------------------------------------------------------

    @classmethod
    def dial(cls, node: Address, who: RawIdentity, source: str = "127.0.0.1", *, announce: int | None = None) -> Self:
        """Dial a node, all the way: CB, 01, TLS with this side as its server, A2 when a port is given, 90."""
        link = cls.prepared(node, who, source)
        link.start()
        link.introduce(announce)
        return link

    @classmethod
    def prepared(cls, node: Address, who: RawIdentity, source: str = "127.0.0.1") -> Self:
        """Dial a node up to the end of TLS, and say nothing there."""
        link = cls(Tcp(node, source), who, dialled=True)
        try:
            link.hello()
            link.handshake()
        except BaseException:
            link.close()
            raise
        return link

    def hello(self, version: bytes = b"\x01\x00") -> None:
        """CB, and its answer 01."""
        self.tcp.send(frame(0xCB, version))
        inbox = Inbox(self.tcp)
        if (answer := inbox.message()) != (0x01, b"OK"):
            raise Unexpected(f"expected 01, got {answer[0]:02X} {answer[1]!r}")
        self.tcp.early = bytes(inbox.buffer)

    def handshake(self) -> None:
        self.tls.handshake()

    def start(self) -> None:
        """Read from here on."""
        self._reader = threading.Thread(target=self.read, name="raw link", daemon=True)
        self._reader.start()

    def introduce(self, port: int | None) -> None:
        """What the dialling side says first."""
        if port is not None:
            self.announce(port)
        self.send(0x90, os.urandom(2))

    @property
    def pings(self) -> int:
        """How many 68 came so far."""
        return [code for code, _ in self.heard].count(0x68)

    @property
    def peer_fingerprint(self) -> bytes:
        """SHA-256 of the other node's key."""
        certificate = self.tls.connection.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        return fingerprint_of(certificate.public_key())

    # -- What is said -------------------------------------------------------------------------------------------

    def send(self, code: int, tail: bytes = b"") -> None:
        self.tls.send(frame(code, tail))

    def announce(self, port: int) -> None:
        self.send(0xA2, struct.pack(">H", port))

    def search(self, uin: int) -> None:
        self.send(0xA5, u32(uin))

    def found_here(self, uin: int) -> None:
        """The answer to a search; unasked, a hint."""
        self.send(0xA8, u32(uin))

    def found_in_cache(self, uin: int, host: str, port: int) -> None:
        self.send(0xA9, found_in_cache(uin, address_bytes(host, port)))

    def call_request(self, caller: int, callee: int) -> None:
        self.send(0xAA, pair(caller, callee))

    def call_ready(self, caller: int, callee: int) -> None:
        self.send(0xAB, pair(caller, callee))

    def no_conversation(self, caller: int, callee: int) -> None:
        """A B8 without the fence that a node sets behind it; `end_conversation` sets one."""
        self.send(0xB8, pair(caller, callee))

    def relayed(self, sender: int, recipient: int, data: bytes) -> None:
        self.send(0xD0, relayed(sender, recipient, data))

    # -- What comes ---------------------------------------------------------------------------------------------

    def expect(self, code: int, tail: bytes | None = None) -> bytes:
        """The next message, housekeeping passed over unless it is what is expected. Gives its tail."""
        got = self._take(lambda message: message[0] not in HOUSEKEEPING or matches(message, code, tail))
        if not matches(got, code, tail):
            raise Unexpected(f"expected {code:02X} {tail!r}, got {got[0]:02X} {got[1]!r}")
        return got[1]

    def sync(self, passing_over: frozenset[int] = HOUSEKEEPING) -> list[Message]:
        """Ping twice, one after the other: everything sent before has been dealt with (as `RawClient.sync`).

        Gives what came and was not expected, housekeeping left out; all of it is read then.
        """
        self.settle()
        with self._came:
            unread, self._unread = self._unread, []
        return [message for message in unread if message[0] not in passing_over]

    def settle(self) -> None:
        """As `sync`, but what came stays to be read."""
        for _ in range(2):
            token = os.urandom(2)
            self.send(0x68, token)
            self._take(lambda message, token=token: message == (0x69, token))  # type: ignore[misc]  # binds the token

    def asked(self, uin: int) -> list[Message]:
        """Search; gives the answers that name this UIN."""
        self.sync()
        self.search(uin)
        return [message for message in self.sync(frozenset()) if self._answers(message, uin)]

    def ended(self) -> list[Message]:
        """Wait until the other node ends this link; gives what came before, housekeeping left out."""
        with self._came:
            assert self._came.wait_for(lambda: self.over, TIMEOUT), "the link was not ended"
            return [message for message in self._unread if message[0] not in HOUSEKEEPING]

    @contextlib.contextmanager
    def unread(self) -> Iterator[None]:
        """Read one more message at most while the block lasts."""
        self._reading.clear()
        try:
            yield
        finally:
            self._reading.set()

    # -- Conversations ------------------------------------------------------------------------------------------

    def stream(self, own: int, other: int) -> RelayedStream:
        """From here on this pair's D0 and B8 belong to a stream."""
        stream = RelayedStream(self, own, other)
        with self._came:
            self._streams[own, other] = stream
            self._every_stream.append(stream)
        return stream

    def conversation(self, who: RawIdentity, other: int, *, caller: bool) -> Conversation:
        """The end-to-end conversation of a user at this end, its handshake still to be done."""
        return Conversation(self.stream(who.uin, other), who, caller=caller)

    def end_conversation(self, stream: RelayedStream) -> None:
        """B8, and the fence behind it, unless it has ended.

        The reading thread answers no 68 in between: the other side would take what it sends next for the next call's.
        """
        with self.tls.sending:
            with self._came:
                lives = self._streams.get((stream.own, stream.other)) is stream
                if lives:
                    del self._streams[stream.own, stream.other]
            stream.end()
            if lives:
                self.no_conversation(stream.own, stream.other)
                self._fence((min(stream.own, stream.other), max(stream.own, stream.other)))

    def unfenced(self, one: int, other: int) -> None:
        """Wait for the end of the fence: until then a node holds back its AA for the pair."""
        of = (min(one, other), max(one, other))
        with self._came:
            assert self._came.wait_for(lambda: of not in self._fenced.values(), TIMEOUT), "no 69 came"

    # -- Life ---------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Send the end of file, and read no more."""
        with contextlib.suppress(OSError):
            self.tcp.socket.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Vanish: the other side meets a reset."""
        linger = struct.pack("ii", 1, 0)
        self.tcp.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        with contextlib.suppress(OSError):
            self.tcp.socket.shutdown(socket.SHUT_RD)  # for the reader; nothing is sent
        self._leave()

    def close(self) -> None:
        """End the connection, and free all that it holds. May be called twice."""
        self.end()
        self._leave()
        for stream in self._every_stream:
            stream.free()
        self._every_stream.clear()

    def _leave(self) -> None:
        if self._reader is not None:
            self._reader.join(TIMEOUT)
        self.tcp.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- Inside -------------------------------------------------------------------------------------------------

    def _take(self, wanted: Callable[[Message], bool]) -> Message:
        deadline = time.monotonic() + TIMEOUT
        with self._came:
            while True:
                for index, message in enumerate(self._unread):
                    if wanted(message):
                        return self._unread.pop(index)
                if self.fault is not None:
                    raise Unexpected(f"on the link: {self.fault}")
                if self.over:
                    raise Closed(f"with {self._unread!r} left over")
                if not self._came.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"nothing came but {self._unread!r}")

    def read(self) -> None:
        """Read to the end of the link."""
        inbox = Inbox(self.tls)
        try:
            while True:
                self.receive(*inbox.message())
                self._reading.wait()
        except (Closed, OSError, SSL.Error):
            pass
        except (Unexpected, ValueError) as fault:
            self.fault = fault
        finally:
            with self._came:
                self.over = True
                for stream in self._streams.values():
                    stream.end()
                self._streams.clear()
                self._came.notify_all()

    def receive(self, code: int, tail: bytes) -> None:
        """One message: given to its stream, answered, or kept to be expected."""
        if code in {0xAA, 0xAB, 0xB8, 0xD0}:
            if the_pair(tail[2:10] if code == 0xD0 else tail) in self._fenced.values():
                return  # of before the fence (D19)
            if code == 0xD0 and self._feed(tail):
                return
        with self._came:
            fenced = code == 0x69 and self._fenced.pop(tail, None) is not None
            self.heard.append((code, tail))
            self._came.notify_all()
        if code == 0x68 and self.pongs:
            self.send(0x69, tail)
        if code == 0x90 and self.lists:
            self.send(0xA4, node_list(*self.known))
        if code == 0xB8:
            self._ended_by(tail)
        if not fenced and not self.script(self, code, tail):
            with self._came:
                self._unread.append((code, tail))
                self._came.notify_all()

    def _feed(self, tail: bytes) -> bool:
        sender, recipient = struct.unpack("<II", tail[2:10])
        stream = self._streams.get((recipient, sender))
        if stream is None:
            return False
        stream.feed(tail[10:])
        return True

    def _ended_by(self, tail: bytes) -> None:
        """A B8 came; it names the pair in either order."""
        one, other = struct.unpack("<II", tail)
        for key in ((one, other), (other, one)):
            with self._came:
                stream = self._streams.pop(key, None)
            if stream is not None:
                stream.end()
                self._fence(the_pair(tail))

    def _fence(self, of: Pair) -> None:
        if self.fences:
            token = os.urandom(2)
            self._fenced[token] = of
            self.send(0x68, token)

    @staticmethod
    def _answers(message: Message, uin: int) -> bool:
        code, tail = message
        return (code == 0xA8 and tail == u32(uin)) or (code == 0xA9 and tail[2:6] == u32(uin))


def matches(message: Message, code: int, tail: bytes | None) -> bool:
    return message[0] == code and tail in {None, message[1]}
