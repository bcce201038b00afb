"""Addresses of all ranges between nodes that lie (D22): what is dialled, and who is told.

On one machine every node is on loopback, so here the switchboard itself is given links from any network: what they say
is written by the raw node and read by the framer, and the dials are counted over minutes of a clock of its own.
"""

from __future__ import annotations

import struct
from collections import Counter

import pytest

from e2e.raw_client import frame, u32
from e2e.raw_link import address_bytes, found_in_cache, node_list
from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress, NodeReference, Range, range_of
from uzel.node.effects import Close, Dial, LinkOutput, Remember, Send, StopDial
from uzel.node.settings import SwitchboardSettings
from uzel.node.switchboard import Switchboard
from uzel.wire import Call, Channel, Framer, Message, NodeList, NodeListRequest, Search, encode

PUBLIC, PUBLIC_2, PUBLIC_6 = "198.51.100.7", "203.0.113.9", "2001:db8::7"
PRIVATE, PRIVATE_6, SHARED = "192.168.1.20", "fd00::20", "100.64.3.4"
NEAR, NEAR_6 = "169.254.7.7", "fe80::7"
LOOPBACK, LOOPBACK_6 = "127.0.0.1", "::1"
NOWHERE = ("0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "240.0.0.1", "::", "ff02::1")
HIDDEN = (PRIVATE, PRIVATE_6, SHARED, NEAR, NEAR_6, LOOPBACK, LOOPBACK_6)
HIDDEN_4 = (LOOPBACK, PRIVATE, NEAR, "0.0.0.0")
CLIENT = 10
PORT = 8935


def key(number: int) -> Fingerprint:
    return Fingerprint(number.to_bytes(32, "big"))


class Node:
    """A switchboard whose dials all fail, unless somebody is `there`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.board = Switchboard(SwitchboardSettings(), key(0), tokens=lambda: b"tt", chance=lambda: 0.5)
        self.board.listening(PORT)
        self.dials: list[Dial] = []
        self.there: dict[NodeAddress, tuple[Fingerprint, str]] = {}
        self.output: dict[int, list[Message]] = {}
        self.closed: dict[int, Reason | None] = {}
        self.sent: list[Message] = []
        self.remembered: list[NodeAddress] = []
        self._connections = 1000
        self._accepted: list[int] = []

    def accept(self, number: int, host: str) -> int:
        """A link from this IP address, of the node with this number."""
        self._connections += 1
        self._accepted.append(self._connections)
        self.board.link_accepted(self._connections, host, key(number), self.now)
        self.says(self._connections, frame(0x90, b"rr"))
        return self._connections

    def says(self, link: int, data: bytes) -> None:
        """These bytes come on the link."""
        framer = Framer(Channel.LINK)
        for message in framer.feed(data):
            self.board.link_message(link, message, self.now)
        assert framer.fault is None
        self.run()

    def calls(self, uin: int) -> None:
        """Our one client calls."""
        if CLIENT not in self.output:
            self.board.client_online(CLIENT, CLIENT, "10.0.0.1", self.now)
            self.output[CLIENT] = []
        self.board.client_message(CLIENT, Call(uin), self.now)
        self.run()

    def wait(self, seconds: float) -> None:
        """Let time pass; the links live."""
        until = self.now + seconds
        while (due := self.board.deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            for link in self._accepted:
                self.board.link_heard(link, self.now)
            self.board.on_timeout(self.now)
            self.run()
        self.now = until

    def run(self) -> None:
        """Carry out what the switchboard wants."""
        while effects := self.board.take_effects():
            for effect in effects:
                match effect:
                    case Dial():
                        self.dials.append(effect)
                        self._dialled(effect)
                    case LinkOutput(connection=connection):
                        while (message := self.board.link_output(connection, self.now)) is not None:
                            self.output.setdefault(connection, []).append(message)
                    case Close(connection=connection, reason=reason):
                        self.closed[connection] = reason
                    case Send(message=message):
                        self.sent.append(message)
                    case Remember(address=address):
                        self.remembered.append(address)
                    case StopDial():
                        raise AssertionError("a dial that was over")

    def _dialled(self, dial: Dial) -> None:
        here = self.there.get(dial.address)
        if here is None or range_of(here[1]) not in dial.ranges:
            reason = Reason.NODE_UNREACHABLE if here is None else Reason.RANGE_REFUSED
            self.board.dial_failed(dial.dial, reason, self.now)
            return
        self._connections += 1
        self.board.link_dialled(self._connections, dial.dial, here[1], here[0], self.now)

    def told(self, link: int) -> set[str]:
        """The hosts in the answer to a 90 on this link."""
        before = len(self.output.get(link, []))
        self.says(link, frame(0x90, b"rr"))
        lists = [each for each in self.output[link][before:] if isinstance(each, NodeList)]
        assert len(lists) == 1
        assert encode(lists[0])
        return {address.host for address in lists[0].addresses}

    @property
    def dialled(self) -> set[str]:
        return {dial.address.host for dial in self.dials}


def lists(*hosts: str) -> bytes:
    return frame(0xA4, node_list(*(address_bytes(host, PORT) for host in hosts)))


@pytest.mark.parametrize("giver", [PUBLIC, PUBLIC_6])
def test_a_public_node_names_nobodys_neighbours(giver: str) -> None:
    """Of all that it tells only public addresses are ever dialled, not one of them in vain for others."""
    node = Node()
    node.says(node.accept(1, giver), lists(*HIDDEN, *NOWHERE, PUBLIC_2))
    node.wait(600)
    assert node.dialled == {PUBLIC_2}


@pytest.mark.parametrize(
    ("giver", "counts"),
    [
        (PRIVATE, {PRIVATE, PRIVATE_6, SHARED, PUBLIC_2}),
        (NEAR, {NEAR, NEAR_6, PUBLIC_2}),
        (LOOPBACK, {LOOPBACK, LOOPBACK_6, PUBLIC_2}),
        (LOOPBACK_6, {LOOPBACK, LOOPBACK_6, PUBLIC_2}),
    ],
)
def test_a_range_counts_only_from_itself(giver: str, counts: set[str]) -> None:
    node = Node()
    node.says(node.accept(1, giver), lists(*HIDDEN, *NOWHERE, PUBLIC_2))
    node.wait(600)
    assert node.dialled == counts


@pytest.mark.parametrize("hidden", HIDDEN + NOWHERE)
def test_an_answer_does_not_send_us_there_either(hidden: str) -> None:
    """A9: the search goes on as if nobody had answered, and the caller gets its 05."""
    node = Node()
    link = node.accept(1, PUBLIC)
    node.calls(77)
    node.wait(0.5)
    assert Search(77) in node.output[link]
    node.says(link, frame(0xA9, found_in_cache(77, address_bytes(hidden, PORT))))
    node.wait(10)
    assert node.dials == []
    assert len(node.sent) == 1


def test_a_mapped_address_is_no_way_around() -> None:
    node = Node()
    mapped = [b"\xa1" + bytes(10) + b"\xff\xff" + address_bytes(host, PORT)[1:] for host in HIDDEN_4]
    node.says(node.accept(1, PUBLIC), frame(0xA4, node_list(*mapped)))
    node.wait(600)
    assert node.dials == []


@pytest.mark.parametrize("name", ["127.1", "0x7f000001", "2130706433", "localhost.0x7f"])
def test_a_name_that_reads_as_an_address_is_none(name: str) -> None:
    node = Node()
    written = b"\xa2" + bytes((len(name),)) + name.encode() + struct.pack(">H", PORT)
    node.says(node.accept(1, PUBLIC), frame(0xA4, node_list(written)))
    node.wait(600)
    assert node.dials == []


def test_a_name_is_dialled_in_its_givers_ranges_alone() -> None:
    """Whatever it resolves to: a public node's names never lead to a neighbour."""
    node = Node()
    node.there[NodeAddress("node.example", PORT)] = (key(5), PRIVATE)
    public, private = node.accept(1, PUBLIC), node.accept(2, PRIVATE)
    node.says(public, lists("node.example"))
    node.says(private, lists("other.example"))
    node.wait(600)
    ranges = {dial.address.host: dial.ranges for dial in node.dials}
    assert ranges == {
        "node.example": frozenset({Range.PUBLIC}),
        "other.example": frozenset({Range.PUBLIC, Range.PRIVATE}),
    }
    assert node.told(public) == node.told(private) == set()


def met(node: Node, number: int, host: str, name: str = "") -> None:
    """A node that was dialled there, as configured."""
    address = NodeAddress(name or host, PORT)
    node.there[address] = (key(number), host)
    node.board.configure(NodeReference(address), None, node.now)
    node.run()


def test_what_is_not_public_is_told_only_there() -> None:
    node = Node()
    for number, host in enumerate((PUBLIC_2, PRIVATE, NEAR, LOOPBACK), 10):
        met(node, number, host)
    met(node, 20, PRIVATE_6, "inside.example")
    met(node, 21, PUBLIC_6, "outside.example")
    everybody = {PUBLIC_2, "outside.example"}
    assert node.told(node.accept(1, PUBLIC)) == everybody
    assert node.told(node.accept(2, "10.9.9.9")) == everybody | {PRIVATE, "inside.example"}
    assert node.told(node.accept(3, "169.254.1.1")) == everybody | {NEAR}
    assert node.told(node.accept(4, "127.0.0.9")) == everybody | {LOOPBACK}


def test_a_list_is_bounded_and_random() -> None:
    """At most 512 addresses for a node; 64 for a client (D4)."""
    node = Node()
    asker = node.accept(1, PUBLIC)
    for number in range(600):
        met(node, 10 + number, f"198.{number // 250}.{number % 250}.1")
    assert len(node.told(asker)) == 512
    node.calls(1)
    node.board.client_message(CLIENT, NodeListRequest(b"rr"), node.now)
    node.run()
    told = [each for each in node.sent if isinstance(each, NodeList)]
    assert [len(each.addresses) for each in told] == [64]


def test_an_announcement_counts_in_its_own_range() -> None:
    """It names the address that it came from: nobody's neighbours but its own."""
    node = Node()
    for number, host in enumerate((PUBLIC, PRIVATE, LOOPBACK), 1):
        node.there[NodeAddress(host, 4000)] = (key(number), host)
        node.says(node.accept(number, host), frame(0xA2, struct.pack(">H", 4000)))
    node.wait(60)
    assert node.dialled == {PUBLIC, PRIVATE, LOOPBACK}
    assert node.told(node.accept(4, PUBLIC_2)) == {PUBLIC}
    assert node.told(node.accept(5, SHARED)) == {PUBLIC, PRIVATE}


def test_nobody_is_scanned_on_one_nodes_word() -> None:
    """65,532 addresses: five dials a minute, each address three times at most, none of them near us."""
    node = Node()
    link = node.accept(1, PUBLIC)
    hosts = (b"\xa0" + struct.pack(">IH", 0xCB007100 + number // 250, 1000 + number % 250) for number in range(65532))
    node.says(link, frame(0xA4, struct.pack("<H", 65532) + b"".join(hosts)))
    node.wait(600)
    assert len(node.dials) <= 10 * 5 + 5
    assert max(Counter(dial.address for dial in node.dials).values()) <= 3
    assert node.board.counts()["known_nodes"] <= 4096


def test_nobody_is_flooded_by_many_nodes_word() -> None:
    """Five hundred nodes name one host, each another port: one dial a second in all."""
    node = Node()
    for number in range(1, 501):
        link = node.accept(number, f"198.51.{100 + number // 250}.{number % 250}")
        told = (address_bytes(PUBLIC_2, 1000 + 50 * number + offset) for offset in range(50))
        node.says(link, frame(0xA4, node_list(*told)))
    node.wait(120)
    assert len(node.dials) <= 120 + 2


def test_searches_do_not_pay_for_a_flood() -> None:
    """A node that answers every search with another address has us dial as little as with a list."""
    node = Node()
    link = node.accept(1, PUBLIC)
    for number in range(200):
        node.calls(1000 + number)
        node.wait(0.3)
        node.says(link, frame(0xA9, found_in_cache(1000 + number, address_bytes(PUBLIC_2, 1000 + number))))
    assert node.now <= 61
    assert 1 <= len(node.dials) <= 5 + 5


def test_a_hint_dials_nobody() -> None:
    node = Node()
    link = node.accept(1, PUBLIC)
    node.says(link, b"".join(frame(0xA8, u32(uin)) for uin in range(1, 5000)))
    node.wait(600)
    assert node.dials == []
