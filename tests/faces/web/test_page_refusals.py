"""Who was not let in: every one is counted, few are written down, and nothing of what they said is."""

from __future__ import annotations

import json
import logging

import pytest

from uzel.errors import Reason
from uzel.faces.http.refusals import Refusals
from uzel.node.log import JsonFormatter


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [json.loads(JsonFormatter().format(record)) for record in caplog.records]


def test_a_flood_is_one_line_for_each_reason_and_all_of_it_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals("uzel.page", every=3600)
    with caplog.at_level(logging.INFO, "uzel.page"):
        told = [refusals.add(Reason.FOREIGN_HOST, "192.0.2.7") for _ in range(1000)]
        refusals.add(Reason.SILENCE)
    assert told == [True] + [False] * 999
    first, second = lines(caplog)
    assert (first["event"], first["reason"], first["times"]) == ("page_refused", "foreign_host", 1)
    assert "192.0.2.7" not in caplog.text + str(first)
    assert (second["reason"], "address" in second) == ("silence", False)
    assert refusals.counts() == {"foreign_host": 1000, "silence": 1}


def test_the_next_line_says_how_many_there_were_since(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("uzel.faces.http.refusals.time.monotonic", lambda: now)
    refusals = Refusals("uzel.page", every=60)
    with caplog.at_level(logging.INFO, "uzel.page"):
        for now in (0.0, 1.0, 59.9, 60.0, 61.0, 200.0):  # noqa: B007 - the clock reads it
            refusals.add(Reason.TLS_FAILED)
    assert [line["times"] for line in lines(caplog)] == [1, 3, 2]
