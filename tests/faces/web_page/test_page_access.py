"""For whoever needs it otherwise: everything twice as large, nothing that moves, writing from right to left."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from faces.web_page.test_page_views import visit
from faces.web_page.tour import views
from faces.web_page.town import Person, Town

pytestmark = pytest.mark.timeout(240)
ZOOMED = {"width": 640, "height": 400}
"""What is left of 1280 × 800 at 200 %."""
HEBREW = "\u05e9\u05dc\u05d5\u05dd, Bob 7!"
MOVING = """() => {
    const long = (value) => value.split(',').some((each) => parseFloat(each) * (each.includes('ms') ? 1 : 1000) > 10);
    return [...document.querySelectorAll('*')].flatMap((each) => ['', '::before', '::after'].filter((part) => {
        const style = getComputedStyle(each, part || null);
        return long(style.transitionDuration) || style.animationName !== 'none' || style.scrollBehavior === 'smooth';
    }).map((part) => `${each.tagName}.${each.className}${part}`));
}"""


def test_at_200_percent_all_is_there_and_can_be_reached(neighbours: tuple[Person, Person, int], old_town: Town) -> None:
    alice, bob, nobody = neighbours
    window = old_town.window(alice, viewport=ZOOMED, device_scale_factor=2)
    window.shows(".chat-item")
    page = window.page
    for view in views(bob.uin, nobody):
        if view.name == "home":
            continue  # it is the list there
        visit(window, view)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view.name
        dialog = page.locator("dialog[open]")
        last = (dialog if dialog.count() else page.locator("main")).locator("button:visible, a:visible").last
        last.evaluate("element => element.scrollIntoView()")  # at once: what comes live may put it up anew
        expect(last).to_be_in_viewport()
    page.keyboard.press("Escape")
    window.go(f"/chat/{bob.uin}")
    window.shows(".row-of-log article")
    expect(page.locator(".composer-input")).to_be_in_viewport(ratio=1)
    assert height(page.locator(".log")) >= 150, "there is room to read"
    window.close()


def height(part: Locator) -> float:
    box = part.bounding_box()
    assert box is not None
    return box["height"]


@pytest.mark.parametrize("wanted", ["reduce", "no-preference"])
def test_nothing_moves_for_whoever_asks_for_that(
    neighbours: tuple[Person, Person, int], old_town: Town, wanted: str
) -> None:
    alice, bob, nobody = neighbours
    window = old_town.window(alice, reduced_motion=wanted)
    window.shows(".chat-item")
    moving: set[str] = set()
    for view in views(bob.uin, nobody):
        visit(window, view)
        moving |= set(window.page.evaluate(MOVING))
    window.page.keyboard.press("Escape")
    first = alice.ask("GET", f"/chats/{bob.uin}/texts")["texts"][0]["number"]
    window.go(f"/chat/{bob.uin}/at/{first}")
    window.shows(".row-of-log.found")
    moving |= set(window.page.evaluate(MOVING))
    assert bool(moving) == (wanted == "no-preference"), moving
    window.close()


def test_what_is_written_from_right_to_left_stands_so_and_turns_nothing_else(
    neighbours: tuple[Person, Person, int], old_town: Town
) -> None:
    alice, bob, _ = neighbours
    heard = bob.says(alice, HEBREW)
    alice.says(bob, "An answer, from left to right", heard["id"])
    alice.ask("PATCH", f"/contacts/{bob.uin}", {"name": HEBREW})
    window = old_town.window(alice)
    window.shows(".chat-item")
    window.go(f"/chat/{bob.uin}")
    page = window.page
    page.locator(".composer-input").fill(HEBREW)
    turned = {
        ".msg.theirs .text": True, ".msg.mine .text": False, ".msg.mine .quote > bdi": True, ".head h1 bdi": True,
        ".chat-name bdi": True, ".composer-input": True, ".msg .meta": False, ".head-line": False,
    }  # fmt: skip
    for selector, from_the_right in turned.items():
        at = page.locator(selector).last if selector.startswith(".msg") else page.locator(selector).first
        expect(at).to_be_visible()
        expect(at, selector).to_have_css("direction", "rtl" if from_the_right else "ltr")
    for selector in (".msg.theirs .text", ".head h1 bdi", ".chat-name bdi", ".msg.mine .quote > bdi"):
        expect(page.locator(selector).last).to_have_css("unicode-bidi", "isolate")
    page.locator(".composer-input").fill("")
    alice.ask("PATCH", f"/contacts/{bob.uin}", {"name": "Bob"})
    window.close()
