"""Too much of something: connections, logins, calls, keys, silence, and clients that do not read."""

from __future__ import annotations

import contextlib
import socket

from e2e.raw_client import Closed, RawClient, Tcp, Tls, context, converse, exchange, frame, u32
from e2e.raw_identity import lying
from e2e.stage import CaseTable, Scene, ended, joined
from uzel.errors import Reason

CASES = CaseTable()


# -- Connections --------------------------------------------------------------------------------------------------


@CASES.case(Reason.HALF_OPEN_ADDRESS_FULL, node="half open an address")
def half_open_from_one_address(scene: Scene) -> None:
    """The oldest goes, so that the newest always has its chance."""
    waiting = [scene.tcp() for _ in range(8)]
    scene.until("half_open", 8)
    client = scene.login(2)
    assert ended(waiting[0]) == b""
    scene.tcp(data=True)
    assert client.sync() == []


@CASES.case(Reason.HALF_OPEN_FULL, node="half open")
def half_open_from_many_addresses(scene: Scene) -> None:
    waiting = [scene.tcp(source=f"127.0.1.{number}", data=number % 2 == 0) for number in range(1, 9)]
    scene.until("half_open", 8)
    client = scene.login(2)
    assert any(ended(tcp) == b"" for tcp in waiting[:1])
    assert client.sync() == []


@CASES.case(Reason.HALF_OPEN_ADDRESS_FULL)
def hundreds_of_half_sent_hellos(scene: Scene) -> None:
    for number in range(400):
        tcp = scene.tcp(data=number % 2 == 0)
        tcp.send(b"\xca" if number % 2 else b"\x20\x20\x01")
    scene.until("half_open", 256)
    exchange(*converse(scene.login(2), scene.login(3)))


@CASES.case(Reason.HANDSHAKE_TIMEOUT, Reason.DATA_HELLO_TIMEOUT, node="quick")
def hundreds_of_half_sent_hellos_time_out(scene: Scene) -> None:
    waiting = [scene.tcp(data=number % 2 == 0) for number in range(200)]
    for tcp in waiting:
        assert ended(tcp) == b""


@CASES.case(Reason.CONNECTIONS_ADDRESS_FULL, node="connections an address")
def connections_from_one_address(scene: Scene) -> None:
    clients = [scene.login(number) for number in range(2, 8)]
    assert ended(scene.tcp()) == b""
    assert all(client.sync() == [] for client in clients)
    scene.login(8, "127.0.0.2")


@CASES.case(Reason.CONNECTIONS_FULL, node="connections")
def connections_in_all(scene: Scene) -> None:
    """The canary has four of the ten."""
    clients = [scene.login(number, f"127.0.0.{number}") for number in range(2, 8)]
    assert ended(scene.tcp(source="127.0.0.9")) == b""
    assert all(client.sync() == [] for client in clients)


# -- Rates --------------------------------------------------------------------------------------------------------


@CASES.case(Reason.LOGIN_RATE, node="login rate")
def too_many_logins_of_one_client(scene: Scene) -> None:
    """The fourth is refused; the third, which is online, does not notice."""
    clients = [scene.login(2) for _ in range(3)]
    late = scene.client(2)
    late.connect()
    late.hello()
    late.handshake()
    assert late.ended() == []
    assert clients[-1].sync() == []
    scene.login(3)


@CASES.case(Reason.CALL_RATE, node="call rate")
def too_many_calls_of_one_client(scene: Scene) -> None:
    alice, bob = scene.pair()
    for _ in range(5):
        alice.call(7)
        alice.expect(0x05, u32(7))
    alice.call(bob.uin)
    alice.expect(0x05, u32(bob.uin))
    assert bob.sync() == []


@CASES.case(Reason.CALLER_UNANSWERED_FULL, node="unanswered")
def too_many_unanswered_calls_of_one_caller(scene: Scene) -> None:
    alice, *called = [scene.login(number) for number in range(2, 7)]
    for callee in called:
        alice.call(callee.uin)
    alice.expect(0x05, u32(called[3].uin))
    assert called[3].sync() == []
    called[0].refuse(alice.uin)
    alice.expect(0x05, u32(called[0].uin))
    alice.call(called[3].uin)
    called[3].expect(0x04, u32(alice.uin))


@CASES.case(Reason.CALLEE_UNANSWERED_FULL, node="unanswered")
def too_many_unanswered_calls_to_one_callee(scene: Scene) -> None:
    bob, *callers = [scene.login(number) for number in range(2, 8)]
    for caller in callers:
        caller.call(bob.uin)
        caller.sync() if caller is not callers[-1] else caller.expect(0x05, u32(bob.uin))
    assert len(bob.sync()) == 4


# -- Unseen keys --------------------------------------------------------------------------------------------------


def strangers_at_once(scene: Scene, sources: list[str]) -> list[RawClient]:
    """Strangers whose last handshake bytes all leave together, so that their keys wait for their checks together."""
    ready: list[tuple[RawClient, bytes]] = []
    for number, source in enumerate(sources):
        client = scene.client(lying(4_100_000_000 + number), source)
        client.connect()
        client.hello()
        flight = bytearray()
        client.tls = Tls(client.tcp, context(client.identity, server=True), server=True)
        client.tcp.send = flight.extend  # type: ignore[method-assign, assignment]  # caught, and sent below
        client.tls.feed()
        assert not client.tls.advance()
        del client.tcp.send
        ready.append((client, bytes(flight)))
    for client, last in ready:
        client.tcp.send(last)
    for client, _ in ready:
        ended(client.tcp)
    return [client for client, _ in ready]


@CASES.case(Reason.KEY_CHECKS_ADDRESS_FULL, Reason.UIN_NOT_OF_KEY, node="key checks")
def too_many_unseen_keys_from_one_address(scene: Scene) -> None:
    strangers_at_once(scene, ["127.0.0.9"] * 6)


@CASES.case(Reason.KEY_CHECKS_FULL, Reason.UIN_NOT_OF_KEY, node="key checks")
def too_many_unseen_keys(scene: Scene) -> None:
    """Known keys never wait for them."""
    strangers_at_once(scene, [f"127.0.1.{number}" for number in range(1, 7)])
    scene.login(2)


# -- Clients that do not behave -----------------------------------------------------------------------------------


@CASES.case(Reason.SILENCE, node="silent")
def a_client_that_never_answers(scene: Scene) -> None:
    """It is pinged, then given up; its conversation lives on."""
    alice, bob = scene.login(2), scene.client(3)
    bob.login()
    ours, theirs = joined(alice, bob)
    pings = alice.ended()
    assert pings
    assert {code for code, _ in pings} == {0x68} or not pings
    ours.send(b"still there")
    assert theirs.receive() == b"still there"


@CASES.case(Reason.SEND_QUEUE_FULL, node="send queue")
def a_client_that_does_not_read(scene: Scene) -> None:
    client = scene.client(2)
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    small.bind(("127.0.0.1", 0))
    small.connect(client.node)
    client.tcp = Tcp.over(small)
    client.opened.append(client.tcp)
    client.hello()
    client.handshake()
    client.sync()
    with contextlib.suppress(Closed):
        while True:
            client.tls.send(frame(0x90, b"rr") * 4000)


@CASES.case(Reason.REPLACED)
def a_newer_login_replaces_the_older(scene: Scene) -> None:
    """Its calls in set-up end, its conversations live on (D10, D16)."""
    alice, bob, carol = scene.login(2), scene.login(3), scene.login(4)
    ours, theirs = joined(alice, bob)
    alice.call(carol.uin)
    carol.expect(0x04)
    newer = scene.login(2)
    assert alice.ended() == []
    carol.expect(0x05, u32(alice.uin))
    ours.send(b"still there")
    assert theirs.receive() == b"still there"
    carol.call(newer.uin)
    newer.expect(0x04, u32(carol.uin))
    assert newer.sync() == bob.sync() == []
