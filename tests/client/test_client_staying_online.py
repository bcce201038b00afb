"""Logging in, staying logged in, other nodes, and another program with the same key."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from client.client_world import ALICE, BOB, Events, changed, identity, run, serving, talk, until, world
from uzel.client import Client, WentOffline, WentOnline
from uzel.errors import (
    ClientClosedError,
    ExitCode,
    NodeRefusedError,
    NodeUnreachableError,
    ProtocolError,
    TimedOutError,
    UzelError,
    VersionMismatchError,
)
from uzel.identity import MemoryPins
from uzel.names import NodeAddress, NodeReference
from uzel.session.keepalive import KeepaliveTimes
from uzel.session.redial import RedialTimes
from uzel.wire import Accepted, ClientHello, VersionMismatch, encode

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def fake_node(answer: Answer) -> AsyncIterator[NodeReference]:
    """Something that listens where a node should."""
    tasks: set[asyncio.Future[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer(reader, writer)
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(take(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield NodeReference(NodeAddress("127.0.0.1", server.sockets[0].getsockname()[1]))
    await asyncio.gather(*tasks)


async def says_nothing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Not a word."""


async def hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def says_http(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def is_of_version_2(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(encode(VersionMismatch(2, 0)))
    writer.close()


async def is_always_of_version_1_7(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(encode(VersionMismatch(1, 7)))
    writer.close()


async def stops_after_the_hello(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(encode(Accepted()))


async def speaks_no_tls(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(encode(Accepted()) + b"this is not TLS")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nowhere() -> NodeReference:
    return NodeReference(NodeAddress("127.0.0.1", free_port()))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (says_nothing, TimedOutError),
        (stops_after_the_hello, TimedOutError),
        (hangs_up, NodeRefusedError),
        (says_http, ProtocolError),
        (speaks_no_tls, ProtocolError),
        (is_of_version_2, VersionMismatchError),
        (is_always_of_version_1_7, VersionMismatchError),
    ],
)
def test_what_is_no_node(answer: Answer, error: type[UzelError]) -> None:
    async def story() -> None:
        async with fake_node(answer) as node:
            patience = 0.1 if error is TimedOutError else 10.0
            settings = changed(handshake=patience, redial=RedialTimes(first=60))
            alice = Client(identity(ALICE), MemoryPins(), [node], settings)
            events = Events(alice)
            async with alice:
                await until("an attempt failed", lambda: events.offline)
                with pytest.raises(error) as why:
                    await alice.wait_online(0.01)
                assert why.value.exit_code == ExitCode.NETWORK
                with pytest.raises(error):
                    await alice.call(identity(BOB).uin, timeout=0.01)

    run(story)


def test_a_node_of_another_minor_is_dialled_once_more_with_it() -> None:
    """D5."""

    async def story() -> None:
        hellos: list[bytes] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            hellos.append(await reader.readexactly(4))
            await is_always_of_version_1_7(reader, writer)

        async with fake_node(answer) as node:
            alice = Client(identity(ALICE), MemoryPins(), [node], changed(redial=RedialTimes(first=60)))
            events = Events(alice)
            async with alice:
                await until("an attempt failed", lambda: events.offline)
        assert hellos == [encode(ClientHello(1, 0)), encode(ClientHello(1, 7))]

    run(story)


def test_no_node_at_all() -> None:
    async def story() -> None:
        settings = changed(redial=RedialTimes(first=0.002, last=0.016, jitter=0.5))
        alice = Client(identity(ALICE), MemoryPins(), [nowhere()], settings)
        events = Events(alice)
        async with alice:
            await until("an attempt failed", lambda: events.offline)
            with pytest.raises(NodeUnreachableError):
                await alice.wait_online(0.05)
            await until("eight attempts", lambda: len(events.offline) >= 8)
        delays = [event.retry_in for event in events.offline[:8]]
        bases = [0.002, 0.004, 0.008, 0.016, 0.016, 0.016, 0.016, 0.016]
        assert all(base * 0.5 <= delay <= base * 1.5 for base, delay in zip(bases, delays, strict=True))
        assert len(set(delays)) == len(delays)
        assert not any(event.contested for event in events.offline)

    run(story)


def test_retry_now() -> None:
    async def story() -> None:
        async with world() as w:
            await w.stop()
            alice = w.client(ALICE, settings=changed(redial=RedialTimes(first=600, last=600)))
            events = Events(alice)
            async with alice:
                await until("an attempt failed", lambda: events.offline)
                await w.start()
                alice.retry_now()
                assert (await alice.wait_online()).uin == alice.uin

    run(story)


def test_it_goes_on_by_itself_after_the_node_was_away() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob), serving(bob) as served:
            events = Events(alice)
            first = await alice.call(bob.uin)
            await first.send("before")
            await w.stop()
            await first.wait_closed()
            await until("it noticed", lambda: not alice.is_online and not bob.is_online)
            await w.start()
            await bob.wait_online()
            second = await alice.call(bob.uin)  # it waits for the login
            await second.send("after")
            assert served.texts == ["before", "after"]
            assert isinstance(events.all[0], WentOffline)
            assert isinstance(events.all[-1], WentOnline)

    run(story)


def test_several_nodes_in_order() -> None:
    async def story() -> None:
        async with world() as one, world() as two:
            nodes = [nowhere(), nowhere(), one.reference, two.reference]
            alice = one.client(ALICE, nodes=nodes, settings=changed(redial=RedialTimes(first=0.01, last=0.1, jitter=0)))
            events = Events(alice)
            async with alice:
                assert (await alice.wait_online()).node == one.reference.address
                await one.stop()
                await until("it moved on", lambda: len(events.online) == 2)
                assert (await alice.wait_online()).node == two.reference.address
                await one.start()
                await two.stop()
                await until("it moved on", lambda: len(events.online) == 3)
                assert events.online[2].node == one.reference.address
                await two.start()
            # A node that was never reached is followed at once, one that died by the next one soon.
            assert [event.retry_in for event in events.offline[:3]] == [0.0, 0.0, 0.01]

    run(story)


def test_two_programs_on_one_key() -> None:
    """Each replaces the other (D10), until both know and dial only at the slowest delay."""

    async def story() -> None:
        times = RedialTimes(first=0.005, last=0.2, jitter=0.0, short=5.0, stable=50.0)
        async with world() as w:
            one, other = (w.client(ALICE, settings=changed(redial=times)) for _ in range(2))
            events = [Events(one), Events(other)]
            async with one, other:
                await until("both know", lambda: all(any(e.contested for e in of.offline) for of in events))
            for of in events:
                knows = [event.contested for event in of.offline].index(True)
                assert len(of.online) >= times.contested_after
                assert all(event.contested and event.retry_in == times.last for event in of.offline[knows:])
                assert all(event.retry_in < times.last for event in of.offline[:knows])

    run(story)


def test_a_silent_node_is_left() -> None:
    async def story() -> None:
        settings = changed(keepalive=KeepaliveTimes(idle=0.02, silence=0.06))
        async with world() as w:
            alice = w.client(ALICE, settings=settings)
            events = Events(alice)
            async with alice:
                await alice.wait_online()
                control = next(iter(w.service._controls.values()))
                deaf = control.runner
                assert deaf is not None
                deaf.transport.pause_reading()
                await until("it left", lambda: events.offline)
                assert events.offline[0].reason == "silence"
                await alice.wait_online()
                deaf.abort()

    run(story)


def test_an_event_handler_that_raises_does_not_take_the_client_offline() -> None:
    async def story() -> None:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: told.append(fault["exception"]))

        def fails(event: object) -> None:
            raise ZeroDivisionError

        async with world() as w:
            alice = w.client(ALICE)
            alice.on_event = fails
            async with alice:
                await alice.wait_online()
                await until("it was told", lambda: told)
                assert alice.is_online
        assert [type(error) for error in told] == [ZeroDivisionError]

    run(story)


def test_a_client_needs_a_node() -> None:
    with pytest.raises(ValueError, match="at least one node"):
        Client(identity(ALICE), MemoryPins(), [])


# -- The end ---------------------------------------------------------------------------------------------------


def test_closing_at_whatever_moment_of_the_login() -> None:
    async def story() -> None:
        async with world() as w:
            for moment in range(0, 40, 2):
                alice = w.client(ALICE)
                async with alice:
                    for _ in range(moment):
                        await asyncio.sleep(0)
                await w.is_empty()

    run(story)


def test_closing_while_the_node_is_silent() -> None:
    async def story() -> None:
        connected = asyncio.Event()

        async def is_silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
            connected.set()

        async with fake_node(is_silent) as node:
            alice = Client(identity(ALICE), MemoryPins(), [node])
            async with alice:
                waiting = asyncio.create_task(alice.wait_online())
                calling = asyncio.create_task(alice.call(identity(BOB).uin))
                await connected.wait()
            for task in (waiting, calling):
                with pytest.raises(ClientClosedError):
                    await task

    run(story)


def test_closing_at_whatever_moment_of_a_call() -> None:
    async def story() -> None:
        async with world() as w, w.online(BOB) as (bob,), serving(bob):
            for moment in range(0, 40, 3):
                async with w.online(ALICE) as (alice,):
                    calling = asyncio.create_task(alice.call(bob.uin))
                    for _ in range(moment):
                        await asyncio.sleep(0)
                await asyncio.wait([calling])
                assert calling.exception() is None or isinstance(calling.exception(), ClientClosedError)

    run(story)


def test_closing_within_conversations() -> None:
    async def story() -> None:
        async with world() as w:
            async with w.online(ALICE, BOB) as (alice, bob):
                ours, theirs = await talk(alice, bob)
                sending = asyncio.create_task(ours.send("hello"))
                calls = asyncio.create_task(drain(alice))
                await anext(theirs)
            with pytest.raises(UzelError):
                await sending
            assert await calls == []
            with pytest.raises(ClientClosedError):
                await alice.call(bob.uin)
            await alice.close()

    run(story)


async def drain(client: Client) -> list[object]:
    return [call async for call in client.calls()]


def test_a_client_that_was_never_started_can_be_closed() -> None:
    async def story() -> None:
        alice = Client(identity(ALICE), MemoryPins(), [nowhere()])
        await alice.close()
        with pytest.raises(ClientClosedError):
            await alice.wait_online()

    run(story)


def test_a_hundred_conversations_leave_nothing_in_the_client() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob), serving(bob):
            for _ in range(100):
                conversation = await alice.call(bob.uin)
                await conversation.send("hello")
                await conversation.close()
            await until("bob forgot", lambda: not bob._calls._conversations)
            for client in (alice, bob):
                calls = client._calls
                kept = (
                    calls._set_ups,
                    calls._ringing,
                    calls._given_up,
                    calls._conversations,
                    client._protocol._unreported,
                )
                assert not any(kept)
                assert not calls._tasks

    run(story)
