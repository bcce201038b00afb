"""The way of a call to its callee's node: cache, search, one node after the other (D20, D26). Pure.

Three nodes at most are tried, each once. When all of them were hearsay (the cache, a hint, an A9), everyone not yet
asked is asked once more, and up to three of the answers are tried. A location that failed of late ranks last: it is
tried only when nothing better is known, what failed longest ago first, and after its second failure only when a search
had a moment to find something better. Counterpart: `calls.Calls`, which asks the nodes that are reached.
"""

from __future__ import annotations

from typing import Protocol

from uzel.names import Fingerprint
from uzel.node.call_record import CallRecord, Quest
from uzel.node.context import Context
from uzel.node.finder import Candidate, Finder
from uzel.node.link import Link
from uzel.node.links import Links
from uzel.session.calls import CallState

MOST_CANDIDATES = 16
"""Answers that are kept for one call."""


class Traveller(Protocol):
    """Who is told where a quest leads."""

    def located(self, call: CallRecord, link: Link, now: float) -> None:
        """Ask this node."""

    def not_found(self, call: CallRecord, now: float) -> None:
        """No node is left."""


class Quests:
    """Works on calls in state LOCATING."""

    def __init__(self, context: Context, links: Links, finder: Finder, traveller: Traveller) -> None:
        self._context = context
        self._settings = context.settings.search
        self._links = links
        self._finder = finder
        self._traveller = traveller

    def begin(self, call: CallRecord, now: float) -> None:
        """Look for the callee's node; `located` or `not_found` follow, perhaps at once."""
        call.quest = Quest(candidates=self._finder.cached(call.callee, now))
        self.go_on(call, now)

    def end(self, call: CallRecord) -> None:
        """The call is asked, or over: no answers are wanted, no dial waited for."""
        if call.quest is not None:
            call.quest.serial += 1
            call.quest.trying = None
            self._context.timers.clear(("calls", "better", call.number))
            if call.quest.searching:
                self._finder.leave(call.callee, call.number)

    def failed(self, call: CallRecord, link: Link, now: float, *, silent: bool) -> None:
        """This node said no or was lost: its location is dropped; if it said nothing in time, it is marked as well."""
        if silent:
            self._finder.locations.mark_bad(call.callee, link.node, now)
        self._finder.locations.drop(call.callee, link.node)

    def found(self, call: CallRecord, candidate: Candidate, now: float) -> None:
        """Somebody answered the search."""
        quest = call.quest
        if quest is None or len(quest.candidates) >= MOST_CANDIDATES:
            return
        if candidate.here:
            quest.hearsay &= candidate.node not in quest.tried
            quest.candidates = [each for each in quest.candidates if each.node != candidate.node]
        quest.candidates.append(candidate)
        if call.state is CallState.LOCATING:
            self.go_on(call, now)

    def search_over(self, call: CallRecord, asked: frozenset[Fingerprint], now: float) -> None:
        """No more answers."""
        if call.quest is not None:
            call.quest.searching = False
            call.quest.asked |= asked
            if call.state is CallState.LOCATING:
                self.go_on(call, now)

    def go_on(self, call: CallRecord, now: float) -> None:
        """Try the next node, search, or give up."""
        quest = call.quest
        assert quest is not None
        if quest.trying is not None:
            return
        candidate = self._next(call, quest, now)
        if candidate is None and not quest.searched:
            quest.searched = True
            self._search(call, quest, now, everyone=bool(quest.serial))
            if not self._is_idle(call):
                return
            candidate = self._next(call, quest, now)
        if candidate is not None:
            self._try(call, quest, candidate, now)
        elif quest.searching and (quest.hearsay or now < quest.better_by):
            self._wait_for_better(call, quest, now)
        elif quest.serial and quest.hearsay and not quest.everyone:
            quest.tries = 0
            self._search(call, quest, now, everyone=True)
            if self._is_idle(call):
                self.go_on(call, now)
        else:
            self._traveller.not_found(call, now)

    @staticmethod
    def _is_idle(call: CallRecord) -> bool:
        """Nothing that was just begun has taken it further already."""
        return call.state is CallState.LOCATING and call.quest is not None and call.quest.trying is None

    def _search(self, call: CallRecord, quest: Quest, now: float, *, everyone: bool) -> None:
        quest.everyone |= everyone
        if everyone:
            quest.tries = 0
        quest.searching = True
        quest.better_by = now + self._settings.better
        if not self._finder.search(call.callee, call.number, call.caller, now, everyone=everyone, asked=quest.asked):
            quest.searching = False

    def _next(self, call: CallRecord, quest: Quest, now: float) -> Candidate | None:
        """The best that is left: what did not fail of late, else what failed longest ago."""
        if quest.tries >= self._settings.tries:
            return None
        locations = self._finder.locations
        failed: list[tuple[float, Fingerprint, Candidate]] = []
        for candidate in quest.candidates:
            node = candidate.node
            if node is None or not locations.is_bad(call.callee, node, now):
                if node is None or (node not in quest.tried and node != self._context.own):
                    return candidate
            elif node not in quest.tried:
                failed.append((locations.marked_until(call.callee, node, now), node, candidate))
        if not failed or not quest.searched:
            return None
        _, node, candidate = min(failed, key=lambda each: each[0])
        if locations.marks(call.callee, node, now) > 1:
            if quest.searching and now < quest.better_by:
                return None
            if len(failed) == 1 and not quest.tried:
                locations.vindicate(call.callee, node, now)
        return candidate

    def _wait_for_better(self, call: CallRecord, quest: Quest, now: float) -> None:
        if (quest.candidates or not quest.hearsay) and quest.better_by > now:
            self._context.timers.set(("calls", "better", call.number), quest.better_by)

    def _try(self, call: CallRecord, quest: Quest, candidate: Candidate, now: float) -> None:
        quest.candidates.remove(candidate)
        quest.tries += 1
        quest.serial += 1
        quest.trying = candidate
        serial = quest.serial

        def reached(link: Link | None, later: float) -> None:
            if quest.serial != serial or call.state is not CallState.LOCATING:
                return
            quest.trying = None
            if link is None:
                if candidate.node is not None:
                    self._finder.locations.drop(call.callee, candidate.node)
                    quest.tried.add(candidate.node)
                self.go_on(call, later)
            elif link.node in quest.tried:
                self.go_on(call, later)
            else:
                quest.tried.add(link.node)
                quest.hearsay &= not candidate.here
                self._traveller.located(call, link, later)

        self._links.dialler.reach(candidate.node, candidate.address, now, reached)
