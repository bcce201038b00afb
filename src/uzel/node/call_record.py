"""One call or conversation of one pair, as the switchboard keeps it. Counterpart: `calls`, which moves it."""

from __future__ import annotations

from dataclasses import dataclass, field

from uzel.errors import Reason
from uzel.names import Fingerprint
from uzel.node.finder import Candidate
from uzel.node.link import Link
from uzel.node.registry import ConnectionId
from uzel.session.calls import CALLS_AWAY, NODE_CALLS, CallState, CallStep, CallTransition
from uzel.session.link_queue import Pair


def pair_of(one: int, other: int) -> Pair:
    """The unordered pair of two users."""
    return (one, other) if one < other else (other, one)


@dataclass(slots=True)
class Quest:
    """How the node of a callee elsewhere is looked for (D20).

    tries: nodes tried in this round. tried: their keys, of all rounds. asked: nodes that a search asked. hearsay: none
    of those tried had said A8 to this very search. searched, everyone: the search, and the question to everyone, have
    begun. searching: answers may come. better_by: when to stop waiting for something better than a failed location.
    """

    candidates: list[Candidate] = field(default_factory=list)
    trying: Candidate | None = None
    serial: int = 0
    tries: int = 0
    tried: set[Fingerprint] = field(default_factory=set)
    asked: frozenset[Fingerprint] = frozenset()
    hearsay: bool = True
    searched: bool = False
    searching: bool = False
    everyone: bool = False
    better_by: float = 0.0


@dataclass(slots=True, eq=False)
class CallRecord:
    """The networks are those of the control connections when the call began (D12).

    away: the callee is looked for at other nodes. link: carries the AA, once there is one: the caller's node is behind
    it, or the callee's when `away`. held: the AA waits for a fence. deferred: the other link over which the callee's
    own AA crossed ours (D26). challenger: put to the callee while an older one of this pair still stands (D18).
    rivals: that one rang then, so that an answer may be meant for either. data: the bridged data connection of our
    client. ready_at: when AB came or went.
    """

    number: int
    caller: int
    callee: int
    away: bool = False
    link: Link | None = None
    caller_network: str = ""
    callee_network: str = ""
    state: CallState = CallState.NONE
    callee_data: ConnectionId | None = None
    absorbed: bool = False
    challenger: bool = False
    rivals: bool = False
    held: bool = False
    deferred: Link | None = None
    data: ConnectionId | None = None
    ready_at: float = 0.0
    quest: Quest | None = None

    @property
    def pair(self) -> Pair:
        """Its key."""
        return pair_of(self.caller, self.callee)

    @property
    def ours(self) -> tuple[int, ...]:
        """Its users who are our clients."""
        if self.away:
            return (self.caller,)
        return (self.callee,) if self.link is not None else (self.caller, self.callee)

    @property
    def here(self) -> int:
        """Of a call over a link, the user who is our client."""
        return self.caller if self.away else self.callee

    @property
    def there(self) -> int:
        """Of a call over a link, the other user."""
        return self.callee if self.away else self.caller

    def transition(self, step: CallStep) -> CallTransition | None:
        """What the table says."""
        return (CALLS_AWAY if self.away else NODE_CALLS).get((self.state, step))


@dataclass(slots=True)
class Step:
    """One step of one call, with what it needs to be carried out. silent: the other node knows already."""

    call: CallRecord
    now: float
    reason: Reason | None = None
    data: ConnectionId | None = None
    silent: bool = False
