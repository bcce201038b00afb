"""Bad input between nodes: what is no message of a link, set-up that is none, and dialled nodes that are none.

The rest of issue 3's list: `cases_links_addresses`, `cases_links_floods`, `cases_links_calls`. Alice and Carol are our
clients; Bob and Dave, who live behind links, are others in each scene.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable

from OpenSSL import SSL

from e2e.linked import ALICE, CAROL, connected_out, meet
from e2e.raw_client import (
    VALID_TAILS,
    Closed,
    RawClient,
    Tcp,
    Tls,
    context,
    frame,
    pair,
    u32,
)
from e2e.raw_federate import RawFederate
from e2e.raw_identity import RawIdentity, node_identity, p384_identity, rsa_identity
from e2e.raw_link import RawLink, address_bytes, found_in_cache, home, node_list
from e2e.stage import CaseTable, Scene, ended
from uzel.errors import Reason

CASES = CaseTable()
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


IPV4, IPV6 = address_bytes("0.0.0.0", 8935), address_bytes("::", 8935)
"""Where no node can be: they are read, and that is all."""
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


@CASES.case(Reason.SIZE_OUT_OF_RANGE, node="links found")
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
