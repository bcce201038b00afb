"""Cores with one another: texts that are queued, sent, delivered, whatever breaks in between."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path

import pytest

from client.client_world import ALICE, BOB, CAROL, DEADLINE, linked, serving, until
from core.core_world import EAGER, Core, cores, run, until_async, world
from uzel.core import messenger, works
from uzel.core.history import DRAFT
from uzel.core.works import STATE, TEXT
from uzel.errors import NotAContactError, StorageError, TextEmptyError, TextTooLongError
from uzel.store.history import History
from uzel.store.records import ChatSummary, TextState
from uzel.store.tables import Tables

AFTER_A_BREAK = {(STATE, "sending"), (STATE, "queued")}
"""Who greet one another at the same moment end a conversation that has just begun."""


def test_texts_both_ways_are_delivered_and_kept(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            first = await alice.says(bob, "привет")
            assert first.state is TextState.QUEUED
            settled = await alice.settled(first)
            assert (settled.state, settled.sent_as) == (TextState.DELIVERED, 0x31)
            assert settled.changed_at >= settled.stored_at
            answer = await bob.says(alice, "hello")
            assert (await bob.settled(answer)).state is TextState.DELIVERED
            assert (await bob.heard(alice), await alice.heard(bob)) == (["привет"], ["hello"])
            (kept,) = [record for record in await bob.texts(alice) if not record.outgoing]
            assert (kept.id, kept.at, kept.unread) == (first.id, first.at, True)

    run(story)


def test_a_text_for_somebody_who_is_away_waits_and_comes_when_they_are_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await bob.stop()
            texts = [await alice.says(bob, f"number {number}") for number in range(5)]
            await alice.stop()
            await alice.start()
            assert [record.state for record in await alice.texts(bob)] == [TextState.QUEUED] * 5
            await bob.start()
            assert (await alice.settled(texts[-1])).state is TextState.DELIVERED
            assert await bob.heard(alice) == [f"number {number}" for number in range(5)]

    run(story)


def test_whatever_breaks_each_text_comes_once_and_in_order(tmp_path: Path) -> None:
    many = 150

    async def story() -> None:
        async with (
            linked() as (one, two),
            cores(tmp_path, ALICE, at=one) as (alice,),
            cores(tmp_path, BOB, at=two) as (bob,),
        ):
            await alice.knows(bob)
            await bob.knows(alice)

            async def speak(one: Core, other: Core) -> None:
                for number in range(many):
                    await one.says(other, str(number))

            async def disturb() -> None:
                for turn in range(30):
                    await until_async("some came", partial(_is_further, bob, alice, turn))
                    (alice, bob)[turn % 2].breaks()
                    if turn % 10 == 9:
                        (one, two)[turn // 10 % 2].aborts_control((alice, bob)[turn // 10 % 2].uin)

            await asyncio.gather(speak(alice, bob), speak(bob, alice), disturb())
            for core, other in ((alice, bob), (bob, alice)):
                last = [record for record in await core.texts(other) if record.outgoing][-1]
                assert (await core.settled(last)).state is TextState.DELIVERED
            for core, other in ((alice, bob), (bob, alice)):
                assert await core.heard(other) == [str(number) for number in range(many)]
                own = [record.state for record in await core.texts(other) if record.outgoing]
                assert own == [TextState.DELIVERED] * many

    async def _is_further(core: Core, other: Core, turn: int) -> bool:
        return len(await core.heard(other)) >= min(4 * turn, many)

    run(story)


def test_a_core_that_is_started_again_in_the_middle_loses_and_repeats_nothing(tmp_path: Path) -> None:
    many = 120

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            for number in range(many):
                await alice.says(bob, str(number))
            for _ in range(4):
                await until_async("some came", lambda: _some(bob, alice))
                await bob.stop()
                await bob.start()
                await alice.stop()
                await alice.start()
            last = (await alice.texts(bob))[-1]
            assert (await alice.settled(last)).state is TextState.DELIVERED
            assert await bob.heard(alice) == [str(number) for number in range(many)]

    async def _some(bob: Core, alice: Core) -> bool:
        return len(await bob.heard(alice)) > 0

    run(story)


def test_a_base_peer_hears_and_is_heard(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,), w.online(BOB) as (bob,):
            await alice.messenger.people.add(bob.link)
            async with serving(bob) as served:
                sent = await alice.messenger.send(bob.uin, "x" * 100_000)
                settled = await alice.settled(sent)
                assert (settled.state, settled.sent_as) == (TextState.DELIVERED, 0x30)
                assert "".join(served.texts) == "x" * 100_000
                await until("it is idle", lambda: served.conversations)
                await served.conversations[0].send("and back")
                assert await alice.heard(bob.uin) == ["and back"]

    run(story)


def test_what_a_base_peer_says_is_reported_once_it_is_kept(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,), w.online(BOB) as (bob,):
            await alice.messenger.people.add(bob.link)
            conversation = await bob.call(alice.uin)
            await asyncio.gather(*(conversation.send(str(number)) for number in range(50)))
            assert await alice.heard(bob.uin) == [str(number) for number in range(50)]

    run(story)


def test_to_whom_and_how_long(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            with pytest.raises(NotAContactError):
                await alice.messenger.send(alice.uin, "to myself")
            with pytest.raises(ValueError, match="16 bytes"):
                await alice.messenger.send(bob.uin, "an answer", b"abc")
            with pytest.raises(OverflowError):
                await alice.messenger.history.text(2**64)
            with pytest.raises(TextEmptyError):
                await alice.says(bob, "")
            with pytest.raises(TextTooLongError):
                await alice.says(bob, "я" * 262_145)
            longest = await alice.says(bob, "я" * 262_144)
            assert (await alice.settled(longest)).state is TextState.DELIVERED

    run(story)


def test_a_text_that_waits_can_be_taken_back_and_tried_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await bob.stop()
            first, second = await alice.says(bob, "first"), await alice.says(bob, "second")
            assert await alice.messenger.cancel(first.number)
            assert not await alice.messenger.cancel(first.number)
            again = await alice.messenger.retry(first.number)
            assert again is not None
            assert again.number > second.number
            assert await alice.messenger.retry(second.number) is None
            await bob.start()
            assert (await alice.settled(again)).state is TextState.DELIVERED
            assert await bob.heard(alice) == ["second", "first"]
            assert not await alice.messenger.cancel(second.number)

    run(story)


def test_what_happens_is_told_in_order_and_again_from_where_one_was(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            seen: list[tuple[int, str, object]] = []

            async def follow(after: int) -> None:
                async for entry in alice.messenger.follow(after):
                    assert entry is not None
                    seen.append((entry.number, entry.kind, entry.data.get("state")))

            following = asyncio.create_task(follow(0))
            sent = await alice.says(bob, "hello")
            await alice.settled(sent)
            await until("it is told", lambda: seen and seen[-1][1:] == (STATE, "delivered"))
            following.cancel()
            of_text = [(kind, state) for _, kind, state in seen if kind in {TEXT, STATE}]
            assert of_text[0] == (TEXT, "queued")
            assert of_text[-2:] == [(STATE, "sending"), (STATE, "delivered")]
            assert set(of_text[1:-2]) <= AFTER_A_BREAK
            numbers = [number for number, _, _ in seen]
            assert numbers == list(range(1, len(numbers) + 1))
            before, middle = list(seen), len(seen) // 2
            seen.clear()
            following = asyncio.create_task(follow(before[middle - 1][0]))
            await until("the rest is told", lambda: len(seen) >= len(before) - middle)
            assert seen[: len(before) - middle] == before[middle:]
            following.cancel()
            await asyncio.wait([following])

    run(story)


def test_who_is_told_of_a_draft_finds_it(tmp_path: Path) -> None:
    """Also who reads what happened between the draft's commit and anything that comes after."""

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await alice.knows(bob)
            writer = alice.messenger.ledger.writer
            after = await writer.run(lambda tables: tables.journal.last())
            changing = asyncio.create_task(alice.messenger.history.set_draft(bob.uin, "half a thought"))
            await asyncio.sleep(0)
            entries, _ = await writer.run(partial(works.since, after=after, limit=10))
            assert DRAFT in [entry.kind for entry in entries], "perhaps beside a greeting"
            assert alice.messenger.people.get(bob.uin).draft == "half a thought"
            await changing

    run(story)


def test_an_idle_conversation_is_closed_and_the_next_text_opens_another(tmp_path: Path) -> None:
    from dataclasses import replace

    brief = replace(EAGER, outbox=replace(EAGER.outbox, idle=0.05))

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w, settings=brief) as (alice, bob):
            for text in ("first", "second"):
                sent = await alice.says(bob, text)
                assert (await alice.settled(sent)).state is TextState.DELIVERED
                await until("it is closed", lambda: not alice.messenger._talks.open)
            assert await bob.heard(alice) == ["first", "second"]

    run(story)


def test_a_text_goes_out_though_nobody_waited_for_its_commit(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await alice.settled(await alice.says(bob, "first"))
            alice.breaks()
            talks = (alice.messenger._talks.open, bob.messenger._talks.open)
            await until("nobody is in a conversation", lambda: not any(talks))
            asked = asyncio.ensure_future(alice.says(bob, "second"))
            await asyncio.sleep(0)  # it is asked for
            asked.cancel()

            async def came() -> bool:
                return await bob.heard(alice) == ["first", "second"]

            await until_async("it came", came)
            assert asked.cancelled()

    run(story)


def test_a_text_is_queued_and_taken_in_one_commit_where_there_is_a_conversation(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await alice.settled(await alice.says(bob, "first"))
            delivery = alice.messenger._talks.open[bob.uin].delivery
            await until("all is still", lambda: delivery.is_quiet)
            held = threading.Event()
            holding = alice.messenger.ledger.writer.submit(lambda _: held.wait(DEADLINE))
            asked = asyncio.ensure_future(alice.says(bob, "second"))
            await asyncio.sleep(0)
            assert delivery._taking, "it is taken up only after its commit"
            held.set()
            await alice.settled(await asked)
            assert await holding

    run(story)


def test_nothing_is_queued_for_somebody_who_is_removed_at_that_moment(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await alice.settled(await alice.says(bob, "first"))
            held = threading.Event()
            holding = alice.messenger.ledger.writer.submit(lambda _: held.wait(DEADLINE))
            removing = asyncio.ensure_future(alice.messenger.people.remove(bob.uin))
            asked = asyncio.ensure_future(alice.says(bob, "second"))
            await asyncio.sleep(0)
            held.set()
            await removing
            with pytest.raises(NotAContactError):
                await asked
            assert await holding
            assert [record.text for record in await alice.texts(bob)] == ["first"]

    run(story)


AWKWARD = [
    "\0", "a\0b", "\x1b[2J\x07\x9b31m", "\u202egnp.exe\u2066", "\ufeff\ufffe\U0010ffff", "\r\n\u2028\n",
    "e" + "\u0301\u0316" * 131_000, "<script>alert(1)</script>", "'; DROP TABLE texts; --", "👨‍👩‍👧‍👦" * 1000,
]  # fmt: skip


def test_awkward_texts_arrive_as_they_are(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            texts = [await alice.says(bob, text) for text in AWKWARD]
            assert [(await alice.settled(text)).state for text in texts] == [TextState.DELIVERED] * len(AWKWARD)
            assert await bob.heard(alice) == AWKWARD
            with pytest.raises(UnicodeEncodeError):
                await alice.says(bob, "\ud800")

    run(story)


def test_three_talk_to_one_another(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, CAROL, at=w) as everyone:
            sent = []
            for number in range(20):
                for one in everyone:
                    sent += [(one, await one.says(each, str(number))) for each in everyone if each is not one]
            for one, record in sent:
                assert (await one.settled(record)).state is TextState.DELIVERED
            for one in everyone:
                for other in everyone:
                    if one is not other:
                        assert await one.heard(other) == [str(number) for number in range(20)]

    run(story)


def test_a_full_disk_loses_nothing_and_it_goes_on_when_there_is_room(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await alice.settled(await alice.says(bob, "before"))
            await bob.disk_is_full()
            sent = await alice.says(bob, "x" * 100_000)
            await until("bob is in trouble", lambda: bob.messenger.ledger.writer.trouble)
            assert isinstance((await bob.messenger.status()).trouble, StorageError)
            assert await bob.heard(alice) == ["before"]
            record = await alice.messenger.history.text(sent.number)
            assert record is not None
            assert record.state is not TextState.DELIVERED
            with pytest.raises(StorageError):
                await bob.says(alice, "y" * 100_000)
            await bob.disk_is_full(full=False)
            assert (await alice.settled(sent)).state is TextState.DELIVERED
            assert await bob.heard(alice) == ["before", "x" * 100_000]
            assert (await bob.messenger.status()).trouble is None
            assert [record.text for record in await bob.texts(alice) if record.outgoing] == []

    run(story)


def test_nobody_waits_for_what_has_happened_already(tmp_path: Path) -> None:
    """News that come while the state is looked up are not missed."""

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            for number in range(150):
                await alice.settled(await alice.says(bob, str(number)))

    run(story)


def test_status(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            status = await alice.messenger.status()
            assert (status.uin, status.node, status.reason) == (alice.uin, w.reference, "")
            await bob.stop()
            await alice.says(bob, "later")
            assert (await alice.messenger.status()).waiting == 1
            await w.stop()
            await until("it is offline", lambda: alice.messenger._online is None)
            assert (await alice.messenger.status()).reason
            await w.start()
            await alice.messenger.wait_online(DEADLINE / 2)
            await bob.start()

    run(story)


def test_who_comes_online_while_the_disk_is_full_calls_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chats(self: History, limit: int) -> list[ChatSummary]:
        raise StorageError("no space left")

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await bob.stop()
            text = await alice.says(bob, "here")
            await alice.stop()
            monkeypatch.setattr(History, "chats", chats)
            await bob.start()
            await alice.start()
            assert (await alice.settled(text)).state is TextState.DELIVERED

    run(story)


def test_tidying_goes_on_when_the_disk_has_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0

    def tidy(tables: Tables, now: int) -> None:
        nonlocal tried
        tried += 1
        raise StorageError("no space left")

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w):
            await until("it is tried again", lambda: tried > 2)

    monkeypatch.setattr(works, "tidy", tidy)
    monkeypatch.setattr(messenger, "TIDY_EVERY", 0.01)
    run(story)
