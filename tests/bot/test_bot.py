"""The bot's own life: what it needs, what it refuses, and what it sends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from client.client_world import ALICE, BOB, DEADLINE, identity, until
from core.core_world import cores, run, world
from faces.api.api_world import served
from uzel.bot import Bot
from uzel.errors import BotHeldError, PassphraseNeededError, ProfileError, QueuedError, SelfContactError
from uzel.store.profile import Profile


def test_what_a_bot_sends_is_delivered_or_queued(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob), served(bob):  # noqa: SIM117 - shorter
            async with Bot(bob.folder) as bot:
                await bot.delivered(await bot.send(int(alice.uin), "hi"), DEADLINE / 2)
                assert await alice.heard(bob) == ["hi"]
                assert (await bot.link()).uin == bob.uin
                with pytest.raises(SelfContactError):
                    await bot.send(await bot.link(), "me")
                number = await bot.send("5", "nobody")
                with pytest.raises(QueuedError):
                    await bot.delivered(number, 0.01)

    run(story)


def test_one_profile_has_one_bot(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, BOB, at=w) as (bob,), served(bob):  # noqa: SIM117 - shorter
            async with Bot(bob.folder) as first, Bot(bob.folder) as second:
                for bot in (first, second):
                    bot.on_text(lambda text: text.text)
                serving = asyncio.ensure_future(first.serve())
                await until("it serves", (bob.folder / "bot.lock").exists)
                with pytest.raises(BotHeldError):
                    await second.serve()
                serving.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await serving
                with pytest.raises(ValueError, match="no function"):
                    await Bot(bob.folder).serve()

    run(story)


def test_a_profile_is_opened_with_its_passphrase_and_made_only_when_asked(tmp_path: Path) -> None:
    async def entered(bot: Bot) -> None:
        async with bot:
            pass

    folder, secret = tmp_path / "locked", tmp_path / "secret"
    with pytest.raises(ProfileError):
        asyncio.run(entered(Bot(folder, "127.0.0.1:1")))
    Profile.create(folder, identity(ALICE), passphrase="correct horse").close()
    with pytest.raises(PassphraseNeededError):
        asyncio.run(entered(Bot(folder, "127.0.0.1:1")))
    secret.write_bytes(b"correct horse\r\nand more\n")
    with pytest.raises(ProfileError):
        asyncio.run(entered(Bot(folder, "127.0.0.1:1", passphrase_file=secret)))  # everybody may read it
    secret.chmod(0o600)
    asyncio.run(entered(Bot(folder, "127.0.0.1:1", passphrase_file=secret, create=True)))
    with pytest.raises(ValueError, match="does not run"):
        asyncio.run(Bot(folder).link())
