"""`uzel run`, which `make run` is: from nothing to an answer of Echo's, ended whole, and all of it there again."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.cli_harness import DEADLINE, Running, uzel
from e2e.test_demo import children, until_gone

LOOK = 0.02


@contextmanager
def running(folder: Path) -> Iterator[tuple[Running, httpx.Client]]:
    """All of it, and a browser that opened the address."""
    with Running("run", "--folder", str(folder)) as run:
        page, _, token = run.line().strip().partition("#")
        with httpx.Client(base_url=page.rstrip("/")) as browser:
            said = browser.post("/session", json={"token": token})
            assert said.status_code == 200, said.text
            browser.headers["X-Uzel-Secret"] = said.json()["secret"]
            yield run, browser


def asked(browser: httpx.Client, path: str) -> Any:
    answer = browser.get(f"/v1{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def heard(browser: httpx.Client, text: str) -> None:
    """Say it to Echo, and wait for the answer."""
    (echo,) = asked(browser, "/contacts")["contacts"]
    assert (echo["name"], echo["verified"]) == ("Echo", True)
    assert browser.post("/v1/texts", json={"to": echo["uin"], "text": text}).status_code == 201
    until = time.monotonic() + DEADLINE
    while not any(
        each["text"] == text and not each["outgoing"] for each in asked(browser, f"/chats/{echo['uin']}/texts")["texts"]
    ):
        assert time.monotonic() < until
        time.sleep(LOOK)


def ended(run: Running, number: signal.Signals, code: int) -> None:
    """The signal ends it, with this exit code, and all its processes."""
    started = children(run.process.pid)
    assert len(started) == 2
    run.process.send_signal(number)
    assert run.wait() == code
    for pid in started:
        until_gone(pid)


def test_a_stranger_talks_with_echo_and_finds_all_of_it_again(tmp_path: Path) -> None:
    with running(tmp_path / "run") as (run, browser):
        assert asked(browser, "/profile")["set_up"] is False
        uin = asked(browser, "/me")["uin"]
        (node,) = asked(browser, "/nodes")["nodes"]
        heard(browser, "Hello, Echo!")
        ended(run, signal.SIGINT, 130)
        talk = "\n".join(run.talk)
        assert "uzel web --profile" in talk
        assert "Traceback" not in talk
    with running(tmp_path / "run") as (run, browser):
        assert asked(browser, "/me")["uin"] == uin
        assert asked(browser, "/nodes")["nodes"][0]["address"] == node["address"]
        heard(browser, "Again!")
        ended(run, signal.SIGTERM, 143)


def test_a_port_that_is_taken_is_stepped_over(tmp_path: Path) -> None:
    with running(tmp_path / "run") as (run, browser):
        (node,) = asked(browser, "/nodes")["nodes"]
        assert browser.post("/v1/stop").status_code == 202
        assert run.wait() == 0
    host, port = node["address"].split(":")
    with ExitStack() as taken:
        taken.enter_context(socket.create_server((host, int(port))))
        with suppress(OSError):  # another core has the page's usual port already
            taken.enter_context(socket.create_server((host, 8940)))
        _, again = taken.enter_context(running(tmp_path / "run"))
        assert not str(again.base_url).endswith(":8940")
        (moved,) = asked(again, "/nodes")["nodes"]
        assert moved["address"] != node["address"]
        heard(again, "Elsewhere!")


def test_echo_goes_to_the_node_that_was_chosen_and_the_private_one_is_no_way_back(tmp_path: Path) -> None:
    with ExitStack() as held:
        started = held.enter_context(Running("node", "run", "--listen", "127.0.0.1:0", "--state", str(tmp_path / "n")))
        chosen = json.loads(started.line())["control"][0]
        with running(tmp_path / "run") as (run, browser):
            (private,) = asked(browser, "/nodes")["nodes"]
            heard(browser, "Here!")
            used = browser.put("/v1/nodes", json={"nodes": [chosen, private["address"]]}).json()["nodes"]
            assert [each["address"] for each in used] == [chosen]
            heard(browser, "There!")
            run.process.send_signal(signal.SIGTERM)
            assert run.wait() == 143
        _, again = held.enter_context(running(tmp_path / "run"))
        assert [each["address"] for each in asked(again, "/nodes")["nodes"]] == [chosen]
        heard(again, "And there again!")


def test_a_second_one_says_how_the_first_is_opened(tmp_path: Path) -> None:
    with running(tmp_path / "run"):
        second = uzel("run", "--folder", str(tmp_path / "run"))
        assert (second.returncode, second.stdout) == (1, "")
        assert f"web --profile {tmp_path / 'run' / 'profile'}" in second.stderr


@pytest.mark.parametrize("victim", [0, 1], ids=["node", "Echo"])
def test_it_says_so_when_a_part_of_it_dies(tmp_path: Path, victim: int) -> None:
    with running(tmp_path / "run") as (run, _):
        started = children(run.process.pid)
        os.kill(started[victim], signal.SIGKILL)
        assert run.wait() == 2
        assert "ended by itself" in run.talk[-1]
        for pid in started:
            until_gone(pid)


def test_logs_go_to_files_and_one_line_to_stdout(tmp_path: Path) -> None:
    with running(tmp_path / "run") as (run, browser):
        heard(browser, "one line")
        ended(run, signal.SIGTERM, 143)
    events = [json.loads(line)["event"] for line in (tmp_path / "run" / "node.log").read_text().splitlines()]
    assert events
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "run").rglob("*"))
