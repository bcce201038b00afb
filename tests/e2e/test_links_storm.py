"""Three nodes and two clients that say anything at any time: the node is calm, and when they are gone nothing is left.

Every message is a valid one and names people who exist, and many are answered as they should be, so that calls, fences
and conversations are met at every step, in orders that nobody thought of. What must hold afterwards the stage demands.
"""

from __future__ import annotations

import contextlib
import random

import pytest

from e2e.linked import ALICE, CAROL
from e2e.raw_client import Closed, RawClient, Tcp, pair, ready, u32
from e2e.raw_link import RawLink, address_bytes, found_in_cache, node_list, relayed
from e2e.stage import Scene, Stage

STEPS = 600
LINKS = 3


class Storm:
    """One run; `random` decides who says what."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.scene = scene
        self.random = random.Random(seed)
        self.clients = [scene.login(ALICE), scene.login(CAROL)]
        self.people = [ALICE.uin, CAROL.uin, scene.bob, scene.dave]
        self.links = [self.linked(number) for number in range(LINKS)]
        self.data: list[Tcp] = []

    def linked(self, number: int) -> RawLink:
        link = self.scene.link(number)
        link.fences = False
        link.pongs = self.random.random() < 0.7
        link.script = self.answer
        return link

    def answer(self, link: RawLink, code: int, tail: bytes) -> bool:
        """What a link says to what it is told, mostly."""
        if code == 0xAA and self.random.random() < 0.8:
            link.send(self.random.choice((0xAB, 0xAB, 0xAB, 0xB8)), tail)
        if code == 0xA5 and self.random.random() < 0.7:
            link.send(0xA8, tail)
        return True

    def step(self) -> None:
        with contextlib.suppress(Closed, OSError):
            if self.random.random() < 0.6:
                self.say_on_a_link()
            else:
                self.say_as_a_client(self.random.choice(self.clients))

    def uin(self) -> int:
        return self.random.choice(self.people)

    def say_on_a_link(self) -> None:
        number = self.random.randrange(LINKS)
        if self.links[number].over or self.random.random() < 0.01:
            self.random.choice((RawLink.reset, RawLink.end))(self.links[number])
            self.links[number] = self.linked(number)
        one, other = self.uin(), self.uin()
        said: list[tuple[int, bytes]] = [
            (0x68, b"rr"), (0x69, b"rr"), (0x90, b"rr"), (0xA2, b"\xff\xff"), (0xA5, u32(one)), (0xA8, u32(one)),
            (0xA4, node_list(address_bytes("127.0.99.1", 0), address_bytes("10.0.0.1", 1))),
            (0xA9, found_in_cache(one, address_bytes("10.0.0.1", 1))),
            (0xD0, relayed(one, other, b"x" * self.random.randrange(3000))),
            *[(code, pair(one, other)) for code in (0xAA, 0xAB, 0xB8)] * 4,
        ]  # fmt: skip
        self.links[number].send(*self.random.choice(said))

    def say_as_a_client(self, client: RawClient) -> None:
        self.drain(client)
        other = self.uin()
        match self.random.randrange(8):
            case 0 | 1 | 2:
                client.call(other)
            case 3 | 4:
                client.accept(other)
                self.data.append(client.data(other, client.uin))
            case 5:
                self.data.append(client.data(client.uin, other))
            case 6:
                client.refuse(other)
            case 7 if self.data:
                data = self.data.pop(self.random.randrange(len(self.data)))
                data.send(b"y" * self.random.randrange(3000))
                self.random.choice((Tcp.close, Tcp.reset, Tcp.end))(data)

    def drain(self, client: RawClient) -> None:
        """Take what came, and do what it asks for, mostly."""
        while client.inbox.buffer or client.tls.pending() or ready([client.tcp]):
            code, tail = client.message()
            other = int.from_bytes(tail, "little")
            if code == 0x04 and self.random.random() < 0.7:
                client.accept(other)
                self.data.append(client.data(other, client.uin))
            if code == 0x07 and self.random.random() < 0.7:
                self.data.append(client.data(client.uin, other))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_they_say_nothing_is_left(stage: Stage, seed: int) -> None:
    with stage.scene("links") as scene:
        storm = Storm(scene, seed)
        for _ in range(STEPS):
            storm.step()
        for client in storm.clients:
            client.sync()
        assert all(code in {0x04, 0x05, 0x07} for client in storm.clients for code, _ in client.sync())
