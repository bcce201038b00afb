"""What the page costs in a browser: its weight, the first letter, a text seen by the other, a long chat scrolled.

Two people at two linked nodes with a core each, in two windows of Debian's Chromium, set up as for the page's tests.
Times are the browser's own, taken in the page; its windows share one clock. Nothing is kept on one processor here: a
browser is many processes. Counterpart: `cores`, the same texts without a page.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, sync_playwright

from cores import quantile
from load import Figures
from uzel.identity import Identity

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from faces.web_page.tour import long_talk  # noqa: E402 - it lies beside, not in the path
from faces.web_page.town import Person, Town, Window, chromium  # noqa: E402

STATIC = ROOT / "src" / "uzel" / "faces" / "web" / "static"
COMPOSER = "textarea.composer-input"
FIRST_LETTER = """
    const first = (kind) => new Promise((done) => document.addEventListener(kind, (event) => {
        if (event.target.matches("textarea.composer-input")) done(performance.now());
    }));
    window.focused = first("focusin");
    window.typed = first("input");
"""
SEND = """() => document.addEventListener("keydown", (event) => {
    if (event.key === "Enter") window.sent = performance.timeOrigin + performance.now();
}, true)"""
AWAIT = """([selector, text]) => {
    window.shown = new Promise((done) => {
        const look = () => {
            if (document.querySelector(`.row-of-log:last-child ${selector} .text`)?.textContent !== text) return;
            observer.disconnect();
            requestAnimationFrame(() => done(performance.timeOrigin + performance.now()));
        };
        const observer = new MutationObserver(look);
        observer.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
    });
}"""
"""The frame after the one that the text came into: by then it is on the screen."""
CLIMB = """(step) => new Promise((done) => {
    const log = document.querySelector(".log");
    let most = 0;
    const up = () => {
        most = Math.max(most, document.querySelectorAll(".row-of-log").length);
        if (log.scrollTop === 0 && document.querySelector(".row-of-log").dataset.number === "1") done(most);
        else {
            log.scrollTop -= step;
            requestAnimationFrame(up);
        }
    };
    up();
})"""
STEP = 600
"""Pixels in a frame: as fast as one can scroll."""
SCRIPT = {"FunctionCall", "EvaluateScript", "RunMicrotasks", "FireAnimationFrame", "TimerFire", "EventDispatch"}


@contextmanager
def every_processor() -> Iterator[None]:
    """What is started here may run anywhere, although the rest of the bench is kept on one processor."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def opening(window: Window, to: int, times: int) -> dict[str, Figures]:
    """The bytes of a first look at a conversation, and how soon one can type there."""
    page = window.page
    page.add_init_script(FIRST_LETTER)
    window.go(f"/chat/{to}")
    took: list[tuple[float, float]] = []
    fetched: set[str] = set()
    page.on("request", lambda request: fetched.add(urlsplit(request.url).path))
    for _ in range(times):
        page.reload(wait_until="commit")
        focused = page.evaluate("window.focused")
        page.keyboard.type("x")
        took.append((focused, page.evaluate("window.typed")))
        page.locator(COMPOSER).fill("")
    there = [STATIC / path.removeprefix("/static/") for path in fetched if path.startswith("/static/")]
    first = sum(path.stat().st_size for path in [STATIC / "index.html", *there])
    every = [path.stat().st_size for path in STATIC.rglob("*") if path.is_file()]
    return {
        "the page's weight, kB": {"a first look": first / 1000, "in all, with every language": sum(every) / 1000},
        "the page, load → first letter, ms": {
            "one may type": median(focused for focused, _ in took),
            "it is there": median(typed for _, typed in took),
        },
    }


def seen(sender: Window, receiver: Window, texts: int) -> Figures:
    """From Enter to the text in the other's window, and to the sign of delivery in one's own."""
    sender.page.evaluate(SEND)
    there: list[float] = []
    delivered: list[float] = []
    for number in range(texts):
        text = f"text {number}"
        receiver.page.evaluate(AWAIT, [".msg.theirs", text])
        sender.page.evaluate(AWAIT, [".msg.mine.delivered", text])
        sender.page.locator(COMPOSER).fill(text)
        sender.page.keyboard.press("Enter")
        at, own = receiver.page.evaluate("window.shown"), sender.page.evaluate("window.shown")
        sent = sender.page.evaluate("window.sent")
        there.append(at - sent)
        delivered.append(own - sent)
    return {
        "seen by the other, p50": median(there),
        "p95": quantile(there, 0.95),
        "delivered shown, p50": median(delivered),
        "delivered shown, p95": quantile(delivered, 0.95),
    }


def scrolling(browser: Browser, window: Window, chat: int) -> Figures:
    """From the last text to the first: the most rows that are there at once, and what holds the page up for longest."""
    page = window.page
    window.go(f"/chat/{chat}")
    window.shows(".row-of-log")
    browser.start_tracing(page=page, categories=["devtools.timeline", "disabled-by-default-devtools.timeline"])
    rows = page.evaluate(CLIMB, STEP)
    traced = json.loads(browser.stop_tracing())["traceEvents"]
    return {
        "most rows": rows,
        "longest task, ms": longest(traced, {"RunTask"}, "dur"),
        "longest task, ms of CPU": longest(traced, {"RunTask"}, "tdur"),
        "longest script, ms of CPU": longest(traced, SCRIPT, "tdur"),
    }


def longest(traced: list[dict[str, Any]], names: set[str], measure: str) -> float:
    """Milliseconds of the longest of these in a thread that runs a page's scripts; `tdur` is its own processor time."""
    threads = {_thread(each) for each in traced if each.get("name") == "FireAnimationFrame"}
    done = [each for each in traced if measure in each and each["name"] in names and _thread(each) in threads]
    return float(max(each[measure] for each in done)) / 1000


def _thread(event: dict[str, Any]) -> tuple[int, int]:
    return event["pid"], event["tid"]


def in_browser(folder: Path, texts: int, chat: int) -> dict[str, Figures]:
    """All of it once: so many texts sent, and a chat of so many scrolled through."""
    friend = Identity.generate()
    with every_processor(), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        with browser, Town(folder, browser) as town:
            alice, bob, reader = _people(town, friend, chat)
            hers, his, long = (town.window(person) for person in (alice, bob, reader))
            figures = opening(hers, bob.uin, max(3, texts // 4))
            his.go(f"/chat/{alice.uin}")
            his.shows(COMPOSER)
            figures["the page, a text, ms"] = seen(hers, his, texts)
            figures[f"the page, scrolling {chat:,} texts"] = scrolling(browser, long, friend.uin)
    return figures


def _people(town: Town, friend: Identity, chat: int) -> tuple[Person, Person, Person]:
    """Two at two nodes who know one another, and somebody who has talked a lot."""
    first = town.node()
    second = town.node(first.written)
    alice, bob = town.person("Alice", first.written), town.person("Bob", second.written)
    reader = town.person("Carol", prepare=lambda profile: long_talk(profile, friend, chat))
    for person in (alice, bob, reader):
        person.ready()
    alice.knows(bob)
    bob.knows(alice)
    alice.says(bob, "Hello")  # the two have found one another
    return alice, bob, reader


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(in_browser(Path(scratch), 40, 10_000), indent=1, ensure_ascii=False))
