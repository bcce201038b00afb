"""Letting in and signing out: one-time addresses, codes, devices, restarts; what a thief of an address leaves."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import httpx
import pytest

from client.client_world import ALICE, BOB, DEADLINE, world
from core.core_world import cores, run
from faces.api.api_world import good, problem
from faces.web.page_world import page_of, paged
from uzel.faces.web import PageSettings
from uzel.faces.web.guard import SECRET
from uzel.store.profile_names import DATABASE


def test_an_address_lets_one_browser_in(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path) as page, page.browser() as browser:
            answer = await browser.post("/session", json={"token": page.token(), "name": "Desk"})
            said = good(answer)
            device = said["device"]
            assert (device["name"], device["kind"], device["current"]) == ("Desk", "local", True)
            cookie = answer.headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=strict" in cookie
            assert "path=/" in cookie
            assert "secure" not in cookie.replace("uzel", "")
            problem(await browser.get("/session"), 401, "unauthorized")
            browser.headers[SECRET] = said["secret"]
            assert good(await browser.get("/session")) == {"device": device, "expires_at": said["expires_at"]}
            (shown,) = good(await browser.get("/v1/devices"))["devices"]
            assert (shown["id"], shown["current"]) == (device["id"], True)
            good(await browser.delete("/session"), 204)
            problem(await browser.get("/v1/status"), 401, "unauthorized")

    run(story)


def test_a_stolen_address_is_refused_told_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with paged(tmp_path) as page:
            token = page.token()
            async with page.signed_in(token=token) as browser, page.browser() as thief:
                after = good(await browser.get("/v1/status"))["last_event"]
                with caplog.at_level(logging.WARNING, "uzel.page"):
                    said = problem(await thief.post("/session", json={"token": token}), 401, "one_time_used")
                assert "sign out" in said["title"]
                assert "page_address_reused" in caplog.text
                assert token not in caplog.text
                async with asyncio.timeout(DEADLINE / 2), browser.stream("GET", f"/v1/events?after={after}") as stream:
                    async for line in stream.aiter_lines():
                        if '"address_reused"' in line:
                            break

    run(story)


def test_who_guesses_waits_and_the_owner_is_not_locked_out(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path) as page, page.browser() as browser:
            problem(await browser.post("/session", json={"token": "x"}), 401, "unauthorized")
            answer = await browser.post("/session", json={"code": "123456789"})
            problem(answer, 429, "rate_limited")
            assert int(answer.headers["retry-after"]) >= 1
            async with page.signed_in() as owner:
                assert good(await owner.get("/v1/status"))["refusals"] == {"rate_limited": 1, "unauthorized": 1}

    run(story)


def test_a_device_is_paired_named_and_signed_out_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path) as page, page.signed_in() as browser:
            pairing = good(await browser.post("/v1/devices/pairing"), 201)
            assert pairing["address"] == f"{page.url}/"
            async with page.signed_in(code=pairing["code"], name="Telephone\x1b[0m") as telephone:
                mine = good(await telephone.get("/session"))["device"]
                assert (mine["kind"], mine["name"]) == ("paired", "Telephone[0m")
                for method, path in (("POST", "/v1/profile/backup"), ("POST", "/v1/stop")):
                    problem(await telephone.request(method, path), 403, "only_at_home")
                renamed = good(await browser.patch(f"/v1/devices/{mine['id']}", json={"name": "Old telephone"}))
                assert (renamed["name"], renamed["current"]) == ("Old telephone", False)
                async with asyncio.timeout(DEADLINE / 2), telephone.stream("GET", "/v1/events") as stream:
                    lines = stream.aiter_lines()
                    assert await anext(lines) == "id: " + str(good(await browser.get("/v1/status"))["last_event"])
                    good(await browser.delete(f"/v1/devices/{mine['id']}"), 204)
                    async for _ in lines:
                        pass
                problem(await telephone.get("/v1/status"), 401, "unauthorized")
                assert page.sessions.refused() == {"only_at_home": 2, "unauthorized": 1}
                problem(await browser.delete(f"/v1/devices/{mine['id']}"), 404, "no_device")
            async with page.browser() as late:
                problem(await late.post("/session", json={"code": pairing["code"]}), 401, "unauthorized")
            own = good(await browser.get("/session"))["device"]["id"]
            good(await browser.delete(f"/v1/devices/{own}"), 204)

    run(story)


def test_a_restart_signs_nobody_out_and_no_secret_is_kept(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,):
            async with page_of(alice) as page, page.signed_in() as browser:
                secret, cookies, port = browser.headers[SECRET], dict(browser.cookies), page.port
                kept = await alice.messenger.ledger.writer.run(lambda tables: str(tables.options.chosen()))
                assert "page devices" in kept
                assert secret not in kept
                assert not any(value.partition(".")[2] in kept for value in cookies.values())
            await alice.messenger.close()
            alice.profile.close()
            assert secret.encode() not in (alice.folder / DATABASE).read_bytes()
            await alice.start()
            async with (
                page_of(alice, port=port) as again,
                httpx.AsyncClient(base_url=again.url, cookies=cookies, headers={SECRET: secret}) as browser,
            ):
                good(await browser.get("/v1/status"))

    run(story)


def test_a_core_that_stops_signs_nobody_out(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path) as page, page.signed_in() as browser:
            good(await browser.post("/v1/contacts", json={"link": str(BOB)}), 201)
            number = good(await browser.post("/v1/texts", json={"to": BOB, "text": "Hello"}), 201)["number"]
            waiting = asyncio.create_task(browser.get(f"/v1/texts/{number}/wait?timeout=50"))
            async with asyncio.timeout(DEADLINE / 2):
                while not waiting.done():
                    page.sessions.end_streams()
                    await asyncio.sleep(0.001)
            problem(await waiting, 503, "client_closed")
            good(await browser.get("/v1/status"))

    run(story)


def test_who_signs_in_anew_has_one_device_and_the_list_is_bounded(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path, PageSettings(devices=2)) as page, page.signed_in() as first:
            said = good(await first.post("/session", json={"token": page.token()}))
            first.headers[SECRET] = said["secret"]
            assert len(good(await first.get("/v1/devices"))["devices"]) == 1
            async with page.signed_in() as second, page.signed_in() as third:
                problem(await first.get("/v1/status"), 401, "unauthorized")
                good(await second.get("/v1/status"))
                assert len(good(await third.get("/v1/devices"))["devices"]) == 2

    run(story)


def test_where_there_is_no_page_it_is_said(tmp_path: Path) -> None:
    from faces.api.api_world import faced

    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, _, (a,)):
            problem(await a.post("/devices/address"), 404, "no_page")
            problem(await a.get("/devices"), 404, "no_page")

    run(story)
