"""Untrusted text is text, wherever it comes from: names, texts, links, answers of nodes and of the core."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from playwright.sync_api import Route, expect

from faces.web_page.town import Person, Town, Window

pytestmark = pytest.mark.timeout(240)
HOSTILE = (
    "<img src=x onerror=window.hurt=1>",
    "<script>window.hurt=1</script>",
    '"><svg onload=window.hurt=1>',
    "javascript:window.hurt=1",
    "${window.hurt=1} {{7*7}} {name}",
    "&lt;b&gt; &#x3c;",
)
MARKUP = "main img[src=x], main script, main svg[onload], main iframe, main b"


def unhurt(window: Window) -> None:
    assert window.page.evaluate("window.hurt") is None
    assert window.page.locator(MARKUP).count() == 0


def test_texts_and_names_stay_text(neighbours: tuple[Person, Person, int], old_town: Town) -> None:
    alice, bob, _ = neighbours
    alice.ask("PATCH", f"/contacts/{bob.uin}", {"name": HOSTILE[0]})
    for text in HOSTILE:
        bob.says(alice, text)
    window = old_town.window(alice)
    window.shows(".chat-item")
    window.go(f"/chat/{bob.uin}")
    for text in HOSTILE:
        expect(window.page.locator(".text", has_text=text).first).to_have_text(text)
    expect(window.page.locator(".head h1").last).to_have_text(HOSTILE[0])
    unhurt(window)
    window.go(f"/contact/{bob.uin}")
    window.shows(".who")
    window.go("/search?q=hurt")
    window.shows(".hit mark")
    unhurt(window)
    alice.ask("PATCH", f"/contacts/{bob.uin}", {"name": "Bob"})
    window.close()


def test_only_http_and_uzel_are_links_and_they_give_nothing_away(
    neighbours: tuple[Person, Person, int], old_town: Town
) -> None:
    alice, bob, _ = neighbours
    bob.says(
        alice,
        "see http://one.example/a?b=c&d, (https://two.example/x_(y)). javascript:alert(1) data:text/html,x file:///etc",
    )
    bob.says(alice, f"uzel:{bob.uin}?name=Eve and HTTPS://THREE.example/\u202e/gpj.exe")
    window = old_town.window(alice)
    window.shows(".chat-item")
    window.go(f"/chat/{bob.uin}")
    expect(window.page.locator(".text a", has_text="THREE")).to_be_visible()
    links = window.page.eval_on_selector_all(
        ".text a", "all => all.slice(-4).map((a) => [a.getAttribute('href'), a.target, a.rel])"
    )
    safe = ["_blank", "noopener noreferrer"]
    assert links == [
        ["http://one.example/a?b=c&d", *safe],
        ["https://two.example/x_(y)", *safe],
        [f"#/add?link={quote(f'uzel:{bob.uin}?name=Eve', safe='')}", "", ""],
        ["https://three.example/", *safe],
    ]
    window.page.locator(".text a").nth(-2).click()
    window.shows(".found-contact")
    assert alice.ask("GET", f"/contacts/{bob.uin}")["name"] == "Bob"
    window.close()


def test_what_is_invisible_and_acts_is_shown(neighbours: tuple[Person, Person, int], old_town: Town) -> None:
    alice, bob, _ = neighbours
    bob.says(alice, "a\u202eb\x00c\x1bd\x7fe\u2028f")
    bob.says(alice, "שלום")
    window = old_town.window(alice)
    window.go(f"/chat/{bob.uin}")
    window.shows(".text")
    texts = window.page.locator(".text")
    expect(texts.nth(-2)).to_have_text("a\u2426b\u2400c\u241bd\u2421e\u2426f")
    expect(texts.last).to_have_css("direction", "rtl")
    expect(texts.last).to_have_css("unicode-bidi", "isolate")
    window.close()


def test_a_lying_node_and_a_lying_core_stay_text(neighbours: tuple[Person, Person, int], old_town: Town) -> None:
    alice, _, _ = neighbours
    window = old_town.window(alice)
    window.shows(".chat-item")
    bad = HOSTILE[0]

    def node(route: Route) -> None:
        step = {"name": "connect", "ok": False, "ms": None, "detail": bad}
        found = {
            "node": bad,
            "reachable": False,
            "reason": bad,
            "problem": bad,
            "fingerprint": bad,
            "key_agreement": bad,
            "steps": [step],
        }
        route.fulfill(status=200, content_type="application/json", body=json.dumps({"nodes": [found]}))

    def core(route: Route) -> None:
        problem = {"type": "about:blank", "title": bad, "status": 409, "code": bad, "detail": bad}
        route.fulfill(status=409, content_type="application/problem+json", body=json.dumps(problem))

    window.page.route("**/v1/nodes/check", node)
    window.page.route("**/v1/invites", core)
    window.expected.append("409")
    window.go("/settings")
    window.page.get_by_placeholder("node.example:8935").fill("x:1")
    window.page.get_by_role("button", name="Check").click()
    expect(window.page.locator(".check .mistake")).to_have_text(bad)
    unhurt(window)
    window.go("/invites")
    expect(window.page.locator(".toast").first).to_have_text(bad)
    unhurt(window)
    window.close()
