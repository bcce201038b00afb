"""A node and some people in this process, and what they must leave behind: nothing.

Identities are made once a test run and nodes know their keys beforehand, because a key check takes 60 ms.
"""

from __future__ import annotations

import asyncio
import functools
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from uzel.client import Client, ClientSettings, Conversation, Text, WentOffline, WentOnline
from uzel.identity import Identity, MemoryPins, Pin
from uzel.names import NodeAddress, NodeReference, Uin
from uzel.node.config import Limits, NodeConfig, Times
from uzel.node.service import NodeService
from uzel.session.redial import RedialTimes

DEADLINE = 30.0
"""Seconds until something that must come about counts as failed."""
ALICE, BOB, CAROL, MALLORY = range(4)
PEOPLE = 12
QUICK = ClientSettings(redial=RedialTimes(first=0.01, last=0.1))
GENEROUS = Limits(logins_per_minute=1_000_000, login_burst=1_000_000, calls_per_minute=1_000_000, call_burst=1_000_000)


@functools.cache
def identity(number: int) -> Identity:
    return Identity.generate()


def everybody() -> list[Identity]:
    """All identities. Making them takes seconds on a busy machine, once: let it not count against a story's time."""
    return [identity(number) for number in range(PEOPLE)]


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Run it in asyncio's debug mode; afterwards no task, no descriptor and no unlooked-at error is left."""
    everybody()
    faults: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(repr(fault)))
        before = open_sockets()  # other tests of this process may keep some
        async with asyncio.timeout(DEADLINE):
            await story()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left
        assert open_sockets() == before

    asyncio.run(main(), debug=True)
    assert faults == []


def open_sockets() -> int:
    """Sockets of this process."""
    names = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:
            continue
    return sum(name.startswith("socket:") for name in names)


async def until(what: str, holds: Callable[[], object]) -> None:
    """Look until it holds; `AssertionError` when it does not within the deadline."""
    deadline = time.monotonic() + DEADLINE / 2
    while not holds():
        assert time.monotonic() < deadline, f"never came about: {what}"
        await asyncio.sleep(0.001)


class World:
    """One node on a free loopback port, which can be stopped and started again, and its clients."""

    def __init__(self, folder: Path, config: NodeConfig) -> None:
        self._folder = folder
        self._config = config
        self._port = 0
        self.service = NodeService(config, folder)

    async def start(self, state: str = "state", peers: Sequence[NodeReference] = ()) -> None:
        """Start the node, again on the port it had. Another `state` is another node: it has another key."""
        self.service = NodeService(self._config, self._folder / state)
        await self.service.start([("127.0.0.1", self._port)], peers)
        self._port = self.service.control_addresses[0][1]
        claims: Any = self.service.claims
        for one in everybody():
            assert claims.claim(one.uin, one.fingerprint, time.time())

    async def stop(self) -> None:
        await self.service.stop(0)

    @property
    def reference(self) -> NodeReference:
        return NodeReference(NodeAddress("127.0.0.1", self._port))

    def client(
        self,
        number: int,
        *,
        settings: ClientSettings = QUICK,
        pins: MemoryPins | None = None,
        nodes: list[NodeReference] | None = None,
    ) -> Client:
        return Client(identity(number), acquainted() if pins is None else pins, nodes or [self.reference], settings)

    @asynccontextmanager
    async def online(self, *numbers: int, **others: Any) -> AsyncIterator[list[Client]]:
        """Clients of these people, logged in."""
        clients = [self.client(number, **others) for number in numbers]
        for client in clients:
            await client.__aenter__()
        try:
            for client in clients:
                await client.wait_online(DEADLINE)
            yield clients
        finally:
            for client in clients:
                await client.close()

    def aborts_control(self, uin: Uin) -> None:
        """The node loses this user's control connection."""
        for control in list(self.service._controls.values()):
            if control.uin == uin and control.runner is not None:
                control.runner.abort()

    def people(self) -> int:
        """How much there is of clients and their calls."""
        snapshot = self.service.snapshot()
        return sum(snapshot[name] for name in ("clients", "controls", "calls", "conversations"))

    async def is_empty(self) -> None:
        """Everybody has gone and the node noticed."""
        await until("the node forgets everyone", lambda: not any(self.service.snapshot().values()))


@asynccontextmanager
async def world(*, times: Times | None = None) -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        made = World(Path(folder), NodeConfig(times=times or Times(), limits=GENEROUS))
        await made.start()
        try:
            yield made
            await made.is_empty()
        finally:
            await made.stop()


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[World, World]]:
    """Two nodes; the first one dialled the second."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        worlds = [World(Path(folder), NodeConfig(limits=GENEROUS)) for folder in (one, two)]
        try:
            await worlds[1].start()
            await worlds[0].start(peers=[worlds[1].reference])
            await until("the nodes link", lambda: all(each.service.snapshot()["links"] for each in worlds))
            yield worlds[0], worlds[1]
            await until("the nodes forget everyone", lambda: not any(each.people() for each in worlds))
        finally:
            for each in worlds:
                await each.stop()


def acquainted() -> MemoryPins:
    """Pins in which everybody knows everybody, unverified."""
    return MemoryPins({one.uin: Pin(one.fingerprint, verified=False) for one in everybody()})


def changed(settings: ClientSettings = QUICK, **values: Any) -> ClientSettings:
    return replace(settings, **values)


class Events:
    """What a client told, and a way to wait for it."""

    def __init__(self, client: Client) -> None:
        self.all: list[WentOnline | WentOffline] = []
        client.on_event = self.all.append

    @property
    def offline(self) -> list[WentOffline]:
        return [event for event in self.all if isinstance(event, WentOffline)]

    @property
    def online(self) -> list[WentOnline]:
        return [event for event in self.all if isinstance(event, WentOnline)]


class Served:
    """A client that serves, and the texts its handler took."""

    def __init__(self, client: Client) -> None:
        self.texts: list[str] = []
        self.conversations: list[Conversation] = []
        self._task = asyncio.create_task(client.serve(self._handle))

    async def _handle(self, conversation: Conversation, text: Text) -> None:
        if conversation not in self.conversations:
            self.conversations.append(conversation)
        self.texts.append(text.text)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


@asynccontextmanager
async def serving(client: Client) -> AsyncIterator[Served]:
    served = Served(client)
    try:
        yield served
    finally:
        await served.stop()


async def talk(caller: Client, callee: Client) -> tuple[Conversation, Conversation]:
    """A conversation between these two, from both ends."""
    calling = asyncio.create_task(caller.call(callee.uin))
    incoming = await anext(callee.calls())
    theirs, ours = await asyncio.gather(incoming.accept(), calling)
    return ours, theirs
