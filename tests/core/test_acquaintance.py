"""People: contacts, strangers who knock, invites, blocks, changed keys, between real cores."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from client.client_world import ALICE, BOB, CAROL, DEADLINE, MALLORY, identity, until
from core.core_world import Core, Strangers, cores, run, until_async, world
from uzel.core.gate import Gate
from uzel.core.preferences import Preferences
from uzel.core.talks import NOT_LET_IN
from uzel.errors import (
    InviteError,
    NetworkError,
    NoRequestError,
    NotAContactError,
    PeerKeyChangedError,
    Reason,
    SelfContactError,
)
from uzel.identity import CheckedPeer, UncheckedPeer, safety_number
from uzel.names import ContactLink, Uin
from uzel.store.records import TextState
from uzel.store.tables import Tables

Story = Callable[[Core, Core], Awaitable[None]]


def strangers(tmp_path: Path, story: Story) -> None:
    """Alice and Bob do not know one another."""

    async def whole() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w, acquainted=False) as (alice, bob):
            await story(alice, bob)

    run(whole)


async def knocks(alice: Core, bob: Core, text: str = "may I come in?") -> int:
    """Alice, a stranger to Bob, says something; the number of her text."""
    await alice.knows(bob)
    sent = await alice.says(bob, text)
    await until_async("bob hears of it", lambda: _has_request(bob, text))
    return sent.number


async def _has_request(core: Core, text: str) -> bool:
    return [request.text for request in await core.messenger.people.requests()] == [text]


# -- Contacts -------------------------------------------------------------------------------------------------------


def test_a_contact_by_link_is_verified_and_one_by_number_is_not_until_compared(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        await bob.knows(alice, verified=False)
        await alice.knows(bob)
        await alice.settled(await alice.says(bob, "hello"))
        theirs, ours = bob.messenger.people.pin(alice.uin), alice.messenger.people.pin(bob.uin)
        assert theirs is not None
        assert ours is not None
        assert (theirs.verified, ours.verified) == (False, True)
        numbers = {bob.messenger.people.safety_number(alice.uin), alice.messenger.people.safety_number(bob.uin)}
        assert numbers == {safety_number(identity(ALICE).fingerprint, identity(BOB).fingerprint)}
        await bob.messenger.people.verify(alice.uin)
        pin = bob.messenger.people.pin(alice.uin)
        assert pin is not None
        assert pin.verified

    strangers(tmp_path, story)


def test_names_and_removal(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        people = alice.messenger.people
        await people.add(ContactLink(bob.uin, identity(BOB).fingerprint, name="Bob"))
        assert people.get(bob.uin).name == "Bob"
        assert (await people.rename(bob.uin, "Robert")).name == "Robert"
        assert (await people.add(ContactLink(bob.uin))).name == "Robert", "a bare number takes nothing away"
        await people.remove(bob.uin)
        assert people.pin(bob.uin) is None
        for fails in (people.rename(bob.uin, "x"), people.verify(bob.uin), people.remove(bob.uin)):
            with pytest.raises(NotAContactError):
                await fails
        with pytest.raises(SelfContactError):
            await people.add(ContactLink(alice.uin))

    strangers(tmp_path, story)


def test_what_waits_for_somebody_who_is_removed_has_failed(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        await bob.stop()
        await alice.messenger.people.add(ContactLink(bob.uin, identity(BOB).fingerprint))
        sent = await alice.says(bob, "too late")
        await alice.messenger.people.remove(bob.uin)
        settled = await alice.settled(sent)
        assert (settled.state, settled.reason) == (TextState.FAILED, "removed")
        await bob.start()

    strangers(tmp_path, story)


def test_nothing_is_tried_again_for_somebody_who_is_removed(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        await bob.stop()
        await alice.messenger.people.add(ContactLink(bob.uin, identity(BOB).fingerprint))
        sent = await alice.says(bob, "too late")
        await alice.messenger.people.remove(bob.uin)
        with pytest.raises(NotAContactError):
            await alice.messenger.retry(sent.number)
        await bob.start()

    strangers(tmp_path, story)


# -- Strangers ------------------------------------------------------------------------------------------------------


def test_a_stranger_knocks_and_is_no_text_until_let_in(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        number = await knocks(alice, bob)
        assert await bob.heard(alice) == []
        assert alice.messenger.talk_state(bob.uin).gate is Gate.ASKED
        record = await alice.messenger.history.text(number)
        assert record is not None
        assert record.state is not TextState.DELIVERED
        more = await alice.says(bob, "and one more thing")
        await bob.messenger.people.accept(alice.uin, "Alice")
        assert (await alice.settled(more)).state is TextState.DELIVERED
        assert alice.messenger.talk_state(bob.uin).gate is Gate.OPEN
        assert await bob.heard(alice) == ["may I come in?", "and one more thing"]
        assert await bob.messenger.people.requests() == []
        assert bob.messenger.people.get(alice.uin).name == "Alice"
        back = await bob.says(alice, "welcome")
        assert (await bob.settled(back)).state is TextState.DELIVERED

    strangers(tmp_path, story)


def test_adding_who_knocked_lets_them_in_too(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        number = await knocks(alice, bob)
        await bob.knows(alice)
        record = await alice.messenger.wait_settled(number)
        assert record is not None
        assert record.state is TextState.DELIVERED
        assert await bob.heard(alice) == ["may I come in?"]

    strangers(tmp_path, story)


def test_who_was_let_in_just_before_we_went_offline_learns_of_it_when_we_are_back(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        number = await knocks(alice, bob)
        await bob.messenger.people.accept(alice.uin)
        await bob.stop()
        await bob.start()
        record = await alice.messenger.wait_settled(number)
        assert record is not None
        assert record.state is TextState.DELIVERED

    strangers(tmp_path, story)


def test_texts_of_new_contacts_are_kept_as_long_as_the_person_wants(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        people = bob.messenger.people
        await people.add(ContactLink(Uin(5)))
        await bob.messenger.own.prefer(Preferences(retention_default_ms=7))
        assert (await people.add(ContactLink(Uin(6)))).retention_ms == 7
        assert (await people.add(ContactLink(Uin(5)))).retention_ms is None, "only of new ones"
        await knocks(alice, bob)
        assert (await people.accept(alice.uin)).retention_ms == 7

    strangers(tmp_path, story)


def test_a_refused_request_is_forgotten(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        await knocks(alice, bob)
        await bob.messenger.people.refuse(alice.uin)
        assert await bob.messenger.people.requests() == []
        for fails in (bob.messenger.people.refuse(alice.uin), bob.messenger.people.accept(alice.uin)):
            with pytest.raises(NoRequestError):
                await fails

    strangers(tmp_path, story)


def test_where_only_contacts_are_let_in_a_strangers_text_fails_with_the_reason(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        await bob.messenger.people.choose_strangers(Strangers.REFUSE)
        await alice.knows(bob)
        settled = await alice.settled(await alice.says(bob, "hello?"))
        assert (settled.state, settled.reason) == (TextState.FAILED, NOT_LET_IN)
        assert await bob.messenger.people.requests() == []
        await bob.stop()
        await bob.start()
        assert bob.messenger.people.strangers is Strangers.REFUSE
        await bob.knows(alice)
        again = await alice.messenger.retry(settled.number)
        assert again is not None
        assert (await alice.settled(again)).state is TextState.DELIVERED

    strangers(tmp_path, story)


def test_a_base_peer_who_is_a_stranger_knocks_too(tmp_path: Path) -> None:
    async def whole() -> None:
        async with world() as w, cores(tmp_path, BOB, at=w) as (bob,), w.online(CAROL) as (carol,):
            conversation = await carol.call(bob.uin)
            conversation.reply("let me in")
            await until_async("bob hears of it", lambda: _has_request(bob, "let me in"))
            await bob.messenger.people.accept(carol.uin)
            await conversation.wait_closed()
            again = await anext(carol.calls())
            await again.accept()
            await until_async("it comes again", lambda: _heard(bob, carol.uin))

    async def _heard(bob: Core, uin: object) -> bool:
        return await bob.heard(uin) == ["let me in"]  # type: ignore[arg-type]  # a UIN

    run(whole)


# -- Invites --------------------------------------------------------------------------------------------------------


def test_an_invite_lets_in_as_often_as_it_says(tmp_path: Path) -> None:
    async def whole() -> None:
        people = (ALICE, BOB, CAROL)
        async with world() as w, cores(tmp_path, *people, at=w, acquainted=False) as (alice, bob, carol):
            await bob.messenger.people.choose_strangers(Strangers.REFUSE)
            await bob.messenger.own.prefer(Preferences(retention_default_ms=10**10))
            link = await bob.messenger.people.invite("Alice from the choir", uses=1)
            assert link.invite
            parsed = ContactLink.parse(str(link))
            await alice.messenger.people.add(parsed)
            sent = await alice.says(bob, "thank you")
            assert (await alice.settled(sent)).state is TextState.DELIVERED
            assert await bob.heard(alice) == ["thank you"]
            assert bob.messenger.people.get(alice.uin).retention_ms == 10**10
            assert bob.messenger.people.get(alice.uin).name == "Alice from the choir"
            await until("it is not shown again", lambda: alice.messenger.people.get(bob.uin).invite is None)
            assert [invite.uses_left for invite in await bob.messenger.people.invites()] == [0]
            await carol.messenger.people.add(parsed)
            settled = await carol.settled(await carol.says(bob, "me too"))
            assert (settled.state, settled.reason) == (TextState.FAILED, NOT_LET_IN)
            await carol.messenger.people.add(await bob.messenger.people.invite("the choir", uses=2))
            assert (await carol.settled(await carol.says(bob, "now"))).state is TextState.DELIVERED
            assert bob.messenger.people.get(carol.uin).name == ""  # one for several is nobody's name

    run(whole)


def test_a_revoked_invite_and_one_that_cannot_be(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        people = bob.messenger.people
        await people.choose_strangers(Strangers.REFUSE)
        link = await people.invite("mistake", uses=None, lasts_ms=1_000_000)
        (invite,) = await people.invites()
        await people.revoke(invite.token_hash)
        with pytest.raises(InviteError):
            await people.revoke(invite.token_hash)
        await alice.messenger.people.add(link)
        assert (await alice.settled(await alice.says(bob, "hello"))).reason == NOT_LET_IN
        with pytest.raises(InviteError):
            await people.invite(uses=0)
        with pytest.raises(InviteError):
            await people.invite(lasts_ms=0)

    strangers(tmp_path, story)


def test_an_invite_opens_no_gate_that_is_closed_to_a_contact_and_is_not_used_up(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        link = await bob.messenger.people.invite(uses=3)
        await bob.knows(alice)
        wrong = identity(MALLORY).fingerprint
        await bob.messenger.ledger.change_contact(
            alice.uin, lambda tables: tables.people.stop(alice.uin, wrong), "key changed"
        )
        await alice.messenger.people.add(link)
        settled = await alice.settled(await alice.says(bob, "let me in"))
        assert (settled.state, settled.reason) == (TextState.FAILED, NOT_LET_IN)
        assert await bob.heard(alice) == []
        assert [invite.uses_left for invite in await bob.messenger.people.invites()] == [3]

    strangers(tmp_path, story)


@pytest.mark.parametrize("key", [MALLORY, None])
def test_an_invite_lets_in_no_other_key_than_that_of_who_is_added_at_that_moment(
    tmp_path: Path, key: int | None
) -> None:
    """The link that the person adds names another key than that of who shows the invite; or it names none."""

    async def story(alice: Core, bob: Core) -> None:
        people, writer, talks = bob.messenger.people, bob.messenger.ledger.writer, bob.messenger._talks
        link = await people.invite()
        held = threading.Event()
        holding = writer.submit(lambda _: held.wait(DEADLINE))
        adding = asyncio.ensure_future(
            people.add(ContactLink(alice.uin, None if key is None else identity(key).fingerprint))
        )
        await asyncio.sleep(0)
        await alice.messenger.people.add(link)
        sent = await alice.says(bob, "let me in")
        await until("she shows the invite", lambda: any(talk.has_shown_invite for talk in talks.open.values()))
        (talk,) = talks.open.values()
        held.set()
        await adding
        assert await holding
        if key is None:
            assert (await alice.settled(sent)).state is TextState.DELIVERED
        else:
            await until("it is ended", lambda: not talk.is_open)
            await until("it is stopped", lambda: people.get(alice.uin).stopped)
            assert await bob.heard(alice) == []
        pin = people.pin(alice.uin)
        assert pin is not None
        assert pin.fingerprint == identity(ALICE if key is None else key).fingerprint

    strangers(tmp_path, story)


def test_a_break_while_an_invite_is_looked_at_fails_nothing(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        await bob.messenger.people.choose_strangers(Strangers.REFUSE)
        link = await bob.messenger.people.invite()
        await alice.messenger.people.add(link)
        sent = await alice.says(bob, "hello")
        for _ in range(3):
            await until("they talk", lambda: alice.messenger._talks.open)
            alice.breaks()
        assert (await alice.settled(sent)).state is TextState.DELIVERED

    strangers(tmp_path, story)


# -- Blocks and changed keys ----------------------------------------------------------------------------------------


def test_nothing_goes_either_way_with_who_is_blocked(tmp_path: Path) -> None:
    async def whole() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await alice.settled(await alice.says(bob, "before"))
            await bob.messenger.people.block(alice.uin)
            assert bob.messenger.people.is_blocked(alice.uin)
            waiting = await alice.says(bob, "while blocked")
            own = await bob.says(alice, "while blocked, too")
            assert (await alice.messenger.wait_settled(waiting.number, 0.3)) is not None
            assert await bob.heard(alice) == ["before"]
            await bob.messenger.people.unblock(alice.uin)
            assert (await bob.settled(own)).state is TextState.DELIVERED
            assert (await alice.settled(waiting)).state is TextState.DELIVERED
            assert await bob.heard(alice) == ["before", "while blocked"]

    run(whole)


def held_check(monkeypatch: pytest.MonkeyPatch, uin: Uin) -> tuple[threading.Event, threading.Event]:
    """The check of this one's key: whether it began, and what lets it go on."""
    began, goes_on, check = threading.Event(), threading.Event(), UncheckedPeer.check

    def held(peer: UncheckedPeer) -> CheckedPeer:
        if peer.certificate.uin == uin:
            began.set()
            assert goes_on.wait(DEADLINE)
        return check(peer)

    monkeypatch.setattr(UncheckedPeer, "check", held)
    return began, goes_on


@pytest.mark.parametrize("change", ["block", "remove"])
def test_who_is_blocked_or_removed_while_they_are_called_is_called_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """A new key is checked for a while, in which the person may think better of it."""
    checking, goes_on = held_check(monkeypatch, identity(BOB).uin)

    async def story(alice: Core, bob: Core) -> None:
        await alice.knows(bob, verified=False)
        await asyncio.to_thread(checking.wait, DEADLINE)
        people, calls = alice.messenger.people, alice.messenger._client._calls
        await (people.block(bob.uin) if change == "block" else people.remove(bob.uin))
        goes_on.set()
        await until("the call is over", lambda: not calls._tasks and not calls._set_ups)
        assert not alice.messenger._talks.open
        assert people.pin(bob.uin) is None
        assert await people.requests() == []
        await (people.unblock(bob.uin) if change == "block" else alice.knows(bob, verified=False))
        await until("they are called again", lambda: people.pin(bob.uin))

    strangers(tmp_path, story)


def test_a_contact_who_is_removed_while_their_call_is_checked_leaves_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checking, goes_on = held_check(monkeypatch, identity(ALICE).uin)

    async def story(alice: Core, bob: Core) -> None:
        people = bob.messenger.people

        def befriend(tables: Tables) -> None:
            tables.people.add(alice.uin, 0)
            tables.people.seen(alice.uin, 0)  # else Bob would call her

        await bob.messenger.ledger.change_contact(alice.uin, befriend, "added")
        await alice.knows(bob)
        await asyncio.to_thread(checking.wait, DEADLINE)
        await people.remove(alice.uin)
        goes_on.set()
        await until("they talk", lambda: bob.messenger._talks.open)
        assert people.pin(alice.uin) is None

    strangers(tmp_path, story)


def test_what_waits_with_who_is_blocked_while_their_call_is_set_up_does_not_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checking, goes_on = held_check(monkeypatch, identity(ALICE).uin)

    async def story(alice: Core, bob: Core) -> None:
        def befriend(tables: Tables) -> None:
            tables.people.add(alice.uin, 0)
            tables.people.seen(alice.uin, 0)  # else Bob would call her

        await bob.messenger.ledger.change_contact(alice.uin, befriend, "added")
        await alice.knows(bob)
        sent = await alice.says(bob, "hello")
        await asyncio.to_thread(checking.wait, DEADLINE)
        await bob.messenger.people.block(alice.uin)
        goes_on.set()
        calls = bob.messenger._client._calls
        await until("the call is over", lambda: not calls._set_ups)
        await bob.messenger.people.unblock(alice.uin)
        assert (await alice.settled(sent)).state is TextState.DELIVERED

    strangers(tmp_path, story)


def test_who_is_blocked_stays_so_when_removed_and_added_again(tmp_path: Path) -> None:
    async def whole() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await alice.settled(await alice.says(bob, "before"))
            await bob.messenger.people.block(alice.uin)
            await bob.messenger.people.remove(alice.uin)
            await bob.messenger.people.add(ContactLink(alice.uin, identity(ALICE).fingerprint))
            waiting = await bob.says(alice, "not to you")
            record = await bob.messenger.wait_settled(waiting.number, 0.3)
            assert record is not None
            assert record.state is TextState.QUEUED
            assert await alice.heard(bob) == []

    run(whole)


def test_a_changed_key_stops_everything_until_the_person_decides(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        wrong = identity(MALLORY).fingerprint
        bob.profile.pins.pin_peer(alice.uin, wrong, verified=False)
        await bob.knows(alice, verified=False)
        sent = await bob.says(alice, "is it you?")
        await until("it is stopped", lambda: bob.messenger.people.get(alice.uin).stopped)
        assert bob.messenger.people.get(alice.uin).stopped == identity(ALICE).fingerprint
        record = await bob.messenger.wait_settled(sent.number, 0.2)
        assert record is not None
        assert record.state is TextState.QUEUED
        with pytest.raises(PeerKeyChangedError):
            await bob.messenger.people.add(ContactLink(alice.uin, identity(ALICE).fingerprint))
        await bob.stop()
        await bob.start()
        assert bob.messenger.people.get(alice.uin).stopped is not None
        await alice.knows(bob)
        await bob.messenger.people.accept_key(alice.uin)
        assert (await bob.settled(sent)).state is TextState.DELIVERED
        pin = bob.messenger.people.pin(alice.uin)
        assert pin is not None
        assert (pin.fingerprint, pin.verified) == (identity(ALICE).fingerprint, False)

    strangers(tmp_path, story)


@pytest.mark.parametrize("first", ["accepted", "shown"])
def test_a_key_that_is_accepted_while_it_is_proved_once_more_stays_accepted(tmp_path: Path, first: str) -> None:
    """Whoever is stopped calls again and again; each time the proof of the key takes as long as a person's click."""

    async def story(alice: Core, bob: Core) -> None:
        shown = identity(ALICE).fingerprint
        bob.profile.pins.pin_peer(alice.uin, identity(MALLORY).fingerprint, verified=False)
        await bob.knows(alice, verified=False)
        await alice.knows(bob)
        sent = await alice.says(bob, "it is me")
        people = bob.messenger.people
        await until("it is stopped", lambda: people.get(alice.uin).stopped)
        again = PeerKeyChangedError()
        again.shown = shown
        both = [people.accept_key(alice.uin, shown), people.key_changed(alice.uin, again)]
        await asyncio.gather(*(both if first == "accepted" else reversed(both)))
        await people.key_changed(alice.uin, again)
        assert people.get(alice.uin).stopped is None
        assert (await alice.settled(sent)).state is TextState.DELIVERED

    strangers(tmp_path, story)


def test_what_is_sent_with_a_key_that_is_accepted_at_that_moment_does_not_fail(tmp_path: Path) -> None:
    """The call comes when the acceptance is committed and the core has not yet heard so."""

    async def story(alice: Core, bob: Core) -> None:
        await bob.knows(alice)
        people, ledger, shown = bob.messenger.people, bob.messenger.ledger, identity(ALICE).fingerprint
        await ledger.change_contact(alice.uin, lambda tables: tables.people.stop(alice.uin, shown), "key changed")
        await ledger.writer.run(lambda tables: tables.people.unstop(alice.uin))
        assert people.get(alice.uin).stopped
        await alice.knows(bob)
        sent = await alice.says(bob, "it is me")
        await until("she called", lambda: bob.messenger.counters[Reason.NOT_LET_IN])
        await people.accept_key(alice.uin, shown)
        assert (await alice.settled(sent)).state is TextState.DELIVERED

    strangers(tmp_path, story)


@pytest.mark.parametrize("step", ["verified", "accepted"])
def test_nothing_is_pinned_for_somebody_who_is_removed_at_that_moment(tmp_path: Path, step: str) -> None:
    """As when one window removes a contact and another one, which does not know yet, decides about their key."""

    async def story(alice: Core, bob: Core) -> None:
        await bob.stop()  # a call to him would pin his key, too
        await alice.knows(bob)
        people, ledger, shown = alice.messenger.people, alice.messenger.ledger, identity(MALLORY).fingerprint
        await ledger.change_contact(bob.uin, lambda tables: tables.people.stop(bob.uin, shown), "key changed")
        held = threading.Event()
        holding = ledger.writer.submit(lambda _: held.wait(DEADLINE))
        removing = asyncio.ensure_future(people.remove(bob.uin))
        deciding = asyncio.ensure_future(
            people.verify(bob.uin) if step == "verified" else people.accept_key(bob.uin, shown)
        )
        await asyncio.sleep(0)
        held.set()
        await removing
        with pytest.raises(NotAContactError):
            await deciding
        assert await holding
        assert people.pin(bob.uin) is None
        await bob.start()

    strangers(tmp_path, story)


def test_a_key_is_not_accepted_when_yet_another_one_was_shown_at_that_moment(tmp_path: Path) -> None:
    async def story(alice: Core, bob: Core) -> None:
        await alice.knows(bob)
        people, ledger = alice.messenger.people, alice.messenger.ledger
        first, second = identity(MALLORY).fingerprint, identity(CAROL).fingerprint
        again = PeerKeyChangedError()
        again.shown = second
        await ledger.change_contact(bob.uin, lambda tables: tables.people.stop(bob.uin, first), "key changed")
        showing = asyncio.ensure_future(people.key_changed(bob.uin, again))
        await asyncio.sleep(0)
        with pytest.raises(PeerKeyChangedError):
            await people.accept_key(bob.uin, first)
        await showing
        pin = people.pin(bob.uin)
        assert pin is not None
        assert (pin.fingerprint, people.get(bob.uin).stopped) == (identity(BOB).fingerprint, second)
        await people.accept_key(bob.uin, second)
        assert people.get(bob.uin).stopped is None

    strangers(tmp_path, story)


@pytest.mark.parametrize("last", ["unblocked", "accepted"])
def test_who_is_blocked_and_has_another_key_is_not_called_until_both_are_over(tmp_path: Path, last: str) -> None:
    async def story(alice: Core, bob: Core) -> None:
        bob.profile.pins.pin_peer(alice.uin, identity(MALLORY).fingerprint, verified=False)
        await bob.knows(alice, verified=False)
        await alice.knows(bob)
        sent = await bob.says(alice, "is it you?")
        people = bob.messenger.people
        await until("it is stopped", lambda: people.get(alice.uin).stopped)
        await people.block(alice.uin)
        steps = [lambda: people.unblock(alice.uin), lambda: people.accept_key(alice.uin)]
        for step in reversed(steps) if last == "unblocked" else steps:
            assert bob.messenger._outbox.retry_at(alice.uin) is None
            await step()
        assert (await bob.settled(sent)).state is TextState.DELIVERED

    strangers(tmp_path, story)


def test_who_spoke_more_before_and_offers_less_now_is_refused_until_the_person_agrees(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob):
            await alice.settled(await alice.says(bob, "we speak uzel/2"))
            await until("it is known", lambda: alice.messenger.people.get(bob.uin).speaks_envelopes)
            await bob.stop()
            async with w.online(BOB) as (base,):
                sent = await alice.says(bob, "do not send this as 30")
                for _ in range(2):
                    call = await anext(base.calls())
                    with pytest.raises(NetworkError):
                        await (await call.accept()).ping()
                record = await alice.messenger.history.text(sent.number)
                assert record is not None
                assert record.sent_as == 0
                assert alice.messenger.talk_state(bob.uin).downgraded
                await alice.messenger.people.agree(bob.uin)
                assert not alice.messenger.talk_state(bob.uin).downgraded
                call = await anext(base.calls())
                conversation = await call.accept()
                text = await anext(conversation)
                text.acknowledge()
                assert text.text == "do not send this as 30"
                assert (await alice.settled(sent)).sent_as == 0x30
            await bob.start()
            assert (await alice.settled(await alice.says(bob, "more again"))).sent_as == 0x31

    run(story)
