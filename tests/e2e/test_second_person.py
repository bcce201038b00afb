"""The README's way to a second person, line by line: a node each, linked by `--peer`, chosen in the page; an invite."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from e2e.cli_harness import DEADLINE, Running
from e2e.test_run import LOOK, asked, running


@contextmanager
def node(folder: Path, host: str, *options: str) -> Iterator[str]:
    """Its address and key, as one gives them to others."""
    with Running("node", "run", "--listen", f"{host}:0", "--state", folder, *options) as started:
        said = json.loads(started.line())
        yield f"{said['control'][0]},{said['fingerprint']}"


def choose(browser: httpx.Client, address: str) -> None:
    """As the settings of the page do: looked at first, then used."""
    checked = browser.post("/v1/nodes/check", json={"node": address}, timeout=30).json()["nodes"][0]
    assert (checked["problem"], [step["ok"] for step in checked["steps"]]) == (None, [True, True])
    assert browser.put("/v1/nodes", json={"nodes": [address]}).status_code == 200
    until(lambda: asked(browser, "/status")["online"])


def until(holds: Any) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(LOOK)


def said(browser: httpx.Client, to: int, text: str) -> None:
    assert browser.post("/v1/texts", json={"to": to, "text": text}).status_code == 201


def texts(browser: httpx.Client, chat: int) -> list[tuple[str, str]]:
    return [(each["text"], each["state"]) for each in asked(browser, f"/chats/{chat}/texts")["texts"]]


def test_two_people_on_two_nodes(tmp_path: Path) -> None:
    with ExitStack() as held:
        ours = held.enter_context(node(tmp_path / "node", "127.0.0.2"))
        theirs = held.enter_context(node(tmp_path / "theirs", "127.0.0.3", "--peer", ours.partition(",")[0]))
        _, alice = held.enter_context(running(tmp_path / "alice"))
        _, bob = held.enter_context(running(tmp_path / "bob"))
        choose(alice, ours)
        choose(bob, theirs.partition(",")[0])
        alice.patch("/v1/profile", json={"name": "Alice"})
        invite = alice.post("/v1/invites", json={}).json()["link"]
        looked_at = bob.post("/v1/contacts/parse", json={"link": invite}).json()
        assert (looked_at["name"], looked_at["invite"]) == ("Alice", True)
        added = bob.post("/v1/contacts", json={"link": invite}).json()
        assert (added["name"], added["verified"]) == ("Alice", True)
        a, b = asked(alice, "/me")["uin"], asked(bob, "/me")["uin"]
        said(bob, a, "Hello, Alice!")
        until(lambda: ("Hello, Alice!", "received") in texts(alice, b))
        said(alice, b, "Hello, Bob!")
        until(lambda: texts(bob, a) == [("Hello, Alice!", "delivered"), ("Hello, Bob!", "received")])
