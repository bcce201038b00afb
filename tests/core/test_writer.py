"""The writer: commits shared, errors apart, order kept, on a real encrypted file."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from client.client_world import ALICE, identity
from uzel.core.writer import MOST_TOGETHER, Writer
from uzel.errors import ClientClosedError, ConfigError, StorageError, UzelError
from uzel.store.profile import Profile
from uzel.store.tables import Tables


class Counted:
    """The profile's file; counts its commits, and refuses them on request."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.commits = 0
        self.refuses = False
        self._depth = 0

    @property
    def changes(self) -> int:
        return self.profile.file.changes

    @contextmanager
    def transaction(self) -> Iterator[object]:
        self._depth += 1
        try:
            with self.profile.file.transaction() as db:
                yield db
                if self._depth == 1:
                    self.commits += 1
                    if self.refuses:
                        raise StorageError("it is full")
        finally:
            self._depth -= 1


@asynccontextmanager
async def writing(folder: Path) -> AsyncIterator[tuple[Writer, Counted]]:
    with Profile.create(folder, identity(ALICE)) as profile:
        file = Counted(profile)
        writer = Writer(file, Tables(profile.connection))
        try:
            yield writer, file
        finally:
            await writer.close()


def run(folder: Path, story: Callable[[Writer, Counted], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30), writing(folder / "profile") as (writer, file):
            await story(writer, file)

    identity(ALICE)
    asyncio.run(main(), debug=True)


def note(what: str) -> Callable[[Tables], int]:
    return lambda tables: tables.journal.append(what, {}, 0)


def kinds(tables: Tables) -> list[str]:
    return [entry.kind for entry in tables.journal.since(0, 10_000)[0]]


def test_works_are_done_in_order_and_those_that_wait_share_a_commit(tmp_path: Path) -> None:
    async def story(writer: Writer, file: Counted) -> None:
        futures = [writer.submit(note(str(number))) for number in range(2 * MOST_TOGETHER)]
        numbers = await asyncio.gather(*futures)
        assert numbers == list(range(1, 2 * MOST_TOGETHER + 1))
        assert await writer.run(kinds) == [str(number) for number in range(2 * MOST_TOGETHER)]
        assert 2 <= file.commits <= MOST_TOGETHER

    run(tmp_path, story)


def test_a_work_that_fails_is_taken_back_alone(tmp_path: Path) -> None:
    def fails(tables: Tables) -> None:
        tables.journal.append("half done", {}, 0)
        raise ConfigError("no")

    async def story(writer: Writer, _: Counted) -> None:
        first, failing, last = writer.submit(note("first")), writer.submit(fails), writer.submit(note("last"))
        await asyncio.gather(first, last)
        with pytest.raises(ConfigError):
            await failing
        assert await writer.run(kinds) == ["first", "last"]
        assert writer.trouble is None

    run(tmp_path, story)


def test_what_a_commit_tells_is_told_on_with_its_answers_and_nothing_that_was_taken_back(tmp_path: Path) -> None:
    def fails(tables: Tables) -> None:
        tables.journal.append("half done", {}, 0)
        raise ConfigError("no")

    async def story(writer: Writer, file: Counted) -> None:
        heard: list[str] = []
        writer.on_told = lambda told: heard.extend(fresh.kind for fresh in told)
        file.refuses = True
        for refused in [writer.submit(work) for work in (note("refused"), fails, note("refused"))]:
            with pytest.raises(UzelError):
                await refused
        file.refuses = False
        futures = [writer.submit(work) for work in (note("first"), fails, note("second"), kinds)]
        await asyncio.wait(futures)
        assert heard == ["first", "second"] == futures[-1].result()
        with pytest.raises(ConfigError):
            await writer.run(fails)
        await writer.run(note("last"))
        assert heard == ["first", "second", "last"]

    run(tmp_path, story)


def test_whatever_a_work_raises_the_thread_lives_on(tmp_path: Path) -> None:
    def too_large(tables: Tables) -> object:
        return tables.texts.get(2**64)

    async def story(writer: Writer, _: Counted) -> None:
        first, failing = writer.submit(note("first")), writer.submit(too_large)
        with pytest.raises(OverflowError):
            await failing
        await first
        assert await writer.run(kinds) == ["first"]

    run(tmp_path, story)


def test_what_the_disk_refuses_is_not_there_and_is_told(tmp_path: Path) -> None:
    async def story(writer: Writer, file: Counted) -> None:
        file.refuses = True
        futures = [writer.submit(note(str(number))) for number in range(3)]
        for outcome in await asyncio.gather(*futures, return_exceptions=True):
            assert isinstance(outcome, StorageError)
        assert writer.trouble is not None
        file.refuses = False
        assert await writer.run(kinds) == []
        assert writer.trouble is not None, "reading is no sign of room"
        await writer.run(note("again"))
        assert writer.trouble is None

    run(tmp_path, story)


def test_what_the_disk_refuses_of_one_is_no_fault_of_the_others(tmp_path: Path) -> None:
    def too_much(tables: Tables) -> None:
        tables.journal.append("half done", {}, 0)
        raise StorageError("it is full")

    async def story(writer: Writer, _: Counted) -> None:
        begun, together = threading.Event(), threading.Event()

        def wait(_: Tables) -> None:
            begun.set()
            together.wait(10)

        writer.submit(wait)
        await asyncio.to_thread(begun.wait, 10)  # so that none of the others goes with it
        futures = [writer.submit(work) for work in (note("first"), too_much, note("last"), kinds)]
        together.set()
        first, failing, last, seen = await asyncio.gather(*futures, return_exceptions=True)
        assert isinstance(failing, StorageError)
        assert isinstance(first, int)
        assert isinstance(last, int)
        assert seen == ["first", "last"]
        assert writer.trouble is failing

    run(tmp_path, story)


def test_closing_finishes_what_was_asked_for(tmp_path: Path) -> None:
    async def story(writer: Writer, file: Counted) -> None:
        futures = [writer.submit(note(str(number))) for number in range(100)]
        await writer.close()
        await asyncio.gather(*futures)
        with pytest.raises(ClientClosedError):
            writer.submit(kinds)
        await writer.close()
        assert len(kinds(Tables(file.profile.connection))) == 100

    run(tmp_path, story)


def test_cancelling_does_not_take_a_work_back(tmp_path: Path) -> None:
    async def story(writer: Writer, _: Counted) -> None:
        waiting = asyncio.create_task(writer.run(note("done all the same")))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert await writer.run(kinds) == ["done all the same"]

    run(tmp_path, story)


def test_the_thread_stands_still_meanwhile_and_goes_on_with_what_it_is_given(tmp_path: Path) -> None:
    async def story() -> None:
        async with writing(tmp_path / "p") as (writer, file):
            async with writer.standing_still():
                waiting = writer.submit(lambda tables: tables)
                with file.profile.transaction():  # nobody else has the file
                    await asyncio.sleep(0)
                assert not waiting.done()
                fresh = Tables(file.profile.connection)
                writer.use(file, fresh)
            assert await waiting is fresh
            with pytest.raises(ConfigError):
                async with writer.standing_still():
                    raise ConfigError
            assert await writer.run(lambda tables: tables) is fresh
            await writer.close()
            with pytest.raises(ClientClosedError):
                async with writer.standing_still():
                    pass

    asyncio.run(story())
