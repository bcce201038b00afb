"""Who is let in: contacts, strangers, invites, blocks (promise 5). Pure.

A UIN in an incoming call is only claimed, so nothing but a rate is applied to it; the rules below are applied to the
key that proved itself in the end-to-end handshake (section 6, `gate`). A contact is let in; whoever is blocked or shows
another key than before is not; a stranger is let in with a valid invite, may knock when the person is to be asked, and
is refused otherwise. What a stranger says is no text until it is let in. Counterpart: the `gate` in others' `hello`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from uzel.core.settings import GateBounds
from uzel.names import Uin
from uzel.node.limits import RateLimiter
from uzel.session.envelopes import Gate

__all__ = ["CallRates", "Gate", "Standing", "Strangers", "judge"]


class Strangers(StrEnum):
    """What becomes of people who are no contacts."""

    REFUSE = "contacts-only"
    """Nobody but contacts is let in, and people with an invite."""
    ASK = "ask"
    """They knock, and the person decides."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of somebody whose key has proved itself."""

    contact: bool = False
    blocked: bool = False
    stopped: bool = False
    """Another key was shown before and the person has not decided."""


def judge(standing: Standing, strangers: Strangers, *, invited: bool = False) -> Gate:
    """Whether this peer's texts are taken."""
    if standing.blocked or standing.stopped:
        return Gate.REFUSED
    if standing.contact or invited:
        return Gate.OPEN
    return Gate.ASKED if strangers is Strangers.ASK else Gate.REFUSED


class CallRates:
    """How often anybody may call. The UIN is only claimed, so strangers have a bound together as well."""

    def __init__(self, bounds: GateBounds) -> None:
        self._each: RateLimiter[Uin] = RateLimiter(bounds.calls, bound=10_000)
        self._strangers: RateLimiter[None] = RateLimiter(bounds.strangers)

    def allows(self, caller: Uin, now: float, *, contact: bool) -> bool:
        """Take the call; False when this is too often."""
        if not contact and not self._strangers.take(None, now):
            return False
        return self._each.take(caller, now)
