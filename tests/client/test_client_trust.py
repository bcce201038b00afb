"""Who answers, and which node: wrong keys end with a named error and exit code 4 before any text."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from client.client_world import (
    ALICE,
    BOB,
    CAROL,
    MALLORY,
    Events,
    acquainted,
    identity,
    run,
    serving,
    talk,
    world,
)
from uzel.client import Client
from uzel.client.conversation import BaseProtocol
from uzel.errors import (
    CertificateError,
    ConversationEndedError,
    ExitCode,
    NodeKeyChangedError,
    NotTrustedError,
    PeerKeyChangedError,
    Reason,
    StorageError,
    WrongPeerError,
)
from uzel.identity import Identity, MemoryPins, Pin
from uzel.names import ContactLink, Fingerprint, NodeAddress, NodeReference, Uin
from uzel.tls import Side, make_context


def answers_as(client: Client, other: Identity) -> None:
    """From now on this client shows somebody else's certificate when it is called."""
    client._calls._as_callee = make_context(
        private_key=other.private_key, certificate=other.certificate, side=Side.SERVER, alpn=BaseProtocol.alpn
    )


def test_someone_else_answers_three_times() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob), serving(bob) as served:
            answers_as(bob, identity(MALLORY))
            with pytest.raises(WrongPeerError, match="Someone else answered") as wrong:
                await alice.call(bob.uin)
            assert (wrong.value.exit_code, wrong.value.reason) == (ExitCode.NOT_TRUSTED, Reason.PEER_WRONG_UIN)
            assert served.texts == []
            assert alice.counters[Reason.PEER_WRONG_UIN] == 3
            answers_as(bob, identity(BOB))
            await (await alice.call(bob.uin)).send("now it is you")

    run(story)


def test_the_right_one_answers_the_second_time() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            answers_as(bob, identity(MALLORY))
            calling = asyncio.create_task(alice.call(bob.uin))
            first = await anext(bob.calls())
            with suppress(ConversationEndedError):  # Alice may hang up before, or just after, Bob has checked her key
                await (await first.accept()).wait_closed()
            answers_as(bob, identity(BOB))
            second = await (await anext(bob.calls())).accept()
            assert (await calling).peer.uin == bob.uin
            assert second.is_open

    run(story)


def test_a_changed_key_is_refused_by_the_caller() -> None:
    async def story() -> None:
        stale = MemoryPins({identity(BOB).uin: Pin(identity(MALLORY).fingerprint, verified=True)})
        async with world() as w, w.online(ALICE, pins=stale) as (alice,), w.online(BOB) as (bob,), serving(bob) as b:
            with pytest.raises(PeerKeyChangedError) as changed:
                await alice.call(bob.uin)
            assert changed.value.exit_code == ExitCode.NOT_TRUSTED
            assert stale.peer(bob.uin) == Pin(identity(MALLORY).fingerprint, verified=True)
            assert b.texts == []

    run(story)


def test_a_changed_key_is_refused_by_the_callee() -> None:
    async def story() -> None:
        stale = MemoryPins({identity(ALICE).uin: Pin(identity(MALLORY).fingerprint, verified=True)})
        async with world() as w, w.online(ALICE) as (alice,), w.online(BOB, pins=stale) as (bob,):
            calling = asyncio.create_task(alice.call(bob.uin))
            with pytest.raises(PeerKeyChangedError):
                await (await anext(bob.calls())).accept()
            with pytest.raises(ConversationEndedError):
                await (await calling).send("unread")

    run(story)


def test_a_key_whose_uin_is_another() -> None:
    async def story() -> None:
        forged = Identity(identity(MALLORY).private_key, identity(BOB).uin)
        strangers = MemoryPins()
        async with world() as w, w.online(ALICE, pins=strangers) as (alice,), w.online(BOB) as (bob,), serving(bob):
            answers_as(bob, forged)
            with pytest.raises(CertificateError) as wrong:
                await alice.call(bob.uin)
            assert wrong.value.reason == Reason.UIN_NOT_OF_KEY
            assert strangers.peer(bob.uin) is None

    run(story)


def test_a_link_verifies_and_a_number_trusts_on_first_use() -> None:
    async def story() -> None:
        pins = MemoryPins()
        async with (
            world() as w,
            w.online(ALICE, pins=pins) as (alice,),
            w.online(BOB, CAROL) as (bob, carol),
            serving(bob),
            serving(carol),
        ):
            first = await alice.call(bob.uin)
            assert (first.peer.verified, first.peer.first_use) == (False, True)
            assert await alice.call(bob.link) is first  # the link finds the conversation, and verifies its key
            assert first.peer.verified
            assert pins.peer(bob.uin) == Pin(bob.fingerprint, verified=True)
            assert (await alice.call(str(carol.link))).peer.verified

    run(story)


def test_a_link_with_another_key_is_refused_even_while_we_talk() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            ours, _ = await talk(alice, bob)
            with pytest.raises(PeerKeyChangedError):
                await alice.call(ContactLink(bob.uin, identity(MALLORY).fingerprint))
            assert await ours.ping() > 0

    run(story)


def test_a_key_that_was_replaced_while_the_older_conversation_ended_begins_none() -> None:
    """What was trusted before may be whom the person does not mean any more: ending the older one takes seconds."""

    async def story() -> None:
        pins = acquainted()
        async with (
            world() as w,
            w.online(ALICE, pins=pins) as (alice,),
            w.online(BOB) as (bob,),
            serving(bob) as served,
        ):
            older = await alice.call(bob.uin)
            await older.close()
            end = older.close

            async def replaced_meanwhile(within: float | None = None) -> None:
                await end(within)
                pins.forget_peer(bob.uin)
                pins.pin_peer(bob.uin, identity(MALLORY).fingerprint, verified=False)

            setattr(older, "close", replaced_meanwhile)  # noqa: B010 - a method
            alice._calls._conversations[bob.uin] = older
            with pytest.raises(PeerKeyChangedError):
                await alice.call(bob.uin)
            assert alice._calls._conversations.pop(bob.uin) is older
            assert served.texts == []

    run(story)


def test_a_changed_node_key_is_told_at_once() -> None:
    async def story() -> None:
        async with world() as w:
            pins = MemoryPins(nodes={w.reference.address: identity(MALLORY).fingerprint})
            async with w.client(ALICE, pins=pins) as alice:
                with pytest.raises(NodeKeyChangedError) as changed:
                    await alice.wait_online()
                assert changed.value.exit_code == ExitCode.NOT_TRUSTED
                with pytest.raises(NodeKeyChangedError):
                    await alice.call(identity(BOB).uin)
            assert w.service.snapshot()["clients"] == 0

    run(story)


def test_a_node_that_comes_back_with_another_key() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE) as (alice,):
            await w.stop()
            await w.start("another")
            with pytest.raises(NodeKeyChangedError):
                await until_not_online(alice)

    run(story)


async def until_not_online(client: Client) -> None:
    while True:
        await client.wait_online()
        await asyncio.sleep(0.001)


def test_a_given_fingerprint_is_accepted_or_not() -> None:
    async def story() -> None:
        async with world() as w:
            pins = MemoryPins(nodes={w.reference.address: identity(MALLORY).fingerprint})
            right = NodeReference(w.reference.address, w.service.fingerprint)
            async with w.client(ALICE, pins=pins, nodes=[right]) as alice:
                await alice.wait_online()
            assert pins.node(w.reference.address) == w.service.fingerprint  # this is how a new key is accepted
            wrong = NodeReference(w.reference.address, identity(MALLORY).fingerprint)
            async with w.client(ALICE, pins=pins, nodes=[wrong]) as alice:
                with pytest.raises(NodeKeyChangedError):
                    await alice.wait_online()
            assert pins.node(w.reference.address) == w.service.fingerprint

    run(story)


def test_a_node_with_a_changed_key_is_passed_over_for_the_next() -> None:
    async def story() -> None:
        async with world() as one, world() as two:
            pins = MemoryPins(nodes={one.reference.address: identity(MALLORY).fingerprint})
            alice = one.client(ALICE, pins=pins, nodes=[one.reference, two.reference])
            events = Events(alice)
            async with alice:
                assert (await alice.wait_online()).node == two.reference.address
            assert events.offline[0].reason == Reason.NODE_KEY_CHANGED

    run(story)


class FullDisk(MemoryPins):
    def pin_node(self, address: NodeAddress, fingerprint: Fingerprint, *, replace: bool = False) -> None:
        raise StorageError("no space left")


class FullLater(MemoryPins):
    def pin_peer(self, uin: Uin, fingerprint: Fingerprint, *, verified: bool) -> Pin:
        raise StorageError("no space left")


def test_a_pin_that_cannot_be_written_is_told() -> None:
    async def story() -> None:
        async with world() as w, w.online(BOB) as (bob,), serving(bob):
            async with w.client(ALICE, pins=FullDisk()) as alice:
                with pytest.raises(StorageError):
                    await alice.wait_online()
            async with w.client(ALICE, pins=FullLater()) as alice:
                with pytest.raises(StorageError):
                    await alice.call(bob.link)

    run(story)


def test_not_trusted_is_exit_code_4() -> None:
    assert NotTrustedError.exit_code is ExitCode.NOT_TRUSTED
    assert int(ExitCode.NOT_TRUSTED) == 4
    assert acquainted().peer(identity(BOB).uin) == Pin(identity(BOB).fingerprint, verified=False)
