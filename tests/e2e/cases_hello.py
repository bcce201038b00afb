"""Bad input before anyone is logged in: first bytes, hello, TLS, certificates, and what is said inside TLS."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from itertools import product

from OpenSSL import SSL

from e2e.raw_client import VALID_TAILS, Closed, Inbox, RawClient, Tls, context, converse, exchange, frame, pair, u32
from e2e.raw_identity import RawIdentity, lying, named, p256_identity, p384_identity, rsa_identity
from e2e.raw_identity import identity as known
from e2e.stage import CaseTable, Scene, ended
from uzel.errors import Reason

CASES = CaseTable()
HELLO = frame(0xCA, b"\x01\x00")
HTTP = b"GET / HTTP/1.1\r\nHost: node\r\n\r\n"


def tls_client_hello() -> bytes:
    """What a plain TLS client sends first."""
    client = SSL.Connection(context(None, server=False), None)
    client.set_connect_state()
    try:
        client.do_handshake()
    except SSL.WantReadError:
        return bytes(client.bio_read(65536))
    raise AssertionError


def first_bytes(data: bytes, *, on_data: bool) -> Callable[[Scene], None]:
    """These bytes come first: the connection ends, and nothing was answered."""

    def run(scene: Scene) -> None:
        tcp = scene.tcp(data=on_data)
        tcp.send(data)
        assert ended(tcp) == b""

    return run


def cut_short(data: bytes, *, on_data: bool) -> Callable[[Scene], None]:
    """These bytes come first, then the end of file."""

    def run(scene: Scene) -> None:
        tcp = scene.tcp(data=on_data)
        tcp.send(data)
        tcp.end()
        assert ended(tcp) == b""

    return run


FIRST_BYTES = {
    "plain HTTP": (HTTP, Reason.UNEQUAL_HEADER),
    "plain TLS": (tls_client_hello(), Reason.UNEQUAL_HEADER),
    "unequal header": (b"\xca\xcb\x01\x00", Reason.UNEQUAL_HEADER),
    "zeros": (bytes(64), Reason.UNKNOWN_CODE),
    "unknown code": (b"\x11\x11", Reason.UNKNOWN_CODE),
    "unknown code FF": (b"\xff\xff" + bytes(8), Reason.UNKNOWN_CODE),
}
TRUNCATED = {
    "half a header": (HELLO[:1], frame(0x20)[:1]),
    "a header": (HELLO[:2], frame(0x20)),
    "all but one byte": (HELLO[:-1], frame(0x20, pair(7, 8))[:-1]),
}
for _name, (_data, _reason) in FIRST_BYTES.items():
    for _on_data, _port in ((False, "control"), (True, "data")):
        CASES.add(f"{_name} on the {_port} port", first_bytes(_data, on_data=_on_data), _reason)
for _name, (_control, _hello) in TRUNCATED.items():
    CASES.add(f"{_name} of CA", cut_short(_control, on_data=False), Reason.TRUNCATED_MESSAGE)
    CASES.add(f"{_name} of 20", cut_short(_hello, on_data=True), Reason.TRUNCATED_MESSAGE)
for _code in VALID_TAILS:
    _bytes = frame(_code, VALID_TAILS[_code])
    if _code not in {0xCA, 0xCB}:
        CASES.add(f"{_code:02X} as hello", first_bytes(_bytes, on_data=False), Reason.MISPLACED_MESSAGE)
    if _code != 0x20:
        CASES.add(f"{_code:02X} as data hello", first_bytes(_bytes, on_data=True), Reason.MISPLACED_MESSAGE)


@CASES.case(Reason.TLS_FAILED)
def garbage_behind_a_node_s_hello(scene: Scene) -> None:
    tcp = scene.tcp()
    tcp.send(frame(0xCB, b"\x01\x00") + bytes(300))
    assert ended(tcp).startswith(frame(0x01, b"OK"))


@CASES.case(Reason.HANDSHAKE_TIMEOUT, node="quick")
def a_node_s_hello_and_nothing_more(scene: Scene) -> None:
    tcp = scene.tcp()
    tcp.send(frame(0xCB, b"\x01\x00"))
    assert ended(tcp).startswith(frame(0x01, b"OK"))


@CASES.case()
def nothing_at_all(scene: Scene) -> None:
    for on_data in (False, True):
        tcp = scene.tcp(data=on_data)
        tcp.end()
        assert ended(tcp) == b""


@CASES.case()
def reset_before_anything(scene: Scene) -> None:
    for on_data in (False, True):
        scene.tcp(data=on_data).reset()


@CASES.case(Reason.VERSION_MISMATCH)
def other_major_version(scene: Scene) -> None:
    for code, version in product((0xCA, 0xCB), (b"\x00\x00", b"\x02\x00", b"\xff\xff")):
        tcp = scene.tcp()
        tcp.send(frame(code, version))
        assert ended(tcp) == frame(0x02, b"\x01\x00")


@CASES.case()
def newer_minor_version_is_served(scene: Scene) -> None:
    client = scene.client(2)
    client.version = b"\x01\x07"
    client.login()


@CASES.case()
def one_byte_at_a_time_is_served(scene: Scene) -> None:
    """A whole login, call and text, every byte of it in a segment of its own."""
    alice, bob = scene.client(2), scene.login(3)
    alice.connect()
    whole = alice.tcp.send

    def in_pieces(data: bytes) -> None:
        for byte in data:
            whole(bytes((byte,)))

    alice.tcp.send = in_pieces  # type: ignore[method-assign]  # every layer above goes through it
    alice.hello()
    alice.handshake()
    assert alice.sync() == []
    for byte in frame(0x03, u32(bob.uin)):
        alice.tls.send(bytes((byte,)))
    bob.expect(0x04, u32(alice.uin))
    bob.accept(alice.uin)
    theirs = bob.data(alice.uin, bob.uin)
    alice.expect(0x07, u32(bob.uin))
    ours = scene.tcp(data=True)
    for byte in frame(0x20, pair(alice.uin, bob.uin)):
        ours.send(bytes((byte,)))
    ours.send(b"there")
    assert theirs.receive() == b"there"


# -- TLS ----------------------------------------------------------------------------------------------------------


def greeted(scene: Scene, client: RawClient | None = None) -> RawClient:
    """A client that has its 01."""
    client = client or scene.client(2)
    client.connect()
    client.hello()
    return client


@CASES.case(Reason.TLS_FAILED)
def garbage_instead_of_tls(scene: Scene) -> None:
    client = greeted(scene)
    client.tcp.send(b"\x00" * 300)
    ended(client.tcp)


@CASES.case(Reason.TLS_FAILED)
def control_messages_without_tls(scene: Scene) -> None:
    client = greeted(scene)
    client.tcp.send(frame(0x68, b"rr") + frame(0x03, u32(3)) * 10)
    ended(client.tcp)


@CASES.case()
def garbage_inside_established_tls(scene: Scene) -> None:
    client = scene.login(2)
    client.tcp.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)  # a record that does not decrypt
    client.ended()


@CASES.case(Reason.TLS_VERSION)
def tls_1_2(scene: Scene) -> None:
    client = scene.client(2)
    client.tls_context = context(known(2), server=True, max_version=SSL.TLS1_2_VERSION)
    greeted(scene, client)
    try:
        client.handshake()
    except SSL.Error:
        pass  # our side finds no version in common
    else:
        raise AssertionError("TLS 1.2 was taken")
    ended(client.tcp)


@CASES.case()
def the_end_instead_of_a_server_hello(scene: Scene) -> None:
    client = greeted(scene)
    assert client.tcp.receive()
    client.tcp.end()
    ended(client.tcp)


@CASES.case(Reason.HANDSHAKE_TIMEOUT, node="quick")
def no_server_hello(scene: Scene) -> None:
    assert ended(greeted(scene).tcp) != b""  # the client hello that was never answered


@CASES.case(Reason.HANDSHAKE_TIMEOUT, node="quick")
def a_tls_server_that_never_finishes(scene: Scene) -> None:
    """Every part of its answer is held back once: after 1 byte, in the middle, before the last."""
    whole = 0
    for share in (1, 2, -1):
        client = greeted(scene)
        tls = Tls(client.tcp, context(client.identity, server=True), server=True)
        send, answer = client.tcp.send, bytearray()
        client.tcp.send = answer.extend  # type: ignore[method-assign, assignment]  # caught, not sent
        while not answer and (piece := client.tcp.receive()):  # the node's hello may come in several pieces
            tls.connection.bio_write(piece)
            tls.advance()
        if not answer:
            continue  # a loaded machine: the node's patience ended before its hello had come
        whole = len(answer)
        send(bytes(answer[: {1: 1, 2: whole // 2, -1: whole - 1}[share]]))
        ended(client.tcp)
    assert whole > 100


@CASES.case(Reason.HANDSHAKE_TIMEOUT, node="quick")
def a_handshake_one_byte_now_and_then(scene: Scene) -> None:
    """Bytes that trickle in do not extend the time for the whole."""
    client = scene.client(2)
    client.connect()
    began = time.monotonic()
    inbox = Inbox(client.tcp)
    client.tcp.socket.settimeout(0.05)
    for byte in HELLO[:3] + bytes(200):
        try:
            client.tcp.send(bytes((byte,)) if len(inbox.buffer) == 0 and byte else b"")
            if client.tcp.socket.recv(1) == b"":
                break
        except TimeoutError:
            continue
    assert time.monotonic() - began < 5


@CASES.case(Reason.DATA_HELLO_TIMEOUT, node="quick")
def a_data_hello_that_never_comes_whole(scene: Scene) -> None:
    for part in (b"", b"\x20", frame(0x20, pair(7, 8))[:-1]):
        tcp = scene.tcp(data=True)
        tcp.send(part)
        assert ended(tcp) == b""


# -- Certificates -------------------------------------------------------------------------------------------------


def shown(who: Callable[[], RawIdentity]) -> Callable[[Scene], None]:
    """This certificate is shown: the node ends the connection, before anything is answered inside TLS."""

    def run(scene: Scene) -> None:
        client = greeted(scene, scene.client(who()))
        client.handshake()
        with contextlib.suppress(Closed):  # the node may have ended it already
            client.tls.send(frame(0x68, b"rr") + frame(0x03, u32(3)))
        assert client.ended() == []

    return run


WRONG_CERTIFICATES: dict[str, tuple[Callable[[], RawIdentity], Reason]] = {
    "UIN not of its key": (lambda: lying(4_000_000_001), Reason.UIN_NOT_OF_KEY),
    "someone else's UIN": (lambda: lying(known(3).uin), Reason.UIN_TAKEN),
    "RSA key": (rsa_identity, Reason.CERTIFICATE_KEY_TYPE),
    "P-384 key": (p384_identity, Reason.CERTIFICATE_KEY_TYPE),
    "no number": (lambda: named("alice"), Reason.CERTIFICATE_MALFORMED),
    "no name": (named, Reason.CERTIFICATE_MALFORMED),
    "two names": (lambda: named("12345", "12346"), Reason.CERTIFICATE_MALFORMED),
    "leading zero": (lambda: named("012345"), Reason.CERTIFICATE_MALFORMED),
    "a sign": (lambda: named("+12345"), Reason.CERTIFICATE_MALFORMED),
    "a space": (lambda: named(" 12345"), Reason.CERTIFICATE_MALFORMED),
    "other digits": (lambda: named("１２３４５"), Reason.CERTIFICATE_MALFORMED),
    "UIN 0": (lambda: named("0"), Reason.CERTIFICATE_MALFORMED),
    "UIN 2^32": (lambda: named(str(2**32)), Reason.CERTIFICATE_MALFORMED),
}
for _name, (_who, _why) in WRONG_CERTIFICATES.items():
    CASES.add(f"certificate: {_name}", shown(_who), _why)


@CASES.case(Reason.UIN_TAKEN)
def second_key_for_a_known_uin(scene: Scene) -> None:
    """The first key that came with a UIN keeps it, also while it is online."""
    scene.node.claim(77, lying(77).fingerprint)
    owner = scene.login(lying(77))
    shown(lambda: lying(77, "another key"))(scene)
    assert owner.sync() == []


@CASES.case()
def an_unseen_key_is_checked_and_let_in(scene: Scene) -> None:
    scene.login(p256_identity())


@CASES.case()
def vanished_while_its_key_is_checked(scene: Scene) -> None:
    client = greeted(scene, scene.client(known(66)))
    client.handshake()
    client.tcp.reset()
    scene.until("key_checks", 0)


# -- Inside TLS ---------------------------------------------------------------------------------------------------


def inside(data: bytes) -> Callable[[Scene], None]:
    """A client says this: its connection ends, unanswered, and its conversation goes on."""

    def run(scene: Scene) -> None:
        alice, bob = scene.pair()
        a, b = converse(alice, bob)
        alice.tls.send(data)
        assert alice.ended() == []
        exchange(a, b)
        assert bob.sync() == []

    return run


CASES.add("unequal header inside TLS", inside(b"\x03\x04" + u32(3)), Reason.UNEQUAL_HEADER)
CASES.add("unknown code inside TLS", inside(b"\x77\x77" + u32(3)), Reason.UNKNOWN_CODE)
CASES.add("HTTP inside TLS", inside(HTTP), Reason.UNEQUAL_HEADER)
CASES.add("good, then bad in one record", inside(frame(0x69, b"rr") + b"\x03\x04"), Reason.UNEQUAL_HEADER)


@CASES.case(Reason.TRUNCATED_MESSAGE)
def truncated_inside_tls(scene: Scene) -> None:
    """No partial message is acted on."""
    alice, bob = scene.pair()
    alice.tls.send(frame(0x03, u32(bob.uin))[:-1])
    alice.tcp.end()
    assert alice.ended() == []
    assert bob.sync() == []


@CASES.case()
def unasked_pong_is_ignored(scene: Scene) -> None:
    alice = scene.login(2)
    alice.send(0x69, b"zz")
    assert alice.sync() == []


@CASES.case()
def node_list_is_always_answered(scene: Scene) -> None:
    alice = scene.login(2)
    for token in (b"\x00\x00", b"zz"):
        alice.send(0x90, token)
        assert alice.expect(0xA4) == b"\x00\x00"
