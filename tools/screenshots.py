"""Makes pictures of every view of the page: both themes, both languages, three widths; into docs/screenshots.

Two people on two nodes are started for it, as the tests of the page do; what they say is in `faces.web_page.tour`.
Only the pictures that the README shows are kept in the repository; the rest is looked at and thrown away.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from faces.web_page.tour import View, furnish, views  # noqa: E402 - it lies beside, not in the path
from faces.web_page.town import Person, Town, chromium  # noqa: E402

TARGET = ROOT / "docs" / "screenshots"
SIZES = {360: 740, 800: 900, 1600: 900}
LANGUAGES = {"en": "en-GB", "ru": "ru-RU"}
STILL = "() => Promise.allSettled(document.getAnimations().map((each) => each.finished))"


def main() -> None:
    """All of them; prints one line for each set."""
    TARGET.mkdir(exist_ok=True)
    with (
        sync_playwright() as playwright,
        tempfile.TemporaryDirectory() as folder,
        playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"]) as browser,
        Town(Path(folder), browser) as town,
    ):
        first = town.node()
        second = town.node(first.written)
        alice = town.person("Alice", first.written)
        bob = town.person("Bob", second.written)
        carol = town.person("Carol", second.written)
        first_run(town, town.person("Nora", first.written))
        nobody = furnish(alice, bob, carol)
        for language, locale in LANGUAGES.items():
            for theme in ("light", "dark"):
                for width in SIZES:
                    tour(browser, alice, views(bob.uin, nobody), f"{language}-{theme}-{width}", locale, theme, width)


def tour(browser: Browser, person: Person, places: list[View], name: str, locale: str, theme: str, width: int) -> None:
    """One picture of each view."""
    with Town(person.folder, browser) as town:
        size = {"width": width, "height": SIZES[width]}
        window = town.window(person, locale=locale, color_scheme=theme, viewport=size)
        page = window.page
        window.shows(".chat-item")
        for view in places:
            if page.locator("dialog[open]").count():
                page.keyboard.press("Escape")
            window.go(view.path)
            if view.press:
                page.locator(view.press).first.click()
            if width >= 720 or view.name != "home":
                window.shows(view.shown)
            page.evaluate(STILL)
            page.screenshot(path=TARGET / f"{name}-{view.name}.png")
    print(name)


def first_run(town: Town, person: Person) -> None:
    """The steps, in one size."""
    window = town.window(person, address=person.page_address, viewport={"width": 800, "height": 900})
    for step in range(5):
        window.shows(f".progress li.now:nth-child({step + 1})")
        window.page.evaluate(STILL)
        window.page.screenshot(path=TARGET / f"first-run-{step + 1}.png")
        if step < 4:
            window.page.get_by_role("button", name="Skip").click()


if __name__ == "__main__":
    main()
