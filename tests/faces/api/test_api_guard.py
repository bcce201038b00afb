"""Who may ask, and how much: tokens, Host, Origin, bodies; and what is said when something breaks."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from client.client_world import ALICE
from core.core_world import run
from faces.api.api_world import TOKEN, asking, faced, good, problem
from uzel.errors import StorageError
from uzel.faces.api import guard
from uzel.faces.http import gate
from uzel.faces.http.gate import MOST_BODY

JSON = {"content-type": "application/json"}


def test_the_port_wants_its_token(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, (alice,), _), asking(alice, TOKEN) as a:
            good(await a.get("/status"))
            for given in ("", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer щ"):
                answer = await a.get("/status", headers=[(b"Authorization", given.encode())])
                problem(answer, 401, "unauthorized")
                assert answer.headers["www-authenticate"] == "Bearer"
            problem(await a.get("/openapi.json", headers={"Authorization": ""}), 401, "unauthorized")

    run(story)


def test_the_port_answers_to_the_loopback_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, (alice,), _), asking(alice, TOKEN) as a:
            for host in ("127.0.0.1", "localhost", "LOCALHOST:80", "127.0.0.1:80"):
                good(await a.get("/status", headers={"Host": host}))
            for host in (
                "evil.example",
                "evil.example:80",
                "127.0.0.1:81",
                "localhost.evil.example",
                "[::1]",
                "",
                "a b",
            ):
                problem(await a.get("/status", headers={"Host": host}), 403, "foreign_host")
            good(await a.get("/status", headers={"Origin": "http://127.0.0.1"}))
            for origin in ("null", "http://evil.example", "https://127.0.0.1", "http://127.0.0.1:81", ""):
                problem(await a.get("/status", headers={"Origin": origin}), 403, "foreign_origin")

    run(story)


def test_the_socket_refuses_pages(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, _, (a,)):
            good(await a.get("/status", headers={"Host": "anything"}))
            for origin in ("null", "http://127.0.0.1", "http://evil.example"):
                problem(await a.get("/status", headers={"Origin": origin}), 403, "foreign_origin")

    run(story)


def test_bodies_are_bounded_whatever_their_length_says(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(MOST_BODY // 65536 + 1):
            yield b" " * 65536

    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, _, (a,)):
            for body in (b" " * (MOST_BODY + 1), pieces()):
                problem(await a.post("/texts", content=body, headers=JSON), 413, "too_large")
            problem(await a.post("/texts", content=b" " * MOST_BODY, headers=JSON), 422, "bad_request")
            problem(await a.post("/texts", content=b"to=5", headers={"content-type": "text/plain"}), 422, "bad_request")

    run(story)


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "BODY_TIME", 0.01)

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, _, (a,)):
            problem(await a.post("/texts", content=never(), headers=JSON), 408, "bad_request")

    run(story)


def test_paths_and_methods_that_are_none(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, _, (a,)):
            for path in ("", "/", "/status/", "/me/qr", "/docs", "/profile.db", "/..%2fprofile.db"):
                problem(await a.get(path), 404, "not_found")
            problem(await a.put("/status"), 405, "method_not_allowed")
            assert (await a.get("/status")).headers["cache-control"] == "no-store"

    run(story)


def test_what_breaks_inside_is_a_problem_without_particulars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def breaks(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret text")

    async def full(*_: Any, **__: Any) -> None:
        raise StorageError("the disk is full")

    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, (alice,), (a,)):
            monkeypatch.setattr(alice.messenger.history, "chats", breaks)
            answer = await a.get("/chats")
            problem(answer, 500, "unexpected")
            assert "secret" not in answer.text + caplog.text
            monkeypatch.setattr(alice.messenger.history, "chats", full)
            said = problem(await a.get("/chats"), 507, "storage")
            assert said["detail"] == "the disk is full"

    run(story)


def test_a_core_that_has_ended_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, (alice,), (a,)):
            await alice.messenger.close()
            problem(await a.get("/chats"), 503, "client_closed")

    run(story)


def test_the_document_names_everything_and_takes_no_path(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, (alice,), (a,)), asking(alice, TOKEN) as port:
            document = good(await a.get("/openapi.json"))
            assert not re.search(r'"(ge|le|gt|lt)":', json.dumps(document))  # bounds are in the words of JSON Schema
            assert all(path.startswith("/v1/") for path in document["paths"])
            assert "security" not in document
            assert good(await port.get("/openapi.json"))["security"] == [{"token": []}]
            for name, schema in document["components"]["schemas"].items():
                if schema["type"] != "object":
                    continue  # a word out of a list
                if name != "Problem":
                    assert schema["additionalProperties"] is False, name
                shown = {"folder"} if name == "ProfileShown" else set()  # for the person's eyes
                assert {"path", "file", "folder", "filename"} & set(schema["properties"]) == shown

    run(story)


def test_a_client_that_leaves_in_the_middle_of_its_body_breaks_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, _, (a,)):
            app = guard.Guard(a._transport.app, None)  # type: ignore[attr-defined]
            sent: list[Any] = []

            async def receive() -> dict[str, Any]:
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                sent.append(message)

            scope: dict[str, Any] = {
                "type": "http", "method": "POST", "path": "/v1/texts", "headers": [], "query_string": b"",
                "http_version": "1.1", "scheme": "http", "root_path": "", "client": None, "server": None,
            }  # fmt: skip
            await app(scope, receive, send)
            assert sent[0]["status"] == 422
            assert isinstance(a, httpx.AsyncClient)

    run(story)
