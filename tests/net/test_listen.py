"""Pairs of ports, and an accept loop that neither starves the others nor spins."""

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
import uvloop

from uzel.errors import ConfigError, Reason
from uzel.net import listen
from uzel.net.descriptors import SpareDescriptor
from uzel.net.listen import Listener, bind_pair, peer_host


def close(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    for pair in pairs:
        for each in pair:
            each.close()


def test_a_free_pair_lies_side_by_side_and_listens() -> None:
    pairs = bind_pair("127.0.0.1", 0)
    ((control, data),) = pairs
    assert data.getsockname()[1] == control.getsockname()[1] + 1
    for each in (control, data):
        assert not each.getblocking()
        socket.create_connection(each.getsockname()).close()
    close(pairs)


def test_several_addresses_have_the_same_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("127.0.0.1", "127.0.0.2")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [*answer, answer[0]])
    pairs = bind_pair("node.example", 0)
    assert len(pairs) == 2
    assert len({control.getsockname()[1] for control, _ in pairs}) == 1
    close(pairs)


def test_an_address_that_is_not_here_is_left_out_beside_one_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("192.0.2.1", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    pairs = bind_pair("node.example", 0)
    assert [control.getsockname()[0] for control, _ in pairs] == ["127.0.0.1"]
    close(pairs)


def test_a_port_in_use_is_said_and_nothing_stays_bound() -> None:
    ((control, data),) = bind_pair("127.0.0.1", 0)
    port = control.getsockname()[1]
    control.close()
    with pytest.raises(ConfigError, match="in use"):
        bind_pair("127.0.0.1", port)  # its data port is taken still
    data.close()
    close(bind_pair("127.0.0.1", port))


def test_a_free_control_port_whose_data_port_is_taken_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bind, tries = listen._bind, []

    def unlucky(family: int, sockaddr: Any, port: int, backlog: int) -> socket.socket:
        tries.append(port)
        if len(tries) in {2, 4}:
            raise OSError(errno.EADDRINUSE, "taken")
        return bind(family, sockaddr, port, backlog)

    monkeypatch.setattr(listen, "_bind", unlucky)
    close(bind_pair("127.0.0.1", 0))
    assert len(tries) == 6


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [
        ("127.0.0.1", 65535, "between 0 and 65534"),
        ("no-such-name.invalid", 0, "cannot be resolved"),
        ("a" * 70, 0, "cannot be resolved"),
        ("192.0.2.1", 0, "does not have that address"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(host: str, port: int, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        bind_pair(host, port)


def test_a_forbidden_port_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> socket.socket:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(listen, "_bind", forbidden)
    with pytest.raises(ConfigError, match="not permitted"):
        bind_pair("127.0.0.1", 80)


def test_addresses_have_one_form() -> None:
    assert peer_host(("192.0.2.7", 5)) == "192.0.2.7"
    assert peer_host(("::ffff:192.0.2.7", 5, 0, 0)) == "192.0.2.7"
    assert peer_host(("2001:DB8:0:0::1", 5, 0, 0)) == "2001:db8::1"
    assert peer_host(("fe80::1%eth0", 5, 0, 2)) == "fe80::1"


class Door:
    """A listener with what came through it."""

    def __init__(self, *, batch: int = 16, keepalive: bool = False) -> None:
        self.came: list[socket.socket] = []
        self.refused: list[Reason] = []
        self.spare = SpareDescriptor()
        sock = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.where = sock.getsockname()
        self.listener = Listener(
            asyncio.get_running_loop(), sock, lambda connection, _: self.came.append(connection),
            on_refused=self.refused.append, spare=self.spare, batch=batch, keepalive=keepalive,
        )  # fmt: skip

    def close(self) -> None:
        self.listener.close()
        self.listener.close()
        self.spare.close()
        for each in self.came:
            each.close()


def play(scene: Callable[[], Awaitable[None]], loops: str) -> None:
    async def timed() -> None:
        await asyncio.wait_for(scene(), 10)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loops == "uvloop" else None) as runner:
        runner.run(timed())


async def until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(0.001)


@pytest.fixture(params=["asyncio", "uvloop"])
def loops(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_connections_come_ready_to_use(loops: str) -> None:
    async def scene() -> None:
        door = Door(keepalive=True)
        with socket.create_connection(door.where):
            await until(lambda: len(door.came) == 1)
        (connection,) = door.came
        assert not connection.getblocking()
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        door.close()

    play(scene, loops)


def test_a_flood_is_taken_in_batches(loops: str) -> None:
    async def scene() -> None:
        door = Door(batch=4)
        callers = [socket.create_connection(door.where) for _ in range(10)]
        counts = [0]
        while counts[-1] < 10:
            await asyncio.sleep(0)
            counts.append(len(door.came))
        assert max(b - a for a, b in pairwise(counts)) <= 4
        for each in callers:
            each.close()
        door.close()

    play(scene, loops)


def test_without_descriptors_newcomers_are_closed_by_name_and_the_rest_goes_on(loops: str) -> None:
    async def scene() -> None:
        door = Door()
        first = socket.create_connection(door.where)
        await until(lambda: len(door.came) == 1)
        callers = [socket.socket() for _ in range(5)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        probe = os.open(os.devnull, os.O_RDONLY)
        os.close(probe)
        resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
        try:
            for each in callers:
                each.connect(door.where)
            await until(lambda: len(door.refused) == 5)
            assert set(door.refused) == {Reason.DESCRIPTORS_EXHAUSTED}
            for each in callers:
                each.settimeout(5)
                assert each.recv(1) == b""
            door.came[0].send(b"undisturbed")
            assert first.recv(20) == b"undisturbed"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert door.spare.held
        for each in (*callers, first):
            each.close()
        with socket.create_connection(door.where):
            await until(lambda: len(door.came) == 2)
        door.close()

    play(scene, loops)


def test_without_even_the_spare_it_rests_and_comes_back(loops: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "REST", 0.1)

    async def scene() -> None:
        door = Door()
        caller = socket.socket()
        door.spare.release()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        probe = os.open(os.devnull, os.O_RDONLY)
        os.close(probe)
        resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
        try:
            caller.connect(door.where)
            await until(lambda: len(door.refused) == 1)
            turns = 0
            while len(door.refused) == 1:  # it tries again after the rest, not at every turn
                turns += 1
                await asyncio.sleep(0.001)
            assert turns > 2
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await until(lambda: len(door.came) == 1)
        assert door.spare.held
        caller.close()
        door.close()

    play(scene, loops)
