"""Invites: they let in as often as they may, until they expire or are revoked."""

from __future__ import annotations

import pytest

from store.message_tables import NOW, Database
from uzel.errors import InvalidNameError
from uzel.store.invites import Invites
from uzel.store.records import Invite

TOKEN, OTHER = b"t" * 32, b"o" * 32


@pytest.fixture
def invites(db: Database) -> Invites:
    return Invites(db)


def invite(
    *, token: bytes = TOKEN, label: str = "для Ани", expires_at: int | None = None, uses: int | None = 1
) -> Invite:
    return Invite(token, label, NOW, expires_at, uses, False)


def test_invites_are_kept_as_they_were_made(invites: Invites) -> None:
    first, second = invite(), invite(token=OTHER, label="", expires_at=NOW + 5, uses=None)
    invites.add(first)
    invites.add(second)
    assert invites.by_hash(TOKEN) == first
    assert invites.by_hash(OTHER) == second
    assert invites.by_hash(b"x" * 32) is None
    assert invites.all() == [second, first]


def test_an_invite_lets_in_as_often_as_it_may(invites: Invites) -> None:
    invites.add(invite(uses=2))
    assert [invites.use(TOKEN, NOW) for _ in range(4)] == [True, True, False, False]
    used_up = invites.by_hash(TOKEN)
    assert used_up is not None
    assert used_up.uses_left == 0
    assert not invites.use(OTHER, NOW)


def test_without_a_limit_it_is_not_used_up(invites: Invites) -> None:
    invites.add(invite(uses=None))
    assert all(invites.use(TOKEN, NOW) for _ in range(5))
    assert invites.by_hash(TOKEN) == invite(uses=None)


def test_it_expires(invites: Invites) -> None:
    invites.add(invite(expires_at=NOW + 10, uses=None))
    assert invites.use(TOKEN, NOW + 9)
    assert not invites.use(TOKEN, NOW + 10)


def test_it_is_revoked_or_removed(invites: Invites) -> None:
    invites.add(invite(uses=None))
    invites.add(invite(token=OTHER))
    assert invites.revoke(TOKEN)
    assert not invites.revoke(TOKEN)
    assert not invites.use(TOKEN, NOW)
    revoked = invites.by_hash(TOKEN)
    assert revoked is not None
    assert revoked.revoked
    assert invites.remove(OTHER)
    assert not invites.remove(OTHER)
    assert not invites.use(OTHER, NOW)
    assert invites.all() == [revoked]


def test_a_label_is_under_the_rule_for_names(invites: Invites) -> None:
    with pytest.raises(InvalidNameError):
        invites.add(invite(label="a\u202eb"))
    assert invites.all() == []
