"""Our own clients' hints, kept up at the nodes that the ring names (D23). Pure.

Rules: A8 at login, again and again while the client is online, and at once to a newcomer among the three. A dial costs
far more than an A8, so hints travel together: a node is dialled only when one of its hints is nearly as old as it may
be, and whatever brings a link to it, whoever dialled and for what, takes along all that are old enough. Counterparts:
the other nodes' `Finder.found_here`, which keep them, and `session.ring`, which says where.
"""

from __future__ import annotations

import math
from itertools import islice

from uzel.names import Fingerprint
from uzel.node.context import Context
from uzel.node.link import Link
from uzel.node.links import Links
from uzel.wire import FoundHere

RETRY_HINT = 60.0
"""Seconds after which a hint node that could not be reached is tried again."""
EARLIEST = 0.8
"""The share of the refresh time after which a hint may go along with something else: 20 of 25 minutes (D23)."""
LATEST, SPREAD = 1.1, 0.07
"""The share of it after which a node is dialled for a hint, give or take so much of that: 25 to 30 minutes."""
AT_ONCE = 1000
"""Hints that go along with one new link, so that they never fill its queue; the others go in their own time."""


class Hints:
    """See the module's text."""

    def __init__(self, context: Context, links: Links) -> None:
        self._context = context
        self._settings = context.settings.search
        self._links = links
        self._nodes: dict[int, tuple[Fingerprint, ...]] = {}
        self._sent: dict[Fingerprint, dict[int, float]] = {}
        """By hint node: when each client's hint was sent there last."""
        self._ring_version = 0

    def client_online(self, uin: int, now: float) -> None:
        """Let its hint nodes know."""
        self.client_offline(uin)
        self._nodes[uin] = ()
        self._follow(uin, now)

    def client_offline(self, uin: int) -> None:
        """No more hints for it."""
        for node in self._nodes.pop(uin, ()):
            self._forget(uin, node)

    def stop(self) -> None:
        """No more hints at all."""
        for uin in list(self._nodes):
            self.client_offline(uin)

    def link_up(self, link: Link, now: float) -> None:
        """A new link: what is old enough goes along."""
        old = (uin for uin, sent in self._sent.get(link.node, {}).items() if self._is_old(sent, now))
        for uin in list(islice(old, AT_ONCE)):
            self._send(uin, link, now)

    def due(self, uin: int, node: Fingerprint, now: float) -> None:
        """This hint is to be sent there, now, or to be tried again."""
        if uin in self._sent.get(node, {}):
            self._bring(uin, node, now)

    def ring_may_have_changed(self, now: float) -> None:
        """Before long, look which clients' hint nodes are others now."""
        if self._ring_version != self._links.known.ring.version and ("finder", "ring") not in self._context.timers:
            self._context.timers.set(("finder", "ring"), now + self._settings.ring)

    def follow_ring(self, now: float) -> None:
        """Look now."""
        self._ring_version = self._links.known.ring.version
        for uin in list(self._nodes):
            self._follow(uin, now)

    def _follow(self, uin: int, now: float) -> None:
        before, nodes = self._nodes[uin], tuple(self._links.known.ring.hint_nodes(uin))
        self._nodes[uin] = nodes
        for node in before:
            if node not in nodes:
                self._forget(uin, node)
        for node in nodes:
            if node not in before:
                self._sent.setdefault(node, {})[uin] = -math.inf
                self._bring(uin, node, now)

    def _bring(self, uin: int, node: Fingerprint, now: float) -> None:
        def reached(link: Link | None, later: float) -> None:
            sent = self._sent.get(node, {}).get(uin)
            if sent is None or not self._is_old(sent, later):
                pass  # it is offline, or its hint went along with another's, or over a link that the node dialled
            elif link is None:
                self._set(uin, node, later + self._context.vary(RETRY_HINT, 0.2))
            else:
                self._send(uin, link, later)

        link = self._links.newest(node)
        if link is None:
            self._links.dialler.reach(node, None, now, reached)
        else:
            link.used_at = now
            self._send(uin, link, now)

    def _is_old(self, sent: float, now: float) -> bool:
        return sent <= now - EARLIEST * self._settings.hint_refresh

    def _send(self, uin: int, link: Link, now: float) -> None:
        self._context.stats["hints_sent"] += 1
        self._sent[link.node][uin] = now
        self._set(uin, link.node, now + self._context.vary(LATEST * self._settings.hint_refresh, SPREAD))
        self._links.send(link, FoundHere(uin))

    def _set(self, uin: int, node: Fingerprint, when: float) -> None:
        self._context.timers.set(("finder", "hint", uin, node), when)

    def _forget(self, uin: int, node: Fingerprint) -> None:
        self._context.timers.clear(("finder", "hint", uin, node))
        sent = self._sent[node]
        del sent[uin]
        if not sent:
            del self._sent[node]
