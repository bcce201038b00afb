"""People with a browser each: nodes, cores and Chromium, all real, on loopback.

A `Town` starts what it is asked for and ends all of it. A `Person` is a profile, its core and what can be asked of it;
a `Window` is a tab of theirs that is signed in. Whatever the page logs as an error fails the test when the window is
closed. Nothing waits for time: Playwright's `expect` waits for what is to be seen.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from e2e.cli_harness import Running, RunningNode, uzel
from uzel.identity import Identity
from uzel.store.profile import Profile

CHROMIUM = "/usr/bin/chromium"
PATIENCE = 20_000
"""Milliseconds that a single look at the page may last, on a busy machine."""
expect.set_options(timeout=PATIENCE)


class Person:
    """Somebody with a profile and a running core that serves the page."""

    def __init__(self, name: str, folder: Path, *nodes: str, flags: tuple[object, ...] = ()) -> None:
        """`flags`: more for `uzel start`."""
        self.name = name
        self.flags = flags
        self.folder = folder
        self.nodes = nodes
        self.core: Running | None = None
        self.start()

    def start(self) -> None:
        """Run the core. Its first page is the address that it prints."""
        flags = [flag for node in self.nodes for flag in ("--node", node)]
        self.core = Running("start", "--profile", self.folder, *flags, "--web", "--web-port", "0", *self.flags)
        ready = self.core.event()
        self.uin, self.page_address = int(ready["uin"]), str(ready["page"])
        transport = httpx.HTTPTransport(uds=ready["socket"])
        self.api = httpx.Client(transport=transport, base_url="http://core/v1", timeout=60)

    def stop(self) -> None:
        if self.core is not None:
            self.api.close()
            self.core.end()
            self.core.__exit__()
            self.core = None

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """What the core answers; anything but a success fails."""
        answer = self.api.request(method, path, json=body) if body is not None else self.api.request(method, path)
        assert answer.is_success, (method, path, answer.text)
        return answer.json() if answer.content else None

    @property
    def link(self) -> str:
        return str(self.ask("GET", "/me")["link"])

    def new_address(self) -> str:
        """Another one-time address of the page."""
        done = uzel("web", "--profile", self.folder, "--no-browser")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ready(self) -> None:
        """As after the first run."""
        self.ask("PATCH", "/profile", {"name": self.name, "set_up": True})

    def knows(self, other: Person, name: str = "") -> None:
        self.ask("POST", "/contacts", {"link": other.link, "name": name or other.name})

    def says(self, other: Person, text: str, reply: str | None = None) -> dict[str, Any]:
        """Send it, and wait until it is delivered."""
        body = {"to": other.uin, "text": text, **({"reply": reply} if reply else {})}
        number = self.ask("POST", "/texts", body)["number"]
        told: dict[str, Any] = self.ask("GET", f"/texts/{number}/wait?timeout=30")
        assert told["state"] == "delivered", told
        return told


class Window:
    """A tab that shows somebody's page. `page` is Playwright's; `trouble` is what the page complained of."""

    def __init__(self, browser: Browser, person: Person, *, address: str = "", **options: Any) -> None:
        self.person = person
        self.trouble: list[str] = []
        self.expected: list[str] = []
        chosen = {
            "locale": "en-GB",
            "timezone_id": "Europe/Berlin",
            "viewport": {"width": 1280, "height": 800},
            **options,
        }
        self.context = browser.new_context(**chosen)
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("console", self._hear)
        self.page.goto(address or person.new_address())
        self.shows("h1")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.trouble.append(message.text)

    def go(self, path: str) -> None:
        """To a place of the page, as a link in it would."""
        self.page.evaluate("path => { location.hash = path; }", path)

    def shows(self, selector: str) -> None:
        """Wait until that is to be seen."""
        expect(self.page.locator(selector).first).to_be_visible()

    def close(self) -> None:
        """Nothing went wrong in it, but what the test expected."""
        self.context.close()
        told = [each for each in self.trouble if not any(words in each for words in self.expected)]
        assert not told, told


class Town:
    """Everything that a test started, in one place. Use it as a context manager."""

    def __init__(self, folder: Path, browser: Browser) -> None:
        self.folder = folder
        self.browser = browser
        self._open = ExitStack()
        self._windows: list[Window] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def node(self, *peers: str, state: Path | None = None) -> RunningNode:
        flags = [flag for peer in peers for flag in ("--peer", peer)]
        path = state or self.folder / f"node{len(list(self.folder.glob('node*')))}"
        return self._open.enter_context(RunningNode(path, *flags))

    def person(
        self,
        name: str,
        *nodes: str,
        prepare: Callable[[Path], None] | None = None,
        flags: tuple[object, ...] = (),
    ) -> Person:
        """A new profile with its core, at these nodes. `prepare` is given the folder before the core has it."""
        folder = self.folder / name.lower()
        Profile.create(folder, Identity.generate()).close()
        if prepare is not None:
            prepare(folder)
        person = Person(name, folder, *nodes, flags=flags)
        self._open.callback(person.stop)
        return person

    def window(self, person: Person, **options: Any) -> Window:
        window = Window(self.browser, person, **options)
        self._open.callback(window.context.close)
        self._windows.append(window)
        return window

    def close_windows(self) -> None:
        """Those that a test left open when it failed: they read what the next one's people are told."""
        while self._windows:
            self._windows.pop().context.close()


def chromium() -> str:
    """Where the browser is. It is Debian's; `make setup-test` installs it."""
    found = shutil.which("chromium") or CHROMIUM
    assert Path(found).exists(), "there is no Chromium: run make setup-test"
    return found
