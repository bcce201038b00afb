"""Dialling other nodes: those kept, those that somebody needs now, those told and never met (D21, D22). Pure.

Rules: the configured nodes and up to 64 others are kept, and dialled again with growing delays; a known node is
dialled when a call, search or hint needs it; an address that was only told waits for its turn, one in a second in all
and five a minute on one giver's word. What a dial finds decides: ourselves, a changed key, somebody else, or whom we
meant. Counterparts: `links.Links`, which takes what was dialled, and the shell, which opens the connections.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress, NodeReference
from uzel.node.context import Context
from uzel.node.effects import Close, Dial, Forget, PinNode, Remember, StopDial
from uzel.node.known_nodes import KnownNode, KnownNodes
from uzel.node.link import Link
from uzel.node.registry import ConnectionId

Reached = Callable[[Link | None, float], None]
"""Told once: the link that stands now, or None when there will be none; and the time."""
Wanting = tuple[Fingerprint | None, Reached]
"""Who waits for a dial, and for which node; None takes whoever is there."""


class LinkTable(Protocol):
    """Who has the links."""

    def links_of(self, node: Fingerprint) -> list[Link]:
        """All links to this node, the newest last."""

    def open_dialled(
        self, connection: ConnectionId, host: str, node: Fingerprint, address: NodeAddress, now: float, *, kept: bool
    ) -> Link | None:
        """Make a link of it; None when there is no room."""


@dataclass(slots=True, eq=False)
class _Dialling:
    known: KnownNode
    began: float
    keep: bool = False
    waiting: list[Wanting] = field(default_factory=list)


class Dialler:
    """See the module's text."""

    def __init__(self, context: Context, table: LinkTable) -> None:
        self._context = context
        self._settings = context.settings.links
        self._table = table
        self.known = KnownNodes(context)
        self._dials: dict[int, _Dialling] = {}
        self._dial_at: dict[NodeAddress, int] = {}
        self._numbers = 0
        self._configured: list[KnownNode] = []
        self._kept: dict[Fingerprint, NodeAddress] = {}
        self._demanded: OrderedDict[NodeAddress, list[Wanting]] = OrderedDict()
        """Addresses never reached that somebody needs now: they go before the others that wait to be met."""
        self._draining = False

    def __len__(self) -> int:
        return len(self._dials)

    def is_dialling(self, known: KnownNode) -> bool:
        """It is being dialled."""
        return known.address in self._dial_at

    def missing(self) -> list[KnownNode]:
        """What is being dialled, and the configured nodes that have no link."""
        missing = {dialling.known.address: dialling.known for dialling in self._dials.values()}
        for known in self._configured:
            if self.known.is_own(known.address):
                continue
            if known.fingerprint is None or not self._table.links_of(known.fingerprint):
                missing[known.address] = known
        return list(missing.values())

    # -- What others want -------------------------------------------------------------------------------------

    def configure(self, reference: NodeReference, pinned: Fingerprint | None, now: float) -> None:
        """A node that the operator names: dial it."""
        known = self.known.configure(reference, pinned)
        self._configured.append(known)
        if not self._dial(known, now, keep=True):
            self._context.timers.set(("dialler", "redial", known.address), now + 1.0)

    def restore(self, address: NodeAddress, node: Fingerprint, answered: float, now: float) -> None:
        """A node that was known before the start."""
        self.known.restore(address, node, answered)
        self.meet_soon(now)

    def reach(self, node: Fingerprint | None, address: NodeAddress | None, now: float, reached: Reached) -> None:
        """Get a link to this node, or to whoever is at this address; `reached` is told, at once or later.

        An address that nobody proved must have been learned before, and waits for its turn within the budgets.
        """
        if node is None and address is not None:
            known = self.known.get(address)
            node = known.fingerprint if known is not None and known.proven else None
        links = self._table.links_of(node) if node is not None else []
        if links:
            link = links[-1]
            link.used_at = now
            reached(link, now)
            return
        choice = self.known.proven_addresses(node) if node is not None else []
        if not choice and address is not None:
            choice = [address]
        for each in choice:
            known = self.known.get(each)
            if known is not None and (
                self._dial(known, now, waiting=(node, reached)) or self._demand(known, (node, reached), now)
            ):
                return
        reached(None, now)

    # -- What dials come to ----------------------------------------------------------------------------------

    def dialled(self, connection: ConnectionId, dial: int, host: str, node: Fingerprint, now: float) -> None:
        """A dial has reached TLS: is it whom we meant?"""
        dialling = self._dials.pop(dial, None)
        if dialling is None:
            self._context.do(Close(connection, None))
            return
        known = dialling.known
        del self._dial_at[known.address]
        fault = self._fault(known, node)
        if fault is not None:
            self._context.note("link_refused", node=node)
            self._context.do(Close(connection, fault))
            self._not_met(dialling, fault, now)
            return
        before = known.fingerprint
        if before is not None and before != node and self._kept.get(before) == known.address:
            del self._kept[before]
        self._met(known, node, host)
        known.took = now - dialling.began
        link = None
        if self._wants(dialling, node):
            kept = self._keep(node, known)
            link = self._table.open_dialled(connection, host, node, known.address, now, kept=kept)
        if link is None:  # it was only to be met
            self._context.do(Close(connection, None))
        for want, reached in dialling.waiting:
            reached(link if want in {None, node} else None, now)

    def _met(self, known: KnownNode, node: Fingerprint, host: str) -> None:
        self.known.answered(known, node, host)
        if known.configured and known.stored != node:
            known.pinned = known.stored = node
            self._context.do(PinNode(known.address, node))
        self._context.do(Remember(known.address, node))

    def _wants(self, dialling: _Dialling, node: Fingerprint) -> bool:
        if dialling.keep or dialling.known.configured or any(want in {None, node} for want, _ in dialling.waiting):
            return True
        return len(self._kept) < self._settings.kept and not self._table.links_of(node)

    def dial_failed(self, dial: int, reason: Reason, now: float) -> None:
        """Nobody answered there, or not as a node does."""
        dialling = self._dials.pop(dial, None)
        if dialling is not None:
            del self._dial_at[dialling.known.address]
            self._context.note("dial_failed", reason, node=dialling.known.fingerprint)
            self._not_met(dialling, reason, now)

    def lost(self, link: Link, now: float) -> None:
        """A link is gone: dial it again if it is kept."""
        if self._draining or any(each.dialled for each in self._table.links_of(link.node)):
            return
        known = self.known.get(link.address) if link.dialled and link.address is not None else None
        for each in self._configured:
            if each.fingerprint == link.node and each is not known:
                self._context.timers.set(("dialler", "redial", each.address), max(now + 1.0, each.retry_at))
        if known is None:
            return
        if now - link.opened_at >= min(self._settings.redial.stable, self._settings.idle):
            known.attempts = 0
        if not link.kept:
            return
        known.attempts += 1
        known.retry_at = max(known.retry_at, now + self.known.delay(known))
        self._context.timers.set(("dialler", "redial", known.address), known.retry_at)

    def drain(self, now: float) -> None:
        """The node is stopping: nothing is dialled any more."""
        self._draining = True
        given_up = [waiting for dialling in self._dials.values() for waiting in dialling.waiting]
        given_up += [each for waiting in self._demanded.values() for each in waiting]
        for dial in self._dials:
            self._context.do(StopDial(dial))
        self._dials.clear()
        self._dial_at.clear()
        self._demanded.clear()
        for _, reached in given_up:
            reached(None, now)

    def due(self, key: tuple[object, ...], now: float) -> None:
        """A timer of ours is due."""
        match key:
            case (_, "meet"):
                self._meet(now)
            case (_, "redial", NodeAddress() as address):
                self._redial(address, now)
            case (_, "again", NodeAddress() as address):
                self.known.meet_again(address)
                self.meet_soon(now)

    # -- Dialling ---------------------------------------------------------------------------------------------

    def _dial(
        self,
        known: KnownNode,
        now: float,
        *,
        keep: bool = False,
        waiting: tuple[Fingerprint | None, Reached] | None = None,
        allowed: bool = False,
    ) -> bool:
        """Dial it, or wait with who dials it already. False when that may not be now."""
        number = self._dial_at.get(known.address)
        if number is None:
            if self._draining or len(self._dials) >= self._settings.dials:
                return False
            if not allowed and (now < known.retry_at or not self.known.may_dial(known, now)):
                return False
            self._numbers += 1
            number = self._dial_at[known.address] = self._numbers
            self._dials[number] = _Dialling(known, now)
            self._context.stats["dials"] += 1
            self._context.do(Dial(number, known.address, known.ranges))
        dialling = self._dials[number]
        dialling.keep |= keep
        if waiting is not None:
            dialling.waiting.append(waiting)
        return True

    def _demand(self, known: KnownNode, waiting: tuple[Fingerprint | None, Reached], now: float) -> bool:
        """Dial it as soon as the one dial of a second is free; False when its giver has told too much already."""
        if self._draining or known.proven or now < known.retry_at or len(self._demanded) >= self._settings.dials:
            return False
        if not self.known.giver_may(known, now):
            return False
        self._demanded.setdefault(known.address, []).append(waiting)
        self.meet_soon(now)
        return True

    def _meet_demanded(self, now: float) -> None:
        address = next(iter(self._demanded))
        known = self.known.get(address)
        if known is None or not self.known.giver_may(known, now):
            for _, reached in self._demanded.pop(address):
                reached(None, now)
        elif self.known.may_dial(known, now):
            for node, reached in self._demanded.pop(address):
                if not self._dial(known, now, waiting=(node, reached), allowed=True):
                    reached(None, now)

    def meet_soon(self, now: float) -> None:
        """Something new may be there to meet."""
        if (self._demanded or self.known.has_to_meet) and ("dialler", "meet") not in self._context.timers:
            self._context.timers.set(("dialler", "meet"), now)

    def _meet(self, now: float) -> None:
        """Dial what was told and never reached: one in a second."""
        if self._draining:
            return
        if len(self._dials) < self._settings.dials:
            if self._demanded:
                self._meet_demanded(now)
            elif (known := self.known.next_to_meet(now)) is not None:
                self._dial(known, now, allowed=True)
        if self._demanded or self.known.has_to_meet:
            self._context.timers.set(("dialler", "meet"), now + 60 / self._settings.learned_dials.per_minute)

    def _redial(self, address: NodeAddress, now: float) -> None:
        known = self.known.get(address)
        if known is None or not self._is_kept(known) or self._draining:
            return
        if known.fingerprint is not None and any(link.dialled for link in self._table.links_of(known.fingerprint)):
            return
        if not self._dial(known, now, keep=True):
            self._context.timers.set(("dialler", "redial", address), max(known.retry_at, now + 1.0))

    def _fault(self, known: KnownNode, node: Fingerprint) -> Reason | None:
        if node == self._context.own:
            self.known.note_own(known.address)
            return Reason.OWN_ADDRESS
        if known.configured and known.pinned is not None and known.pinned != node:
            return Reason.NODE_KEY_CHANGED
        return None

    def _not_met(self, dialling: _Dialling, reason: Reason, now: float) -> None:
        known = dialling.known
        if reason is Reason.OWN_ADDRESS:
            known.attempts += 1
            known.retry_at = now + self.known.delay(known)
            if known.fingerprint is not None and self._kept.get(known.fingerprint) == known.address:
                del self._kept[known.fingerprint]
        elif self.known.failed(known, reason, now):
            self._forget(known, now)
        elif self._is_kept(known):
            self._context.timers.set(("dialler", "redial", known.address), known.retry_at)
        else:
            self._context.timers.set(("dialler", "again", known.address), known.retry_at)
        for want, reached in dialling.waiting:
            if want is None:
                reached(None, now)
            else:  # perhaps at another address; this one is not dialled again at once
                self.reach(want, None, now, reached)

    def _forget(self, known: KnownNode, now: float) -> None:
        self._context.do(Forget(known.address))
        node = known.fingerprint
        if node is not None and self._kept.get(node) == known.address:
            del self._kept[node]
            self._keep_another(now)

    def _keep_another(self, now: float) -> None:
        """A place among the kept is free: give it to some node that has no link."""
        nodes = [node for node in self.known.nodes() if node not in self._kept and not self._table.links_of(node)]
        if nodes:
            node = nodes[self._context.pick(len(nodes))]
            self.reach(node, None, now, lambda _link, _now: None)

    def _is_kept(self, known: KnownNode) -> bool:
        return known.configured or (
            known.fingerprint is not None and self._kept.get(known.fingerprint) == known.address
        )

    def _keep(self, node: Fingerprint, known: KnownNode) -> bool:
        """The configured nodes, and others while there is room, keep their link."""
        if not known.configured and node not in self._kept and len(self._kept) < self._settings.kept:
            self._kept[node] = known.address
        return known.configured or node in self._kept
