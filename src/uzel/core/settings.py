"""The core's times and bounds, with their defaults. Seconds, unless said otherwise.

Counterpart: `uzel.client.settings`, those of the connections below.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from uzel.node.limits import Rate

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxTimes:
    """When people are called because texts wait for them.

    first, last, jitter: the delay after a call that failed; it doubles from `first` to `last`, varied by ± `jitter`.
    hurry: a new text is tried at once, but no sooner than this after the last try.
    stable: a conversation that lived so long sets the delays back.
    asked: between tries at somebody who has not let us in.
    idle: a conversation in which nothing was said for so long is closed.
    at_once: calls being set up at the same time.
    calls: calls in all; well below what a node allows its client.
    greeted: contacts with recent chats that are called after coming online, so that what they hold comes.
    greet_every: between two of those.
    """

    first: float = 1.0
    last: float = 120.0
    jitter: float = 0.2
    hurry: float = 3.0
    stable: float = 30.0
    asked: float = HOUR
    idle: float = 120.0
    at_once: int = 8
    calls: Rate = Rate(60, 20)
    greeted: int = 50
    greet_every: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateBounds:
    """Strangers and callers.

    requests: strangers that wait for an answer; the one that has waited longest goes first.
    knock: characters of the one text that is kept of each.
    calls: conversations that one UIN may begin.
    strangers: conversations that all strangers together may begin.
    stranger: seconds that a conversation with somebody who is not let in may last.
    invite: seconds that a peer who refuses us may take to look at our invite.
    """

    requests: int = 100
    knock: int = 1000
    calls: Rate = Rate(30, 20)
    strangers: Rate = Rate(60, 30)
    stranger: float = 20.0
    invite: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryBounds:
    """One conversation.

    take: texts that are taken from the outbox at a time, and their bytes.
    keep: texts that are committed together.
    """

    take: int = 256
    take_bytes: int = 1024 * 1024
    keep: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """Everything together."""

    outbox: OutboxTimes = field(default_factory=OutboxTimes)
    gate: GateBounds = field(default_factory=GateBounds)
    delivery: DeliveryBounds = field(default_factory=DeliveryBounds)
