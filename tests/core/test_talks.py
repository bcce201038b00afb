"""Conversations of a core whose disk refuses something, or whose line is gone in the wrong moment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from client.client_world import ALICE, BOB
from core.core_world import cores, run, until_async, world
from uzel.client.data_connection import DataConnection
from uzel.core import works
from uzel.errors import StorageError
from uzel.identity import PeerTrust
from uzel.store.records import TextState


def failing_once(sound: Callable[..., Any]) -> Callable[..., Any]:
    """The disk refuses it the first time."""
    failed = False

    def work(*arguments: Any, **named: Any) -> Any:
        nonlocal failed
        if not failed:
            failed = True
            raise StorageError("no space left")
        return sound(*arguments, **named)

    return work


@pytest.mark.parametrize("name", ["take", "settle", "keep"])
def test_what_the_disk_refuses_once_is_done_in_the_next_conversation(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await bob.stop()
            for number in range(3):
                await alice.says(bob, str(number))
            monkeypatch.setattr(works, name, failing_once(getattr(works, name)))
            await bob.start()

            async def delivered() -> bool:
                with suppress(StorageError):  # whoever asks in that moment is refused as well
                    return {record.state for record in await alice.texts(bob)} == {TextState.DELIVERED}
                return False

            await until_async("they are delivered", delivered)
            assert await bob.heard(alice) == ["0", "1", "2"]

    run(story)


def test_a_line_that_is_gone_before_its_conversation_begins_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer said goodbye right behind its handshake: as long as nobody is told of a conversation, all is well."""
    sound, closed = DataConnection.trust, 0

    async def trust(self: DataConnection, *arguments: Any, **named: Any) -> PeerTrust:
        nonlocal closed
        verdict = await sound(self, *arguments, **named)
        if closed < 2:
            closed += 1
            self.runner.close()
        return verdict

    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            alice.breaks()
            monkeypatch.setattr(DataConnection, "trust", trust)
            assert (await alice.settled(await alice.says(bob, "here"))).state is TextState.DELIVERED
            assert await bob.heard(alice) == ["here"]
        assert closed == 2

    run(story)


def test_nobody_knocks_who_was_let_in_meanwhile(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await alice.settled(await alice.says(bob, "here"))
            talks = bob.messenger._talks

            async def talking() -> bool:
                return alice.uin in talks.open

            await until_async("they talk", talking)
            talks._knock(talks.open[alice.uin], "late", bytes(16))
            assert await bob.messenger.people.requests() == []

    run(story)
