"""The addresses of other nodes: who told them, which are proven, who is where (D22). Pure.

An address is *learned* when somebody told it: a list (A4), an answer (A9), an announcement (A2). It is *proven* when
this node dialled it and met a node there; only proven ones are told to others and lie on the ring. What is told is
bounded: in all, by giver, and in how often it may be dialled, so that nobody makes this node scan or flood a third
party. Addresses of the ranges that are not public count only from, and are told only to, nodes in the same range.
Counterpart: the node lists of others.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from uzel.errors import InvalidNameError, Reason
from uzel.names import Fingerprint, NodeAddress, NodeReference, Range, range_of
from uzel.node.context import Context
from uzel.node.limits import Counts, PerMinute, RateLimiter
from uzel.session.ring import Ring, best_address
from uzel.wire import Address

EVERY_RANGE = frozenset({Range.LOOPBACK, Range.LINK_LOCAL, Range.PRIVATE, Range.PUBLIC})
ONE_RANGE = {each: frozenset({each}) for each in Range}
"""Shared by the many addresses that may be dialled in one range only."""
MOST_OWN = 256
"""Own addresses that are remembered."""
MOST_GIVERS = 128
"""Givers that are looked at for one whose turn it is."""


@dataclass(slots=True, eq=False)
class KnownNode:
    """One address. `fingerprint` is whom we met there last; `pinned` whom a configured one must be,
    `stored` the pin that is kept across restarts.

    `giver` told it (None: configured, or remembered from before); `ranges` are those it may be dialled in;
    `reached` is the range it was met in. `answered` is in Unix seconds when it comes from the store, else None.
    `took` is how many seconds the last dial took that succeeded.
    """

    address: NodeAddress
    ranges: frozenset[Range]
    configured: bool = False
    pinned: Fingerprint | None = None
    stored: Fingerprint | None = None
    fingerprint: Fingerprint | None = None
    proven: bool = False
    reached: Range | None = None
    giver: Fingerprint | None = None
    failures: int = 0
    attempts: int = 0
    last_error: Reason | None = None
    retry_at: float = 0.0
    answered: float | None = None
    took: float = math.inf


class KnownNodes:
    """See the module's text."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._settings = context.settings.links
        self._nodes: dict[NodeAddress, KnownNode] = {}
        self._by_node: dict[Fingerprint, dict[NodeAddress, KnownNode]] = {}
        self._own: OrderedDict[NodeAddress, None] = OrderedDict()
        self._told_by: Counts[Fingerprint] = Counts()
        self._learned = 0
        self._to_meet: OrderedDict[Fingerprint | None, OrderedDict[NodeAddress, None]] = OrderedDict()
        self._dials: RateLimiter[None] = RateLimiter(self._settings.learned_dials)
        self._dials_of: PerMinute[Fingerprint] = PerMinute(self._settings.giver_dials)
        self.ring = Ring()

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[KnownNode]:
        return iter(self._nodes.values())

    def get(self, address: NodeAddress) -> KnownNode | None:
        """What is known of this address."""
        return self._nodes.get(address)

    def is_own(self, address: NodeAddress) -> bool:
        """This node itself answers there."""
        return address in self._own

    def nodes(self) -> list[Fingerprint]:
        """Those with a proven address."""
        return list(self._by_node)

    def proven_addresses(self, node: Fingerprint) -> list[NodeAddress]:
        """Where this node was met, the best first."""
        found = list(self._by_node.get(node, ()))
        best = best_address(found)
        return found if best is None else [best, *(address for address in found if address != best)]

    def distance(self, node: Fingerprint) -> float:
        """Seconds that it took to dial this node, when last it was; infinite when it never was."""
        return min((known.took for known in self._by_node.get(node, {}).values()), default=math.inf)

    def address_to_tell(self, node: Fingerprint, asker: Range | None) -> NodeAddress | None:
        """Where the node is, for somebody in this range."""
        known = self._by_node.get(node, {}).values()
        return best_address(each.address for each in known if self._may_tell(each, asker))

    # -- Coming to know ---------------------------------------------------------------------------------------

    def configure(self, reference: NodeReference, pinned: Fingerprint | None) -> KnownNode:
        """A node that the operator names: kept for ever, dialled in any range."""
        known = self._nodes.get(reference.address)
        if known is None:
            known = self._nodes[reference.address] = KnownNode(reference.address, EVERY_RANGE)
        elif not known.configured:
            self._uncount(known)
        known.configured, known.ranges, known.giver = True, EVERY_RANGE, None
        known.pinned, known.stored = reference.fingerprint or pinned, pinned
        return known

    def restore(self, address: NodeAddress, node: Fingerprint, answered: float) -> None:
        """A node that answered there before this one was started: to be met again before long."""
        known = self._nodes.get(address)
        if known is None:
            if self._learned >= self._settings.learned:
                return
            # a name may point elsewhere now: it must not lead inside
            known = self._nodes[address] = KnownNode(address, ONE_RANGE[range_of(address.host) or Range.PUBLIC])
            self._learned += 1
        known.answered = answered
        known.reached = known.reached or range_of(address.host)
        self._prove(known, node)
        if not known.configured:
            self._to_meet.setdefault(None, OrderedDict())[address] = None

    def learn(self, told: Address, giver: Fingerprint, giver_range: Range | None, *, first: bool = False) -> bool:
        """Somebody tells an address. False when it does not count. With `first` it is needed: met before others."""
        if not 0 < told.port < 65535:
            return False
        found = range_of(told.host)
        if found is Range.NOWHERE or (found not in {None, Range.PUBLIC} and found is not giver_range):
            return False
        try:
            address = NodeAddress(told.host, told.port) if found is not None else NodeAddress.of(told.host, told.port)
        except InvalidNameError:
            return False
        if address in self._own:
            return False
        if address in self._nodes:
            return True
        if not self._has_room(giver, first=first):
            return False
        ranges = ONE_RANGE[found or Range.PUBLIC]
        if found is None and giver_range not in {None, Range.NOWHERE, Range.PUBLIC}:
            ranges = ranges | ONE_RANGE[giver_range]
        self._nodes[address] = KnownNode(address, ranges, giver=giver)
        self._learned += 1
        self._told_by.add(giver)
        self.meet_again(address, first=first)
        return True

    def _has_room(self, giver: Fingerprint, *, first: bool) -> bool:
        """Below the bounds. For what is needed now something that was only told gives way, of whoever told most."""
        if self._told_by[giver] >= self._settings.learned_per_giver:
            return first and self._drop_one_of(giver)
        if self._learned < self._settings.learned:
            return True
        most = self._told_by.largest() if first else None
        return most is not None and most != giver and self._drop_one_of(most)

    def _drop_one_of(self, giver: Fingerprint) -> bool:
        """Forget the last of those that this giver told and that were never dialled."""
        waiting = self._to_meet.get(giver)
        while waiting:
            known = self._nodes.get(waiting.popitem()[0])
            if known is not None and not known.proven and not known.configured:
                self._remove(known)
                return True
        return False

    def meet_again(self, address: NodeAddress, *, first: bool = False) -> None:
        """Put it among those to be dialled."""
        known = self._nodes.get(address)
        if known is None or known.configured:
            return
        waiting = self._to_meet.setdefault(known.giver, OrderedDict())
        waiting[address] = None
        if first:
            waiting.move_to_end(address, last=False)

    def note_own(self, address: NodeAddress) -> None:
        """We met ourselves there (D21)."""
        self._own[address] = None
        while len(self._own) > MOST_OWN:
            self._own.popitem(last=False)
        known = self._nodes.get(address)
        if known is not None and known.configured:
            self._doubt(known)
        elif known is not None:
            self._remove(known)

    # -- Meeting ----------------------------------------------------------------------------------------------

    @property
    def has_to_meet(self) -> bool:
        """Some addresses wait to be dialled."""
        return bool(self._to_meet)

    def next_to_meet(self, now: float) -> KnownNode | None:
        """The next address whose turn it is, the givers taking turns; it counts as dialled. None for now."""
        if not self._to_meet or not self._has_dial(now):
            return None
        for _ in range(min(len(self._to_meet), MOST_GIVERS)):
            giver, waiting = self._to_meet.popitem(last=False)
            while waiting:
                if giver is not None and not self._dials_of.take(giver, now):
                    break
                known = self._nodes.get(waiting.popitem(last=False)[0])
                if known is not None:
                    if waiting:
                        self._to_meet[giver] = waiting
                    self._dials.take(None, now)
                    return known
            if waiting:
                self._to_meet[giver] = waiting
        return None

    def giver_may(self, known: KnownNode, now: float) -> bool:
        """Whoever told it may still have addresses dialled on its word."""
        return known.giver is None or self._dials_of.has(known.giver, now)

    def may_dial(self, known: KnownNode, now: float) -> bool:
        """A dial outside the turns: free to proven and configured ones, else it counts against the budgets."""
        if known.configured or known.proven:
            return True
        if not self._has_dial(now) or (known.giver is not None and not self._dials_of.take(known.giver, now)):
            return False
        self._dials.take(None, now)
        self._to_meet.get(known.giver, OrderedDict()).pop(known.address, None)
        return True

    def answered(self, known: KnownNode, node: Fingerprint, host: str) -> None:
        """This node was met there, at this IP address."""
        known.failures = 0
        known.last_error = None
        known.reached = range_of(host)
        if self._nodes.get(known.address) is known:  # else it gave way while it was dialled
            self._prove(known, node)

    def failed(self, known: KnownNode, reason: Reason, now: float) -> bool:
        """It could not be met. True when it is forgotten for that."""
        known.failures += 1
        known.attempts += 1
        known.last_error = reason
        if reason is Reason.NODE_KEY_CHANGED:  # somebody else is there
            self._doubt(known)
        known.retry_at = now + self.delay(known)
        if known.failures < self._settings.failures:
            return False
        if known.configured:  # kept, and told to nobody until it answers again
            self._doubt(known)
            return False
        self._remove(known)
        return True

    def delay(self, known: KnownNode) -> float:
        """Seconds until the next dial, after so many attempts: growing, jittered (D21)."""
        times = self._settings.redial
        base = min(times.last, times.first * 2.0 ** min(known.attempts - 1, 30))
        return self._context.vary(base, times.jitter)

    # -- Telling ----------------------------------------------------------------------------------------------

    def tell(self, at_most: int, asker: Range | None, without: Fingerprint | None) -> tuple[Address, ...]:
        """Random proven addresses for somebody in this range, none of its own."""
        nodes = list(self._by_node)
        told: list[Address] = []
        for place in range(len(nodes)):
            chosen = place + self._context.pick(len(nodes) - place)
            nodes[place], nodes[chosen] = nodes[chosen], nodes[place]
            node = nodes[place]
            if node == without:
                continue
            fit = (known.address for known in self._by_node[node].values() if self._may_tell(known, asker))
            told += [Address(address.host, address.port) for address in fit]
            if len(told) >= at_most:
                break
        return tuple(told[:at_most])

    @staticmethod
    def _may_tell(known: KnownNode, asker: Range | None) -> bool:
        return known.proven and (known.reached is Range.PUBLIC or (asker is not None and known.reached is asker))

    # -- Inside -----------------------------------------------------------------------------------------------

    def _has_dial(self, now: float) -> bool:
        return self._dials.has(None, now)

    def _prove(self, known: KnownNode, node: Fingerprint) -> None:
        before = known.fingerprint
        known.proven, known.fingerprint = True, node
        if before is not None and before != node:
            self._unprove(before, known)
        self._by_node.setdefault(node, {})[known.address] = known
        self.ring.put(node, self._by_node[node])

    def _doubt(self, known: KnownNode) -> None:
        """It is no longer known who is there."""
        known.proven = False
        if known.fingerprint is not None:
            self._unprove(known.fingerprint, known)

    def _unprove(self, node: Fingerprint, known: KnownNode) -> None:
        addresses = self._by_node.get(node, {})
        addresses.pop(known.address, None)
        self.ring.put(node, addresses)
        if not addresses:
            self._by_node.pop(node, None)

    def _remove(self, known: KnownNode) -> None:
        del self._nodes[known.address]
        self._uncount(known)
        if known.fingerprint is not None:
            self._unprove(known.fingerprint, known)

    def _uncount(self, known: KnownNode) -> None:
        self._learned -= 1
        if known.giver is not None:
            self._told_by.remove(known.giver)
