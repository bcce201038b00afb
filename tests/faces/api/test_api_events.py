"""The event stream, read by hand over the real socket: nothing lost, nothing twice, and who is late is told."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from client.client_world import ALICE, BOB, DEADLINE, until
from core.core_world import Core, cores, run, world
from faces.api.api_world import Stream, following, served
from uzel.faces.api import events
from uzel.store.admin_socket import API_SOCKET


async def append(core: Core, count: int, text: str = "") -> int:
    """So many entries more; the last one's number."""

    def work(tables: Any) -> int:
        for number in range(count):
            tables.journal.append("test", {"n": number, "text": text}, 0)
        return int(tables.journal.last())

    last = await core.messenger.ledger.writer.run(work)
    core.messenger.ledger.tell()
    return int(last)


async def trim(core: Core, keep: int) -> None:
    await core.messenger.ledger.writer.run(lambda tables: tables.journal.trim(keep))


def test_what_happens_is_told_live_with_times_and_ids(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            world() as w,
            cores(tmp_path, ALICE, BOB, at=w) as (alice, bob),
            served(bob),
            following(bob.folder / API_SOCKET) as stream,
        ):
            assert stream.head.startswith("HTTP/1.1 200 ")
            assert "text/event-stream" in stream.head
            start, kind, data = await stream.event()
            assert (kind, data) == ("ready", {"event": start})
            sent = await alice.says(bob, "привет\nevent: forged\n\n")
            while kind != "text":
                number, kind, data = await stream.kept()
            assert (data["text"], data["id"], data["unread"]) == (sent.text, sent.id.hex(), True)
            assert data["at"].endswith("Z")
            assert data["event_at"].endswith("Z")
            assert start is not None
            assert number > start

    run(story)


def test_a_stream_resumes_without_loss_or_repeat(tmp_path: Path) -> None:
    many = 100

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,), served(alice):
            path = alice.folder / API_SOCKET
            first = await append(alice, 1) - 1
            writing = asyncio.create_task(write(alice))
            seen: list[int] = []
            after = first
            for turn in range(12):
                header = turn % 2
                query, headers = ("", (f"Last-Event-ID: {after}",)) if header else (f"?after={after}", ())
                async with following(path, query, *headers) as stream:
                    assert await stream.event() == (after, "ready", {"event": after})
                    for _ in range(7 if turn < 11 else many - len(seen)):
                        after, kind, _ = await stream.kept()
                        assert kind == "test"
                        seen.append(after)
            await writing
            assert seen == list(range(first + 1, first + 1 + many))

    async def write(core: Core) -> None:
        for _ in range(many - 1):
            await append(core, 1)

    run(story)


def test_who_comes_from_too_long_ago_is_told_and_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,), served(alice):
            path, last = alice.folder / API_SOCKET, await append(alice, 20)
            await trim(alice, 5)
            async with following(path, "?after=1") as stream:
                assert (await stream.event())[1] == "ready"
                assert await stream.event() == (last - 5, "missed", {"event": last - 5})
                assert [(await stream.event())[0] for _ in range(5)] == list(range(last - 4, last + 1))
            async with following(path, f"?after={last + 1000}") as stream:  # of another journal: a backup was restored
                await stream.event()
                assert await stream.event() == (last, "missed", {"event": last})
                await append(alice, 1)
                assert (await stream.kept())[0] == last + 1

    run(story)


def test_a_slow_reader_holds_nobody_up_and_is_told_what_it_missed(tmp_path: Path) -> None:
    long = "x" * 100_000

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,), served(alice):
            path, start = alice.folder / API_SOCKET, await append(alice, 1)
            slow = await Stream.open(path, f"?after={start}", limit=1024)
            await append(alice, 400, long)  # 40 MB: no buffer between the two takes that
            async with following(path, f"?after={start}") as quick:
                for number in range(start, start + 401):
                    assert (await quick.kept())[0] == number
            await trim(alice, 10)
            numbers: list[int] = []
            missed = None
            slow._reader._limit = 1 << 20  # type: ignore[attr-defined]
            while not numbers or numbers[-1] < start + 400:
                number, kind, _ = await slow.kept()
                if kind == "missed":
                    missed = number
                elif kind == "test":
                    numbers.append(number)
            assert missed == start + 390
            assert numbers == sorted(set(numbers))
            assert len(numbers) < 400
            await slow.close()

    run(story)


def test_presence_is_told_at_first_and_when_it_changes(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            world() as w,
            cores(tmp_path, ALICE, at=w) as (alice,),
            served(alice),
            following(alice.folder / API_SOCKET) as stream,
        ):
            await stream.event()
            assert (await stream.event())[1:] == (
                "presence",
                {
                    "online": True,
                    "node": str(w.reference),
                    "reason": None,
                    "contested": False,
                    "key_agreement": "X25519MLKEM768",
                    "retry_at": None,
                },
            )
            await w.stop()
            number, kind, data = await stream.event()
            assert (number, kind, data["online"], data["node"]) == (None, "presence", False, None)
            assert data["reason"]
            assert data["retry_at"].endswith("Z")
            assert data["key_agreement"] is None
            await w.start()
            while not (await stream.event())[2]["online"]:
                pass

    run(story)


def test_a_quiet_stream_is_kept_open_and_ends_with_the_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEPALIVE", 0.01)

    async def story() -> None:
        async with (
            world() as w,
            cores(tmp_path, ALICE, at=w) as (alice,),
            served(alice) as server,
        ):
            stream = await Stream.open(alice.folder / API_SOCKET)
            while not (await stream.block()).startswith(":"):
                pass
            stopping = asyncio.create_task(server.stop())
            async with asyncio.timeout(DEADLINE / 2):
                while await stream.block():
                    pass
            await stopping
            await stream.close()

    run(story)


def test_readers_are_bounded_and_their_places_are_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_STREAMS", 2)
    monkeypatch.setattr(events, "KEEPALIVE", 0.01)

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,), served(alice) as server:
            path = alice.folder / API_SOCKET
            async with following(path) as one, following(path) as two:
                await one.event()
                await two.event()
                async with following(path) as three:
                    assert three.head.startswith("HTTP/1.1 429 ")
            context = server._served[0][0].state.context
            await until("the places are free", lambda: context.streams == 0)
            async with following(path) as again:
                assert again.head.startswith("HTTP/1.1 200 ")

    run(story)


def test_readers_who_come_at_the_same_moment_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_STREAMS", 2)

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,), served(alice) as server:
            held, writer = threading.Event(), alice.messenger.ledger.writer
            holding = writer.submit(lambda _: held.wait(DEADLINE))
            path, context = alice.folder / API_SOCKET, server._served[0][0].state.context
            coming = [asyncio.ensure_future(Stream.open(path)) for _ in range(5)]
            await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)  # who is refused waits for no disk
            held.set()
            streams = await asyncio.gather(*coming)
            assert sorted(stream.head.split()[1] for stream in streams) == ["200", "200", "429", "429", "429"]
            assert await holding
            for stream in streams:
                await stream.close()
            await until("the places are free", lambda: context.streams == 0)

    run(story)


@pytest.mark.parametrize("named", ["x", "-1", "9223372036854775808", "1" * 21, "١"])
def test_ids_that_are_none_are_refused(tmp_path: Path, named: str) -> None:
    async def story() -> None:
        async with (
            world() as w,
            cores(tmp_path, ALICE, at=w) as (alice,),
            served(alice),
            following(alice.folder / API_SOCKET, "", f"Last-Event-ID: {named}") as stream,
        ):
            assert stream.head.split()[1] in {"400", "422"}

    run(story)


def test_a_reader_who_takes_nothing_any_more_loses_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STALLED", 0.2)

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,), served(alice) as server:
            context = server._served[-1][0].state.context
            stalled = await Stream.open(alice.folder / API_SOCKET, "?after=0", limit=1024)
            assert context.streams == 1
            await append(alice, 400, "x" * 100_000)  # more than the buffers in between hold
            await until("its place is free", lambda: context.streams == 0)
            await stalled.close()

    run(story)
