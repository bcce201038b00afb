"""Everything by the keyboard alone, and where the focus is: in this module a touch of the mouse fails."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from faces.web_page.town import Person, Town, Window

pytestmark = pytest.mark.timeout(240)


class Keyboard:
    """A page without a mouse: what can be pressed and typed, and what has the focus."""

    def __init__(self, window: Window) -> None:
        self._page: Page = window.page
        self.window = window
        for name in ("click", "dblclick", "tap", "hover", "check", "fill", "drag_and_drop", "set_checked"):
            setattr(self._page, name, self._refuse)

    @property
    def mouse(self) -> Any:
        raise AssertionError("there is no mouse here")

    def _refuse(self, *_: object, **__: object) -> None:
        raise AssertionError("there is no mouse here")

    def press(self, *keys: str) -> None:
        for key in keys:
            self._page.keyboard.press(key)

    def type(self, text: str) -> None:
        self._page.keyboard.type(text)

    def tab_to(self, selector: str, *, most: int = 60, key: str = "Tab") -> None:
        """Go on with Tab until that has the focus, which can be seen at every stop."""
        for _ in range(most):
            if self._page.evaluate("selector => Boolean(document.activeElement?.matches(selector))", selector):
                return
            self.press(key)
            assert self.focus_is_seen(), self._page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        raise AssertionError(f"Tab never comes to {selector}")

    def focus_is_seen(self) -> bool:
        """Something marks what has the focus, and it is on the screen."""
        return bool(
            self._page.evaluate(
                """() => {
                    const at = document.activeElement;
                    if (!at || at === document.body) return true;
                    const style = getComputedStyle(at);
                    const around = at.closest('.composer-row');
                    const ringed = around && getComputedStyle(around).boxShadow !== 'none';
                    const seen = style.outlineStyle !== 'none' || ringed;
                    const box = at.getBoundingClientRect();
                    return seen && box.width > 0 && box.bottom > 0 && box.top < innerHeight;
                }"""
            )
        )

    def sees(self, selector: str) -> None:
        expect(self._page.locator(selector).first).to_be_visible()

    def focused(self, selector: str) -> None:
        expect(self._page.locator(selector).first).to_be_focused()


@pytest.fixture
def keyboard(neighbours: tuple[Person, Person, int], old_town: Town) -> Keyboard:
    alice, _, _ = neighbours
    window = old_town.window(alice)
    window.shows(".chat-item")
    return Keyboard(window)


def test_a_text_is_written_answered_and_found_without_a_mouse(
    neighbours: tuple[Person, Person, int], keyboard: Keyboard
) -> None:
    alice, bob, _ = neighbours
    bob.says(alice, "Are you there?")
    keyboard.sees(".chat-item .badge")
    keyboard.press("Control+k")
    keyboard.focused("dialog input[role=combobox]")
    keyboard.type("bo")
    keyboard.press("Enter")
    keyboard.focused("textarea.composer-input")
    keyboard.type("I am")
    keyboard.press("Shift+Enter")
    keyboard.type("here")
    keyboard.press("Enter")
    keyboard.sees(".row-of-log:last-child .msg.mine.delivered")
    assert bob.ask("GET", f"/chats/{alice.uin}/texts")["texts"][-1]["text"] == "I am\nhere"
    keyboard.press("ArrowUp")
    keyboard.focused(".row-of-log:last-child .msg.mine .more")
    keyboard.press("ArrowUp")
    keyboard.focused(".row-of-log:nth-last-child(2) .msg.theirs .more")
    keyboard.press("Enter")
    keyboard.focused(".menu [role=menuitem]")
    keyboard.press("Enter")
    keyboard.focused("textarea.composer-input")
    keyboard.sees(".reply")
    keyboard.type("That is my answer")
    keyboard.press("Enter")
    keyboard.sees(".row-of-log:last-child .msg.mine .quote")
    keyboard.press("Escape")
    keyboard.sees(".home")
    keyboard.press("/")
    keyboard.focused(".page .search-input")
    keyboard.type("answer")
    keyboard.sees(".hit mark")
    keyboard.tab_to(".hit")
    keyboard.press("Enter")
    keyboard.sees(".row-of-log.found")
    keyboard.window.close()


def test_every_place_is_reached_and_left_by_tab(keyboard: Keyboard) -> None:
    places = [
        ("#/add", "textarea.wide-input"),
        ("#/me", ".copyable"),
        ("#/requests", ".request"),
        ("#/settings", ".page select"),
    ]
    for href, shown in places:
        keyboard.tab_to(f".side-nav a[href='{href}']")
        keyboard.press("Enter")
        keyboard.sees(f".main {shown}")
        keyboard.press("Escape")
        keyboard.sees(".home")
    keyboard.tab_to(".chat-item")
    keyboard.press("Enter")
    keyboard.focused("textarea.composer-input")
    keyboard.tab_to(".head-who", key="Shift+Tab")
    keyboard.press("Enter")
    keyboard.sees(".who")
    keyboard.tab_to(".card .button:has(.icon-shield)")
    keyboard.press("Enter")
    keyboard.sees("dialog .safety")
    keyboard.press("Escape")
    keyboard.focused(".card .button:has(.icon-shield)")
    keyboard.window.close()


def test_the_help_lists_the_keys_and_the_focus_returns(keyboard: Keyboard) -> None:
    keyboard.tab_to(".side-nav a[href='#/settings']")
    keyboard.press("?")
    keyboard.sees("dialog .keys")
    keyboard.press("Escape")
    keyboard.focused(".side-nav a[href='#/settings']")
    with pytest.raises(AssertionError, match="no mouse"):
        keyboard.window.page.click("body")
    keyboard.window.close()


def test_a_whole_first_conversation_without_a_mouse(neighbours: tuple[Person, Person, int], old_town: Town) -> None:
    alice, _, _ = neighbours
    newcomer = old_town.person("Erin", *alice.nodes)
    window = old_town.window(newcomer, address=newcomer.page_address)
    keyboard = Keyboard(window)
    keyboard.tab_to(".first-card input")
    keyboard.type("Erin")
    keyboard.press("Enter")
    for step in (2, 3, 4):
        keyboard.sees(f".progress li.now:nth-child({step})")
        keyboard.tab_to(".first-card .row.spread .button:last-child")  # Skip
        keyboard.press("Enter")
    keyboard.sees("img.qr[src^='blob:']")
    keyboard.tab_to(".first-card .button.primary")
    keyboard.press("Enter")
    keyboard.sees(".chats .empty")
    alice.knows(newcomer)
    keyboard.tab_to(".side-nav a[href='#/add']")
    keyboard.press("Enter")
    keyboard.focused("textarea.wide-input")
    keyboard.type(str(alice.uin))
    keyboard.sees(".found-contact")
    keyboard.tab_to(".page form input[type=text]")
    keyboard.type("Alice")
    keyboard.press("Enter")
    keyboard.focused("textarea.composer-input")
    keyboard.type("Good morning")
    keyboard.press("Enter")
    keyboard.sees(".row-of-log:last-child .msg.mine.delivered")
    alice.says(newcomer, "It is, is it not?")
    keyboard.sees(".row-of-log:last-child .msg.theirs")
    keyboard.focused("textarea.composer-input")
    keyboard.tab_to(".head-who", key="Shift+Tab")
    keyboard.press("Enter")
    keyboard.tab_to(".card .button:has(.icon-shield)")
    keyboard.press("Enter")
    keyboard.sees("dialog .safety")
    keyboard.tab_to("dialog .button.primary")  # They match
    keyboard.press("Enter")
    keyboard.sees(".head .trust.good")
    assert newcomer.ask("GET", f"/contacts/{alice.uin}")["verified"]
    window.close()
