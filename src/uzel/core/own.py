"""What is one's own beside the texts: name, first steps, preferences of the page, passphrase and back-up.

Rules: what is chosen is on disk when it is answered, and told in the journal (`profile`, and
`preferences`, which says them). A back-up is made on a thread
of its own, over a connection of its own, while everything goes on. Counterparts: `own_nodes`; `uzel.store.backup` and
`uzel.store.upkeep`, which do the work; the faces.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import IO, Any

import msgspec

from uzel.core.ledger import NAME, Ledger, wall_ms
from uzel.core.preferences import PREFERENCES, Preferences
from uzel.errors import BadPassphraseError, WrongPassphraseError
from uzel.names import check_contact_name
from uzel.store.backup import backup_stream, new_recovery_code
from uzel.store.keys import check_passphrase, derive_key
from uzel.store.options import Option
from uzel.store.profile import Profile
from uzel.store.tables import Tables

SET_UP: Option[bool] = Option("set up", bool, False)
"""Whether the person has been through the first steps."""
BACKED_UP_AT: Option[int | None] = Option("backed up at", int | None, None)
"""When a back-up was last made through the core, in milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Care:
    """How the profile is looked after."""

    set_up: bool
    backed_up_at: int | None


class Own:
    """See the module's text. Everything raises `StorageError`."""

    def __init__(
        self, ledger: Ledger, profile: Profile, change_passphrase: Callable[[str | None], Awaitable[None]]
    ) -> None:
        self._ledger = ledger
        self._profile = profile
        self._change_passphrase = change_passphrase
        self._one_at_a_time = asyncio.Lock()

    async def care(self) -> Care:
        """How the profile is looked after."""
        return await self._ledger.writer.run(
            lambda tables: Care(tables.options.get(SET_UP), tables.options.get(BACKED_UP_AT))
        )

    async def rename(self, name: str) -> None:
        """What one is called in one's own links from now on. Raises `InvalidNameError`."""
        check_contact_name(name)
        await self._choose(NAME, name, "name")
        self._ledger.name = name

    async def set_up(self) -> None:
        """The first steps are done."""
        await self._choose(SET_UP, True, "set_up")

    async def preferences(self) -> Preferences:
        """How the page is wanted."""
        return await self._ledger.writer.run(lambda tables: tables.options.get(PREFERENCES))

    async def prefer(self, preferences: Preferences) -> None:
        """Want it so; whoever follows is told what."""
        wanted = msgspec.to_builtins(preferences)

        def work(tables: Tables) -> None:
            tables.options.set(PREFERENCES, wanted)
            tables.journal.append("preferences", wanted, wall_ms())

        await self._ledger.writer.run(work)
        self._ledger.tell()

    async def change_passphrase(self, current: str | None, new: str | None) -> None:
        """Another passphrase, or with None a key file beside the profile. Slow: everything is encrypted anew, and the
        core stands still for that.

        Raises `WrongPassphraseError`, `BadPassphraseError`, `ProfileError` when there is none to remove.
        """
        if new is not None:
            check_passphrase(new)
        async with self._one_at_a_time:  # guesses, too
            if self._profile.has_passphrase:
                await self._prove(current or "")
            await self._change_passphrase(new)
        await self._told("passphrase")

    async def backup(self, secret: str | None) -> tuple[IO[bytes], str | None]:
        """A back-up, to be read and closed: it has no name on the disk; and the recovery code that opens it, when no
        secret was given. Slow. Raises `BadPassphraseError`, `ProfileDamagedError`.
        """
        code = None
        if secret is None:
            code = secret = new_recovery_code()
        async with self._one_at_a_time:
            stream = await asyncio.to_thread(backup_stream, self._profile, secret)
        try:
            await self._choose(BACKED_UP_AT, wall_ms(), "backed_up")
        except BaseException:
            stream.close()
            raise
        return stream, code

    async def _prove(self, passphrase: str) -> None:
        key = self._profile.file.key
        try:
            given = await asyncio.to_thread(derive_key, passphrase, key.salt)
        except BadPassphraseError as error:
            raise WrongPassphraseError(error.detail) from None
        if not hmac.compare_digest(given.raw, key.raw):
            raise WrongPassphraseError(str(self._profile.folder))

    async def _choose(self, option: Option[Any], value: Any, change: str) -> None:
        def work(tables: Tables) -> None:
            tables.options.set(option, value)
            tables.journal.append("profile", {"change": change}, wall_ms())

        await self._ledger.writer.run(work)
        self._ledger.tell()

    async def _told(self, change: str) -> None:
        await self._ledger.writer.run(lambda tables: tables.journal.append("profile", {"change": change}, wall_ms()))
        self._ledger.tell()
