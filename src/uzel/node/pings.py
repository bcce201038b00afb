"""The 68s that go out on links, and the fences that stand until one of them is answered (D11, D19). Pure.

Rules: a fence goes up when a B8 ended something between two users, with a 68 behind what ended; it comes down at the
69. Its time counts from when that 68 leaves. On a link that ever answered a 68 it ends the link, on one that never did
it is two seconds (D11: not every node answers). Counterpart: the other nodes' `Links`, which answer.
"""

from __future__ import annotations

from typing import Protocol

from uzel.errors import Reason
from uzel.node.context import Context
from uzel.node.link import Link
from uzel.session.link_queue import Pair
from uzel.wire import Message, Ping


class LinkPings(Protocol):
    """Who sends them, and is told: `Links`."""

    def send(self, link: Link, message: Message, pair: Pair | None = None) -> None:
        """Put it into the link's queue: first, or behind what waits for the pair."""

    def close(self, link: Link, reason: Reason | None, now: float) -> None:
        """Close it."""

    def fence_down(self, link: Link, pair: Pair, now: float) -> None:
        """What was held back for this pair may go."""


class Pings:
    """See the module's text."""

    def __init__(self, context: Context, links: LinkPings) -> None:
        self._context = context
        self._settings = context.settings.links
        self._links = links

    def ping(self, link: Link, now: float) -> None:
        """Ask for a sign of life."""
        token = self._free_token(link)
        link.note_ping(token, now)
        self._links.send(link, Ping(token))

    def raise_fence(self, link: Link, pair: Pair, now: float) -> None:
        """Nothing of this pair counts from this link until the 69 comes; a link with too many fences is closed."""
        if len(link.fences) >= self._settings.fences and pair not in link.fences:
            self._links.close(link, Reason.FENCES_FULL, now)
            return
        token = self._free_token(link)
        link.raise_fence(pair, token)
        self._context.timers.clear(_timer(link, pair))
        self._links.send(link, Ping(token), pair)

    def left(self, link: Link, token: bytes, now: float) -> None:
        """A 68 has been taken out of the link's queue."""
        link.pinged = True
        pair = link.fence_of.get(token)
        if pair is not None:
            link.fence_left[pair] = now
            patience = self._settings.silence if link.answers_pings else self._settings.fence
            self._context.timers.set(_timer(link, pair), now + patience)
        elif token in link.pings:
            link.pings[token] = now

    def answered(self, link: Link, token: bytes, now: float) -> None:
        """A 69 came; one to no 68 of ours says nothing."""
        if token in link.fence_of:
            link.answers_pings = True
            self._lower(link, link.fence_of[token], now)
        elif token in link.pings:
            link.answers_pings = True
            link.round_trip = now - link.pings.pop(token)

    def fence_due(self, link: Link, pair: Pair, now: float) -> None:
        """Its 69 has not come in time."""
        latest = link.fence_left.get(pair, now) + self._settings.silence
        if not link.answers_pings:
            self._lower(link, pair, now)
        elif now < latest:  # it has answered one meanwhile: so it will answer this one
            self._context.timers.set(_timer(link, pair), latest)
        else:
            self._links.close(link, Reason.FENCE_UNANSWERED, now)

    def forget(self, link: Link) -> None:
        """The link is gone, and its fences with it."""
        for pair in list(link.fences):
            self._context.timers.clear(_timer(link, pair))
            link.lower_fence(pair)

    def _lower(self, link: Link, pair: Pair, now: float) -> None:
        link.lower_fence(pair)
        self._context.timers.clear(_timer(link, pair))
        self._links.fence_down(link, pair, now)

    def _free_token(self, link: Link) -> bytes:
        token = self._context.tokens()
        while not link.is_free(token):
            token = ((int.from_bytes(token, "little") + 1) % 65536).to_bytes(2, "little")
        return token


def _timer(link: Link, pair: Pair) -> tuple[object, ...]:
    return ("links", "fence", link.id, pair)
