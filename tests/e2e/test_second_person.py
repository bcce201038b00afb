"""The README's way to a second person, line by line: a node each, linked by `--peer`, chosen in the page; an invite;
and the same person for every day.

Each of the two has a host of their own, in a network namespace, whose loopback is no other's. Their interfaces are
asked through the Unix sockets, which lie in folders that all hosts share.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from e2e.cli_harness import DEADLINE, UZEL, Running
from e2e.netns import Host, Network
from e2e.test_run import LOOK, asked
from uzel.store.admin_socket import API_SOCKET

YOU, THEY = "198.51.100.1", "203.0.113.2"


@contextmanager
def node(host: Host, folder: Path, *options: str) -> Iterator[str]:
    """Its address and key, as one gives them to others."""
    flags = ("--listen", "0.0.0.0:8935", "--state", folder, *options)
    with Running("node", "run", *flags, program=host.namespace.command(*UZEL)) as started:
        said = json.loads(started.line())
        yield f"{host.ipv4}:8935,{said['fingerprint']}"


@contextmanager
def messenger(host: Host, folder: Path) -> Iterator[httpx.Client]:
    """`make run` there, once its page is served."""
    with Running("run", "--folder", folder, program=host.namespace.command(*UZEL)) as run:
        assert run.line().startswith("http://127.0.0.1:8940/#")  # the usual port, on both
        with interface(folder / "profile") as asking:
            yield asking


@contextmanager
def every_day(host: Host, folder: Path) -> Iterator[httpx.Client]:
    """`uzel start --web` there: it finds what `make run` has made."""
    env = {"UZEL_RUN": str(folder), "XDG_DATA_HOME": str(folder / "none")}
    with Running("start", "--web", program=host.namespace.command(*UZEL), env=env) as started:
        assert started.event()["page"].startswith("http://127.0.0.1:8940/#")
        with interface(folder / "profile") as asking:
            yield asking


@contextmanager
def interface(profile: Path) -> Iterator[httpx.Client]:
    transport = httpx.HTTPTransport(uds=str(profile / API_SOCKET))
    with httpx.Client(transport=transport, base_url="http://core") as asking:
        yield asking


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
        network = held.enter_context(Network(tmp_path))
        you, they = network.host("you", YOU), network.host("they", THEY)
        ours = held.enter_context(node(you, tmp_path / "node"))
        theirs = held.enter_context(node(they, tmp_path / "theirs", "--peer", f"{YOU}:8935"))
        bob = held.enter_context(messenger(they, tmp_path / "b"))
        choose(bob, theirs.partition(",")[0])
        with messenger(you, tmp_path / "a") as alice:
            (echo,) = asked(alice, "/contacts")["contacts"]
            choose(alice, ours)
            said(alice, echo["uin"], "Are you here, too?")
            until(lambda: ("Are you here, too?", "received") in texts(alice, echo["uin"]))
            alice.patch("/v1/profile", json={"name": "Alice"})
            invite = alice.post("/v1/invites", json={}).json()["link"]
            looked_at = bob.post("/v1/contacts/parse", json={"link": invite}).json()
            assert (looked_at["name"], looked_at["invite"]) == ("Alice", True)
            assert f"node={YOU}:8935" in invite
            assert "127.0.0.1" not in invite
            added = bob.post("/v1/contacts", json={"link": invite}).json()
            assert (added["name"], added["verified"]) == ("Alice", True)
            a, b = asked(alice, "/me")["uin"], asked(bob, "/me")["uin"]
            said(bob, a, "Hello, Alice!")
            until(lambda: ("Hello, Alice!", "received") in texts(alice, b))
            said(alice, b, "Hello, Bob!")
            until(lambda: texts(bob, a) == [("Hello, Alice!", "delivered"), ("Hello, Bob!", "received")])
        with every_day(you, tmp_path / "a") as alice:
            said(bob, a, "Good morning!")
            until(lambda: ("Good morning!", "received") in texts(alice, b))
