"""People over the interface: contacts, keys, blocks, requests, strangers, invites, and oneself."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from xml.etree import ElementTree as ET

from client.client_world import ALICE, BOB, CAROL, DEADLINE, identity
from core.core_world import run, until_async
from faces.api.api_world import faced, good, problem
from uzel.errors import PeerKeyChangedError
from uzel.names import ContactLink

CONTACT = [
    "uin", "name", "verified", "blocked", "fingerprint", "safety_number", "stopped", "speaks_envelopes", "link",
    "added_at", "last_seen", "draft", "retention_ms", "connected", "key_agreement", "gate",
    "downgraded",
]  # fmt: skip


def test_status_and_me(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE) as (w, (alice,), (a,)):
            status = good(await a.get("/status"))
            assert (status["uin"], status["online"], status["node"]) == (alice.uin, True, str(w.reference))
            assert (status["reason"], status["contested"], status["waiting"]) == (None, False, 0)
            me = good(await a.get("/me"))
            assert me["link"] == str(alice.messenger.link)
            assert ContactLink.parse(me["link"]).fingerprint == alice.profile.identity.fingerprint
            svg = await a.get("/me/qr.svg")
            assert svg.headers["content-type"] == "image/svg+xml"
            assert ET.fromstring(svg.text).tag == "{http://www.w3.org/2000/svg}svg"
            text = (await a.get("/me/qr.txt")).text
            assert set(text) <= set(" █▀▄\n")
            assert len({len(line) for line in text.splitlines()}) == 1
            good(await a.post("/reconnect"), 204)
            problem(await a.post("/stop"), 400, "bad_request")

    run(story)


def test_a_contact_is_added_renamed_compared_and_removed(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE, BOB, acquainted=False) as (_, (alice, bob), (a, b)):
            contact = good(await a.post("/contacts", json={"link": str(int(bob.uin)), "name": "Боб"}), 201)
            assert list(contact) == CONTACT
            assert (contact["name"], contact["verified"], contact["fingerprint"]) == ("Боб", False, None)
            path = f"/contacts/{int(bob.uin)}"
            problem(await a.post(f"{path}/verify", json={"safety_number": ""}), 409, "key_not_compared")
            good(await b.post("/contacts", json={"link": str(alice.messenger.link)}), 201)

            async def met() -> bool:
                return good(await a.get(path))["fingerprint"] is not None

            await until_async("they met", met)
            number = good(await a.get(path))["safety_number"]
            assert number == good(await b.get(f"/contacts/{int(alice.uin)}"))["safety_number"]
            wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
            problem(await a.post(f"{path}/verify", json={"safety_number": wrong}), 409, "key_not_compared")
            assert not good(await a.get(path))["verified"]
            assert good(await a.post(f"{path}/verify", json={"safety_number": f" {number}\n"}))["verified"]
            assert good(await a.patch(path, json={"name": "Bob"}))["name"] == "Bob"
            problem(await a.patch(path, json={"name": "\u202ebob"}), 422, "invalid_name")
            (listed,) = good(await a.get("/contacts"))["contacts"]
            assert listed["link"] == str(ContactLink(bob.uin, bob.profile.identity.fingerprint, name="Bob"))
            good(await a.delete(path), 204)
            for method, more in (("GET", ""), ("DELETE", ""), ("POST", "/agree")):
                problem(await a.request(method, path + more), 404, "not_a_contact")
            problem(await a.post(f"{path}/verify", json={"safety_number": number}), 404, "not_a_contact")

    run(story)


def test_links_that_are_none_are_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, (alice,), (a,)):
            key = identity(BOB).fingerprint
            for link in (
                "0", "x", "uzel:", "uzel:5?key=abc", f"uzel:5?key={key}&key={key}", "uzel:5?name=%00",
                "uzel:5?invite=!", "uzel:5?name=" + "x" * 65, "/etc/passwd", "file:///etc/passwd",
                "uzel:5?node=a:1&node=b:99999",
            ):  # fmt: skip
                problem(await a.post("/contacts", json={"link": link}), 422, "invalid_name")
            problem(await a.post("/contacts", json={"link": "uzel:5" + "&" * 5000}), 422, "bad_request")
            problem(await a.post("/contacts", json={"link": str(alice.messenger.link)}), 409, "self_contact")
            script = good(await a.post("/contacts", json={"link": "uzel:5?name=%3Cscript%3E"}), 201)
            assert script["name"] == "<script>"

    run(story)


def test_a_changed_key_stops_until_the_one_that_is_meant_is_accepted(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE, BOB) as (_, (alice, bob), (a, _)):
            path, shown = f"/contacts/{int(bob.uin)}", identity(CAROL).fingerprint
            problem(await a.post(f"{path}/accept-key", json={"fingerprint": str(shown)}), 409, "key_not_compared")
            error = PeerKeyChangedError()
            error.shown = shown
            await alice.messenger.people.key_changed(bob.uin, error)
            assert good(await a.get(path))["stopped"] == str(shown)
            pinned = str(bob.profile.identity.fingerprint)
            problem(await a.post(f"{path}/accept-key", json={"fingerprint": pinned}), 409, "key_not_compared")
            other = ContactLink(bob.uin, shown)
            problem(await a.post("/contacts", json={"link": str(other)}), 409, "peer_key_changed")
            contact = good(await a.post(f"{path}/accept-key", json={"fingerprint": str(shown)}))
            assert (contact["stopped"], contact["fingerprint"], contact["verified"]) == (None, str(shown), False)

    run(story)


def test_blocks_hold_contacts_and_strangers(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE, BOB) as (_, (_, bob), (a, _)):
            uin = int(bob.uin)
            for each in (uin, 5, 5):
                good(await a.put(f"/blocks/{each}"), 204)
            assert good(await a.get("/blocks"))["uins"] == sorted([5, uin])
            assert good(await a.get(f"/contacts/{uin}"))["blocked"]
            for each in (uin, 5, 5):
                good(await a.delete(f"/blocks/{each}"), 204)
            assert good(await a.get("/blocks"))["uins"] == []
            assert not good(await a.get(f"/contacts/{uin}"))["blocked"]

    run(story)


def test_strangers_knock_and_are_let_in_or_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE, BOB, CAROL, acquainted=False) as (_, people, (a, b, c)):
            (alice, bob, carol) = people
            uin = int(alice.uin)
            for asking, text in ((b, "this is Bob"), (c, "buy this")):
                good(await asking.post("/contacts", json={"link": str(alice.messenger.link)}), 201)
                good(await asking.post("/texts", json={"to": uin, "text": text}), 201)

            async def knocked() -> bool:
                shown = good(await a.get("/requests"))["requests"]
                return len([each for each in shown if each["has_text"]]) == 2

            await until_async("both knock", knocked)
            shown = await a.get("/requests")
            assert "this is Bob" not in shown.text
            good(await a.post(f"/requests/{int(carol.uin)}/refuse"), 204)
            problem(await a.post(f"/requests/{int(carol.uin)}/refuse"), 404, "no_request")
            contact = good(await a.post(f"/requests/{int(bob.uin)}/accept", json={"name": "Bob"}), 201)
            assert (contact["name"], contact["verified"]) == ("Bob", False)
            problem(await a.post(f"/requests/{int(bob.uin)}/accept", json={"name": ""}), 404, "no_request")
            (text,) = good(await a.get(f"/chats/{int(bob.uin)}/texts"))["texts"]
            assert text["text"] == "this is Bob"
            assert good(await a.get("/strangers")) == {"mode": "ask"}
            assert good(await a.put("/strangers", json={"mode": "contacts-only"})) == {"mode": "contacts-only"}
            problem(await a.put("/strangers", json={"mode": "open"}), 422, "bad_request")
            assert good(await a.get("/strangers")) == {"mode": "contacts-only"}

    run(story)


def test_an_invite_is_shown_once_lets_in_and_is_revoked(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE, BOB, acquainted=False) as (_, (alice, _), (a, b)):
            good(await a.put("/strangers", json={"mode": "contacts-only"}))
            made = good(await a.post("/invites", json={"label": "for Bob", "lasts_ms": 3_600_000}), 201)
            link = ContactLink.parse(made["link"])
            assert made["id"] == hashlib.sha256(link.invite).hexdigest()
            listed = await a.get("/invites")
            assert made["link"].rpartition("invite=")[2] not in listed.text
            (invite,) = good(listed)["invites"]
            assert (invite["id"], invite["label"], invite["uses_left"]) == (made["id"], "for Bob", 1)
            good(await b.post("/contacts", json={"link": made["link"]}), 201)
            sent = good(await b.post("/texts", json={"to": int(alice.uin), "text": "let me in"}), 201)
            waited = await asyncio.wait_for(b.get(f"/texts/{sent['number']}/wait"), DEADLINE)
            assert good(waited)["state"] == "delivered"
            assert good(await a.get("/invites"))["invites"][0]["uses_left"] == 0
            good(await a.delete(f"/invites/{made['id']}"), 204)
            problem(await a.delete(f"/invites/{made['id']}"), 404, "invite")
            assert good(await a.get("/invites"))["invites"][0]["revoked"]
            for body in ({"uses": 0}, {"uses": 1.5}, {"lasts_ms": 0}, {"lasts_ms": 10**14}, {"name": "x" * 65}):
                problem(await a.post("/invites", json=body), 422, "bad_request")
            problem(await a.post("/invites", json={"label": "\n"}), 422, "invalid_name")

    run(story)
