"""Calls between nodes when one of the nodes lies about having the callee: the library goes past it (D20)."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from client.client_world import ALICE, BOB, DEADLINE, GENEROUS, World, everybody, identity, serving, until
from e2e.raw_client import Conversation
from e2e.raw_federate import RawFederate
from e2e.raw_identity import identity as raw_identity
from e2e.raw_identity import node_identity
from e2e.raw_link import RawLink
from uzel.client import Client
from uzel.errors import NetworkError, NotTrustedError, Reason, UzelError
from uzel.names import NodeAddress, NodeReference
from uzel.node.config import NodeConfig


class Liar(RawFederate):
    """A node that says of Bob that he is here. Who calls him meets somebody else, or is hung up on, at once or soon."""

    def __init__(self, hangs_up: str = "") -> None:
        self.heard: list[str] = []
        self.asked = 0
        self.uin = int(identity(BOB).uin)
        super().__init__(node_identity(1), "127.0.40.1", [replace(raw_identity(9), uin=self.uin)], self._listen)
        self._hangs_up = hangs_up

    def hosting(self, link: RawLink, code: int, tail: bytes) -> bool:
        self.asked += code == 0xAA
        if code == 0xAA and self._hangs_up:
            link.send(0xAB, tail)
            if self._hangs_up == "at once":
                link.send(0xB8, tail)
            return True
        if code == 0xD0:
            link.send(0xB8, tail[2:10])
            return True
        return super().hosting(link, code, tail)

    def lie(self) -> None:
        """A hint that nobody asked for, the newest there is."""
        self.link().found_here(self.uin)

    def _listen(self, conversation: Conversation) -> None:
        while True:
            self.heard.append(conversation.read())


@asynccontextmanager
async def between(liar: Liar) -> AsyncIterator[tuple[Client, World]]:
    """Alice, logged in at a node that is linked to the liar and to an honest node; her node believes the liar."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        near, far = (World(Path(folder), NodeConfig(limits=GENEROUS)) for folder in (one, two))
        await far.start()
        try:
            await near.start(peers=[far.reference, NodeReference(NodeAddress(*liar.address))])
            await until("the nodes link", lambda: near.service.snapshot()["links"] == 2)
            await asyncio.to_thread(liar.lie)
            await until("it is believed", lambda: near.service.snapshot()["locations"])
            async with near.online(ALICE) as (alice,):
                yield alice, far
        finally:
            await near.stop()
            await far.stop()


def run(story: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE):
            await story

    everybody()
    asyncio.run(bounded())


@pytest.mark.parametrize("hangs_up", ["", "at once", "at the first bytes"])
def test_the_right_one_is_reached_past_a_node_that_claims_him(hangs_up: str) -> None:
    with Liar(hangs_up) as liar:

        async def story() -> None:
            async with between(liar) as (alice, far), far.online(BOB) as (bob,), serving(bob) as served:
                for number in range(2):
                    await asyncio.to_thread(liar.lie)
                    conversation = await alice.call(bob.uin)
                    await conversation.send(f"number {number}")
                    await conversation.close()
                assert served.texts == ["number 0", "number 1"]

        run(story())
        assert liar.asked
        assert liar.heard == []


@pytest.mark.parametrize(
    ("hangs_up", "error"), [("", NotTrustedError), ("at once", NetworkError), ("at the first bytes", NetworkError)]
)
def test_when_only_the_liar_has_him_it_is_told(hangs_up: str, error: type[UzelError]) -> None:
    with Liar(hangs_up) as liar:

        async def story() -> None:
            async with between(liar) as (alice, _):
                with pytest.raises(error) as told:
                    await alice.call(identity(BOB).uin)
                if not hangs_up:
                    assert told.value.reason == Reason.PEER_WRONG_UIN

        run(story())
        assert 1 <= liar.asked <= 3
        assert liar.heard == []
