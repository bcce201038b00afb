"""Waiting for texts: each waiter is woken for its own, and many cost little."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from client.client_world import ALICE, BOB, DEADLINE
from core.core_world import Core, TextState, cores, run, world
from uzel.core.works import MOST_HANDED


def counted(core: Core) -> list[int]:
    """The works that the core's writer was asked for, from now on."""
    asked = [0]
    writer: Any = core.messenger.ledger.writer
    submit = writer.submit

    def counting(work: Any) -> Any:
        asked[0] += 1
        return submit(work)

    writer.submit = counting
    return asked


def test_many_who_wait_are_not_woken_for_one_another(tmp_path: Path) -> None:
    many = 60

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await bob.stop()
            texts = [await alice.says(bob, str(number)) for number in range(many)]
            asked = counted(alice)
            waiting = [asyncio.ensure_future(alice.messenger.wait_settled(text.number)) for text in texts]
            for text in texts:
                assert await alice.messenger.cancel(text.number)
            states = [record.state for record in await asyncio.gather(*waiting) if record is not None]
            assert states == [TextState.CANCELLED] * many
            assert asked[0] == 2 * many, "one look and one cancelling each: what becomes of it is told"
            await bob.start()

    run(story)


def test_what_is_told_is_what_the_profile_says(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            for said in ("one", "long " * MOST_HANDED):
                text = await alice.says(bob, said)
                told = await alice.messenger.wait_settled(text.number)
                assert told is not None
                assert told.state is TextState.DELIVERED
                assert told == await alice.messenger.history.text(text.number)

    run(story)


def test_what_is_deleted_with_its_chat_is_over(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await bob.stop()
            first, second = await alice.says(bob, "one"), await alice.says(bob, "two")
            waiting = [asyncio.ensure_future(alice.messenger.wait_settled(text.number)) for text in (first, second)]
            looking = await alice.messenger.wait_settled(second.number, 0.0)
            assert looking is not None
            assert looking.state is TextState.QUEUED
            await alice.messenger.history.delete(first.number)
            assert await waiting[0] is None
            await alice.messenger.history.delete_chat(bob.uin)
            assert await waiting[1] is None
            await bob.start()

    run(story)


@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_who_waits_when_the_core_ends_is_told_what_is_known(tmp_path: Path, timeout: float | None) -> None:
    """Also while something is still written, so that who looks once more finds nothing new."""

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await bob.stop()
            text = await alice.says(bob, "one")
            waiting = asyncio.ensure_future(alice.messenger.wait_settled(text.number, timeout))
            assert await alice.messenger.wait_settled(text.number, 0.0) is not None  # the other one waits by now
            ledger: Any = alice.messenger.ledger
            ends, close = asyncio.Event(), ledger.close

            async def closing() -> None:
                ends.set()
                await close()

            async def last_words() -> None:
                await ends.wait()
                for _ in range(3):  # in which whoever was woken looks, and finds nothing new
                    await ledger.writer.run(lambda _: None)

            ledger.close = closing
            ledger.spawn(last_words())
            await alice.stop()
            record = await waiting
            assert record is not None
            assert record.state is TextState.QUEUED
            await alice.start()
            await bob.start()

    run(story)
