"""News reach who waits for them, also those that come between a look and the wait."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from client.client_world import ALICE, DEADLINE
from core.core_world import cores, run, world


def test_news_between_the_look_and_the_wait_are_not_lost(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,):
            ledger = alice.messenger.ledger
            look, late = ledger.writer.run, True

            async def looks(work: Any) -> Any:
                nonlocal late
                seen = await look(work)
                if late:  # it saw nothing; now something happens, and is told before anybody waits
                    late = False
                    await look(lambda tables: tables.journal.append("test", {}, 0))
                    ledger.tell()
                return seen

            before = await look(lambda tables: tables.journal.last())
            ledger.writer.run = looks  # type: ignore[method-assign]
            async with asyncio.timeout(DEADLINE / 2):
                entry = await anext(alice.messenger.follow(before))
            assert entry is not None
            assert (entry.number, entry.kind) == (before + 1, "test")

    run(story)
