"""Ten thousand texts in a chat: few rows in the document, nothing moves, and one's place is kept."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from faces.web_page.tour import long_talk
from faces.web_page.town import Person, Town, Window
from uzel.identity import Identity

pytestmark = pytest.mark.timeout(240)
MANY = 10_000
MOST_ROWS = 200
FRIEND = Identity.generate()


@pytest.fixture(scope="module")
def reader(old_town: Town) -> Person:
    """At a node: the bar that says that there is none would come after a while, and move everything."""
    person = old_town.person("Ann", old_town.node().written, prepare=lambda folder: long_talk(folder, FRIEND, MANY))
    person.ready()
    assert person.core is not None
    person.core.talks_of('"online"')
    return person


@pytest.fixture
def long_chat(reader: Person, old_town: Town) -> Window:
    window = old_town.window(reader)
    window.shows(".chat-item")
    window.page.evaluate(
        """() => {
            window.moved = 0;
            new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.moved += entry.value;
            }).observe({ type: 'layout-shift' });
        }"""
    )
    window.go(f"/chat/{FRIEND.uin}")
    expect(window.page.locator(".row-of-log").last).to_have_attribute("data-number", str(MANY))
    return window


def rows(window: Window) -> int:
    count: int = window.page.evaluate("document.querySelectorAll('.row-of-log').length")
    return count


def climb(window: Window, pages: int) -> None:
    """Scroll up, page by page, each time until older texts have come."""
    page = window.page
    for _ in range(pages):
        first = page.locator(".row-of-log").first.get_attribute("data-number")
        page.evaluate("document.querySelector('.log').scrollTop = 300")
        expect(page.locator(".row-of-log").first).not_to_have_attribute("data-number", str(first))
        assert rows(window) <= MOST_ROWS


def test_few_rows_are_there_however_far_one_scrolls(long_chat: Window) -> None:
    window = long_chat
    assert rows(window) <= MOST_ROWS
    climb(window, 8)
    page = window.page
    assert int(page.locator(".row-of-log").first.get_attribute("data-number") or 0) < MANY - 300
    assert rows(window) == 180
    page.locator(".jump").click()
    expect(page.locator(".row-of-log").last).to_have_attribute("data-number", str(MANY))
    expect(page.locator(".jump")).to_be_hidden()
    window.close()


def test_what_one_looks_at_stays_where_it_is(long_chat: Window) -> None:
    window = long_chat
    page = window.page
    first = page.evaluate(
        """() => {
            const log = document.querySelector('.log');
            log.scrollTop = 400;
            const top = log.getBoundingClientRect().top;
            const rows = [...document.querySelectorAll('.row-of-log')];
            const seen = rows.find((row) => row.getBoundingClientRect().bottom > top + 50);
            window.watched = seen.dataset.number;
            window.at = seen.querySelector('article').getBoundingClientRect().top;
            return document.querySelector('.row-of-log').dataset.number;
        }"""
    )
    expect(page.locator(".row-of-log").first).not_to_have_attribute("data-number", first)
    moved = page.evaluate(
        """() => {
            const article = document.querySelector(`[data-number='${window.watched}'] article`);
            return Math.abs(article.getBoundingClientRect().top - window.at);
        }"""
    )
    assert moved < 2
    assert page.evaluate("window.moved") < 0.02
    window.close()


def test_a_place_far_back_is_shown_with_what_is_around_it(long_chat: Window) -> None:
    window = long_chat
    window.go(f"/chat/{FRIEND.uin}/at/5000")
    found = window.page.locator(".row-of-log.found")
    expect(found).to_have_attribute("data-number", "5000")
    expect(found).to_be_in_viewport()
    assert rows(window) <= MOST_ROWS
    climb(window, 2)
    window.close()


def test_what_a_reply_means_is_shown_however_far_back_it_is(long_chat: Window) -> None:
    window = long_chat
    expect(window.page.locator(".row-of-log").nth(-2).locator("p.quote")).to_have_text("Reply to an earlier text")
    quote = window.page.locator(".row-of-log").last.locator("button.quote")
    expect(quote).to_contain_text("text 0")
    quote.click()
    found = window.page.locator(".row-of-log.found")
    expect(found).to_have_attribute("data-number", "1")
    expect(found).to_be_in_viewport()
    window.close()


def test_new_texts_are_counted_while_one_reads_elsewhere(
    neighbours: tuple[Person, Person, int], old_town: Town
) -> None:
    alice, bob, _ = neighbours
    for index in range(12):
        last = alice.says(bob, f"line {index}\n" * 10)
    alice.ask("POST", f"/chats/{bob.uin}/read", {"up_to": last["number"]})  # else it opens where the unread ones begin
    window = old_town.window(alice)
    window.shows(".chat-item")
    window.go(f"/chat/{bob.uin}")
    window.shows(".last-state")
    page = window.page
    expect(page.locator(".row-of-log").last).to_be_in_viewport()
    page.evaluate("document.querySelector('.log').scrollTop = 0")
    expect(page.locator(".jump")).to_be_visible()
    top = page.evaluate("document.querySelector('.log').scrollTop")
    bob.says(alice, "one")
    bob.says(alice, "two")
    expect(page.locator(".jump .badge")).to_have_text("2")
    assert page.evaluate("document.querySelector('.log').scrollTop") == top
    page.locator(".jump").click()
    expect(page.locator(".text").last).to_have_text("two")
    expect(page.locator(".text").last).to_be_in_viewport()
    expect(page.locator(".jump")).to_be_hidden()
    window.close()
