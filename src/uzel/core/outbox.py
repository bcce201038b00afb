"""Whom to call, and when: the outbox calls by itself (promise 1). Pure.

Rules: a text that is queued is tried at once; while the peer is away, again and again with growing, varied delays; at
once when the peer calls, or when the node is back. After coming online the contacts with recent chats are greeted,
one after the other, so that what waits for us on their side comes, from base peers too. A conversation in which
nothing is said is closed; the next text opens another. Whoever has not let us in is tried hourly, whoever is held (a
changed key, a block) not at all. Times are those of a clock that never jumps. Counterparts: `conversation.Delivery`,
which sends, and `messenger`, which carries out the effects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from uzel.core.settings import OutboxTimes
from uzel.names import Uin
from uzel.node.limits import RateLimiter, Timers


@dataclass(frozen=True, slots=True)
class PlaceCall:
    """Call this peer; `opened` or `call_failed` is wanted in answer."""

    peer: Uin


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Call this peer no more: the call that goes on is for nothing, and no answer is wanted."""

    peer: Uin


@dataclass(frozen=True, slots=True)
class EndIdle:
    """Close the conversation with this peer: nothing was said for a while."""

    peer: Uin


Effect = PlaceCall | GiveUp | EndIdle


class _Phase(Enum):
    WAITING = auto()
    CALLING = auto()
    OPEN = auto()


@dataclass(slots=True, eq=False)
class _Peer:
    phase: _Phase = _Phase.WAITING
    wanted: bool = False
    """Texts wait."""
    greet: bool = False
    """To be called once even if nothing waits."""
    again: bool = False
    """That was wished for while a call went on, which began under what held before."""
    held: bool = False
    attempts: int = 0
    retry_at: float = 0.0
    tried_at: float = float("-inf")
    opened_at: float = 0.0
    active_at: float = 0.0
    asked: bool = False
    """It has not let us in yet."""


class Outbox:
    """See the module's text. `chance` gives numbers in 0 … 1."""

    def __init__(self, times: OutboxTimes, chance: Callable[[], float]) -> None:
        self._times = times
        self._chance = chance
        self._peers: dict[Uin, _Peer] = {}
        self._timers: Timers[Uin] = Timers()
        self._calls: RateLimiter[None] = RateLimiter(times.calls)
        self._calling = 0
        self._online = False
        self._effects: list[Effect] = []

    def take_effects(self) -> list[Effect]:
        """What is to be done, once."""
        effects, self._effects = self._effects, []
        return effects

    def retry_at(self, peer: Uin) -> float | None:
        """When this peer is called next, unless a bound delays it; None when that is not planned, or we are offline."""
        known = self._peers.get(peer)
        if known is None or not self._online or not self._is_due_ever(known):
            return None
        return known.retry_at

    # -- What the node says -----------------------------------------------------------------------------------

    def online(self, recent: Sequence[Uin], now: float) -> None:
        """Logged in: whoever texts wait for is tried now, those with recent chats are greeted."""
        self._online = True
        for peer, known in self._peers.items():
            if known.phase is _Phase.WAITING:
                self._plan(peer, known, now if not known.asked else known.retry_at)
        for place, peer in enumerate(recent[: self._times.greeted]):
            known = self._peers.setdefault(peer, _Peer())
            if known.phase is _Phase.WAITING and not known.wanted and not known.held:
                known.greet = True
                self._plan(peer, known, now + self._times.greet_every * (place + self._chance()))
        self._place_due(now)

    def offline(self) -> None:
        """Nobody can be called for now; conversations live on (D16)."""
        self._online = False

    # -- What the person and the peer do ----------------------------------------------------------------------

    def queued(self, peer: Uin, now: float) -> None:
        """A text waits for this peer."""
        known = self._peers.setdefault(peer, _Peer())
        known.wanted = True
        known.active_at = now
        if known.phase is _Phase.WAITING and not known.asked:
            known.attempts = 0
            self._plan(peer, known, max(now, known.tried_at + self._times.hurry))
        elif known.phase is _Phase.WAITING:
            self._plan(peer, known, max(now, known.retry_at))
        self._place_due(now)

    def drained(self, peer: Uin) -> None:
        """Nothing waits for this peer any more."""
        known = self._peers.get(peer)
        if known is not None:
            known.wanted = False
            self._forget_if_done(peer, known)

    def greet(self, peer: Uin, now: float) -> None:
        """Call this peer once, though nothing waits: it was just let in, perhaps. A call that goes on is none of it
        when it fails.
        """
        known = self._peers.setdefault(peer, _Peer())
        known.greet, known.asked = True, False
        known.again = known.phase is _Phase.CALLING
        if known.phase is _Phase.WAITING:
            self._plan(peer, known, now)
        self._place_due(now)

    def hold(self, peer: Uin) -> None:
        """Do not call this peer until `release`: its key changed, or it is blocked."""
        known = self._peers.setdefault(peer, _Peer())
        known.held = True
        self._timers.clear(peer)
        self._give_up(peer, known)

    def release(self, peer: Uin, now: float) -> None:
        """It may be called again, and is: what we refused meanwhile waits on its side, with growing delays."""
        known = self._peers.get(peer)
        if known is not None and known.held:
            known.held, known.greet, known.attempts = False, True, 0
            if known.phase is _Phase.WAITING:
                self._plan(peer, known, now)
            self._place_due(now)

    def forget(self, peer: Uin) -> None:
        """The contact is removed, with all that waited."""
        known = self._peers.pop(peer, None)
        self._timers.clear(peer)
        if known is not None:
            self._give_up(peer, known)

    # -- What becomes of calls --------------------------------------------------------------------------------

    def opened(self, peer: Uin, now: float) -> None:
        """A conversation stands, whoever called."""
        known = self._peers.setdefault(peer, _Peer())
        self._leave_calling(known)
        known.phase = _Phase.OPEN
        known.greet = False
        known.opened_at = known.active_at = now
        self._timers.set(peer, now + self._times.idle)
        self._place_due(now)

    def asked(self, peer: Uin) -> None:
        """It has not let us in: it is tried hourly from now on."""
        known = self._peers.get(peer)
        if known is not None:
            known.asked = True

    def let_in(self, peer: Uin) -> None:
        """It takes our texts."""
        known = self._peers.get(peer)
        if known is not None:
            known.asked = False

    def active(self, peer: Uin, now: float) -> None:
        """Something was said in the conversation, by either side."""
        known = self._peers.get(peer)
        if known is not None:
            known.active_at = now

    def closed(self, peer: Uin, now: float) -> None:
        """The conversation has ended."""
        known = self._peers.get(peer)
        if known is None or known.phase is not _Phase.OPEN:
            return
        known.phase = _Phase.WAITING
        if now - known.opened_at >= self._times.stable:
            known.attempts = 0
        self._plan_after_failure(peer, known, now)
        self._place_due(now)

    def call_failed(self, peer: Uin, now: float) -> None:
        """It is away, or does not take the call."""
        known = self._peers.get(peer)
        if known is None or known.phase is not _Phase.CALLING:
            return
        self._leave_calling(known)
        known.phase = _Phase.WAITING
        known.greet = known.again
        if known.again:
            known.attempts = 0
            self._plan(peer, known, now)
        else:
            self._plan_after_failure(peer, known, now)
        self._place_due(now)

    # -- Time -------------------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """When to look again."""
        return self._timers.next()

    def on_timeout(self, now: float) -> None:
        """Something is due."""
        self._place_due(now)

    def _place_due(self, now: float) -> None:
        for peer in self._timers.take_due(now):
            known = self._peers.get(peer)
            if known is None:
                continue
            if known.phase is _Phase.OPEN:
                self._look_if_idle(peer, known, now)
            elif known.phase is _Phase.WAITING and self._online and self._is_due_ever(known):
                self._call(peer, known, now)

    def _look_if_idle(self, peer: Uin, known: _Peer, now: float) -> None:
        if now < known.active_at + self._times.idle:
            self._timers.set(peer, known.active_at + self._times.idle)
            return
        self._timers.set(peer, now + self._times.idle)
        self._effects.append(EndIdle(peer))

    def _call(self, peer: Uin, known: _Peer, now: float) -> None:
        if self._calling >= self._times.at_once or not self._calls.take(None, now):
            self._plan(peer, known, now + 1.0)
            return
        known.phase = _Phase.CALLING
        known.again = False
        known.tried_at = now
        self._calling += 1
        self._effects.append(PlaceCall(peer))

    def _leave_calling(self, known: _Peer) -> None:
        if known.phase is _Phase.CALLING:
            self._calling -= 1

    def _give_up(self, peer: Uin, known: _Peer) -> None:
        if known.phase is _Phase.CALLING:
            self._leave_calling(known)
            known.phase = _Phase.WAITING
            self._effects.append(GiveUp(peer))

    def _is_due_ever(self, known: _Peer) -> bool:
        return not known.held and (known.wanted or known.greet)

    def _plan_after_failure(self, peer: Uin, known: _Peer, now: float) -> None:
        times = self._times
        base = times.asked if known.asked else min(times.last, times.first * 2.0 ** min(known.attempts, 30))
        known.attempts += 1
        self._timers.clear(peer)
        self._plan(peer, known, now + base * (1 - times.jitter + 2 * times.jitter * self._chance()))
        self._forget_if_done(peer, known)

    def _plan(self, peer: Uin, known: _Peer, at: float) -> None:
        known.retry_at = at
        if self._is_due_ever(known):
            self._timers.set(peer, at)

    def _forget_if_done(self, peer: Uin, known: _Peer) -> None:
        """What is not wanted, not open and not held needs no memory."""
        if known.phase is _Phase.WAITING and not (known.wanted or known.greet or known.held or known.asked):
            del self._peers[peer]
            self._timers.clear(peer)
