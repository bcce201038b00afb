"""Who gets through to the page: forged requests, rebound names, another user's port; and what every answer says."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from core.core_world import run
from faces.api.api_world import good, problem
from faces.web.page_world import paged
from uzel.faces.http.gate import MOST_BODY
from uzel.faces.web.guard import HEADERS, SECRET, Place

PATHS = ("/", "/static/index.html", "/session", "/v1/status", "/v1/nothing", "/nothing", "/static/../app.py")


def test_every_answer_carries_the_headers(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path) as page, page.signed_in() as browser:
            answers = [await browser.get(path) for path in PATHS]
            answers += [await browser.get(path, headers={"Host": "evil.example"}) for path in PATHS]
            answers += [await browser.put(path) for path in PATHS]
            answers += [await browser.post("/v1/texts", content=b" " * (MOST_BODY + 1))]
            async with page.browser() as stranger:
                answers += [await stranger.get(path) for path in PATHS]
            assert {200, 401, 403, 404, 405, 413} == {answer.status_code for answer in answers}
            for answer in answers:
                for name, value in HEADERS.items():
                    assert answer.headers.get_list(name) == [value] or name == "cache-control", answer.url
                kept = answer.is_success and not answer.url.path.startswith(("/v1", "/session"))
                assert answer.headers["cache-control"] == ("no-cache" if kept else "no-store"), answer.url
                if answer.is_error:
                    assert answer.headers["content-type"] == "application/problem+json"

    run(story)


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    policy = HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_a_rebound_name_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path) as page, page.signed_in() as browser:
            for host in ("evil.example", f"evil.example:{page.port}", "127.0.0.1", "127.0.0.1:1", "[::1]", ""):
                for path in ("/", "/session", "/v1/status"):
                    problem(await browser.get(path, headers={"Host": host}), 403, "foreign_host")
            good(await browser.get("/v1/status", headers={"Host": f"LOCALHOST:{page.port}"}))

    run(story)


def test_a_forged_request_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path) as page, page.signed_in() as browser:
            own = f"http://127.0.0.1:{page.port}"
            good(await browser.get("/v1/status", headers={"Origin": own, "Sec-Fetch-Site": "same-origin"}))
            for origin in (
                "null",
                "http://evil.example",
                f"https://127.0.0.1:{page.port}",
                "http://127.0.0.1",
                f"{own}/",
            ):
                for path, answer in (
                    ("/v1/status", await browser.get("/v1/status", headers={"Origin": origin})),
                    ("/session", await browser.post("/session", json={"token": "x"}, headers={"Origin": origin})),
                ):
                    assert path
                    problem(answer, 403, "foreign_origin")
            other_name = {"Origin": f"http://localhost:{page.port}"}
            problem(await browser.get("/v1/status", headers=other_name), 403, "foreign_origin")
            for site in ("cross-site", "same-site", "none"):
                for path in ("/v1/status", "/session"):
                    problem(await browser.get(path, headers={"Sec-Fetch-Site": site}), 403, "foreign_origin")
            navigated = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
            problem(await browser.get("/v1/me/qr.svg", headers=navigated), 403, "foreign_origin")
            loaded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
            problem(await browser.get("/static/index.html", headers=loaded), 403, "foreign_origin")

    run(story)


def test_the_page_is_gone_to_from_anywhere_but_only_as_a_whole_window(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path) as page, page.browser() as browser:
            gone_to = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
            assert (await browser.get("/", headers=gone_to)).status_code == 200
            for target in ("iframe", "object", "embed"):
                answer = await browser.get("/", headers={**gone_to, "Sec-Fetch-Dest": target})
                problem(answer, 403, "foreign_origin")

    run(story)


def test_the_cookie_alone_opens_nothing(tmp_path: Path) -> None:
    """Browsers send it to every port of the host: another user of the machine may have it."""

    async def story() -> None:
        async with paged(tmp_path) as page, page.signed_in() as browser:
            secret = browser.headers[SECRET]
            cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
            async with page.browser() as thief:
                for headers in (
                    {"Cookie": cookie},
                    {SECRET: secret},
                    {"Cookie": cookie, SECRET: secret[::-1]},
                    {"Cookie": cookie.replace(".", ".x"), SECRET: secret},
                    {"Cookie": cookie, SECRET: "щ"},
                    {"Cookie": "a=b; " + "x" * 5000, SECRET: secret},
                ):
                    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
                    for path in ("/v1/status", "/v1/events", "/session", "/v1/openapi.json"):
                        problem(await thief.get(path, headers=raw), 401, "unauthorized")
            good(await browser.get("/v1/status"))

    run(story)


def test_a_device_belongs_to_its_port(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path) as page, page.signed_in() as browser:
            secret, ((_, value),) = browser.headers[SECRET], browser.cookies.items()
            place = Place("http", page.port + 1, ("127.0.0.1",))
            elsewhere = httpx.Headers({"cookie": f"{place.cookie}={value}", SECRET: secret})
            shown = place.shown(elsewhere)  # type: ignore[arg-type]  # it has `get`, and no more is used
            assert shown is not None
            assert page.sessions.find(shown, place.name) is None
            assert page.sessions.find(shown, f"http:{page.port}") is not None

    run(story)


def test_bodies_are_bounded(tmp_path: Path) -> None:
    async def story() -> None:
        async with paged(tmp_path) as page, page.browser() as browser:
            problem(await browser.post("/session", content=b"x" * (MOST_BODY + 1)), 413, "too_large")
            for body in (b"{}", b"[]", b"{", b'{"token":5}', b'{"token":"x","more":1}', b"\xff", b"[" * 100_000):
                answer = await browser.post("/session", content=body, headers={"Content-Type": "application/json"})
                assert answer.status_code in {401, 422, 429}
            form = await browser.post("/session", content=b'{"token":"x"}', headers={"Content-Type": "text/plain"})
            problem(form, 422, "bad_request")

    run(story)


@pytest.mark.parametrize(("scheme", "port", "host", "right"), [
    ("http", 8940, "127.0.0.1:8940", True), ("http", 8940, "127.0.0.1", False), ("http", 80, "127.0.0.1", True),
    ("https", 443, "127.0.0.1", True), ("https", 80, "127.0.0.1", False),
])  # fmt: skip
def test_the_port_may_be_left_out_where_browsers_do(scheme: str, port: int, host: str, right: bool) -> None:
    assert (host in Place(scheme, port, ("127.0.0.1",)).written_hosts()) is right


def test_the_cookie_is_for_this_host_alone() -> None:
    assert Place("https", 8943, ("a",)).cookie == "__Host-uzel-8943"
    assert Place("http", 8940, ("a",)).cookie == "uzel-8940"
