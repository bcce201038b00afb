"""What a core writes down: that something happened and why, never what was said, never who in plain."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from client.client_world import ALICE, BOB
from core.core_world import cores, run, until_async, world
from uzel.node.log import JsonFormatter


def test_a_day_of_a_core_is_in_its_log_and_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    numbers: list[int] = []

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            numbers.extend((int(alice.uin), int(bob.uin)))
            await alice.settled(await alice.says(bob, "a very secret text"))
            await bob.messenger.people.block(alice.uin)
            await alice.says(bob, "another secret text")

            async def refused() -> bool:
                return any(getattr(record, "event", "") == "call_refused" for record in caplog.records)

            await until_async("it was refused", refused)

    with caplog.at_level(logging.INFO, "uzel.core"):
        run(story)
    lines = [JsonFormatter().format(record) for record in caplog.records if record.name == "uzel.core"]
    events = {record.event for record in caplog.records if record.name == "uzel.core"}  # type: ignore[attr-defined]
    assert {"online", "talk", "settled", "talk_over", "call_refused", "call_failed"} <= events
    assert '"delivered": 1' in "".join(lines)
    for secret in ("secret", *map(str, numbers)):
        assert secret not in "".join(lines)
