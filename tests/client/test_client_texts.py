"""Texts and their reports: what delivered means, what is sent again, and the window."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from client.client_world import ALICE, BOB, acquainted, changed, identity, run, serving, talk, until, world
from uzel.client import Client, Conversation, Text
from uzel.errors import ConversationEndedError, TimedOutError
from uzel.session.conversation import WINDOW_BASE
from uzel.store.profile import Profile

RECEIVER = """
import asyncio, sys
from uzel.client import Client

async def main():
    async with Client.open(sys.argv[1], sys.argv[2]) as client:
        await client.wait_online()
        print("online", flush=True)
        async for call in client.calls():
            async for text in await call.accept():
                print("arrived", flush=True)
                await asyncio.sleep(3600)

asyncio.run(main())
"""


def test_a_text_is_delivered_when_it_is_acknowledged() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            ours, theirs = await talk(alice, bob)
            sending = asyncio.create_task(ours.send("Привет"))
            text = await anext(theirs)
            await ours.ping()  # everything that the peer has said by now is here: no report is
            assert not sending.done()
            text.acknowledge()
            assert await sending > 0
            text.acknowledge()
            await ours.ping()
            assert (text.text, text.at.tzinfo is not None) == ("Привет", True)

    run(story)


def test_reports_keep_the_order_of_the_texts() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            ours, theirs = await talk(alice, bob)
            first, second = (asyncio.create_task(ours.send(text)) for text in ("1", "2"))
            one, two = await anext(theirs), await anext(theirs)
            two.acknowledge()
            await ours.ping()
            assert not first.done()
            assert not second.done()
            one.acknowledge()
            await asyncio.gather(first, second)

    run(story)


def test_long_texts_and_empty_ones() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob), serving(bob) as served:
            conversation = await alice.call(bob.uin)
            await conversation.send("й" * 100_000)
            await conversation.send("")
            assert "".join(served.texts) == "й" * 100_000
            assert len(served.texts) == 5
            with pytest.raises(UnicodeEncodeError):
                await conversation.send("\ud800")
            assert await conversation.ping() > 0

    run(story)


def test_serve_reports_when_its_handler_returns() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            arrived, done = asyncio.Event(), asyncio.Event()

            async def handler(_: Conversation, __: Text) -> None:
                arrived.set()
                await done.wait()

            reading = asyncio.create_task(bob.serve(handler))
            conversation = await alice.call(bob.uin)
            sending = asyncio.create_task(conversation.send("hello"))
            await arrived.wait()
            await conversation.ping()
            assert not sending.done()
            done.set()
            await sending
            reading.cancel()
            await asyncio.wait([reading])
            await conversation.wait_closed()

    run(story)


def test_a_handler_that_raises_ends_its_conversation_only() -> None:
    async def story() -> None:
        told: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, fault: told.append(fault["exception"]))
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):

            async def handler(_: Conversation, text: Text) -> None:
                if text.text == "bad":
                    raise ZeroDivisionError

            reading = asyncio.create_task(bob.serve(handler))
            first = await alice.call(bob.uin)
            with pytest.raises(ConversationEndedError):
                await first.send("bad")
            second = await alice.call(bob.uin)
            await second.send("good")
            assert not reading.done()
            assert [type(error) for error in told] == [ZeroDivisionError]
            reading.cancel()
            await asyncio.wait([reading])

    run(story)


def test_kill_9_between_arrival_and_report(tmp_path: Path) -> None:
    Profile.create(tmp_path / "bob", identity(BOB)).close()

    async def story() -> None:
        async with world() as w, w.online(ALICE) as (alice,):
            command = [sys.executable, "-c", RECEIVER, str(tmp_path / "bob"), str(w.reference)]
            receiver = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
            assert receiver.stdout is not None
            try:
                assert await receiver.stdout.readline() == b"online\n"
                conversation = await alice.call(identity(BOB).uin)
                sending = asyncio.create_task(conversation.send("hello"))
                assert await receiver.stdout.readline() == b"arrived\n"
                receiver.kill()
                with pytest.raises(ConversationEndedError) as ended:
                    await sending
                assert ended.value.exit_code == 3
            finally:
                with suppress(ProcessLookupError):
                    receiver.kill()
                await receiver.communicate()

    run(story)


def test_the_conversation_ends_while_texts_wait() -> None:
    async def story() -> None:
        settings = changed(unreported=100)
        async with world() as w, w.online(ALICE, BOB, settings=settings) as (alice, bob):
            ours, theirs = await talk(alice, bob)
            sending = [asyncio.create_task(ours.send("x" * 200)) for _ in range(3)]  # the others wait for room
            await anext(theirs)
            assert len(alice._protocol._unreported[bob.uin]) == 1
            pinging = asyncio.create_task(ours.ping())
            await theirs.close()
            for task in (*sending, pinging):
                with pytest.raises(ConversationEndedError):
                    await task
            with pytest.raises(ConversationEndedError):
                await ours.send("late")
            with pytest.raises(ConversationEndedError):
                ours.reply("late")
            with pytest.raises(ConversationEndedError):
                await ours.ping()
            assert not alice._protocol._unreported

    run(story)


def test_texts_that_came_before_the_end_can_be_read() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            ours, theirs = await talk(alice, bob)
            ours.reply("last words")
            await ours.ping()
            await ours.close()
            await theirs.wait_closed()
            assert [text.text async for text in theirs] == ["last words"]
            alice._protocol._unreported.clear()

    run(story)


def test_timeouts_of_send_and_ping() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            ours, theirs = await talk(alice, bob)
            with pytest.raises(TimedOutError) as late:
                await ours.send("never reported", timeout=0.05)
            assert late.value.reason == "delivery_timeout"
            theirs._runner.transport.pause_reading()
            with pytest.raises(TimedOutError):
                await ours.ping(timeout=0.05)
            theirs._runner.transport.resume_reading()
            await ours.close()
            again, theirs = await talk(alice, bob)  # what timed out is not sent again
            await again.ping()
            assert not theirs._arrived

    run(story)


def test_a_cancelled_text_is_not_sent_again() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            ours, theirs = await talk(alice, bob)
            sending = asyncio.create_task(ours.send("withdrawn"))
            stays = asyncio.create_task(ours.send("stays"))
            texts = [await anext(theirs), await anext(theirs)]
            sending.cancel()
            await asyncio.wait([sending])
            for text in texts:
                text.acknowledge()
            await stays
            await ours.close()
            again, theirs = await talk(alice, bob)
            await again.ping()
            assert not theirs._arrived

    run(story)


def test_replies_are_sent_again_first_and_in_order() -> None:
    """D27."""

    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            ours, theirs = await talk(alice, bob)
            for number in "123":
                ours.reply(number)
            (await anext(theirs)).acknowledge()
            await until("the first is reported", lambda: len(alice._protocol._unreported[bob.uin]) == 2)
            await theirs.close()
            await ours.wait_closed()
            ours, theirs = await talk(alice, bob)
            sending = asyncio.create_task(ours.send("4"))
            for expected in "234":
                text = await anext(theirs)
                assert text.text == expected
                text.acknowledge()
            await sending
            await ours.close()
            assert not alice._protocol._unreported

    run(story)


def test_replies_are_sent_again_when_the_peer_is_the_caller() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            ours, theirs = await talk(alice, bob)
            theirs.reply("again")
            await anext(ours)
            await ours.close()
            await theirs.wait_closed()
            ours, _ = await talk(alice, bob)
            text = await anext(ours)
            assert text.text == "again"
            text.acknowledge()
            await until("it is reported", lambda: not len(bob._protocol._unreported[alice.uin]))

    run(story)


def test_a_slow_reader_holds_a_fast_sender_to_the_window() -> None:
    """D28."""
    size = 32 * 1024

    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            ours, theirs = await talk(alice, bob)
            for _ in range(40):
                ours.reply("x" * size)
            within = WINDOW_BASE // (size + 4)
            for taken in range(40 - within):
                await ours.ping()  # the pong comes behind everything that was sent
                await theirs.ping()
                assert len(theirs._arrived) == within, taken
                assert alice._protocol._unreported[bob.uin].in_flight_bytes <= WINDOW_BASE
                (await anext(theirs)).acknowledge()
            for _ in range(within):
                (await anext(theirs)).acknowledge()
            await until("all is reported", lambda: not len(alice._protocol._unreported[bob.uin]))

    run(story)


def test_thousands_of_texts_at_once() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob), serving(bob) as served:
            conversation = await alice.call(bob.uin)
            await asyncio.gather(*(conversation.send(str(number)) for number in range(3000)))
            assert served.texts == [str(number) for number in range(3000)]

    run(story)


def test_waiting_for_a_text_can_be_cancelled() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE, BOB) as (alice, bob):
            ours, theirs = await talk(alice, bob)
            reading = asyncio.create_task(next_of(theirs))
            await ours.ping()
            reading.cancel()
            await asyncio.wait([reading])
            ours.reply("kept")
            text = await anext(theirs)
            assert text.text == "kept"
            text.acknowledge()

    run(story)


async def next_of(conversation: Conversation) -> Text:
    return await anext(conversation)


@pytest.mark.parametrize(
    "ending", [Client.close, lambda client: client._presence.login.runner.abort()], ids=["close", "abort"]
)
def test_a_peer_that_goes_away_ends_the_conversation(ending: Callable[[Client], object]) -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE) as (alice,):
            bob = w.client(BOB, pins=acquainted())
            async with bob:
                await bob.wait_online()
                ours, _ = await talk(alice, bob)
                if asyncio.iscoroutine(coroutine := ending(bob)):
                    await coroutine
                    await ours.wait_closed()
                    assert ours.end_reason == ""
                else:
                    assert await ours.ping() > 0

    run(story)
