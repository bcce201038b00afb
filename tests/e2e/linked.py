"""A node under test among raw nodes: each test has a node of its own, with empty memory, and closes what it opened."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from e2e.node_harness import PATIENT, NodeThread, config_of, until
from e2e.raw_client import Conversation, RawClient, Stream, Tcp, pair, u32
from e2e.raw_federate import RawFederate
from e2e.raw_identity import RawIdentity, identity, node_identity
from e2e.raw_link import RawLink, RelayedStream, home
from uzel.errors import Reason
from uzel.node.config import Times

ALICE, BOB, CAROL, DAVE = (identity(number) for number in range(2, 6))


OUT, BACK = pair(ALICE.uin, BOB.uin), pair(BOB.uin, ALICE.uin)
"""Where both are met, Alice is our client and Bob behind a link."""


class Linked(contextlib.ExitStack):
    """The world of one test."""

    def __init__(self, folder: Path, template: Path) -> None:
        super().__init__()
        self._folder = folder
        self._state = folder / "state"
        shutil.copytree(template, self._state)
        self.node: NodeThread

    def start(self, *peers: str, **settings: float) -> None:
        """Start the node with these peers and settings; again, with the same folder, after `stop`."""
        times = {name: value for name, value in settings.items() if name in Times.__dataclass_fields__}
        limits = {name: value for name, value in settings.items() if name not in times}
        self.node = NodeThread(config_of(times, limits, peers), self._state)
        self.node.start()
        self.callback(self.node.stop)

    def stop(self) -> None:
        self.node.stop()

    def client(self, who: RawIdentity) -> RawClient:
        """A client that has done nothing yet."""
        return self.enter_context(RawClient(who, self.node.address))

    def login(self, who: RawIdentity) -> RawClient:
        return self.client(who).login()

    def federate(
        self,
        number: int,
        users: Iterable[RawIdentity] = (),
        talk: Callable[[Conversation], None] | None = None,
        *,
        port: int = 0,
        at: str = "",
    ) -> RawFederate:
        """The raw node with this number, listening."""
        return self.enter_context(RawFederate(node_identity(number), at or home(number), users, talk, port))

    def dial(self, number: int) -> RawLink:
        """A link from the raw node with this number, which nobody could dial: it announces nothing."""
        link = RawLink.dial(self.node.address, node_identity(number), home(number))
        self.enter_context(link)
        link.sync()
        return link

    def proven(self, number: int, users: Iterable[RawIdentity] = ()) -> tuple[RawFederate, RawLink]:
        """A raw node that has dialled, announced its port, and was met there: others may be told of it."""
        federate = self.federate(number, users)
        link = federate.dial(self.node.address)
        federate.wait(lambda: federate.met == 1 and federate.links[-1].over, "the announced port was not met")
        link.sync()
        return federate, link

    def count(self, reason: Reason) -> int:
        return self.node.count(reason)

    def counted(self, reason: Reason, times: int = 1) -> None:
        """Wait until the node has counted and logged it so often."""
        until(f"{reason} × {times}", lambda: self.count(reason) >= times and self.node.log.reasons[reason] >= times)

    def counts(self) -> dict[str, int]:
        return self.node.footprint()


def known_at(link: RawLink, uin: int) -> None:
    """Have the node know, by a hint, that this user is at the other end of this link."""
    link.found_here(uin)
    link.sync()


def called_out(caller: RawClient, callee: int, link: RawLink) -> None:
    """Our client calls somebody who is known to be behind this link: up to the AA."""
    known_at(link, callee)
    caller.call(callee)
    link.expect(0xAA, pair(caller.uin, callee))


def connected_out(caller: RawClient, callee: int, link: RawLink) -> tuple[Tcp, RelayedStream]:
    """A whole call of our client to somebody behind this link: its data connection, and the other end."""
    called_out(caller, callee, link)
    stream = link.stream(callee, caller.uin)
    link.call_ready(caller.uin, callee)
    caller.expect(0x07, u32(callee))
    data = caller.data(caller.uin, callee)
    meet(data, stream)
    time.sleep(2 * PATIENT["location_short"])  # so that its end casts no doubt on the location (D20)
    return data, stream


def called_in(link: RawLink, caller: int, callee: RawClient) -> None:
    """Somebody behind this link calls our client: up to the 04."""
    link.unfenced(caller, callee.uin)
    link.call_request(caller, callee.uin)
    callee.expect(0x04, u32(caller))


def connected_in(link: RawLink, caller: int, callee: RawClient) -> tuple[RelayedStream, Tcp]:
    """A whole call to our client: the caller's end behind the link, and our client's data connection."""
    called_in(link, caller, callee)
    callee.accept(caller)
    data = callee.data(caller, callee.uin)
    link.expect(0xAB, pair(caller, callee.uin))
    stream = link.stream(caller, callee.uin)
    meet(data, stream)
    return stream, data


def meet(data: Tcp, stream: RelayedStream) -> None:
    """Bytes go both ways."""
    data.send(b"there")
    assert stream.receive() == b"there"
    stream.send(b"and back")
    assert data.receive() == b"and back"


def addresses(tail: bytes) -> set[bytes]:
    """The addresses of an A4, each as it was written."""
    count, at, found = int.from_bytes(tail[:2], "little"), 2, set()
    for _ in range(count):
        length = {0xA0: 7, 0xA1: 19, 0xA2: 4 + tail[at + 1]}[tail[at]]
        found.add(tail[at : at + length])
        at += length
    assert at == len(tail)
    assert len(found) == count, "an address twice"
    return found


def listed(link: RawLink) -> set[bytes]:
    """What the node answers to a 90."""
    link.sync(frozenset())
    link.send(0x90, b"rr")
    return addresses(link.expect(0xA4))


def all_of(stream: Stream, size: int) -> bytes:
    """So many bytes, however they come."""
    received = bytearray()
    while len(received) < size:
        data = stream.receive()
        assert data, f"the end after {len(received)} of {size} bytes"
        received += data
    return bytes(received)


def ended_with_a_fence(link: RawLink) -> None:
    """B8 for Alice and Bob, and the 68 behind it."""
    assert link.expect(0xB8) in {OUT, BACK}
    link.expect(0x68)


def reference(federate: RawFederate, written: str = "") -> str:
    """HOST:PORT, as an operator names it."""
    name = written or federate.host
    return f"[{name}]:{federate.port}" if ":" in name else f"{name}:{federate.port}"
