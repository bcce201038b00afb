"""Bad input between nodes: addresses of nobody, of oneself and of third parties, whose knocks are counted.

Where a public node names addresses of private networks cannot be shown on loopback alone: that is
`test_links_ranges.py` and the tests in network namespaces.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

from e2e.linked import ALICE, called_out, known_at
from e2e.raw_client import (
    u32,
)
from e2e.raw_identity import node_identity
from e2e.raw_link import RawLink, address_bytes, found_in_cache, home
from e2e.stage import CaseTable, Scene
from uzel.errors import Reason

CASES = CaseTable()


# -- Addresses that are none --------------------------------------------------------------------------------------


def sent_to(address: bytes) -> Callable[[Scene], None]:
    """An A9 sends a call there: 05 in the end, and the next call is served."""

    def run(scene: Scene) -> None:
        alice, teller = scene.login(ALICE), scene.link(1)
        alice.call(scene.bob)
        teller.expect(0xA5, u32(scene.bob))
        own = address or address_bytes(*scene.node.address)
        teller.send(0xA9, found_in_cache(scene.bob, own))
        alice.expect(0x05, u32(scene.bob))
        called_out(alice, scene.bob, teller)

    return run


def free_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


NOWHERE = {
    "of the node itself": (b"", [Reason.OWN_ADDRESS]),
    "of nobody": (address_bytes("127.0.60.1", free_port()), [Reason.NODE_UNREACHABLE]),
    "of a name that nobody has": (address_bytes("nobody.invalid", 8935), [Reason.NAME_UNKNOWN]),
    "of port 0": (address_bytes("127.0.60.1", 0), []),
    "of port 65535": (address_bytes("127.0.60.1", 65535), []),
    "of no host": (address_bytes("0.0.0.0", 8935), []),
    "of every host": (address_bytes("255.255.255.255", 8935), []),
    "of many hosts": (address_bytes("224.0.0.1", 8935), []),
    "of many IPv6 hosts": (address_bytes("ff02::1", 8935), []),
    "of another network": (address_bytes("10.0.0.1", 8935), []),
    "of the link alone": (address_bytes("169.254.0.1", 8935), []),
    "of another IPv6 network": (address_bytes("fd00::1", 8935), []),
    "that reads as an IPv4 address in hexadecimal": (b"\xa2\x0a0x7f000001\x22\xe7", []),
}
for _name, (_address, _reasons) in NOWHERE.items():
    CASES.add(f"A9 with an address {_name}", sent_to(_address), *_reasons, node="links quick")


@CASES.case(Reason.HANDSHAKE_TIMEOUT, node="links quick")
def an_a9_with_the_address_of_a_port_that_never_answers(scene: Scene) -> None:
    with victim("127.0.61.1") as mute:
        sent_to(address_bytes(*mute.address))(scene)
        assert mute.count == 1


class Victim:
    """Somebody who has nothing to do with all this, and counts who knocks. Answers nothing."""

    def __init__(self, host: str) -> None:
        self.listener = socket.create_server((host, 0), backlog=512)
        self.address = self.listener.getsockname()[:2]
        self.count = 0
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._held.append(self.listener.accept()[0])
                self.count += 1

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for each in (self.listener, *self._held):
            each.close()


@contextlib.contextmanager
def victim(host: str) -> Iterator[Victim]:
    made = Victim(host)
    try:
        yield made
    finally:
        made.close()


GIVEN_DIALS = 5
"""On one giver's word, in a minute (D22)."""


def everywhere(port: int, count: int) -> bytes:
    """The tail of an A4 that names so many addresses of this whole machine, all with this port."""
    hosts = (struct.pack(">I", 0x7F400000 + number) for number in range(1, count + 1))
    return struct.pack("<H", count) + b"".join(b"\xa0" + each + struct.pack(">H", port) for each in hosts)


@CASES.case(node="links careful")
def a_list_of_65532_lies(scene: Scene) -> None:
    """It is read, bounded, and hardly dialled: nobody is scanned on one node's word."""
    with victim("0.0.0.0") as scanned:
        link = scene.link(1)
        link.send(0xA4, everywhere(scanned.address[1], 65532))
        assert link.sync() == []
        assert scene.node.footprint()["known_nodes"] <= scene.known_before + 100
        time.sleep(1.0)  # to be scanned in
        assert scanned.count <= GIVEN_DIALS
        assert link.sync() == []


@CASES.case(node="links careful")
def lists_of_lies_from_many_nodes(scene: Scene) -> None:
    """Who makes many keys is held by the bound for all: one dial a second."""
    with victim("0.0.0.0") as scanned:
        links = [scene.link(number) for number in range(10, 30)]
        began = time.monotonic()
        for link in links:
            link.send(0xA4, everywhere(scanned.address[1], 1000))
        for link in links:
            assert link.sync() == []
        time.sleep(1.0)  # to be scanned in
        assert scanned.count <= 2 + time.monotonic() - began


@CASES.case(node="links on one word")
def answers_that_send_calls_to_a_third_party(scene: Scene) -> None:
    """One dial for each A9, and only within the budgets."""
    with victim("0.0.0.0") as flooded:
        alice, link = scene.login(ALICE), scene.link(1)
        for number in range(1, 11):
            alice.call(1000 + number)
            link.expect(0xA5, u32(1000 + number))
            for host in range(20):
                link.found_in_cache(1000 + number, f"127.70.{number}.{host}", flooded.address[1])
        for _ in range(1, 11):
            alice.expect(0x05)
        assert flooded.count <= GIVEN_DIALS


@CASES.case(node="links careful")
def announcements_that_send_dial_backs_to_a_third_party(scene: Scene) -> None:
    """A link opened again and again, each time with another port."""
    hosts = [victim(home(1)) for _ in range(12)]
    with contextlib.ExitStack() as stack:
        victims = [stack.enter_context(each) for each in hosts]
        for each in victims:
            with RawLink.dial(scene.node.address, node_identity(1), home(1), announce=each.address[1]) as link:
                link.sync()
        time.sleep(0.5)  # to be dialled in
        assert sum(each.count for each in victims) <= GIVEN_DIALS


@CASES.case(node="links")
def somebody_elses_port_announced(scene: Scene) -> None:
    """The dial-back meets the true node; the liar's users are not told to be there."""
    honest = scene.federate(1)
    liar = scene.keep(RawLink.dial(scene.node.address, node_identity(2), honest.host, announce=honest.port))
    honest.wait(lambda: honest.met == 1, "no dial-back")
    known_at(liar, scene.bob)
    assert scene.link(3).asked(scene.bob) == []


@CASES.case(Reason.ANNOUNCEMENT_IGNORED, node="links")
def ports_announced_that_are_none(scene: Scene) -> None:
    link = scene.link(1)
    for port in (0, 65535, 1, 2):
        link.announce(port)
    assert link.sync() == []
