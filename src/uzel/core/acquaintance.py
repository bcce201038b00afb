"""The people whom a person knows: contacts, strangers who knock, invites, blocks, changed keys (promises 2 and 5).

Rules: a contact added by link is verified from the first byte; one added by a bare number is trusted on first use until
the safety numbers were compared. A changed key stops everything, loudly, until the person decides. Nothing that a
stranger says is a text before it is let in. Counterparts: `gate`, which judges; `uzel.identity.trust`, which knows the
keys; `uzel.store.people`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

from uzel.core import works
from uzel.core.gate import Gate, Strangers
from uzel.core.ledger import STRANGERS, Ledger, wall_ms
from uzel.core.outbox import Outbox
from uzel.core.talks import Talks
from uzel.errors import (
    InviteError,
    NoInviteError,
    NoRequestError,
    NotAContactError,
    PeerKeyChangedError,
    SelfContactError,
)
from uzel.identity import Pin, safety_number
from uzel.names import ContactLink, Fingerprint, Uin
from uzel.store.profile import Profile
from uzel.store.records import Contact, Invite, KnockRequest
from uzel.store.tables import Tables

INVITE_BYTES = 16
"""Random bytes of an invite: nobody guesses one."""


class Acquaintance:
    """See the module's text."""

    def __init__(
        self,
        ledger: Ledger,
        outbox: Outbox,
        talks: Talks,
        profile: Profile,
        moved: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._talks = talks
        self._profile = profile
        self._moved = moved

    # -- Contacts ---------------------------------------------------------------------------------------------

    def all(self) -> list[Contact]:
        """Every contact, by number."""
        return sorted(self._ledger.people.values(), key=lambda contact: contact.uin)

    def get(self, uin: Uin) -> Contact:
        """Raises `NotAContactError`."""
        contact = self._ledger.people.get(uin)
        if contact is None:
            raise NotAContactError(f"UIN {uin}")
        return contact

    def pin(self, uin: Uin) -> Pin | None:
        """Their key, and whether it is verified; None while they were never met."""
        return self._profile.pins.peer(uin)

    def safety_number(self, uin: Uin) -> str | None:
        """What both compare; None while they were never met."""
        pin = self.pin(uin)
        return None if pin is None else safety_number(self._profile.identity.fingerprint, pin.fingerprint)

    def is_blocked(self, uin: Uin) -> bool:
        """Nothing goes either way."""
        return uin in self._ledger.blocked

    async def add(self, link: ContactLink, name: str = "") -> Contact:
        """Make somebody a contact, or renew the one there is. A key in the link counts as compared.

        Raises `PeerKeyChangedError` when another key is pinned, `SelfContactError`, `InvalidNameError`, `StorageError`.
        """
        uin = link.uin
        if uin == self._profile.identity.uin:
            raise SelfContactError
        invite, called = link.invite or None, name or link.name

        def change(tables: Tables) -> None:
            if link.fingerprint is not None:
                tables.pins.pin_peer(uin, link.fingerprint, verified=True)
            if not works.befriend(tables, uin, wall_ms(), name=called, nodes=link.nodes, invite=invite):
                if called:
                    tables.people.rename(uin, called)
                if link.nodes:
                    tables.people.set_nodes(uin, link.nodes)
                if invite:
                    tables.people.set_invite(uin, invite)
            tables.people.knocks.remove(uin)

        contact = await self._ledger.change_contact(uin, change, "added")
        assert contact is not None
        talk = self._talks.open.get(uin)
        if talk is not None and talk.delivery.gate is not Gate.OPEN:
            talk.hang_up()  # and begin afresh, with an open gate: what was said before comes again
        if uin in self._ledger.blocked:
            self._outbox.hold(uin)
        self._outbox.greet(uin, self._now())
        self._moved()
        return contact

    async def rename(self, uin: Uin, name: str) -> Contact:
        """Raises `NotAContactError`, `InvalidNameError`, `StorageError`."""
        self.get(uin)
        return await self._changed(uin, lambda tables: tables.people.rename(uin, name), "renamed")

    async def verify(self, uin: Uin) -> Contact:
        """The safety numbers were compared, and match. Raises `NotAContactError`, `StorageError`."""
        self.get(uin)
        pin = self.pin(uin)
        if pin is None:
            raise NotAContactError(f"UIN {uin} was never met: there is no key to compare yet")
        shown = pin.fingerprint
        return await self._changed(uin, lambda tables: tables.pins.pin_peer(uin, shown, verified=True), "verified")

    async def remove(self, uin: Uin) -> None:
        """No contact any more, and their key is forgotten; the texts stay until they are deleted.

        What waits for them is cancelled. Raises `NotAContactError`, `StorageError`.
        """
        self.get(uin)

        def change(tables: Tables) -> None:
            works.give_up(tables, uin, "removed", wall_ms())
            tables.people.remove(uin)
            tables.pins.forget_peer(uin)

        await self._ledger.change_contact(uin, change, "removed")
        self._outbox.forget(uin)
        self._talks.forget(uin)
        self._moved()

    async def block(self, uin: Uin) -> None:
        """Nothing goes either way from now on; contact or not. Raises `StorageError`."""

        def change(tables: Tables) -> None:
            tables.people.block(uin, wall_ms())
            tables.people.knocks.remove(uin)

        await self._ledger.change_contact(uin, change, "blocked")
        self._ledger.blocked.add(uin)
        self._outbox.hold(uin)
        self._hang_up(uin)
        self._moved()

    async def unblock(self, uin: Uin) -> None:
        """Raises `StorageError`."""
        await self._ledger.change_contact(uin, lambda tables: tables.people.unblock(uin), "unblocked")
        self._ledger.blocked.discard(uin)
        self._release(uin)

    async def agree(self, uin: Uin) -> Contact:
        """They went back to a program that speaks less, and the person knows (D29): call them at once. What went as 31,
        and may not go as 30, has failed. Raises `NotAContactError`, `StorageError`.
        """
        self.get(uin)

        def change(tables: Tables) -> None:
            works.give_up(tables, uin, "downgraded", wall_ms(), only_envelopes=True)
            tables.people.speaks(uin, envelopes=False)

        contact = await self._changed(uin, change, "agreed")
        self._talks.agreed(uin)
        self._outbox.greet(uin, self._now())
        self._moved()
        return contact

    # -- Changed keys -----------------------------------------------------------------------------------------

    async def key_changed(self, uin: Uin, error: PeerKeyChangedError) -> None:
        """Somebody showed another key, whose number this really is: stop, loudly. Others only lie.

        Proving that takes a while, in which the person may have accepted that very key: then nothing has changed.
        """
        shown = error.shown
        if not isinstance(shown, Fingerprint) or uin not in self._ledger.people or self._is_theirs(uin, shown):
            return
        self._outbox.hold(uin)
        self._hang_up(uin)
        self._moved()

        def change(tables: Tables) -> None:
            pin = tables.pins.peer(uin)
            if pin is not None and pin.fingerprint != shown:
                tables.people.stop(uin, shown)

        contact = await self._ledger.change_contact(uin, change, "key changed")
        if contact is not None and contact.stopped is not None:
            self._hang_up(uin)  # it may have called meanwhile
        else:
            self._release(uin)

    def _is_theirs(self, uin: Uin, shown: Fingerprint) -> bool:
        pin = self.pin(uin)
        return pin is None or pin.fingerprint == shown

    async def accept_key(self, uin: Uin, compared: Fingerprint | None = None) -> Contact:
        """The person knows of the new key, `compared` if they say which: it is pinned, unverified.

        Raises `NotAContactError`, `StorageError`, and `PeerKeyChangedError` when yet another was shown meanwhile.
        """
        shown = self.get(uin).stopped
        if shown is None:
            return self.get(uin)
        if compared is not None and compared != shown:
            raise PeerKeyChangedError(f"UIN {uin}: compared {compared}, shown {shown}")

        def change(tables: Tables) -> None:
            now = tables.people.get(uin)
            if now is not None and now.stopped not in {None, shown}:
                raise PeerKeyChangedError(f"UIN {uin}: {now.stopped} was shown meanwhile")
            tables.pins.forget_peer(uin)
            tables.pins.pin_peer(uin, shown, verified=False)
            tables.people.unstop(uin)

        contact = await self._changed(uin, change, "key accepted")
        self._hang_up(uin)  # whoever has the old key
        self._release(uin)
        return contact

    # -- Strangers --------------------------------------------------------------------------------------------

    @property
    def strangers(self) -> Strangers:
        """What becomes of people who are no contacts."""
        return self._ledger.strangers

    async def choose_strangers(self, strangers: Strangers) -> None:
        """Raises `StorageError`."""
        await self._ledger.writer.run(lambda tables: tables.options.set(STRANGERS, strangers))
        self._ledger.strangers = strangers

    async def requests(self) -> list[KnockRequest]:
        """Who knocked, the latest first. Raises `StorageError`."""
        return await self._ledger.writer.run(lambda tables: tables.people.knocks.all())

    async def accept(self, uin: Uin, name: str = "") -> Contact:
        """Let a stranger in: the key that knocked is pinned, unverified, and what was said is the first text.

        Raises `NoRequestError`, `InvalidNameError`, `StorageError`.
        """
        request = await self._ledger.writer.run(lambda tables: tables.people.knocks.get(uin))
        if request is None:
            raise NoRequestError(f"UIN {uin}")

        def change(tables: Tables) -> None:
            now = wall_ms()
            tables.pins.pin_peer(uin, request.fingerprint, verified=False)
            works.befriend(tables, uin, now, name=name)
            tables.people.knocks.remove(uin)
            if request.text and request.id is not None:
                record = tables.texts.receive(
                    uin, request.fingerprint, request.id, request.text, None, request.first_at, now
                )
                if record is not None:
                    works.tell_text(tables, record, now)

        contact = await self._ledger.change_contact(uin, change, "accepted")
        assert contact is not None
        self._hang_up(uin)  # and begin afresh, with an open gate
        self._outbox.greet(uin, self._now())
        self._moved()
        return contact

    async def refuse(self, uin: Uin) -> None:
        """Forget the request. Raises `NoRequestError`, `StorageError`."""
        if not await self._ledger.writer.run(lambda tables: tables.people.knocks.remove(uin)):
            raise NoRequestError(f"UIN {uin}")
        self._hang_up(uin)

    # -- Invites ----------------------------------------------------------------------------------------------

    async def invite(
        self, label: str = "", *, uses: int | None = 1, lasts_ms: int | None = None, name: str = ""
    ) -> ContactLink:
        """A link that lets whoever has it in, so often, for so long. It is shown once: only its hash is kept. Who comes
        by one for one person is called what it is labelled.

        Raises `InviteError`, `InvalidNameError`, `StorageError`.
        """
        if (uses is not None and uses < 1) or (lasts_ms is not None and lasts_ms < 1):
            raise InviteError("it must let somebody in at some time")
        token, now = secrets.token_bytes(INVITE_BYTES), wall_ms()
        expires = None if lasts_ms is None else now + lasts_ms
        invite = Invite(hashlib.sha256(token).digest(), label, now, expires, uses, revoked=False)
        await self._ledger.writer.run(lambda tables: works.keep_invite(tables, invite))
        identity = self._profile.identity
        return ContactLink(identity.uin, identity.fingerprint, self._ledger.nodes[:8], name or self._ledger.name, token)

    async def invites(self) -> list[Invite]:
        """Every invite, the oldest first. Raises `StorageError`."""
        return await self._ledger.writer.run(lambda tables: tables.people.invites.all())

    async def revoke(self, token_hash: bytes) -> None:
        """It lets nobody in any more. Raises `InviteError`, `StorageError`."""
        if not await self._ledger.writer.run(lambda tables: tables.people.invites.revoke(token_hash)):
            raise NoInviteError("or it is revoked already")

    # -- Inside -----------------------------------------------------------------------------------------------

    async def _changed(self, uin: Uin, change: Callable[[Tables], object], kind: str) -> Contact:
        """Change a contact, who may have been removed since whoever asked has looked: then nothing is changed."""

        def demanded(tables: Tables) -> None:
            if tables.people.get(uin) is None:
                raise NotAContactError(f"UIN {uin}")
            change(tables)

        contact = await self._ledger.change_contact(uin, demanded, kind)
        assert contact is not None
        return contact

    def _release(self, uin: Uin) -> None:
        """Call them again, unless something else is in the way of it."""
        standing = self._ledger.standing(uin)
        if not standing.blocked and not standing.stopped:
            self._outbox.release(uin, self._now())
            self._moved()

    def _hang_up(self, uin: Uin) -> None:
        talk = self._talks.open.get(uin)
        if talk is not None:
            talk.hang_up()

    def _now(self) -> float:
        return self._talks.now()
