"""Nodes in one process that link, and people who talk across them: the switchboard over real sockets."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
import uvloop

from client.client_world import (
    ALICE,
    BOB,
    CAROL,
    DEADLINE,
    GENEROUS,
    PEOPLE,
    QUICK,
    acquainted,
    identity,
    open_sockets,
    serving,
    talk,
    until,
)
from uzel.client import Client, Conversation
from uzel.errors import Reason, StorageError, UnavailableError
from uzel.names import Fingerprint, NodeAddress, NodeReference
from uzel.node.config import NodeConfig, Times
from uzel.node.link_connection import may_repeat
from uzel.node.service import NodeService
from uzel.node.settings import SwitchboardSettings
from uzel.store.sqlite_known_nodes import SqliteKnownNodes

TIMES = Times(redial_first=0.02, redial_last=0.1, everyone_after=0.05, link_first_message=5)
QUIET = (
    "bridges",
    "bridged",
    "held",
    "half_open",
    "controls",
    "calls",
    "conversations",
    "data_waiting",
    "tasks",
    "flows",
)


def run(story: Callable[[], Awaitable[None]], loops: str = "asyncio") -> None:
    """Run it; afterwards no task, no socket and no unlooked-at error is left."""
    faults: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(repr(fault)))
        before = open_sockets()
        async with asyncio.timeout(2 * DEADLINE):
            await story()
        assert not asyncio.all_tasks() - {asyncio.current_task()}
        await until("every socket is closed", lambda: open_sockets() == before)

    factory = uvloop.new_event_loop if loops == "uvloop" else None
    with asyncio.Runner(loop_factory=factory, debug=loops == "asyncio") as runner:
        runner.run(main())
    assert faults == []


class Node:
    """A node that knows everybody's keys, and can be stopped and started again at its port."""

    def __init__(self, folder: Path, times: Times = TIMES) -> None:
        self.folder = folder
        self.config = NodeConfig(times=times, limits=GENEROUS)
        self.port = 0

    async def start(self, *peers: NodeReference) -> None:
        self.service = NodeService(self.config, self.folder)
        await self.service.start([("127.0.0.1", self.port)], peers)
        self.port = self.service.control_addresses[0][1]
        claims: Any = self.service.claims
        for number in range(PEOPLE):
            assert claims.claim(identity(number).uin, identity(number).fingerprint, time.time())

    @property
    def reference(self) -> NodeReference:
        return NodeReference(NodeAddress("127.0.0.1", self.port))

    @property
    def links(self) -> int:
        """Links that stand, from both ends' view of it."""
        return sum(link.state == "up" for link in self.service._switchboard.links(self.service._loop.time()))

    def count(self, name: str) -> int:
        return self.service.snapshot()[name]

    async def is_quiet(self) -> None:
        """Nothing is left but links."""
        await until(
            "the node is quiet", lambda: not any(self.count(name) for name in QUIET) and self.links == self.connections
        )

    @property
    def connections(self) -> int:
        return self.count("connections")

    def refusals(self, reason: Reason) -> int:
        return self.service.counters[reason]


@asynccontextmanager
async def nodes(tmp_path: Path, count: int, times: Times = TIMES) -> AsyncIterator[list[Node]]:
    """So many nodes, each linked to all before it."""
    made: list[Node] = []
    try:
        for number in range(count):
            node = Node(tmp_path / str(number), times)
            await node.start(*(each.reference for each in made))
            made.append(node)
        for node in made:
            await until("they are linked", lambda node=node: node.links >= count - 1)  # type: ignore[misc] # no type
        yield made
        for node in made:
            await node.is_quiet()
    finally:
        for node in made:
            await node.service.stop(0)


@asynccontextmanager
async def at(node: Node, number: int) -> AsyncIterator[Client]:
    async with Client(identity(number), acquainted(), [node.reference], QUICK) as client:
        await client.wait_online(DEADLINE)
        yield client


async def exchange(one: Conversation, other: Conversation, *texts: str) -> None:
    """These texts one way, then the other way."""
    for sender, taker in ((one, other), (other, one)):
        for text in texts:
            sending = asyncio.create_task(sender.send(text))
            got = await anext(taker)
            got.acknowledge()
            assert got.text == text
            await sending


def test_the_switchboard_gets_its_defaults() -> None:
    assert NodeConfig().switchboard_settings() == SwitchboardSettings()


@pytest.mark.parametrize("loops", ["asyncio", "uvloop"])
def test_people_on_two_nodes_talk_whoever_dialled_and_whoever_calls(tmp_path: Path, loops: str) -> None:
    async def story() -> None:
        async with nodes(tmp_path, 2) as (a, b), at(a, ALICE) as alice, at(b, BOB) as bob:
            for caller, callee in ((alice, bob), (bob, alice)):
                ours, theirs = await talk(caller, callee)
                assert a.count("bridges") == b.count("bridges") == 1
                await exchange(ours, theirs, "a word", "x" * 60_000, "another")
                await ours.close()
                await theirs.wait_closed()

    run(story, loops)


@pytest.mark.parametrize("loops", ["asyncio", "uvloop"])
def test_much_goes_both_ways_at_once_and_arrives_in_order(tmp_path: Path, loops: str) -> None:
    async def story() -> None:
        async with nodes(tmp_path, 2) as (a, b), at(a, ALICE) as alice, at(b, BOB) as bob, serving(bob) as served:
            ours = await alice.call(bob.uin)
            texts = [f"{number} " + "y" * 40_000 for number in range(60)]
            await asyncio.gather(*(ours.send(text) for text in texts))
            assert served.texts == texts
            theirs = served.conversations[0]
            back = asyncio.gather(*(theirs.send(text) for text in texts))
            got = []
            async for text in ours:
                text.acknowledge()
                got.append(text.text)
                if len(got) == len(texts):
                    break
            await back
            assert got == texts
            incoming, outgoing = traffic(a)
            assert min(incoming, outgoing) > sum(map(len, texts))
            await ours.close()
            await theirs.wait_closed()

    run(story, loops)


def traffic(node: Node) -> tuple[int, int]:
    status = node.service.status()
    (link,) = [link for link in status["links"] if link["state"] == "up"]  # type: ignore[attr-defined] # JSON
    return link["bytes_in"], link["bytes_out"]


def test_many_conversations_share_one_link(tmp_path: Path) -> None:
    async def story() -> None:
        async with nodes(tmp_path, 2) as (a, b), at(b, BOB) as bob, at(b, CAROL) as carol, at(a, ALICE) as alice:
            pairs = [await talk(alice, bob), await talk(carol, alice)]
            assert a.count("bridges") == b.count("bridges") == 2
            await asyncio.gather(*(exchange(ours, theirs, *"abcdefgh") for ours, theirs in pairs))
            await pairs[0][0].close()
            await pairs[0][1].wait_closed()
            await exchange(*pairs[1], "goes on")
            await pairs[1][0].close()
            await pairs[1][1].wait_closed()

    run(story)


def test_who_is_nowhere_is_unavailable(tmp_path: Path) -> None:
    async def story() -> None:
        async with nodes(tmp_path, 3, replace(TIMES, search=0.3)) as (a, _, _), at(a, ALICE) as alice:
            with pytest.raises(UnavailableError):
                await alice.call(identity(BOB).uin)

    run(story)


def test_a_lost_link_ends_its_conversations_and_comes_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with nodes(tmp_path, 2) as (a, b), at(a, ALICE) as alice, at(b, BOB) as bob:
            ours, theirs = await talk(alice, bob)
            for link in list(a.service._links._links.values()):
                link.abort()
            await ours.wait_closed()
            await theirs.wait_closed()
            await until("the link is back", lambda: a.links and b.links)
            ours, theirs = await talk(alice, bob)
            await exchange(ours, theirs, "again")
            await ours.close()
            await theirs.wait_closed()

    run(story)


def test_a_node_that_stops_lets_conversations_end_and_passes_everything_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with nodes(tmp_path, 2) as (a, b), at(a, ALICE) as alice, at(b, BOB) as bob, serving(bob) as served:
            ours = await alice.call(bob.uin)
            stopping = asyncio.create_task(a.service.stop(DEADLINE))
            texts = ["z" * 50_000] * 20
            await asyncio.gather(*(ours.send(text) for text in texts))
            assert served.texts == texts
            assert not stopping.done()
            await ours.close()
            await served.conversations[0].wait_closed()
            await stopping
            assert a.refusals(Reason.DRAIN_TIMEOUT) == 0
            await a.start()

    run(story)


def test_a_node_that_is_hurried_stops_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with nodes(tmp_path, 2) as (a, b), at(a, ALICE) as alice, at(b, BOB) as bob:
            ours, theirs = await talk(alice, bob)
            stopping = asyncio.create_task(a.service.stop(1000))
            await until("it waits", lambda: a.service._stopping)
            a.service.hurry()
            await stopping
            await ours.wait_closed()
            await theirs.wait_closed()
            assert b.refusals(Reason.DRAIN_TIMEOUT) == 0
            await a.start()

    run(story)


def test_a_node_remembers_whom_it_knew(tmp_path: Path) -> None:
    async def story() -> None:
        async with nodes(tmp_path, 2) as (a, b):
            await b.service.stop(0)
            await b.start()  # nobody names a peer
            await until("they are linked again", lambda: a.links and b.links)

    run(story)


def test_a_changed_key_at_a_configured_address_is_refused_by_name(tmp_path: Path) -> None:
    async def story() -> None:
        async with nodes(tmp_path, 2) as (a, b):
            await b.service.stop(0)
            await a.service.stop(0)
            a.folder = tmp_path / "another"
            await a.start()
            await b.start(a.reference)
            await until("it is refused", lambda: b.refusals(Reason.NODE_KEY_CHANGED))
            await until("and gone", lambda: not a.connections)
            assert b.links == 0

    run(story)


class Answerer:
    """A server that takes CB and answers as it is told; it is never a node."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.heard: list[bytes] = []
        self.left = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.reference = NodeReference(NodeAddress(*self._server.sockets[0].getsockname()))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await until("everybody has left", lambda: self.left == len(self.heard))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append(await reader.readexactly(4))
        answer = self.answers.pop(0) if self.answers else b""
        try:
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        finally:
            self.left += 1
            writer.close()


@asynccontextmanager
async def dials(folder: Path, peer: NodeReference, **times: float) -> AsyncIterator[Node]:
    """A node with this peer."""
    node = Node(folder, replace(TIMES, **times))
    await node.start(peer)
    try:
        yield node
    finally:
        await node.service.stop(0)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", Reason.CONNECTION_LOST),
        (b"\x02\x02\x02\x00", Reason.VERSION_MISMATCH),
        (b"\x01\x01OK" + bytes(100), Reason.TLS_FAILED),
        (b"\x01\x01NO", Reason.ACCEPTED_MALFORMED),
        (b"HTTP/1.1 400 Bad Request\r\n", Reason.UNEQUAL_HEADER),
    ],
)
def test_what_is_no_node_is_named(tmp_path: Path, answer: bytes, reason: Reason) -> None:
    async def story() -> None:
        async with (
            Answerer(answer, answer, answer) as server,
            dials(tmp_path, server.reference, redial_first=1000, redial_last=1000) as node,
        ):
            await until("it is named", lambda: node.refusals(reason))
            assert server.heard == [b"\xcb\xcb\x01\x00"]
            assert node.refusals(reason) == 1
            assert node.connections == 0

    run(story)


def test_another_minor_is_dialled_once_more_with_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            Answerer(b"\x02\x02\x01\x07", b"\x02\x02\x01\x03") as server,
            dials(tmp_path, server.reference, redial_first=1000, redial_last=1000) as node,
        ):
            await until("it gives up", lambda: node.refusals(Reason.VERSION_MISMATCH))
            assert server.heard == [b"\xcb\xcb\x01\x00", b"\xcb\xcb\x01\x07"]
            assert node.refusals(Reason.VERSION_MISMATCH) == 1

    run(story)
    assert not may_repeat(None, (1, 0))
    assert not may_repeat((2, 0), (1, 0))


def test_who_says_nothing_is_left_in_time_and_dialled_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with Answerer(*[None] * 10) as server, dials(tmp_path, server.reference, handshake=0.05) as node:
            await until("twice", lambda: node.refusals(Reason.HANDSHAKE_TIMEOUT) >= 2)

    run(story)


@pytest.mark.parametrize("loops", ["asyncio", "uvloop"])
def test_a_node_that_stops_gives_up_its_dials(tmp_path: Path, loops: str) -> None:
    async def story() -> None:
        async with Answerer(None) as server, dials(tmp_path, server.reference) as node:
            await until("it is heard", lambda: server.heard)
            assert node.count("dials") == 1

    run(story, loops)


def test_a_port_that_nobody_listens_on_is_dialled_again_until_somebody_does(tmp_path: Path) -> None:
    async def story() -> None:
        a = Node(tmp_path / "a")
        await a.start()
        await a.service.stop(0)
        async with dials(tmp_path / "b", a.reference) as b:
            await until("twice", lambda: b.refusals(Reason.NODE_UNREACHABLE) >= 2)
            await a.start()
            await until("they are linked", lambda: a.links and b.links)
            await a.service.stop(0)

    run(story)


def test_a_node_that_is_full_makes_no_link(tmp_path: Path) -> None:
    async def story() -> None:
        a = Node(tmp_path / "a")
        await a.start()
        b = Node(tmp_path / "b")
        b.config = replace(b.config, limits=replace(GENEROUS, connections=4, data_share=0.5))
        await b.start()
        others = [socket.create_connection(("127.0.0.1", b.port)) for _ in range(2)]
        await until("it is full", lambda: b.connections == 2)
        for connection in b.service._connections._controls:
            b.service._connections.established(connection)  # as if they had logged in
        b.service._switchboard.configure(a.reference, None, b.service._loop.time())
        b.service._shared.carry_out()
        await until("there is no place", lambda: b.refusals(Reason.CONNECTIONS_FULL))
        for each in others:
            each.close()
        await until("there is one again", lambda: b.links)
        for node in (a, b):
            await node.service.stop(0)

    run(story)


def test_a_full_disk_does_not_hinder_a_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "uzel.node")

    def full(*_: object) -> None:
        raise StorageError("no space left")

    for verb in ("set_pin", "answered"):
        monkeypatch.setattr(SqliteKnownNodes, verb, full)

    async def story() -> None:
        async with nodes(tmp_path, 2, replace(TIMES, flush=0.05)) as (a, b), at(a, ALICE) as alice, at(b, BOB) as bob:
            ours, theirs = await talk(alice, bob)
            monkeypatch.setattr(SqliteKnownNodes, "flush", full)
            before = len(caplog.records)
            await until("both flush again and again", lambda: len(caplog.records) > before + 4)
            await exchange(ours, theirs, "all the same")
            await ours.close()
            await theirs.wait_closed()
            monkeypatch.undo()

    run(story)
    assert {record.message for record in caplog.records} == {"not_stored"}


def test_nodes_are_named_in_the_log_and_people_are_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "uzel.node")

    async def story() -> None:
        async with nodes(tmp_path, 2) as (a, b), at(a, ALICE) as alice, at(b, BOB) as bob:
            ours, theirs = await talk(alice, bob)
            await ours.close()
            await theirs.wait_closed()
            fingerprints.update((a.service.fingerprint, b.service.fingerprint))

    fingerprints: set[Fingerprint] = set()
    run(story)
    fields = [getattr(record, "fields", {}) for record in caplog.records]
    assert {each["node"] for each in fields if "node" in each} <= {str(each) for each in fingerprints}
    ended = [each for each in fields if "client_sent" in each]
    assert len(ended) == 2
    assert all(each["client_sent"] > 1000 and each["client_got"] > 1000 for each in ended)
    said = " ".join(map(str, fields))
    assert all(str(int(identity(number).uin)) not in said for number in (ALICE, BOB))
