"""A short run of the fuzzer, and that its check would notice what it looks for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz import wire_target
from fuzz.wire_target import BrokenPromiseError, check
from uzel.wire import Channel, Envelope, Framer, Message, Ping, encode

SCRIPT = Path(__file__).with_name("fuzz_wire.py")
SECONDS = 4


def test_a_short_run_finds_nothing() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--seconds", str(SECONDS)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+) executions", done.stdout, re.MULTILINE))
    assert set(counts) == {channel.value for channel in Channel}
    assert all(int(count) > 100 for count in counts.values()), counts


def test_the_check_lets_an_exception_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def feed(_: Framer, data: bytes) -> list[Message]:
        raise IndexError(data)

    monkeypatch.setattr(Framer, "feed", feed)
    with pytest.raises(IndexError):
        check(Channel.LINK, b"\x00\x68\x68ab")


def test_the_check_notices_that_cuts_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Framer, "feed", lambda _, data: [Ping(b"ab")] if data == b"\x68\x68ab" else [])
    with pytest.raises(BrokenPromiseError, match="cuts change the messages"):
        check(Channel.LINK, b"\x00\x68\x68ab")


def test_the_check_notices_what_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    def feed(framer: Framer, data: bytes) -> list[Message]:
        framer._held += data
        return []

    monkeypatch.setattr(Framer, "feed", feed)
    with pytest.raises(BrokenPromiseError, match="too much is held"):
        check(Channel.LINK, bytes(66_000))


def test_the_check_looks_into_envelopes(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(body: bytes) -> None:
        raise KeyError(body)

    check(Channel.CONVERSATION_2, b"\x00" + encode(Envelope(b"\xa0")))
    monkeypatch.setattr(wire_target, "read_body", read)
    with pytest.raises(KeyError):
        check(Channel.CONVERSATION_2, b"\x00" + encode(Envelope(b"\xa0")))
