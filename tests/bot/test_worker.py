"""A bot's work, with the core in this process and with one that runs: answered once, whatever fails in between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from client.client_world import ALICE, BOB, CAROL
from core.core_world import Core, cores, run, until_async, world
from faces.api.api_world import served
from uzel.bot import worker
from uzel.bot.desk import Desk
from uzel.bot.own_core import OwnCore
from uzel.bot.running_core import RunningCore
from uzel.bot.settings import BotSettings
from uzel.bot.text import MOST_ANSWERS, Text
from uzel.bot.worker import Function, Worker
from uzel.errors import CoreSilentError, StorageError, TextTooLongError

QUICK = BotSettings(first=0.01, last=0.02, tries=3)
BOTH = pytest.mark.parametrize("runs", [False, True], ids=["own core", "running core"])


@asynccontextmanager
async def desk_of(core: Core, *, runs: bool) -> AsyncIterator[Desk]:
    if not runs:
        yield OwnCore(core.profile, core.messenger)
        return
    async with served(core):
        desk = RunningCore(core.folder)
        try:
            yield desk
        finally:
            await desk.close()
            await desk.close()


@asynccontextmanager
async def working(desk: Desk, function: Function, settings: BotSettings = QUICK, *, let_in: bool = False) -> Any:
    task = asyncio.ensure_future(Worker(desk, function, settings, let_in=let_in).run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def begun(desk: Desk) -> None:
    """From here on it answers."""
    await desk.begin()


async def said(alice: Core, bot: Core, count: int) -> list[str]:
    """So many answers, once they are there."""

    async def there() -> bool:
        return len(await alice.heard(bot)) >= count

    await until_async(f"{count} answers", there)
    return await alice.heard(bot)


@BOTH
def test_texts_are_answered_once_and_what_was_before_is_not(tmp_path: Path, runs: bool) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await alice.settled(await alice.says(bob, "old"))
            async with desk_of(bob, runs=runs) as desk:
                await begun(desk)
                await alice.settled(await alice.says(bob, "new"))

                async def echo(text: Text) -> str:
                    assert (text.sender, text.at > 10**12, len(text.id)) == (int(alice.uin), True, 32)
                    await text.reply("first")
                    return text.text.upper()

                async with working(desk, echo):
                    assert await said(alice, bob, 2) == ["first", "NEW"]
                async with working(desk, echo):
                    await alice.says(bob, "ещё")
                    assert await said(alice, bob, 4) == ["first", "NEW", "first", "ЕЩЁ"]
                assert [text.text for text in await desk.unhandled(0, 10)] == ["old"]
                question, answer = (await alice.texts(bob))[1:3]
                assert (question.outgoing, answer.reply) == (True, question.id)

    run(story)


@BOTH
def test_a_function_that_fails_is_tried_again_then_left_and_says_nothing(
    tmp_path: Path, runs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob), desk_of(bob, runs=runs) as desk:
            await begun(desk)
            for text in ("secret poison", "secret odd", "stop", "cancelled", "good", "mend"):
                await alice.settled(await alice.says(bob, text))
            calls: list[str] = []

            def plain(text: Text) -> object:
                calls.append(text.text)
                text.add("an answer of a function that fails is none")
                match text.text:
                    case "secret poison":
                        raise ValueError(text.text)
                    case "secret odd":
                        return 5
                    case "stop":
                        raise StopIteration
                    case "cancelled":
                        raise asyncio.CancelledError
                    case "mend" if calls.count("mend") < 3:
                        raise KeyError(text.text)
                text.answers.clear()
                return text.text

            async with working(desk, plain):
                assert await said(alice, bob, 2) == ["good", "mend"]
            assert [calls.count(each) for each in ("secret poison", "stop", "good", "mend")] == [3, 3, 1, 3]
            left = await desk.unhandled(0, 10)
            assert [text.text for text in left] == ["secret poison", "secret odd", "stop", "cancelled"]

    with caplog.at_level(logging.INFO, "uzel.bot"):
        run(story)
    events = [(record.event, record.fields) for record in caplog.records if record.name == "uzel.bot"]  # type: ignore[attr-defined]
    assert [event for event, _ in events].count("left") == 4
    assert {fields["kind"] for event, fields in events if event == "function_failed"} == {
        "ValueError", "TypeError", "RuntimeError", "CancelledError", "KeyError",
    }  # fmt: skip
    assert "secret" not in str(events)


def test_an_async_function_that_hangs_or_raises_is_a_failure(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob), desk_of(bob, runs=False) as desk:
            await begun(desk)
            calls: list[str] = []

            async def slow(text: Text) -> str:
                calls.append(text.text)
                if len(calls) == 1:
                    await asyncio.Event().wait()
                if len(calls) == 2:
                    raise asyncio.CancelledError
                return "at last"

            async with working(desk, slow, BotSettings(first=0.01, patience=0.05)):
                await alice.says(bob, "go")
                assert await said(alice, bob, 1) == ["at last"]
            assert calls == ["go"] * 3

    run(story)


def test_chats_are_worked_on_together_and_each_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PAGE", 5)

    async def story() -> None:
        async with (
            world() as w,
            cores(tmp_path, ALICE, BOB, CAROL, at=w) as (alice, bob, carol),
            desk_of(bob, runs=False) as desk,
        ):
            await begun(desk)
            for number in range(23):  # more than are held at a time
                last = await alice.says(bob, str(number))
            await alice.settled(last)
            gate = asyncio.Event()

            async def wait(text: Text) -> str:
                if text.sender == alice.uin:
                    await gate.wait()
                return text.text

            async with working(desk, wait, BotSettings(waiting=10)):
                await carol.says(bob, "not behind Alice")
                # Alice's first page fills the memory: Carol's turn comes once there is room
                gate.set()
                assert await said(carol, bob, 1) == ["not behind Alice"]
                assert await said(alice, bob, 23) == [str(number) for number in range(23)]

    run(story)


def test_one_chat_does_not_hold_up_another(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            world() as w,
            cores(tmp_path, ALICE, BOB, CAROL, at=w) as (alice, bob, carol),
            desk_of(bob, runs=False) as desk,
        ):
            gate, entered = asyncio.Event(), asyncio.Event()

            async def wait(text: Text) -> str:
                if text.sender == alice.uin:
                    entered.set()
                    await gate.wait()
                return text.text

            await begun(desk)
            async with working(desk, wait):
                await alice.says(bob, "slow")
                await entered.wait()
                await carol.says(bob, "quick")
                assert await said(carol, bob, 1) == ["quick"]
                assert await alice.heard(bob) == []
                gate.set()
                assert await said(alice, bob, 1) == ["slow"]

    run(story)


@BOTH
def test_strangers_are_let_in_when_that_is_wanted(tmp_path: Path, runs: bool) -> None:
    async def story() -> None:
        async with (
            world() as w,
            cores(tmp_path, ALICE, BOB, at=w, acquainted=False) as (alice, bob),
            desk_of(bob, runs=runs) as desk,
            working(desk, lambda text: text.text, let_in=True),
        ):
            await alice.knows(bob)
            await alice.says(bob, "let me in")
            assert await said(alice, bob, 1) == ["let me in"]

    run(story)


class Breaking:
    """A desk whose answers are lost, or not taken, a few times."""

    def __init__(self, desk: Desk, *faults: tuple[bool, Exception]) -> None:
        self._desk = desk
        self._faults = list(faults)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desk, name)

    async def answer(self, number: int, texts: Sequence[str]) -> None:
        done, fault = self._faults.pop(0) if self._faults else (True, None)
        if done:
            await self._desk.answer(number, texts)
        if fault is not None:
            raise fault


@pytest.mark.parametrize("faults", [
    [(True, CoreSilentError())],
    [(False, StorageError()), (False, CoreSilentError()), (True, CoreSilentError())],
])  # fmt: skip
def test_an_answer_whose_receipt_was_lost_is_not_said_twice(tmp_path: Path, faults: list[Any]) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob), desk_of(bob, runs=True) as desk:
            await begun(desk)
            breaking: Any = Breaking(desk, *faults)
            async with working(breaking, lambda text: text.text):
                for text in ("one", "two"):
                    await alice.says(bob, text)
                assert await said(alice, bob, 2) == ["one", "two"]
            assert await desk.unhandled(0, 10) == []

    run(story)


def test_who_is_removed_meanwhile_gets_no_answer_and_holds_nothing_up(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob), desk_of(bob, runs=False) as desk:
            await begun(desk)
            await alice.settled(await alice.says(bob, "bye"))
            await bob.messenger.people.remove(alice.uin)

            async def handled() -> bool:
                return await desk.unhandled(0, 10) == []

            async with working(desk, lambda text: text.text):
                await until_async("it is done with", handled)

    run(story)


def test_a_bot_outlives_its_core(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            desk = RunningCore(bob.folder)
            async with working(desk, lambda text: text.text):  # no core yet
                for text in ("one", "two"):
                    async with served(bob):
                        await until_async("it asks", lambda: answered(bob))
                        await alice.says(bob, text)
                        heard = await said(alice, bob, ["one", "two"].index(text) + 1)
                assert heard == ["one", "two"]
            await desk.close()

    async def answered(bob: Core) -> bool:
        option = await bob.messenger.ledger.writer.run(lambda tables: tables.options.chosen())
        return "answered_from" in option

    run(story)


def test_answers_have_bounds() -> None:
    async def story() -> None:
        text = Text(1, 2, "secret", 0, "00" * 16)
        assert "secret" not in repr(text)
        with pytest.raises(TextTooLongError):
            await text.reply("x" * (512 * 1024 + 1))
        with pytest.raises(UnicodeEncodeError):
            text.add("\ud800")
        for _ in range(MOST_ANSWERS):
            text.add("x")
            text.add("")  # is none
        with pytest.raises(ValueError, match="at most 16"):
            await text.reply("x")

    asyncio.run(story())


def test_delays_grow_and_are_bounded() -> None:
    delays: Callable[[int], float] = BotSettings().delay
    assert [delays(failures) for failures in (1, 2, 3, 4, 5, 10_000)] == [1, 4, 16, 60, 60, 60]
