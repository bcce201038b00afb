"""Bad input between nodes (issue 3): what is no message, false addresses, floods, false answers, and links that vanish.

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
from itertools import product

from OpenSSL import SSL

from e2e.linked import called_in, called_out, connected_in, connected_out, known_at, meet
from e2e.raw_client import (
    VALID_TAILS,
    Closed,
    Conversation,
    RawClient,
    Tcp,
    Tls,
    context,
    frame,
    handshake_together,
    pair,
    u32,
)
from e2e.raw_identity import RawIdentity, identity, lying, node_identity, p384_identity, rsa_identity
from e2e.raw_link import RawFederate, RawLink, address_bytes, found_in_cache, node_list, relayed
from e2e.stage import CaseTable, Scene, ended, home
from uzel.errors import Reason

CASES = CaseTable()
ALICE, CAROL = identity(2), identity(3)
"""Our clients. Bob and Dave, who live behind links, are others in each scene."""
CODES_OF_LINKS = (0x68, 0x69, 0x90, 0xA2, 0xA4, 0xA5, 0xA8, 0xA9, 0xAA, 0xAB, 0xB8, 0xD0)


# -- What is no message of a link ---------------------------------------------------------------------------------


def says(data: bytes) -> Callable[[Scene], None]:
    """A node says this: its link ends, unanswered; its conversation with it, and nothing else."""

    def run(scene: Scene) -> None:
        alice, carol = scene.login(ALICE), scene.login(CAROL)
        link, other = scene.link(1), scene.link(2)
        lost, _ = connected_out(alice, scene.bob, link)
        lives, stream = connected_out(carol, scene.dave, other)
        link.tls.send(data)
        assert link.ended() == []
        assert ended(lost) == b""
        meet(lives, stream)
        assert alice.sync() == carol.sync() == other.sync() == []

    return run


def says_first(data: bytes) -> Callable[[Scene], None]:
    """A node says this before anything else."""

    def run(scene: Scene) -> None:
        link = scene.keep(RawLink.prepared(scene.node.address, node_identity(1), home(1)))
        link.start()
        link.tls.send(data)
        assert link.ended() == []

    return run


def name_of(length: int) -> bytes:
    """An address A2 with a name of so many bytes."""
    return b"\xa2" + bytes((length,)) + b"n" * length + b"\x22\xe7"


def a9(address: bytes, size: int | None = None) -> bytes:
    tail = found_in_cache(7, address)
    return frame(0xA9, tail if size is None else struct.pack("<H", size) + tail[2:])


IPV4, IPV6 = address_bytes("127.0.0.1", 8935), address_bytes("::1", 8935)
BAD_MESSAGES = {
    "unequal header": (b"\xa5\xa6" + u32(7), Reason.UNEQUAL_HEADER),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", Reason.UNEQUAL_HEADER),
    "unknown code": (b"\x77\x77" + u32(7), Reason.UNKNOWN_CODE),
    "good, then bad in one record": (frame(0x69, b"rr") + b"\xa5\xa6", Reason.UNEQUAL_HEADER),
    "D0 of size 0": (frame(0xD0, struct.pack("<H", 0)), Reason.SIZE_OUT_OF_RANGE),
    "D0 of size 7": (frame(0xD0, struct.pack("<H", 7) + bytes(7)), Reason.SIZE_OUT_OF_RANGE),
    "D0 of size 65533": (frame(0xD0, struct.pack("<H", 65533)), Reason.SIZE_OUT_OF_RANGE),
    "D0 of size 65535": (frame(0xD0, b"\xff\xff"), Reason.SIZE_OUT_OF_RANGE),
    "A4 of 65533 addresses": (frame(0xA4, struct.pack("<H", 65533)), Reason.SIZE_OUT_OF_RANGE),
    "A4 with an unknown address type": (frame(0xA4, node_list(b"\xa3" + IPV4[1:])), Reason.ADDRESS_MALFORMED),
    "A4 with a name of 0 bytes": (frame(0xA4, node_list(IPV4, name_of(0))), Reason.SIZE_OUT_OF_RANGE),
    "A4 with a name of 254 bytes": (frame(0xA4, node_list(IPV6, name_of(254))), Reason.SIZE_OUT_OF_RANGE),
    "A4 with a name with a zero in it": (
        frame(0xA4, node_list(b"\xa2\x03a\x00b\x22\xe7")),
        Reason.ADDRESS_MALFORMED,
    ),
    "A9 of size 0": (a9(IPV4, 0), Reason.SIZE_OUT_OF_RANGE),
    "A9 of size 8": (a9(IPV4, 8), Reason.SIZE_OUT_OF_RANGE),
    "A9 one too short": (a9(IPV4, 12), Reason.SIZE_OUT_OF_RANGE),
    "A9 one too long": (a9(IPV4, 14), Reason.SIZE_OUT_OF_RANGE),
    "A9 with the other type's size": (a9(IPV4, 25), Reason.SIZE_OUT_OF_RANGE),
    "A9 of size 264": (a9(name_of(253), 264), Reason.SIZE_OUT_OF_RANGE),
    "A9 with an unknown address type": (a9(b"\x00" + IPV4[1:]), Reason.ADDRESS_MALFORMED),
    "A9 with a name of 0 bytes": (a9(name_of(0), 10), Reason.SIZE_OUT_OF_RANGE),
    "A9 with a name of 254 bytes": (a9(name_of(254), 263), Reason.SIZE_OUT_OF_RANGE),
    "A9 with a name with a slash in it": (a9(b"\xa2\x03a/b\x22\xe7"), Reason.ADDRESS_MALFORMED),
}
for _name, (_data, _reason) in BAD_MESSAGES.items():
    CASES.add(f"link: {_name}", says(_data), _reason, node="links")
    CASES.add(f"link, first: {_name}", says_first(_data), _reason, node="links")
for _code in VALID_TAILS:
    if _code not in CODES_OF_LINKS:
        _bytes = frame(_code, VALID_TAILS[_code])
        CASES.add(f"link: {_code:02X}", says(_bytes), Reason.MISPLACED_MESSAGE, node="links")
        CASES.add(f"link, first: {_code:02X}", says_first(_bytes), Reason.MISPLACED_MESSAGE, node="links")


@CASES.case(Reason.TRUNCATED_MESSAGE, node="links")
def a_message_cut_short(scene: Scene) -> None:
    """No partial message is acted on."""
    alice = scene.login(ALICE)
    for message in (frame(0xAA, pair(scene.bob, ALICE.uin)), a9(IPV4), frame(0xA4, node_list(IPV4, IPV6))):
        link = scene.link(1)
        link.tls.send(message[:-1])
        link.tcp.end()
        assert link.ended() == []
    assert alice.sync() == []


@CASES.case(Reason.SILENCE, node="links silent")
def half_a_message_and_then_silence(scene: Scene) -> None:
    link = scene.link(1)
    link.pongs = link.lists = False
    link.tls.send(frame(0xD0, b"\xff\x00" + pair(7, 8)))
    assert link.ended() == []


@CASES.case(Reason.LINK_UNUSED, node="links quick")
def half_a_first_message_and_then_silence(scene: Scene) -> None:
    link = scene.keep(RawLink.prepared(scene.node.address, node_identity(1), home(1)))
    link.start()
    link.tls.send(frame(0xD0, b"\xff\x00" + pair(7, 8)))
    assert link.ended() == []


@CASES.case(node="links")
def garbage_inside_established_tls_of_a_link(scene: Scene) -> None:
    link = scene.link(1)
    link.tcp.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)  # a record that does not decrypt
    assert link.ended() == []


# -- Set-up -------------------------------------------------------------------------------------------------------


def greeted(scene: Scene, who: RawIdentity, tls_context: SSL.Context | None = None) -> RawLink:
    link = scene.keep(RawLink(Tcp(scene.node.address, home(1)), who, dialled=True, tls_context=tls_context))
    link.hello()
    return link


@CASES.case(Reason.TLS_FAILED, node="links")
def no_tls_behind_a_nodes_hello(scene: Scene) -> None:
    link = greeted(scene, node_identity(1))
    link.tcp.send(b"\x00" * 300)
    ended(link.tcp)


@CASES.case(Reason.TLS_FAILED, node="links")
def messages_without_tls(scene: Scene) -> None:
    link = greeted(scene, node_identity(1))
    link.tcp.send(frame(0x90, b"rr") + frame(0xA5, u32(7)) * 10)
    ended(link.tcp)


@CASES.case(Reason.TLS_VERSION, node="links")
def tls_1_2_on_a_link(scene: Scene) -> None:
    old = context(node_identity(1), server=True, max_version=SSL.TLS1_2_VERSION)
    link = greeted(scene, node_identity(1), old)
    with contextlib.suppress(SSL.Error):
        link.handshake()
        raise AssertionError("TLS 1.2 was taken")
    ended(link.tcp)


@CASES.case(Reason.HALF_OPEN_ADDRESS_FULL, node="links")
def hundreds_of_nodes_that_never_finish(scene: Scene) -> None:
    """They take one another's places, and nobody else's."""
    link = scene.link(1)
    for _ in range(300):
        scene.tcp(source="127.0.0.9").send(frame(0xCB, b"\x01\x00"))
    scene.until("half_open", 256)
    assert link.sync() == []
    assert scene.link(2).sync() == []


@CASES.case(Reason.HANDSHAKE_TIMEOUT, node="links quick")
def no_server_hello_on_a_link(scene: Scene) -> None:
    assert ended(greeted(scene, node_identity(1)).tcp) != b""


def shows(who: Callable[[], RawIdentity]) -> Callable[[Scene], None]:
    """A node shows this certificate: nothing is answered inside TLS."""

    def run(scene: Scene) -> None:
        link = greeted(scene, who())
        link.handshake()
        link.start()
        with contextlib.suppress(Closed):
            link.introduce(None)
        assert link.ended() == []
        assert link.heard == []

    return run


CASES.add("a node with an RSA key", shows(rsa_identity), Reason.CERTIFICATE_KEY_TYPE, node="links")
CASES.add("a node with a P-384 key", shows(p384_identity), Reason.CERTIFICATE_KEY_TYPE, node="links")


# -- A node that is dialled, and is none --------------------------------------------------------------------------


def dialled(spoil: Callable[[RawFederate], None]) -> Callable[[Scene], None]:
    """The node is told this address, dials it three times, and forgets it."""

    def run(scene: Scene) -> None:
        federate = scene.federate(1)
        spoil(federate)
        scene.link(2).send(0xA4, node_list(address_bytes(federate.host, federate.port)))
        federate.wait(lambda: federate.dialled_by >= 3, "not dialled")
        scene.until("known_nodes", scene.known_before)
        assert federate.accepted == []

    return run


def answering(code: int, tail: bytes) -> Callable[[RawFederate], None]:
    def spoil(federate: RawFederate) -> None:
        federate.answer = (code, tail)

    return spoil


def stalling(where: str) -> Callable[[RawFederate], None]:
    def spoil(federate: RawFederate) -> None:
        federate.stall = where

    return spoil


def being(who: Callable[[], RawIdentity | None]) -> Callable[[RawFederate], None]:
    def spoil(federate: RawFederate) -> None:
        federate.tls_context = context(who(), server=False)

    return spoil


def old_tls(federate: RawFederate) -> None:
    federate.tls_context = context(federate.identity, server=False, max_version=SSL.TLS1_2_VERSION)


NO_NODES: dict[str, tuple[Callable[[RawFederate], None], Reason]] = {
    "01 with other bytes": (answering(0x01, b"NO"), Reason.ACCEPTED_MALFORMED),
    "another version": (answering(0x02, b"\x02\x00"), Reason.VERSION_MISMATCH),
    "another minor, twice": (answering(0x02, b"\x01\x07"), Reason.VERSION_MISMATCH),
    "a hello": (answering(0xCB, b"\x01\x00"), Reason.MISPLACED_MESSAGE),
    "an unknown code": (answering(0x11, b""), Reason.UNKNOWN_CODE),
    "an unequal header": (answering(-1, b"HTTP/1.1 400"), Reason.UNEQUAL_HEADER),
    "nothing but the end": (answering(-1, b""), Reason.CONNECTION_LOST),
    "half an answer": (answering(-1, b"\x01\x01O"), Reason.TRUNCATED_MESSAGE),
    "garbage instead of TLS": (answering(-1, frame(0x01, b"OK") + bytes(300)), Reason.TLS_FAILED),
    "the end instead of TLS": (answering(-1, frame(0x01, b"OK")), Reason.CONNECTION_LOST),
    "an RSA key": (being(rsa_identity), Reason.CERTIFICATE_KEY_TYPE),
    "no certificate": (being(lambda: None), Reason.CERTIFICATE_MISSING),
    "TLS 1.2": (old_tls, Reason.TLS_VERSION),
}
for _name, (_spoil, _reason) in NO_NODES.items():
    CASES.add(f"dialled: {_name}", dialled(_spoil), _reason, node="links")
for _where in ("hello", "tls"):
    CASES.add(
        f"dialled: no answer to {_where}", dialled(stalling(_where)), Reason.HANDSHAKE_TIMEOUT, node="links quick"
    )


@CASES.case(Reason.SIZE_OUT_OF_RANGE, node="links")
def a_dialled_node_that_talks_nonsense(scene: Scene) -> None:
    """It was a node until then; the link ends, and nobody dials it for no reason."""
    federate = scene.federate(1)
    alice = scene.login(ALICE)
    named(scene, alice, federate).send(0xD0, b"\x07\x00")
    assert {code for code, _ in federate.link().ended()} <= {0xAA}
    alice.tcp.close()


def named(scene: Scene, caller: RawClient, federate: RawFederate) -> RawLink:
    """Our client calls somebody whom an A9 sends it to this node for: the link that comes of it."""
    teller = scene.link(9)
    caller.call(scene.dave)
    teller.expect(0xA5)
    teller.found_in_cache(scene.dave, federate.host, federate.port)
    return federate.link()


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


@CASES.case(node="links careful")
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


# -- Floods -------------------------------------------------------------------------------------------------------


@CASES.case(Reason.SEARCH_RATE, node="link searches")
def a_flood_of_searches(scene: Scene) -> None:
    """Beyond the rate they are ignored; other nodes are answered."""
    scene.login(ALICE)
    flood, other = scene.link(1), scene.link(2)
    flood.tls.send(frame(0xA5, u32(ALICE.uin)) * 20_000)
    answers = flood.sync(frozenset())
    assert answers.count((0xA8, u32(ALICE.uin))) == 5
    assert other.asked(ALICE.uin) == [(0xA8, u32(ALICE.uin))]


@CASES.case(node="links")
def a_flood_of_searches_for_nobody(scene: Scene) -> None:
    link = scene.link(1)
    link.tls.send(b"".join(frame(0xA5, u32(uin)) for uin in range(1, 20_000)))
    assert link.sync() == []


@CASES.case(Reason.LINK_CALL_RATE, node="link calls")
def a_flood_of_calls(scene: Scene) -> None:
    """B8 for each beyond the rate; another node's call rings."""
    alice = scene.login(ALICE)
    flood, other = scene.link(1), scene.link(2)
    for caller in range(1000, 2000):
        flood.call_request(caller, 7)
    for caller in range(1000, 2000):
        flood.expect(0xB8, pair(caller, 7))
    flood.call_request(scene.bob, ALICE.uin)
    flood.expect(0xB8, pair(scene.bob, ALICE.uin))
    called_in(other, scene.bob, alice)


@CASES.case(Reason.CALLEE_UNANSWERED_FULL, node="link unanswered")
def a_flood_of_calls_to_one_callee(scene: Scene) -> None:
    """Few of one node ring at a time: people behind others still come through."""
    alice = scene.login(ALICE)
    flood, other = scene.link(1), scene.link(2)
    for caller in range(1000, 1100):
        flood.call_request(caller, ALICE.uin)
    assert len([code for code, _ in flood.sync() if code == 0xB8]) == 97
    assert len(alice.sync()) == 3
    called_in(other, scene.bob, alice)


@CASES.case(node="hints")
def a_flood_of_hints(scene: Scene) -> None:
    """Bounded for each node; another node's hint is taken."""
    flood, other, alice = scene.link(1), scene.link(2), scene.login(ALICE)
    before = scene.node.footprint()["locations"]
    flood.tls.send(b"".join(frame(0xA8, u32(uin)) for uin in range(10_000, 40_000)))
    assert flood.sync() == []
    assert scene.node.footprint()["locations"] <= before + 100
    called_out(alice, scene.bob, other)


@CASES.case(Reason.NO_CONVERSATION, node="links")
def a_flood_of_data_for_nobody(scene: Scene) -> None:
    """B8 for each, and nothing is kept."""
    link = scene.link(1)
    for number in range(300):
        link.relayed(7, 8, bytes(number))
    assert link.sync() == [(0xB8, pair(7, 8))] * 300


def unread_flood(data: bytes) -> Callable[[Scene], None]:
    """Answers that nobody takes are bounded: the link ends."""

    def run(scene: Scene) -> None:
        alice, other = scene.login(ALICE), scene.link(2)
        standing = scene.node.footprint()["links"]
        flood = unreading(scene, 1)

        def pour_in() -> None:
            with contextlib.suppress(Closed, OSError):
                while True:
                    flood.tls.send(data)

        flood.introduce(None)
        scene.until("links", standing + 1)
        pouring = threading.Thread(target=pour_in)
        pouring.start()
        scene.until("links", standing)
        flood.reset()
        pouring.join()
        assert other.sync() == alice.sync() == []

    return run


def unreading(scene: Scene, number: int) -> RawLink:
    """A link whose other end reads nothing and whose buffers are small."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.bind((home(number), 0))
    small.connect(scene.node.address)
    link = scene.keep(RawLink(Tcp.over(small), node_identity(number), dialled=True))
    link.hello()
    link.handshake()
    return link


for _code, _tail in (
    (0x68, b"rr"), (0x90, b"rr"), (0xA5, u32(ALICE.uin)), (0xAA, pair(7, 8)), (0xAB, pair(7, 8)),
    (0xD0, relayed(7, 8, b"")),
):  # fmt: skip
    CASES.add(
        f"a flood of {_code:02X} from a node that reads nothing", unread_flood(frame(_code, _tail) * 1000),
        Reason.LINK_QUEUE_FULL, node="link queue",
    )  # fmt: skip


# -- Calls and data that belong to nobody, or to others -----------------------------------------------------------


@CASES.case(Reason.NO_CONVERSATION, node="links")
def data_for_no_conversation(scene: Scene) -> None:
    """B8 with its two UINs as they came."""
    alice, link = scene.login(ALICE), scene.link(1)
    for sender, recipient in ((7, 8), (0, 0), (scene.bob, ALICE.uin), (ALICE.uin, scene.bob), (ALICE.uin, ALICE.uin)):
        link.relayed(sender, recipient, b"x")
        link.expect(0xB8, pair(sender, recipient))
    assert alice.sync() == link.sync() == []


@CASES.case(Reason.NO_CONVERSATION, node="links")
def data_for_another_links_conversation(scene: Scene) -> None:
    alice, link, liar = scene.login(ALICE), scene.link(1), scene.link(2)
    out, stream = connected_out(alice, scene.bob, link)
    back, into = connected_in(link, scene.dave, alice)
    for other in (scene.bob, scene.dave):
        liar.relayed(other, ALICE.uin, b"false")
        liar.expect(0xB8, pair(other, ALICE.uin))
    meet(out, stream)
    meet(into, back)


@CASES.case(Reason.NO_CONVERSATION, node="links")
def data_from_the_wrong_sender(scene: Scene) -> None:
    """From our user, and from one who is not in the conversation."""
    alice, link = scene.login(ALICE), scene.link(1)
    called_in(link, scene.bob, alice)
    alice.accept(scene.bob)
    data = alice.data(scene.bob, ALICE.uin)
    link.expect(0xAB)
    for sender, recipient in ((ALICE.uin, scene.bob), (scene.dave, ALICE.uin)):
        link.relayed(sender, recipient, b"false")
        link.expect(0xB8, pair(sender, recipient))
    link.relayed(scene.bob, ALICE.uin, b"true")
    assert data.receive() == b"true"


@CASES.case(Reason.NO_CONVERSATION, node="links")
def answers_to_calls_never_asked(scene: Scene) -> None:
    alice, link = scene.login(ALICE), scene.link(1)
    for caller, callee in ((7, 8), (0, 0), (ALICE.uin, scene.bob), (scene.bob, ALICE.uin)):
        link.call_ready(caller, callee)
        link.expect(0xB8, pair(caller, callee))
    called_in(link, scene.bob, alice)
    link.call_ready(scene.bob, ALICE.uin)
    assert alice.sync() == []


@CASES.case(Reason.OTHER_LINK, node="links")
def answers_from_another_link(scene: Scene) -> None:
    alice, link, liar = scene.login(ALICE), scene.link(1), scene.link(2)
    called_out(alice, scene.bob, link)
    liar.call_ready(ALICE.uin, scene.bob)
    assert alice.sync() == liar.sync() == link.sync() == []


STEPS = ("searching", "asked", "ready", "relaying", "ringing", "accepted", "answered", "relaying back", "fenced")


def reach(step: str, scene: Scene) -> tuple[RawClient, RawLink, Tcp | None]:
    """A call between Alice, who is here, and Bob, who is behind a link, at this step; her data connection."""
    alice, link = scene.login(ALICE), scene.link(1)
    if step == "searching":
        alice.call(scene.bob)
        link.expect(0xA5)
    elif step in {"asked", "ready"}:
        called_out(alice, scene.bob, link)
        if step == "ready":
            link.call_ready(ALICE.uin, scene.bob)
            alice.expect(0x07)
    elif step == "relaying":
        return alice, link, connected_out(alice, scene.bob, link)[0]
    elif step in {"relaying back", "fenced"}:
        _, data = connected_in(link, scene.bob, alice)
        if step == "relaying back":
            return alice, link, data
        link.pongs = link.fences = False
        data.close()
        link.expect(0xB8)
    else:
        called_in(link, scene.bob, alice)
        if step != "ringing":
            alice.accept(scene.bob)
        if step == "answered":
            data = alice.data(scene.bob, ALICE.uin)
            link.expect(0xAB)
            return alice, link, data
    return alice, link, None


def no_conversation_at(step: str, *, swapped: bool) -> Callable[[Scene], None]:
    """B8 from the link that carries the call ends it; the next call is served."""

    def run(scene: Scene) -> None:
        alice, link, data = reach(step, scene)
        link.fences = False
        link.no_conversation(*((scene.bob, ALICE.uin) if swapped else (ALICE.uin, scene.bob)))
        if data is not None:
            assert ended(data) == b""
        elif step == "ready" or step in {"ringing", "accepted"}:
            alice.expect(0x05, u32(scene.bob))
        elif step == "asked":
            alice.expect(0x05, u32(scene.bob))  # at the end of the search for another node
        assert {code for code, _ in link.sync()} <= {0xA5}
        assert alice.sync() == ([] if step != "searching" else alice.sync())

    return run


def no_conversation_from_elsewhere_at(step: str) -> Callable[[Scene], None]:
    """B8 from a link that does not carry the pair changes nothing."""

    def run(scene: Scene) -> None:
        alice, _, data = reach(step, scene)
        liar = scene.link(2)
        for one, other in ((ALICE.uin, scene.bob), (scene.bob, ALICE.uin)):
            liar.no_conversation(one, other)
        assert liar.sync() == alice.sync() == []
        if data is not None:
            data.send(b"still there")

    return run


for _step, _swapped in product(STEPS, (False, True)):
    _named = "callee and caller" if _swapped else "caller and callee"
    CASES.add(f"B8 for {_named}: {_step}", no_conversation_at(_step, swapped=_swapped), node="links quick calls")
for _step in STEPS:
    CASES.add(
        f"B8 from elsewhere: {_step}", no_conversation_from_elsewhere_at(_step),
        *([] if _step in {"fenced", "searching"} else [Reason.OTHER_LINK]), node="links",
    )  # fmt: skip


@CASES.case(node="links")
def no_conversation_about_nothing(scene: Scene) -> None:
    """Neither answered nor fenced, a thousand times."""
    link = scene.link(1)
    before = link.pings
    for number in range(1000):
        link.no_conversation(number, number + 1)
    assert link.sync() == []
    assert link.pings == before


@CASES.case(Reason.CALL_FENCED, node="links")
def a_call_inside_the_fence(scene: Scene) -> None:
    alice, link, _ = reach("fenced", scene)
    link.call_request(scene.bob, ALICE.uin)
    assert link.sync() == alice.sync() == []


@CASES.case(Reason.FENCE_UNANSWERED, node="links silent")
def a_fence_that_is_never_answered(scene: Scene) -> None:
    """By a node that has answered pings before, and goes on talking."""
    alice, link = scene.login(ALICE), scene.link(1)
    link.expect(0x68)
    link.sync()
    called_in(link, scene.bob, alice)
    link.pongs = False
    alice.refuse(scene.bob)
    link.expect(0xB8)
    with contextlib.suppress(Closed):
        while not link.over:
            link.send(0x69, b"no")
            time.sleep(0.05)


@CASES.case(Reason.FENCES_FULL, node="fences")
def too_many_fences_on_one_link(scene: Scene) -> None:
    alice, link, other = scene.login(ALICE), scene.link(1), scene.link(2)
    link.pongs = link.fences = False
    for caller in range(1000, 1004):
        link.call_request(caller, ALICE.uin)
        alice.expect(0x04, u32(caller))
        alice.refuse(caller)
    assert {code for code, _ in link.ended()} == {0xB8}
    assert other.sync() == alice.sync() == []


# -- Nodes that answer falsely, or not at all ---------------------------------------------------------------------


def found_by(scene: Scene, alice: RawClient, *numbers: int) -> list[RawLink]:
    """Alice calls Bob, and these nodes say, in this order, that they have him."""
    links = [scene.link(number) for number in numbers]
    alice.call(scene.bob)
    for link in links:
        link.expect(0xA5, u32(scene.bob))
    for link in links:
        link.found_here(scene.bob)
        link.settle()
    return links


@CASES.case(Reason.NODE_SAYS_NO, node="links found")
def found_and_then_refused(scene: Scene) -> None:
    """Two nodes claim one user; the one that lied is left for the other."""
    alice = scene.login(ALICE)
    liar, honest = found_by(scene, alice, 1, 2)
    liar.expect(0xAA, pair(ALICE.uin, scene.bob))
    liar.no_conversation(ALICE.uin, scene.bob)
    honest.expect(0xAA, pair(ALICE.uin, scene.bob))
    honest.call_ready(ALICE.uin, scene.bob)
    alice.expect(0x07)
    meet(alice.data(ALICE.uin, scene.bob), honest.stream(scene.bob, ALICE.uin))


@CASES.case(Reason.NODE_SILENT, node="links quick calls")
def found_and_then_nothing(scene: Scene) -> None:
    alice = scene.login(ALICE)
    liar, honest = found_by(scene, alice, 1, 2)
    liar.expect(0xAA, pair(ALICE.uin, scene.bob))
    honest.expect(0xAA, pair(ALICE.uin, scene.bob))
    liar.expect(0xB8, pair(ALICE.uin, scene.bob))
    liar.call_ready(ALICE.uin, scene.bob)  # too late
    honest.call_ready(ALICE.uin, scene.bob)
    alice.expect(0x07)
    meet(alice.data(ALICE.uin, scene.bob), honest.stream(scene.bob, ALICE.uin))


@CASES.case(Reason.LINK_LOST, node="links found")
def found_and_then_gone(scene: Scene) -> None:
    alice = scene.login(ALICE)
    liar, honest = found_by(scene, alice, 1, 2)
    liar.expect(0xAA)
    liar.reset()
    honest.expect(0xAA, pair(ALICE.uin, scene.bob))


@CASES.case(node="links found")
def found_and_then_a_wrong_certificate(scene: Scene) -> None:
    """Only the callers see it; they call again, and reach the other."""
    alice = scene.login(ALICE)
    liar, honest = found_by(scene, alice, 1, 2)
    liar.expect(0xAA)
    liar.call_ready(ALICE.uin, scene.bob)
    alice.expect(0x07)
    false = Conversation(liar.stream(scene.bob, ALICE.uin), lying(scene.dave), caller=False)
    true = Conversation(alice.data(ALICE.uin, scene.bob), ALICE, caller=True)
    handshake_together(true.tls, false.tls)
    assert true.tls.peer_common_name == str(scene.dave)
    true.data.close()
    liar.expect(0xB8)
    alice.call(scene.bob)
    for link in (liar, honest):  # whoever is asked first; what ranks last is another test's
        link.script = refusing
    alice.expect(0x05, u32(scene.bob))


def refusing(link: RawLink, code: int, tail: bytes) -> bool:
    if code == 0xAA:
        link.send(0xB8, tail)
    return code in {0xAA, 0xA5}


@CASES.case(node="links quick calls")
def a_node_that_claims_everybody(scene: Scene) -> None:
    """Each caller is sent to it, refused, and told: nobody hangs, and who is here is reached."""
    alice, carol, link = scene.login(ALICE), scene.login(CAROL), scene.link(1)

    def claiming(link: RawLink, code: int, tail: bytes) -> bool:
        if code == 0xA5:
            link.send(0xA8, tail)
        if code == 0xAA:
            link.send(0xB8, tail)
        return code in {0xA5, 0xAA}

    link.script = claiming
    for uin in (ALICE.uin, CAROL.uin):
        link.found_here(uin)
    for uin in range(1000, 1003):
        alice.call(uin)
        alice.expect(0x05, u32(uin))
    alice.call(CAROL.uin)
    carol.expect(0x04, u32(ALICE.uin))


@CASES.case(node="links")
def two_nodes_that_call_as_one_user(scene: Scene) -> None:
    """Both are put to the callee, who takes the later one; the earlier ends only then."""
    alice, one, other = scene.login(ALICE), scene.link(1), scene.link(2)
    stream, data = connected_in(one, scene.bob, alice)
    called_in(other, scene.bob, alice)
    meet(data, stream)
    alice.accept(scene.bob)
    again = alice.data(scene.bob, ALICE.uin)
    other.expect(0xAB)
    assert ended(data) == b""
    meet(again, other.stream(scene.bob, ALICE.uin))


@CASES.case(Reason.CALL_HELD, node="links")
def three_nodes_that_call_as_one_user(scene: Scene) -> None:
    """One stands, one is put to the callee, the third is one too many."""
    alice = scene.login(ALICE)
    one, two, three = (scene.link(number) for number in (1, 2, 3))
    stream, data = connected_in(one, scene.bob, alice)
    called_in(two, scene.bob, alice)
    three.call_request(scene.bob, ALICE.uin)
    three.expect(0xB8)
    meet(data, stream)


@CASES.case(Reason.CALL_GLARE, node="links")
def a_call_that_crosses_our_own(scene: Scene) -> None:
    """D26: over one link the lower UIN's call wins, here ours."""
    alice, link = scene.login(ALICE), scene.link(1)
    assert scene.bob > ALICE.uin
    called_out(alice, scene.bob, link)
    for _ in range(3):
        link.call_request(scene.bob, ALICE.uin)
    assert link.sync() == alice.sync() == []


@CASES.case(Reason.CALLER_WITHDREW, node="links")
def a_caller_who_gives_up(scene: Scene) -> None:
    alice, link = scene.login(ALICE), scene.link(1)
    called_in(link, scene.bob, alice)
    link.no_conversation(scene.bob, ALICE.uin)
    alice.expect(0x05, u32(scene.bob))


# -- Readers that stop --------------------------------------------------------------------------------------------


@CASES.case(Reason.HELD_FULL, node="held")
def a_client_that_does_not_read_its_conversation(scene: Scene) -> None:
    """It loses that conversation; the link and all others on it go on."""
    alice, carol, link = scene.login(ALICE), scene.login(CAROL), scene.link(1)
    _, stream = connected_out(alice, scene.bob, link)
    data, lives = connected_out(carol, scene.dave, link)
    pour(stream.send)
    link.expect(0xB8)
    meet(data, lives)


@CASES.case(Reason.HELD_ALL_FULL, node="held in all")
def clients_that_do_not_read(scene: Scene) -> None:
    """The one for whom most is held loses its conversation."""
    alice, carol, link = scene.login(ALICE), scene.login(CAROL), scene.link(1)
    _, stream = connected_out(alice, scene.bob, link)
    data, lives = connected_out(carol, scene.dave, link)
    pour(stream.send)
    link.expect(0xB8)
    meet(data, lives)


def pour(send: Callable[[bytes], None]) -> None:
    with contextlib.suppress(Closed):
        while True:
            send(bytes(65524))


# -- Links that come and go ---------------------------------------------------------------------------------------


@CASES.case(Reason.LINK_RATE, node="link rate")
def a_link_that_closes_and_opens_in_a_loop(scene: Scene) -> None:
    """The rate is that node's: others are let in."""
    for turn in range(8):
        link = scene.keep(RawLink.prepared(scene.node.address, node_identity(1), home(1)))
        link.start()
        with contextlib.suppress(Closed):
            link.introduce(None)
            if turn < 3:
                link.sync()
            else:
                assert link.ended() == []
                assert link.heard == []
        link.reset()
    assert scene.link(2).sync() == []


@CASES.case(node="links")
def a_link_that_opens_in_a_loop_with_calls_on_it(scene: Scene) -> None:
    """Each time its calls end with it: the callee is told, no call is left."""
    alice = scene.login(ALICE)
    for turn in range(30):
        link = scene.link(1)
        called_in(link, 1000 + turn, alice)
        if turn % 2:
            link.reset()
        else:
            link.end()
        alice.expect(0x05, u32(1000 + turn))


@CASES.case(Reason.LINKS_FULL, node="links full")
def too_many_links(scene: Scene) -> None:
    """Those that stand are not disturbed."""
    links = [scene.link(number) for number in range(1, 5)]
    refused_link(scene, 5)
    assert all(link.sync() == [] for link in links)
    links[0].close()
    scene.until("links", 4)
    scene.link(5)


@CASES.case(Reason.LINKS_ADDRESS_FULL, node="links an address")
def too_many_links_from_one_address(scene: Scene) -> None:
    for number in (1, 2, 3):
        scene.keep(RawLink.dial(scene.node.address, node_identity(number), home(9))).sync()
    refused_link(scene, 4, home(9))
    scene.link(5)


def refused_link(scene: Scene, number: int, source: str = "") -> None:
    link = scene.keep(RawLink.prepared(scene.node.address, node_identity(number), source or home(number)))
    link.start()
    with contextlib.suppress(Closed):
        link.introduce(None)
    assert link.ended() == []
    assert link.heard == []


@CASES.case(Reason.LINK_UNUSED, node="links quick")
def connections_that_never_become_links(scene: Scene) -> None:
    for number in range(20):
        link = scene.keep(RawLink.prepared(scene.node.address, node_identity(number), home(number)))
        link.start()
    for number in range(20):
        assert scene.opened(RawLink)[number].ended() == []


@CASES.case(Reason.LINK_REPLACED, node="links silent")
def a_dead_link_is_replaced_by_a_newer(scene: Scene) -> None:
    alice, dead = scene.login(ALICE), scene.link(1)
    data, _ = connected_out(alice, scene.bob, dead)
    dead.pongs = dead.lists = False
    newer = scene.link(1)
    assert dead.ended() == []
    assert ended(data) == b""
    assert newer.sync() == []


@CASES.case(Reason.LINK_LOST, node="links")
def a_link_that_vanishes_at_every_step(scene: Scene) -> None:
    for step in STEPS:
        alice, link, data = reach(step, scene)
        link.reset()
        if data is not None:
            assert ended(data) == b""
        alice.close()


@CASES.case(node="links")
def a_node_that_never_finishes_its_tls(scene: Scene) -> None:
    """Half of its last flight, and the end."""
    link = greeted(scene, node_identity(1))
    tls = Tls(link.tcp, context(node_identity(1), server=True), server=True)
    flight = bytearray()
    link.tcp.send = flight.extend  # type: ignore[method-assign, assignment]  # caught, not sent
    while not flight and (piece := link.tcp.receive()):
        tls.connection.bio_write(piece)
        tls.advance()
    del link.tcp.send
    link.tcp.send(bytes(flight[: len(flight) // 2]))
    link.tcp.end()
    ended(link.tcp)
