"""A client from a profile holds it until it is closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.client_world import run
from identity.identity_helpers import cheap_identity
from uzel.client import Client
from uzel.errors import InvalidNameError, PassphraseNeededError, ProfileHeldError
from uzel.store.profile import Profile

NODE = "127.0.0.1:1"


def test_it_holds_the_profile_until_it_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    Profile.create(folder, cheap_identity(9)).close()

    async def story() -> None:
        with pytest.raises(InvalidNameError):
            Client.open(folder, "no node")
        with pytest.raises(ValueError, match="at least one node"):
            Client.open(folder)
        async with Client.open(folder, NODE) as client:
            assert client.uin == 9
            with pytest.raises(ProfileHeldError):
                Client.open(folder, NODE)
        never_started = Client.open(folder, NODE)
        await never_started.close()
        Profile.open(folder).close()

    run(story)


def test_it_asks_for_a_passphrase(tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    Profile.create(folder, cheap_identity(9), passphrase="secret").close()

    async def story() -> None:
        with pytest.raises(PassphraseNeededError):
            Client.open(folder, NODE)
        await Client.open(folder, NODE, passphrase=lambda: "secret").close()

    run(story)
