"""Texts and chats over the interface: what is sent, found, marked, kept and deleted."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from client.client_world import ALICE, BOB, DEADLINE
from core.core_world import run, until_async
from faces.api.api_world import faced, good, problem
from uzel.core import works

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
KEYS = [
    "number",
    "chat",
    "outgoing",
    "id",
    "text",
    "reply",
    "at",
    "stored_at",
    "state",
    "reason",
    "changed_at",
    "unread",
]


def test_a_text_is_sent_waited_for_and_found_at_the_other_end(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path) as (_, (alice, bob), (a, b)):
            sent = good(await a.post("/texts", json={"to": bob.uin, "text": "новое сообщение\0"}), 201)
            assert list(sent) == KEYS
            assert (sent["state"], sent["outgoing"], sent["reason"]) == ("queued", True, None)
            assert all(TIME.fullmatch(sent[name]) for name in ("at", "stored_at", "changed_at"))
            settled = good(await a.get(f"/texts/{sent['number']}/wait", params={"timeout": DEADLINE / 2}))
            assert settled["state"] == "delivered"
            (heard,) = good(await b.get(f"/chats/{int(alice.uin)}/texts"))["texts"]
            assert (heard["id"], heard["text"], heard["state"]) == (sent["id"], "новое сообщение\0", "received")
            answer = good(await b.post("/texts", json={"to": alice.uin, "text": "да", "reply": heard["id"]}), 201)
            assert answer["reply"] == sent["id"]
            meant = {"chat": int(alice.uin), "id": answer["reply"]}
            assert good(await b.get("/texts", params=meant))["texts"] == [heard]
            for other in ({"chat": 5}, {"id": "00" * 16}):
                assert good(await b.get("/texts", params={**meant, **other})) == {"texts": []}
            problem(await b.get("/texts", params={**meant, "id": "x" * 32}), 422, "bad_request")
            (hit,) = good(await b.get("/search", params={"q": "сообщения", "chat": int(alice.uin)}))["hits"]
            assert (hit["text"]["number"], hit["spans"]) == (heard["number"], [[6, 15]])
            assert good(await b.get("/search", params={"q": "сообщения", "chat": 5}))["hits"] == []

    run(story)


def test_a_text_that_waits_is_taken_back_tried_again_and_deleted(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path) as (_, (alice, bob), (a, _)):
            await bob.stop()
            text = {"to": int(bob.uin), "text": "not now, later"}
            number = good(await a.post("/texts", json=text), 201)["number"]
            assert good(await a.get(f"/texts/{number}/wait", params={"timeout": 0}))["state"] == "queued"
            problem(await a.post(f"/texts/{number}/retry"), 409, "text_state")
            assert good(await a.post(f"/texts/{number}/cancel"))["state"] == "cancelled"
            problem(await a.post(f"/texts/{number}/cancel"), 409, "text_state")
            again = good(await a.post(f"/texts/{number}/retry"), 201)
            assert (again["number"] > number, again["state"]) == (True, "queued")
            good(await a.delete(f"/texts/{again['number']}"), 204)
            kept, told = await alice.messenger.ledger.writer.run(
                lambda tables: (str(tables.journal.since(0, 100)[0]), works.since(tables, 0, 100)[0])
            )
            assert "not now, later" not in kept  # what is deleted is gone
            assert "text" not in {entry.kind for entry in told}
            assert {"number": number, "chat": int(bob.uin)} in [entry.data for entry in told if entry.kind == "removed"]
            for method, path in (
                ("DELETE", ""), ("GET", ""), ("GET", "/around"), ("GET", "/wait"), ("POST", "/cancel"),
                ("POST", "/retry"), ("POST", "/handled"),
            ):  # fmt: skip
                problem(await a.request(method, f"/texts/{again['number']}{path}"), 404, "no_text")
            await bob.start()

    run(story)


def test_what_no_program_acknowledged_is_given_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path) as (_, (alice, bob), (a, b)):
            for text in ("one", "two", "three"):
                await alice.settled(await alice.says(bob, text))
            first, second, _ = good(await b.get("/unhandled"))["texts"]
            good(await b.post(f"/texts/{first['number']}/handled"), 204)
            good(await b.post(f"/texts/{first['number']}/handled"), 204)
            left = good(await b.get("/unhandled", params={"limit": 1}))["texts"]
            assert [text["text"] for text in left] == ["two"]
            rest = good(await b.get("/unhandled", params={"after": second["number"]}))["texts"]
            assert [text["text"] for text in rest] == ["three"]
            assert good(await a.get("/unhandled"))["texts"] == []

    run(story)


def test_pages_marks_drafts_retention_export_and_deletion(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path) as (_, (alice, bob), (_, b)):
            for number in range(5):
                await alice.settled(await alice.says(bob, str(number)))
            chat = f"/chats/{int(alice.uin)}"

            async def page(**asked: int) -> list[str]:
                return [text["text"] for text in good(await b.get(f"{chat}/texts", params=asked))["texts"]]

            numbers = [text["number"] for text in good(await b.get(f"{chat}/texts"))["texts"]]
            assert await page(limit=2) == ["3", "4"]
            assert await page(limit=2, before=numbers[3]) == ["1", "2"]
            assert await page(limit=2, after=numbers[0]) == ["1", "2"]
            around = good(await b.get(f"/texts/{numbers[2]}/around", params={"limit": 3}))["texts"]
            assert [text["text"] for text in around] == ["1", "2", "3"]
            (shown,) = good(await b.get("/chats"))["chats"]
            assert (shown["uin"], shown["unread"], shown["waiting"], shown["last"]["text"]) == (alice.uin, 5, 0, "4")
            assert good(await b.post(f"{chat}/read", json={"up_to": numbers[2]})) == {"count": 3}
            assert good(await b.get("/chats"))["chats"][0]["unread"] == 2
            good(await b.put(f"{chat}/draft", json={"draft": "not yet"}), 204)
            good(await b.put(f"{chat}/retention", json={"retention_ms": 1000}), 204)
            contact = good(await b.get(f"/contacts/{int(alice.uin)}"))
            assert (contact["draft"], contact["retention_ms"]) == ("not yet", 1000)
            good(await b.put(f"{chat}/retention", json={"retention_ms": None}), 204)
            for path, body in (("draft", {"draft": ""}), ("retention", {"retention_ms": 5})):
                problem(await b.put(f"/chats/5/{path}", json=body), 404, "not_a_contact")
            export = await b.get(f"{chat}/export")
            assert export.headers["content-type"] == "application/x-ndjson"
            lines = [json.loads(line) for line in export.text.splitlines()]
            assert [line["text"] for line in lines] == list("01234")
            assert list(lines[0]) == KEYS
            assert good(await b.delete(chat)) == {"count": 5}
            assert (await b.get(f"{chat}/export")).text == ""

    run(story)


def test_what_cannot_be_sent_is_refused_by_name(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE, BOB) as (_, (_, bob), (a, _)):
            uin = int(bob.uin)
            problem(await a.post("/texts", json={"to": 5, "text": "x"}), 404, "not_a_contact")
            problem(await a.post("/texts", json={"to": uin, "text": "я" * 262_145}), 422, "text_too_long")
            problem(await a.post("/texts", json={"to": uin, "text": ""}), 422, "text_empty")
            longest = good(await a.post("/texts", json={"to": uin, "text": "\u0001" * 200_000}), 201)
            assert len(longest["text"]) == 200_000
            bodies: tuple[object, ...] = (
                {"to": uin}, {"to": str(uin), "text": "x"}, {"to": uin, "text": "x", "more": 1}, {"to": 0, "text": ""},
                {"to": 2**32, "text": "x"}, {"to": uin, "text": "x", "reply": "00"}, {"to": uin, "text": 5},
                [], 5, None,
            )  # fmt: skip
            for body in bodies:
                problem(await a.post("/texts", json=body), 422, "bad_request")
            lone = {"content-type": "application/json"}
            problem(
                await a.post("/texts", content=f'{{"to":{uin},"text":"\\ud800"}}', headers=lone), 422, "bad_request"
            )
            problem(await a.post("/texts", content=b'{"to":', headers=lone), 422, "bad_request")
            problem(await a.post("/texts", content=b"\xff\xfe", headers=lone), 422, "bad_request")
            problem(await a.post("/texts", content=b"[" * 100_000, headers=lone), 400, "bad_request")
            assert (await a.get(f"/texts/{longest['number']}")).status_code == 200

    run(story)


def test_numbers_are_plain_digits_within_bounds(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, _, (a,)):
            for number in ("0", "-1", "+1", "1.0", "1_0", "%201", "01", "9223372036854775808", "x", "１"):
                problem(await a.get(f"/texts/{number}"), 422, "bad_request")
            problem(await a.get("/texts/9223372036854775807"), 404, "no_text")
            for query in ("limit=0", "limit=201", "before=0", "after=-1", "after=9223372036854775808", "limit=1_0"):
                problem(await a.get(f"/chats/5/texts?{query}"), 422, "bad_request")
            for query in ("q=", f"q={'x' * 1001}", "q=x&chat=4294967296", ""):
                problem(await a.get(f"/search?{query}"), 422, "bad_request")
            problem(await a.get("/texts/1/wait", params={"timeout": 61}), 422, "bad_request")
            problem(await a.get("/texts/1/wait", params={"timeout": "nan"}), 422, "bad_request")
            assert good(await a.get("/search", params={"q": '\0"* OR chat:1'}))["hits"] == []

    run(story)


def test_a_wait_ends_when_the_text_is_deleted(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path) as (_, (alice, bob), (a, _)):
            await bob.stop()
            number = (await alice.says(bob, "never")).number
            waiting = asyncio.create_task(a.get(f"/texts/{number}/wait", params={"timeout": DEADLINE}))
            await until_async("it was asked", lambda: asyncio.sleep(0, True))
            good(await a.delete(f"/texts/{number}"), 204)
            problem(await waiting, 404, "no_text")
            await bob.start()

    run(story)


def test_an_answer_and_its_acknowledgement_are_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path) as (_, (alice, bob), (_, b)):
            await alice.settled(await alice.says(bob, "before"))
            begun = good(await b.post("/unhandled/begin"))["after"]
            await alice.settled(await alice.says(bob, "question"))
            assert good(await b.post("/unhandled/begin"))["after"] == begun
            (question,) = good(await b.get("/unhandled", params={"after": begun}))["texts"]
            path = f"/texts/{question['number']}/answer"
            problem(await b.post(path, json={"texts": ["good", "x" * (512 * 1024) + "ё"]}), 422, "bad_request")
            problem(await b.post(path, json={"texts": ["ё" * (512 * 1024)]}), 422, "text_too_long")
            problem(await b.post(path, json={"texts": [""] * 17}), 422, "bad_request")
            answers = good(await b.post(path, json={"texts": ["one", "two"]}), 201)["texts"]
            assert [(each["text"], each["reply"]) for each in answers] == [
                ("one", question["id"]),
                ("two", question["id"]),
            ]
            problem(await b.post(path, json={"texts": ["again"]}), 409, "text_state")
            problem(await b.post(f"/texts/{answers[0]['number']}/answer", json={"texts": []}), 409, "text_state")
            problem(await b.post("/texts/999/answer", json={"texts": []}), 404, "no_text")
            for each in answers:
                await bob.messenger.wait_settled(each["number"])
            assert await alice.heard(bob) == ["one", "two"]

    run(story)


def test_nodes_are_looked_at(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE) as (w, _, (a,)):
            (own,) = good(await a.post("/nodes/check", json={}))["nodes"]
            assert (own["reachable"], own["problem"], own["key_agreement"]) == (True, None, "X25519MLKEM768")
            assert own["fingerprint"] == own["expected"] == str(w.service.fingerprint)
            (named,) = good(await a.post("/nodes/check", json={"node": f"{w.reference},{'A' * 43}"}))["nodes"]
            assert named["reason"] == "node_key_changed"
            problem(await a.post("/nodes/check", json={"node": "a b"}), 422, "invalid_name")

    run(story)


def test_the_examples_of_the_document_work(tmp_path: Path) -> None:
    shown = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    examples = re.findall(r"^    curl .* http://core/v1(/\S+)(?: --json '(.*)')?$", shown, re.MULTILINE)
    assert [path for path, _ in examples] == ["/status", "/contacts", "/texts", "/events"]

    async def story() -> None:
        async with faced(tmp_path) as (_, _, (a, _)):
            for path, body in examples[:-1]:  # the stream has no end
                answer = await (a.post(path, json=json.loads(body)) if body else a.get(path))
                assert answer.is_success, answer.text

    run(story)
