"""`uzel demo` succeeds only when everything it tells of has happened, and leaves no process behind."""

from __future__ import annotations

import os
import signal

import pytest

from e2e.cli_harness import Started, children, until_gone, uzel


def test_the_story() -> None:
    outcome = uzel("demo")
    assert (outcome.code, outcome.err) == (0, "")
    for words in (
        "is online at 127.0.0.1:",
        "Alice  calls ",
        "and accepts",
        "(verified by contact link): TLSv1.3, X25519MLKEM768, ",
        "Alice  sent one of 200,000 bytes (200000 bytes): delivered in ",
        "Bob  sent one of 200,000 bytes (200000 bytes): delivered in ",
        "Alice  sent one in Russian ",
        "Node  saw ",
        "Every text was delivered, both ways.",
    ):
        assert words in outcome.out


def story_until(demo: Started, words: str) -> None:
    while words not in demo.next_line():
        pass


@pytest.mark.parametrize(("words", "victim"), [("Node  listens", 0), ("Bob  is online", 1)], ids=["node", "Bob"])
def test_it_fails_when_a_process_dies(words: str, victim: int) -> None:
    with Started("demo") as demo:
        story_until(demo, words)
        started = children(demo.pid)
        os.kill(started[victim], signal.SIGKILL)
        outcome = demo.end()
        assert outcome.code == 2
        assert outcome.sentence().startswith("The demo failed: ")
        for pid in started:
            until_gone(pid)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_all_of_it(number: int, code: int) -> None:
    with Started("demo") as demo:
        story_until(demo, "Node  listens")
        started = children(demo.pid)
        assert started
        demo.signal(number)
        outcome = demo.end()
        assert (outcome.code, outcome.err) == (code, "")
        for pid in started:
            until_gone(pid)
