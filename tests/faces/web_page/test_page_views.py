"""Every view is there, passes axe with no rule switched off in both themes, and fits the narrowest screen."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from faces.web_page.tour import View, views
from faces.web_page.town import Person, Town, Window

pytestmark = pytest.mark.timeout(240)
STILL = """() => Promise.allSettled(document.getAnimations().map((each) => each.finished))"""


def visit(window: Window, view: View) -> None:
    page = window.page
    if page.locator("dialog[open]").count():
        page.keyboard.press("Escape")
    window.go(view.path)
    if view.press:
        page.locator(view.press).first.click()
    window.shows(view.shown)


def faults(page: Page) -> list[str]:
    """What axe finds, by rule and place, once nothing moves."""
    page.evaluate(STILL)
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node.get('failureSummary', '')}" for each in found for node in each["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_any_view(neighbours: tuple[Person, Person, int], old_town: Town, theme: str) -> None:
    alice, bob, nobody = neighbours
    window = old_town.window(alice, color_scheme=theme)
    window.shows(".chat-item")
    found = {}
    for view in views(bob.uin, nobody):
        visit(window, view)
        if wrong := faults(window.page):
            found[view.name] = wrong
    assert not found
    window.close()


@pytest.mark.parametrize("language", ["en-GB", "ru-RU"])
def test_every_view_fits_a_narrow_screen(neighbours: tuple[Person, Person, int], old_town: Town, language: str) -> None:
    alice, bob, nobody = neighbours
    window = old_town.window(alice, viewport={"width": 360, "height": 640}, locale=language)
    window.shows(".chat-item")
    for view in views(bob.uin, nobody):
        if view.name == "home":
            continue  # it is the list there
        visit(window, view)
        wide = window.page.evaluate(
            """() => [...document.querySelectorAll('body *')].filter((each) => {
                const box = each.getBoundingClientRect();
                const placed = each.closest('.sr') || getComputedStyle(each).position === 'absolute';
                return box.width && box.right > innerWidth + 1 && !placed;
            }).map((each) => each.className || each.tagName)"""
        )
        assert not wide, (view.name, wide)
        assert window.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view.name
    window.close()


def test_the_first_run_passes_axe_step_by_step(town: Town) -> None:
    node = town.node()
    person = town.person("Nora", node.written)
    window = town.window(person, address=person.page_address)
    page = window.page
    for step in range(5):
        window.shows(f".progress li.now:nth-child({step + 1})")
        assert not faults(page), step
        if step < 4:
            page.get_by_role("button", name="Skip").click()
    expect(page.locator(".caution")).to_contain_text("Nobody elsewhere can reach you by it yet.")
    page.get_by_role("button", name="Choose a node that others reach too").click()
    window.shows("input[placeholder='node.example:8935']")
    page.get_by_role("button", name="Skip").click()
    person.ask("PUT", "/nodes", {"nodes": [node.written, "node.example:8935"]})  # as another window would
    expect(page.locator(".copyable-text")).to_contain_text("node.example")
    expect(page.locator(".caution")).to_have_count(0)
    page.get_by_role("button", name="Start").click()
    window.shows(".chats .empty")
    assert not faults(page)
    assert person.ask("GET", "/profile")["set_up"]
    window.close()


def test_a_browser_that_is_not_let_in_says_what_to_do(town: Town) -> None:
    person = town.person("Nora")
    first = town.window(person, address=person.page_address)
    first.shows(".first-card")
    second = town.window(person, address=person.page_address)
    second.expected.append("401")
    second.shows("input[autocomplete='one-time-code']")
    assert "uzel web" in second.page.locator(".lead").inner_text()
    assert "#" not in second.page.url
    assert not faults(second.page)
    first.close()
    second.close()
