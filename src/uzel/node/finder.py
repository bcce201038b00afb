"""Finding the node of a user: hints, searches, the location cache (D20, D23, D24). Pure.

A search asks the UIN's hint nodes first, dialling as few of them as it can, and everyone a moment later; however many
ask for a UIN, one search is in flight. Whoever waits is told of every answer as it comes, and of the end. What was
found is cached; what nobody knew is not searched again for some seconds. The other half answers the searches of others;
our own clients' hints are kept up by `hints`. Counterpart: the other nodes' `Finder`s.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress, range_of
from uzel.node.context import Context
from uzel.node.hints import Hints
from uzel.node.limits import RateLimiter
from uzel.node.link import Link
from uzel.node.links import Links
from uzel.node.registry import ConnectionId
from uzel.session.locations import CacheBounds, Locations, Source
from uzel.session.ring import HINT_NODES
from uzel.wire import Address, FoundHere, FoundInCache, Search

MEMORY = 20_000
"""UINs of which it is remembered that nobody knew them, or that everyone was asked."""
ANSWER_PATIENCE = 0.15
"""Seconds that a hint node has for its answer before others are dialled for the same search."""
DIAL_PATIENCE = 0.4
"""Seconds that dialling a hint node may take before the others are dialled too; of the one second in all (D23)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that may have the user: told by its key, or else by its address.

    `here`: it said so itself, in answer to this search.
    """

    node: Fingerprint | None
    address: NodeAddress | None = None
    here: bool = False


class Seeker(Protocol):
    """Who waits for a search."""

    def found(self, call: int, candidate: Candidate, now: float) -> None:
        """Somebody answered."""

    def search_over(self, call: int, asked: frozenset[Fingerprint], now: float) -> None:
        """Nobody will answer any more; these nodes were asked."""


@dataclass(slots=True, eq=False)
class _Search:
    uin: int
    started: float
    without: frozenset[Fingerprint] = frozenset()
    asked: dict[ConnectionId, Fingerprint] = field(default_factory=dict)
    answered: dict[ConnectionId, None] = field(default_factory=dict)
    found: list[Candidate] = field(default_factory=list)
    waiting: dict[int, None] = field(default_factory=dict)
    far: list[Fingerprint] = field(default_factory=list)
    """Hint nodes that have no link and are not dialled yet, the nearest first."""
    dialling: int = 0
    good: bool = False
    everyone: bool = False
    starting: bool = True
    stage: str = ""


class Finder:
    """See the module's text."""

    def __init__(self, context: Context, links: Links, seeker: Seeker, is_here: Callable[[int], bool]) -> None:
        self._context = context
        self._settings = settings = context.settings.search
        self._links = links
        self._seeker = seeker
        self._is_here = is_here
        self.locations = Locations(
            CacheBounds(
                settings.cache,
                settings.hint_share,
                settings.hints_per_link,
                settings.cached,
                settings.hinted,
                settings.bad,
            )
        )
        self._searches: dict[int, _Search] = {}
        self._nobody: OrderedDict[int, float] = OrderedDict()
        self._everyone: OrderedDict[int, tuple[float, float]] = OrderedDict()
        """Until when everyone is not asked again, and how long that is."""
        self._of_client: RateLimiter[int] = RateLimiter(settings.searches_of_client)
        self._hints = Hints(context, links)
        self._draining = False

    def __len__(self) -> int:
        return len(self._searches)

    # -- Searching --------------------------------------------------------------------------------------------

    def cached(self, uin: int, now: float) -> list[Candidate]:
        """What the cache knows, the best first."""
        found = [Candidate(location.node) for location in self.locations.candidates(uin, now)]
        self._context.stats["cache_hits" if found else "cache_misses"] += 1
        return found

    def search(
        self,
        uin: int,
        call: int,
        client: int,
        now: float,
        *,
        everyone: bool = False,
        asked: frozenset[Fingerprint] = frozenset(),
    ) -> bool:
        """Look for the user; `found` and `search_over` tell the call, perhaps before this returns.

        With `everyone` only those are asked who were not asked yet: by a search in flight, or else `asked`. False when
        nobody is to be asked at all: it was just done, or the client asks too much.
        """
        search = self._searches.get(uin)
        if search is None:
            if not everyone and self._nobody.get(uin, now) > now:
                self._context.stats["searches_saved"] += 1
                return False
            if not self._of_client.take(client, now):
                self._context.note("search_refused", Reason.SEARCH_RATE, caller=client, callee=uin)
                return False
            search = self._searches[uin] = _Search(uin, now, without=asked)
            self._context.stats["searches"] += 1
            search.waiting[call] = None
            self._context.timers.set(("finder", "over", uin), now + self._settings.search)
            if everyone:
                self._ask_the_rest(search, now)
            else:
                self._ask_hint_nodes(search, now)
            search.starting = False
            self._end_if_done(search, now)
            return True
        search.waiting[call] = None
        if everyone and not search.everyone:
            search.starting = True
            self._ask_the_rest(search, now)
            search.starting = False
        for candidate in list(search.found):
            self._seeker.found(call, candidate, now)
        self._end_if_done(search, now)
        return True

    def leave(self, uin: int, call: int) -> None:
        """This call waits no more."""
        search = self._searches.get(uin)
        if search is not None:
            search.waiting.pop(call, None)

    def waiting_for(self, uin: int) -> list[int]:
        """The calls that wait for this user to be found."""
        search = self._searches.get(uin)
        return list(search.waiting) if search is not None else []

    def was_asked_by(self, uin: int, node: Fingerprint) -> bool:
        """A search for this user is in flight and asked this node."""
        search = self._searches.get(uin)
        return search is not None and node in search.asked.values()

    def led(self, uin: int, node: Fingerprint, now: float) -> None:
        """A call through this node got its AB."""
        self.locations.learn(uin, node, Source.LED, now)

    def called_from(self, uin: int, node: Fingerprint, now: float) -> None:
        """The user called us through this node (AA)."""
        self.locations.learn(uin, node, Source.REQUEST, now)

    # -- What links say ---------------------------------------------------------------------------------------

    def asked(self, link: Link, uin: int, now: float) -> None:
        """A5: answer A8, A9 or nothing; never with the asker's own address."""
        self._context.stats["searches_of_others"] += 1
        if self._draining:
            return
        if self._is_here(uin):
            self._links.send(link, FoundHere(uin))
            return
        for node in self.locations.to_tell(uin, now):
            if node in {link.node, self._context.own}:
                continue
            address = self._links.known.address_to_tell(node, link.range)
            if address is not None and address != link.address:
                self._links.send(link, FoundInCache(uin, Address(address.host, address.port)))
                return

    def found_here(self, link: Link, uin: int, now: float) -> None:
        """A8: an answer, or else a hint."""
        if uin == 0 or self._is_here(uin):
            return
        self._nobody.pop(uin, None)
        self._found_again(uin)
        search = self._searches.get(uin)
        if search is None or link.id not in search.asked:
            self._context.stats["hints_received"] += 1
            if not self.locations.learn(uin, link.node, Source.HINT, now):
                self._context.stats["hints_refused"] += 1
                return
        else:
            self.locations.learn(uin, link.node, Source.ANSWER, now)
        if search is not None:
            asked = link.id in search.asked
            self._answer(search, link, Candidate(link.node, here=asked), now)

    def _found_again(self, uin: int) -> None:
        """Somebody has the user: the next question to everyone waits no longer than the first did."""
        until, _ = self._everyone.get(uin, (0.0, 0.0))
        if until:
            self._everyone[uin] = (until, self._settings.everyone_every / 2)

    def found_in_cache(self, link: Link, told: FoundInCache, now: float) -> None:
        """A9: it counts only as the answer to our A5, one for each."""
        search = self._searches.get(told.uin)
        if search is None or link.id not in search.asked or link.id in search.answered:
            self._context.stats["answers_ignored"] += 1
            return
        if not self._links.known.learn(told.address, link.node, link.range, first=True):
            search.answered[link.id] = None
            self._end_if_done(search, now)
            return
        host = told.address.host
        address = NodeAddress(host, told.address.port) if range_of(host) else NodeAddress.of(host, told.address.port)
        known = self._links.known.get(address)
        node = known.fingerprint if known is not None and known.proven else None
        self._answer(search, link, Candidate(node, address), now)

    def link_up(self, link: Link, now: float) -> None:
        """It can be asked, and told of our clients."""
        self._hints.link_up(link, now)

    def link_down(self, link: Link, now: float) -> None:
        """It will not answer any more."""
        for search in [each for each in self._searches.values() if link.id in each.asked]:
            search.answered[link.id] = None
            self._end_if_done(search, now)

    # -- Our own clients' hints -------------------------------------------------------------------------------

    def client_online(self, uin: int, now: float) -> None:
        """Let the hint nodes know (D23)."""
        self._forget_others(uin)
        self._hints.client_online(uin, now)

    def client_offline(self, uin: int) -> None:
        """No more hints for it."""
        self._hints.client_offline(uin)

    def _forget_others(self, uin: int) -> None:
        """The user is here now: what was said of other nodes holds no more."""
        for location in self.locations.candidates(uin, float("-inf")):
            self.locations.drop(uin, location.node)

    def drain(self) -> None:
        """The node is stopping: it answers no searches, and its clients' hints are not kept up."""
        self._draining = True
        self._hints.stop()

    def due(self, key: tuple[object, ...], now: float) -> None:
        """A timer of ours is due."""
        match key:
            case (_, "everyone", int() as uin) if uin in self._searches:
                search = self._searches[uin]
                if not search.good and not search.everyone:
                    self._ask_everyone(search, now)
                self._end_if_done(search, now)
            case (_, "next dials", int() as uin) if uin in self._searches:
                self._dial_next(self._searches[uin], HINT_NODES, now)
                self._end_if_done(self._searches[uin], now)
            case (_, "hint dials", int() as uin) if uin in self._searches:
                self._searches[uin].dialling = 0
                self._searches[uin].far.clear()
                self._end_if_done(self._searches[uin], now)
            case (_, "over", int() as uin) if uin in self._searches:
                self._end(self._searches[uin], now)
            case (_, "hint", int() as uin, Fingerprint() as node):
                self._hints.due(uin, node, now)
            case (_, "ring"):
                self._hints.follow_ring(now)

    def ring_may_have_changed(self, now: float) -> None:
        """Before long, look which clients' hint nodes are others now."""
        self._hints.ring_may_have_changed(now)

    def forget_full(self, now: float) -> None:
        """Give back the memory of what has passed."""
        self._of_client.forget_full(now)
        self.locations.expire(now, at_most=256)

    # -- Inside: a search -------------------------------------------------------------------------------------

    def _ask_hint_nodes(self, search: _Search, now: float) -> None:
        """Those with a link at once. The others are dialled one by one, for a dial costs more than all the rest."""
        search.stage = "hint"
        for node in self._links.known.ring.hint_nodes(search.uin):
            link = self._links.newest(node)
            if link is not None:
                link.used_at = now
                self._ask(search, link)
            elif node != self._context.own:
                search.far.append(node)
        if search.asked:
            self._everyone_soon(search, now)
        elif not search.far:
            self._ask_everyone(search, now)
        if search.far:
            search.far.sort(key=self._links.known.distance)
            self._context.timers.set(("finder", "hint dials", search.uin), now + self._settings.hint_dial)
            if search.asked:
                self._patient(search, now + ANSWER_PATIENCE)
            else:
                is_near = self._links.known.distance(search.far[0]) < math.inf
                self._dial_next(search, 1 if is_near else 2, now)

    def _patient(self, search: _Search, until: float) -> None:
        """Dial the other hint nodes only then, unless somebody answers before."""
        if search.far:
            self._context.timers.set(("finder", "next dials", search.uin), until)

    def _dial_next(self, search: _Search, count: int, now: float) -> None:
        """Dial so many hint nodes more, the nearest first."""
        nodes, search.far = search.far[:count], search.far[count:]
        search.dialling += len(nodes)
        self._patient(search, now + DIAL_PATIENCE)
        for node in nodes:
            self._dial(search, node, now)

    def _dial(self, search: _Search, node: Fingerprint, now: float) -> None:
        def reached(link: Link | None, later: float) -> None:
            current = self._searches.get(search.uin)
            if current is not search or not search.dialling:
                return
            search.dialling -= 1
            if search.good:
                pass
            elif link is None:
                self._dial_next(search, 1, later)
            elif link.id not in search.asked:
                self._ask(search, link)
                self._everyone_soon(search, later)
                self._patient(search, later + ANSWER_PATIENCE)
            self._end_if_done(search, later)

        self._links.dialler.reach(node, None, now, reached)

    def _ask_the_rest(self, search: _Search, now: float) -> None:
        """What was found did not hold: everyone is asked (D20), and the hint nodes that need not be dialled before."""
        search.good = False
        self._ask_everyone(search, now)
        asked = {*search.without, *search.asked.values(), self._context.own}
        hint_nodes = self._links.known.ring.hint_nodes(search.uin)
        search.far = [node for node in hint_nodes if node not in asked and self._links.newest(node) is None]
        if search.far:
            self._context.timers.set(("finder", "hint dials", search.uin), now + self._settings.hint_dial)
            self._dial_next(search, HINT_NODES, now)

    def _everyone_soon(self, search: _Search, now: float) -> None:
        """From the first A5 on, the hint nodes are alone with the question for a moment."""
        key = ("finder", "everyone", search.uin)
        if not search.everyone and key not in self._context.timers:
            self._context.timers.set(key, now + self._settings.everyone_after)

    def _ask_everyone(self, search: _Search, now: float) -> None:
        search.everyone = True
        self._context.timers.clear(("finder", "everyone", search.uin))
        if self._everyone.get(search.uin, (now, 0.0))[0] > now:
            return
        asked = {*search.without, *search.asked.values()}
        links = [link for link in self._links.open_links() if link.node not in asked]
        if not links:
            return
        search.stage = "everyone"
        self._context.stats["everyone_steps"] += 1
        self._note_everyone(search.uin, now)
        for link in links:
            self._ask(search, link)

    def _note_everyone(self, uin: int, now: float) -> None:
        """Not again for a minute, then two, then four, while nobody is found."""
        every = self._settings.everyone_every
        interval = min(2 * self._everyone.get(uin, (0.0, every / 2))[1], 4 * every)
        self._everyone[uin] = (now + interval, interval)
        self._everyone.move_to_end(uin)
        while len(self._everyone) > MEMORY:
            self._everyone.popitem(last=False)

    def _ask(self, search: _Search, link: Link) -> None:
        search.asked[link.id] = link.node
        self._context.stats["searches_sent"] += 1
        self._links.send(link, Search(search.uin))

    def _answer(self, search: _Search, link: Link, candidate: Candidate, now: float) -> None:
        if link.id in search.asked:
            search.answered[link.id] = None
        if candidate.node == self._context.own or candidate in search.found:
            self._end_if_done(search, now)
            return
        search.found.append(candidate)
        if candidate.node is None or not self.locations.is_bad(search.uin, candidate.node, now):
            if not search.good:
                self._context.stats[f"answered_by_{search.stage}"] += 1
                self._context.stats["answer_milliseconds"] += round((now - search.started) * 1000)
            search.good = True
            search.far.clear()  # nobody else need be dialled
        for call in list(search.waiting):
            self._seeker.found(call, candidate, now)
        self._end_if_done(search, now)

    def _end_if_done(self, search: _Search, now: float) -> None:
        if self._searches.get(search.uin) is not search or search.dialling or search.far or search.starting:
            return
        if not search.everyone and not search.good:
            if ("finder", "everyone", search.uin) in self._context.timers:
                return
            self._ask_everyone(search, now)
        if len(search.answered) >= len(search.asked) and (search.everyone or search.good):
            self._end(search, now)

    def _end(self, search: _Search, now: float) -> None:
        del self._searches[search.uin]
        for what in ("everyone", "next dials", "hint dials", "over"):
            self._context.timers.clear(("finder", what, search.uin))
        if not search.found:
            self._context.stats["searches_in_vain"] += 1
            self._remember(self._nobody, search.uin, now + self._settings.negative)
        for call in list(search.waiting):
            self._seeker.search_over(call, frozenset(search.asked.values()), now)

    def _remember(self, memory: OrderedDict[int, float], uin: int, until: float) -> None:
        memory[uin] = until
        memory.move_to_end(uin)
        while len(memory) > MEMORY:
            memory.popitem(last=False)
