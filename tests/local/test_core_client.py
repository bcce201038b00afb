"""The client of the running core: each way in which there is no answer has its name, and errors are made again."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from uzel import errors
from uzel.errors import CoreSilentError, NetworkError, NoCoreError, RequestRefusedError, UzelError
from uzel.local import async_client, core_client
from uzel.local.async_client import AsyncCoreClient
from uzel.local.core_client import CoreClient, error_of, failure_of
from uzel.local.core_socket import core_runs
from uzel.store.admin_socket import API_SOCKET, socket_address


@contextmanager
def answering(folder: Path, answer: bytes) -> Iterator[None]:
    """Something that listens there and answers everybody with this, then hangs up; with nothing it is silent."""
    with socket.socket(socket.AF_UNIX) as listening, socket_address(folder / API_SOCKET) as name:
        listening.bind(name)
        listening.listen()
        held: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                held.append(connection)
                if answer and connection.recv(65536):
                    connection.sendall(answer)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for connection in held:
            connection.close()


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def test_where_nothing_listens_there_is_no_core(tmp_path: Path) -> None:
    assert not core_runs(tmp_path)
    with pytest.raises(NoCoreError), CoreClient(tmp_path):
        pass
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(tmp_path / API_SOCKET))
    assert not core_runs(tmp_path)
    with pytest.raises(NoCoreError), CoreClient(tmp_path):
        pass


@pytest.mark.parametrize(
    "answer", [b"garbage\r\n\r\n", http(b"[]"), http(b"{"), http(b"\xff"), http(b"", "500 No"), http(b"{}")[:-1]]
)
def test_what_answers_something_else_is_silent(tmp_path: Path, answer: bytes) -> None:
    with answering(tmp_path, answer), CoreClient(tmp_path) as core, pytest.raises(CoreSilentError):
        core.ask("GET", "/status")


def test_what_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_client, "STREAM_SILENCE", 0.05)
    with answering(tmp_path, b""):
        assert core_runs(tmp_path)
        with CoreClient(tmp_path, 0.05) as core, pytest.raises(CoreSilentError, match=r"not within 0\.05 s"):
            core.ask("GET", "/status")
        with CoreClient(tmp_path, 0.05) as core, pytest.raises(CoreSilentError), core.events():
            pass


def test_events_that_are_none_are_refused(tmp_path: Path) -> None:
    stream = b'HTTP/1.1 200 OK\r\n\r\n: quiet\n\nid: 1\nevent: text\ndata: {"a":1}\n\nevent: bad\ndata: {\n\n'
    with answering(tmp_path, stream), CoreClient(tmp_path) as core, core.events(0) as events:
        assert next(events) == ("text", {"a": 1})
        with pytest.raises(CoreSilentError):
            next(events)


def test_a_problem_is_the_error_again(tmp_path: Path) -> None:
    problem = http(b'{"code":"not_a_contact","detail":"UIN 5"}', "404 Not Found")
    with (
        answering(tmp_path, problem),
        CoreClient(tmp_path) as core,
        pytest.raises(errors.NotAContactError, match=r"Add them first.* \(UIN 5\)"),
    ):
        core.ask("GET", "/contacts/5")


def test_codes_are_the_reasons_of_errors() -> None:
    for code, kind in (
        ("peer_key_changed", errors.PeerKeyChangedError),
        ("storage", errors.StorageError),
        ("rate_limited", errors.RateLimitedError),
        ("not_trusted", errors.NotTrustedError),
        ("never_heard_of", RequestRefusedError),
    ):
        made = error_of(code, "detail")
        assert (type(made), made.reason, made.detail) == (kind, code, "detail")
    assert isinstance(failure_of("not_let_in"), errors.NotLetInError)
    odd = failure_of("refused: 7")
    assert isinstance(odd, NetworkError)
    assert isinstance(odd, UzelError)
    assert odd.reason == "refused: 7"


# -- The same, awaited ----------------------------------------------------------------------------------------------


def test_the_awaited_client_names_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_client, "MOST_EVENT", 100)

    async def follow(answer: bytes, kind: type[UzelError]) -> list[object]:
        seen: list[object] = []
        with answering(tmp_path, answer):
            client = AsyncCoreClient(tmp_path)
            with pytest.raises(kind):
                await client.ask("GET", "/contacts/5")
            with pytest.raises(kind):  # noqa: PT012 - the events before it are looked at
                async for event in client.events(0):
                    seen.append(event)  # noqa: PERF401 - those before the error count
            await client.close()
        (tmp_path / API_SOCKET).unlink()
        return seen

    async def story() -> None:
        with pytest.raises(NoCoreError):
            await AsyncCoreClient(tmp_path).ask("GET", "/status")
        await follow(http(b'{"code":"not_a_contact","detail":"UIN 5"}', "404 Not Found"), errors.NotAContactError)
        for answer in (b"garbage\r\n\r\n", http(b"[]", "500 No"), http(b"", "500 No"), http(b"{}", "200 OK")[:-1]):
            await follow(answer, UzelError)
        for end in (b"event: bad\ndata: {\n\n", b"x" * 101):
            stream = b'HTTP/1.1 200 OK\r\n\r\n: quiet\n\nid: 1\nevent: text\ndata: {"a":1}\n\n' + end
            assert await follow(stream, CoreSilentError) == [("text", {"a": 1})]

    asyncio.run(story())
