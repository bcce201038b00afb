"""Calling and being called: shared set-ups, glare, cancelling, refusing, and a peer that calls while we talk."""

from __future__ import annotations

import asyncio

import pytest

from client.client_world import (
    ALICE,
    BOB,
    CAROL,
    PEOPLE,
    World,
    changed,
    open_sockets,
    run,
    serving,
    talk,
    until,
    world,
)
from uzel.client import Client, Conversation, IncomingCall
from uzel.errors import ConversationEndedError, NetworkError, Reason, TimedOutError, UnavailableError
from uzel.identity import MemoryPins
from uzel.names import Uin
from uzel.node.config import Times
from uzel.node.control_connection import ControlConnection
from uzel.wire import IncomingCall as IncomingCallMessage
from uzel.wire import Message, Refuse


def conversations(client: Client) -> dict[Uin, Conversation]:
    return client._calls._conversations


def nothing_is_set_up(*clients: Client) -> bool:
    return all(not client._calls._set_ups and not client._calls._tasks for client in clients)


def test_a_call_and_its_end() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            ours, theirs = await talk(alice, bob)
            assert (ours.peer.uin, theirs.peer.uin) == (bob.uin, alice.uin)
            assert ours.tls.alpn == "uzel/1"
            assert await ours.ping() > 0
            await ours.close()
            await theirs.wait_closed()
            assert (ours.end_reason, theirs.end_reason) == ("", "")
            assert not ours.is_open
            assert not conversations(alice)
            assert not conversations(bob)

    run(story)


def test_two_calls_at_once_share_one_set_up() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob), serving(bob):
            one, other = await asyncio.gather(alice.call(bob.uin), alice.call(bob.link))
            assert one is other
            assert await alice.call(bob.uin) is one
            assert w.service.snapshot()["conversations"] == 1

    run(story)


def test_one_of_two_callers_may_give_up() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            one, other = (asyncio.create_task(alice.call(bob.uin)) for _ in range(2))
            incoming = await anext(bob.calls())
            one.cancel()
            await asyncio.wait([one])
            theirs = await incoming.accept()
            assert (await other).is_open
            assert theirs.is_open

    run(story)


@pytest.mark.parametrize("round_", range(8))
def test_glare_ends_with_one_conversation(round_: int) -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):

            async def later(client: Client, peer: Uin) -> Conversation:
                for _ in range(round_):
                    await asyncio.sleep(0)
                return await client.call(peer)

            ours, theirs = await asyncio.gather(alice.call(bob.uin), later(bob, alice.uin))
            assert list(conversations(alice).values()) == [ours]
            assert list(conversations(bob).values()) == [theirs]
            assert await ours.ping() > 0
            assert w.service.snapshot()["conversations"] == 1
            assert w.service.snapshot()["calls"] == 0

    run(story)


def test_glare_while_both_serve() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob), serving(alice) as a, serving(bob) as b:
            for _ in range(10):
                ours, theirs = await asyncio.gather(alice.call(bob.uin), bob.call(alice.uin))
                assert list(conversations(alice).values()) == [ours]
                assert list(conversations(bob).values()) == [theirs]
                assert await ours.ping() > 0
                await asyncio.gather(ours.close(), theirs.close())
            assert a.texts == b.texts == []

    run(story)


def test_a_call_of_ours_answers_theirs() -> None:
    """D14: with an unanswered 04, 06 is sent instead of 03, and the incoming call does not ring any more."""

    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            calling = asyncio.create_task(alice.call(bob.uin))
            incoming = await anext(bob.calls())
            assert rings(incoming)
            theirs = await bob.call(alice.uin)
            ours = await calling
            assert not rings(incoming)
            incoming.refuse()
            with pytest.raises(UnavailableError):
                await incoming.accept()
            assert await ours.ping() > 0
            assert theirs.is_open

    run(story)


def rings(call: IncomingCall) -> bool:
    return call.is_ringing


def test_a_refused_call_and_one_to_the_absent() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            calling = asyncio.create_task(alice.call(bob.uin))
            (await anext(bob.calls())).refuse()
            with pytest.raises(UnavailableError) as refused:
                await calling
            assert refused.value.exit_code == 3
            with pytest.raises(UnavailableError):
                await alice.call(12345)
            with pytest.raises(UnavailableError):
                await alice.call(alice.uin)
            assert nothing_is_set_up(alice, bob)

    run(story)


def test_a_call_times_out_and_a_later_one_works() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            with pytest.raises(TimedOutError):
                await alice.call(bob.uin, timeout=0.05)
            assert nothing_is_set_up(alice)
            async with serving(bob):  # the call still rings at the node: its 07 is wanted again
                assert (await alice.call(bob.uin)).is_open

    run(story)


def test_a_cancelled_call_leaves_nothing_at_whatever_moment() -> None:
    async def story() -> None:
        async with (
            world(times=Times(data=0.5)) as w,
            w.online(ALICE, BOB) as (alice, bob),
            serving(bob),
        ):
            for moment in range(0, 60, 3):
                calling = asyncio.create_task(alice.call(bob.uin))
                for _ in range(moment):
                    await asyncio.sleep(0)
                calling.cancel()
                await asyncio.wait([calling])
                assert not alice._calls._set_ups
                await until("the opening has ended", lambda: nothing_is_set_up(alice))
                conversation = await alice.call(bob.uin)
                assert await conversation.ping() > 0
                await conversation.close()

    run(story)


def test_an_answer_that_lapsed_does_not_fail_the_next_call() -> None:
    """07 comes after the caller gave up (D15): the node is silent to its next 03 until that call's time has passed."""

    async def story() -> None:
        async with world(times=Times(data=0.5)) as w, w.online(ALICE, BOB) as (alice, bob), serving(bob):
            calling = asyncio.create_task(alice.call(bob.uin))
            await until("03 is sent", lambda: alice._calls._set_ups)
            calling.cancel()
            await until("07 was sent", lambda: w.service.snapshot()["data_waiting"])
            assert (await alice.call(bob.uin)).is_open

    run(story)


def test_a_cancelled_accept_leaves_nothing() -> None:
    async def story() -> None:
        async with world(times=Times(data=0.5)) as w, w.online(ALICE, BOB) as (alice, bob):
            for moment in range(1, 40, 4):
                calling = asyncio.create_task(alice.call(bob.uin))
                incoming = await anext(bob.calls())
                accepting = asyncio.create_task(incoming.accept())
                for _ in range(moment):
                    await asyncio.sleep(0)
                accepting.cancel()
                again = asyncio.create_task(refuse_all(bob))  # who broke off may be called again
                await asyncio.wait([accepting, calling])
                again.cancel()
                if accepting.cancelled():
                    await ends_for_the_caller(calling)
                else:
                    await (await accepting).close()
                await until("nothing is left", lambda: nothing_is_set_up(alice, bob) and not conversations(alice))
                assert not conversations(bob)

    run(story)


async def refuse_all(client: Client) -> None:
    async for call in client.calls():
        call.refuse()


async def ends_for_the_caller(calling: asyncio.Task[Conversation]) -> None:
    if (error := calling.exception()) is not None:
        assert isinstance(error, NetworkError)
    else:
        await calling.result().wait_closed()


def test_accepting_after_the_caller_has_gone() -> None:
    async def story() -> None:
        async with world() as w, w.online(BOB) as (bob,):
            async with w.online(ALICE) as (alice,):
                calling = asyncio.create_task(alice.call(bob.uin))
                incoming = await anext(bob.calls())
            with pytest.raises(NetworkError):
                await calling
            await until("05 came", lambda: not incoming.is_ringing)
            with pytest.raises(UnavailableError):
                await incoming.accept()
            incoming.refuse()
            assert nothing_is_set_up(bob)

    run(story)


def test_calls_that_nobody_looks_at() -> None:
    async def story() -> None:
        settings = changed(waiting_calls=1)
        async with world() as w, w.online(BOB, settings=settings) as (bob,), w.online(CAROL) as (carol,):
            async with w.online(ALICE) as (alice,):
                calling = asyncio.create_task(alice.call(bob.uin))
                await until("04 came", lambda: bob._arrivals)
                with pytest.raises(UnavailableError):  # there is no room for a second one
                    await carol.call(bob.uin)
            with pytest.raises(NetworkError):
                await calling
            await until("05 came", lambda: not bob._arrivals[0].is_ringing)
            again = asyncio.create_task(carol.call(bob.uin))  # the one that ended makes room
            await until("04 came", lambda: bob._arrivals[0].uin == carol.uin)
            incoming = await anext(bob.calls())
            assert incoming.uin == carol.uin
            await incoming.accept()
            await again

    run(story)


def test_a_call_within_a_conversation_is_refused_when_the_peer_answers_there() -> None:
    """D13; a node that lost nothing never asks, so this 04 is put into the node's mouth."""

    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            ours, theirs = await talk(alice, bob)
            heard = says_04(w, bob, alice.uin)
            await until("it was answered", lambda: heard)
            assert heard == [Refuse(alice.uin)]
            assert theirs.is_open
            assert await ours.ping() > 0
            assert not bob._arrivals

    run(story)


def test_a_call_within_a_conversation_goes_on_when_the_peer_is_silent_there() -> None:
    async def story() -> None:
        settings = changed(busy_ping=0.05)
        async with world() as w, w.online(ALICE, BOB, settings=settings) as (alice, bob):
            ours, theirs = await talk(alice, bob)
            ours._runner.transport.pause_reading()
            says_04(w, bob, alice.uin)
            incoming = await anext(bob.calls())
            assert not theirs.is_open
            incoming.refuse()
            ours._runner.transport.resume_reading()
            await ours.wait_closed()

    run(story)


def says_04(w: World, to: Client, caller: Uin) -> list[Message]:
    """The node says 04 to this client; what clients say to the node from then on is in the list."""
    heard: list[Message] = []
    take = w.service.message

    def listen(connection: ControlConnection, message: Message) -> None:
        heard.append(message)
        take(connection, message)

    w.service.message = listen  # type: ignore[method-assign]  # the test listens in
    control = next(control for control in w.service._controls.values() if control.uin == to.uin)
    control.send(IncomingCallMessage(caller))
    return heard


def test_a_peer_that_lost_the_conversation_calls_again() -> None:
    async def story() -> None:
        async with world() as w, w.online(BOB) as (bob,), serving(bob) as served:
            async with w.online(ALICE) as (alice,):
                await (await alice.call(bob.uin)).send("one")
                conversations(alice).clear()  # as after a crash: the socket is still there, the memory is not
                second = await alice.call(bob.uin)
                await second.send("two")
                assert list(conversations(bob).values()) == served.conversations[1:]
            assert served.texts == ["one", "two"]

    run(story)


def test_a_peer_begins_afresh_while_we_are_about_to_join() -> None:
    """04 X comes while our own call of X is under way: it is accepted, and whoever waits gets its outcome (D14)."""

    async def story() -> None:
        strangers = MemoryPins()  # so that Alice is busy with Bob's key for a while
        async with world() as w, w.online(ALICE, pins=strangers) as (alice,), w.online(BOB) as (bob,):
            calling = asyncio.create_task(alice.call(bob.uin))
            lost = await (await anext(bob.calls())).accept()
            assert not calling.done()
            conversations(bob).clear()
            theirs = await bob.call(alice.uin)
            ours = await calling
            await lost.wait_closed()
            sending = asyncio.create_task(ours.send("hello"))
            (await anext(theirs)).acknowledge()
            await sending
            assert not alice._arrivals

    run(story)


def test_both_begin_afresh_again_and_again() -> None:
    """03 against a conversation that the other side believes in: whatever crosses, one conversation is the outcome."""

    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob), serving(alice), serving(bob):
            await alice.call(bob.uin)
            for _ in range(10):
                conversations(alice).clear()
                conversations(bob).clear()
                both = await asyncio.gather(alice.call(bob.uin), bob.call(alice.uin), return_exceptions=True)
                assert all(isinstance(one, Conversation | ConversationEndedError) for one in both)
            last = await alice.call(bob.uin)
            assert await last.ping() > 0
            await until("one is left", lambda: w.service.snapshot()["relays"] == 1)

    run(story)


def test_tens_of_calls_at_once() -> None:
    async def story() -> None:
        everybody = range(PEOPLE)
        async with world() as w, w.online(*everybody) as clients:
            served = [asyncio.create_task(client.serve(take)) for client in clients]
            pairs = [(a, b) for at, a in enumerate(clients) for b in clients[at + 1 :]]
            talks = await asyncio.gather(*(a.call(b.uin) for a, b in pairs))
            await asyncio.gather(*(conversation.send("hello") for conversation in talks))
            assert w.service.snapshot()["conversations"] == PEOPLE * (PEOPLE - 1) // 2
            assert nothing_is_set_up(*clients)
            for task in served:
                task.cancel()
            await asyncio.wait(served)

    run(story)


async def take(conversation: object, text: object) -> None:
    """Report every text."""


def test_the_control_connection_dies_and_conversations_live_on() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB, CAROL) as (alice, bob, carol):
            ours, theirs = await talk(alice, bob)
            calling = asyncio.create_task(alice.call(carol.uin))
            incoming = await anext(carol.calls())
            w.aborts_control(alice.uin)
            with pytest.raises(NetworkError):
                await calling
            await until("05 came", lambda: not incoming.is_ringing)
            await alice.wait_online()
            sending = asyncio.create_task(ours.send("still here"))
            (await anext(theirs)).acknowledge()
            await sending
            assert alice.counters[Reason.CONNECTION_LOST] == 1

    run(story)


def test_the_world_counts_sockets() -> None:
    async def story() -> None:
        before = open_sockets()
        async with world():
            assert open_sockets() == before + 3  # control port, data port, the operator's socket

    run(story)
