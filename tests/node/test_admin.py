"""The admin socket: what it answers, who may open it, and what whoever connects there cannot do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from uzel.errors import ConfigError, StorageError
from uzel.node import admin
from uzel.node.admin import MOST_CONNECTIONS, MOST_REQUEST, AdminServer
from uzel.store.admin_socket import ADMIN_SOCKET, socket_address

MANY = 20_000
Work = Callable[[Path], Awaitable[None]]
Play = Callable[[Work], None]


class Provider:
    """Answers with what was put in."""

    def __init__(self) -> None:
        self.list: list[dict[str, object]] = [{"address": "[::1]:1"}]

    def status(self) -> dict[str, object]:
        return {"version": "щ\n"}

    def peers(self) -> Iterator[dict[str, object]]:
        yield from self.list


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest, tmp_path: Path, provider: Provider) -> Play:
    """Runs the work while a server listens; nothing may be left behind, and nothing may fail unseen."""

    async def serve(work: Work, faults: list[dict[str, Any]]) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        server = AdminServer(tmp_path, provider)
        await server.start()
        try:
            await work(tmp_path / ADMIN_SOCKET)
        finally:
            await server.stop()
            await server.stop()  # twice is fine
        assert served() == 0

    def run(work: Work) -> None:
        faults: list[dict[str, Any]] = []
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(serve(work, faults))
        assert faults == []
        assert list(tmp_path.iterdir()) == []

    return run


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def served() -> int:
    """How many tasks of the server there are; asyncio has some of its own that accept."""
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return sum(name.startswith("AdminServer.") and name != "AdminServer.stop" for name in names)


async def tasks_are(wanted: Callable[[int], bool], pause: float = 0.001) -> None:
    """Wait until so many connections are served."""
    until = asyncio.get_running_loop().time() + 20
    while not wanted(served()):
        assert asyncio.get_running_loop().time() < until
        await asyncio.sleep(pause)


async def ask(path: Path, request: bytes) -> Any:
    """What is answered, on one line, to these bytes."""
    reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 26)
    writer.write(request)
    try:
        said = await reader.read()
    finally:
        writer.close()
    assert said.endswith(b"\n")
    assert said.count(b"\n") == 1
    return json.loads(said)


def test_it_answers(play: Play) -> None:
    async def work(path: Path) -> None:
        assert mode_of(path) == 0o600
        assert await ask(path, b'{"command":"status"}\n') == {"answer": {"version": "щ\n"}}
        assert await ask(path, b' { "command" : "peers" }\n') == {"answer": [{"address": "[::1]:1"}]}

    play(work)


def test_what_the_node_cannot_tell_is_said(play: Play, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> Iterator[dict[str, object]]:
        raise StorageError("known.db: full")

    monkeypatch.setattr(provider, "peers", full)

    async def work(path: Path) -> None:
        assert "known.db: full" in (await ask(path, b'{"command":"peers"}\n'))["error"]

    play(work)


def test_a_long_list_comes_whole_and_holds_up_nobody(play: Play, provider: Provider) -> None:
    provider.list = [{"number": number, "padding": "x" * 200} for number in range(MANY)]

    async def work(path: Path) -> None:
        long = asyncio.create_task(ask(path, b'{"command":"peers"}\n'))
        turns = 0
        while not long.done():
            await asyncio.sleep(0)
            turns += 1
        assert (await long)["answer"] == provider.list
        assert turns > MANY / admin.PIECE
        for number in (0, admin.PIECE, admin.PIECE + 1):
            provider.list = [{}] * number
            assert await ask(path, b'{"command":"peers"}\n') == {"answer": provider.list}

    play(work)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (b"\n", "an object like"),
        (b"status\n", "an object like"),
        (b'"status"\n', "an object like"),
        (b"\xff\xfe\n", "an object like"),
        (b"[" * 4000 + b"\n", "an object like"),
        (b'{"command":["status"]}\n', "an object like"),
        (b'{"command":"status","more":1}\n', "an object like"),
        (b'{"command":"stop"}\n', "no such command"),
        (b'{"command":"status"}\n{"command":"status"}\n', ""),  # one question a connection
        (b"x" * (MOST_REQUEST + 1), f"at most {MOST_REQUEST} bytes"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else "",
)
def test_bad_requests(play: Play, request_: bytes, words: str) -> None:
    async def work(path: Path) -> None:
        said = await ask(path, request_)
        assert words in said["error"] if words else "answer" in said

    play(work)


def test_a_request_without_end(play: Play) -> None:
    async def work(path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as talker:
            talker.connect(str(path))
            talker.settimeout(20)

            def talk() -> None:
                while True:
                    talker.sendall(b"x" * 65536)

            with pytest.raises(ConnectionError):
                await asyncio.to_thread(talk)

    play(work)


def test_half_a_request_and_then_the_end(play: Play) -> None:
    async def work(path: Path) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"command":')
        writer.write_eof()
        assert b"a whole line" in await reader.read()
        writer.close()

    play(work)


def test_half_a_request_and_then_silence(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "REQUEST_TIME", 0.05)

    async def work(path: Path) -> None:
        assert "in time" in (await ask(path, b'{"command":'))["error"]

    play(work)


def test_who_does_not_read_is_let_go(play: Play, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "ANSWER_TIME", 0.05)
    provider.list = [{"padding": "x" * 10_000}] * 1000

    async def work(path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as idle:
            idle.connect(str(path))
            idle.sendall(b'{"command":"peers"}\n')
            idle.settimeout(20)
            loop = asyncio.get_running_loop()
            await tasks_are(lambda count: count == 1)
            await tasks_are(lambda count: count == 0)
            taken = 0
            while got := await loop.run_in_executor(None, idle.recv, 1 << 20):
                taken += len(got)
            assert 0 < taken < 5_000_000

    play(work)


def test_only_so_many_at_a_time(play: Play) -> None:
    async def work(path: Path) -> None:
        idle = [await asyncio.open_unix_connection(str(path)) for _ in range(MOST_CONNECTIONS)]
        await tasks_are(lambda count: count == MOST_CONNECTIONS)
        assert "too many" in (await ask(path, b'{"command":"status"}\n'))["error"]
        for _, writer in idle:
            writer.close()
        await tasks_are(lambda count: count == 0)
        assert "answer" in await ask(path, b'{"command":"status"}\n')

    play(work)


def test_stopping_ends_what_is_open(play: Play, provider: Provider) -> None:
    idle: list[socket.socket] = []

    async def work(path: Path) -> None:
        for request in (b"", b'{"command":', b'{"command":"peers"}\n'):
            idle.append(socket.socket(socket.AF_UNIX))
            idle[-1].connect(str(path))
            idle[-1].sendall(request)
        await tasks_are(lambda count: count == 3)

    provider.list = [{"padding": "x" * 10_000}] * 1000
    play(work)
    for waiting in idle:
        with waiting, contextlib.suppress(ConnectionResetError):  # an end, too: something of ours was not read
            waiting.settimeout(20)
            while waiting.recv(1 << 20):
                pass


def test_a_connection_that_was_just_made_is_ended_too(play: Play) -> None:
    with socket.socket(socket.AF_UNIX) as idle:

        async def work(path: Path) -> None:
            idle.connect(str(path))
            await tasks_are(lambda count: count == 1, pause=0)  # nothing of it has run yet when this is seen

        play(work)
        idle.settimeout(20)
        assert idle.recv(1) == b""


def test_what_a_crash_left_is_replaced(play: Play, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / ADMIN_SOCKET))

    async def work(path: Path) -> None:
        assert "answer" in await ask(path, b'{"command":"status"}\n')

    play(work)


def test_it_is_never_open_to_others(tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    chmod = Path.chmod

    def look_then_chmod(path: Path, mode: int) -> None:
        seen.append(stat.S_IMODE(path.lstat().st_mode))
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", look_then_chmod)
    before = os.umask(0)
    try:
        asyncio.run(_start_and_stop(tmp_path, provider))
    finally:
        os.umask(before)
    assert seen == [0o600]


async def _start_and_stop(folder: Path, provider: Provider) -> None:
    server = AdminServer(folder, provider)
    await server.start()
    await server.stop()


def test_a_path_longer_than_a_socket_address(tmp_path: Path, provider: Provider) -> None:
    folder = tmp_path / ("щ" * 100) / ("x" * 100)
    folder.mkdir(parents=True)

    async def work() -> None:
        server = AdminServer(folder, provider)
        await server.start()
        with socket_address(folder / ADMIN_SOCKET) as address:
            assert "answer" in await ask(Path(address), b'{"command":"status"}\n')
        await server.stop()
        assert list(folder.iterdir()) == []

    asyncio.run(work())


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_something_else_of_that_name_is_left_alone(tmp_path: Path, provider: Provider, kind: str) -> None:
    path = tmp_path / ADMIN_SOCKET
    match kind:
        case "file":
            path.write_text("precious")
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"admin\.sock is not a socket: move it away"):
        asyncio.run(_start_and_stop(tmp_path, provider))
    assert [there.name for there in tmp_path.iterdir()] == [ADMIN_SOCKET]


def test_a_folder_that_is_not_there(tmp_path: Path, provider: Provider) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        asyncio.run(_start_and_stop(tmp_path / "nowhere", provider))


def test_stopping_what_was_never_started(tmp_path: Path, provider: Provider) -> None:
    asyncio.run(AdminServer(tmp_path, provider).stop())
