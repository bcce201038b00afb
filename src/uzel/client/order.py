"""Which node next, and how soon: the configured nodes in their order, then some learned ones. Pure.

A *round* tries every configured node once. It begins with the first one, or, after a login that stood was lost, with
the one behind that node, so that a client moves to the next node when one dies and comes back to the dead one last.
When a whole round has failed, up to `LEARNED_A_ROUND` learned nodes are tried (there are none without `roaming`); then,
after a delay that grows from round to round, the next round begins with the first node again. Within a round a node
that failed is followed at once by the next one; the first try after a lost login waits for a short jittered time,
because when a node dies all its clients come.

A client that stands at another node than the first one tries now and then the nodes before it (`before`): the order is
its user's preference, and a node sees who calls whom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from uzel.names import NodeAddress, NodeReference

LEARNED_A_ROUND = 8


class Pace(Enum):
    """How soon the next node is tried."""

    AT_ONCE = auto()
    SOON = auto()
    LATER = auto()
    """After the delay that grows."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A node to log in at. `learned`: another node told of it. `hurry`: there are others, do not wait long for it."""

    reference: NodeReference
    learned: bool = False
    hurry: bool = False


class NodeOrder:
    """See the module's text. `some_learned` gives up to so many learned addresses, in random order."""

    def __init__(self, nodes: Sequence[NodeReference], some_learned: Callable[[int], list[NodeAddress]]) -> None:
        self._nodes = tuple(nodes)
        self._some_learned = some_learned
        self._at = 0
        self._left = len(self._nodes)
        self._learned: list[NodeAddress] = []
        self._first_round = True

    def next(self) -> Choice:
        """The node whose turn it is."""
        if self._learned:
            return Choice(NodeReference(self._learned[0]), learned=True, hurry=True)
        return Choice(self._nodes[self._at], hurry=self._first_round and self._left > 1)

    def failed(self) -> Pace:
        """There was no login at the node whose turn it was."""
        if self._learned:
            self._learned.pop(0)
        else:
            self._left -= 1
            self._at = (self._at + 1) % len(self._nodes)
            if self._left:
                return Pace.AT_ONCE
            self._learned = self._some_learned(LEARNED_A_ROUND)
        if self._learned:
            return Pace.SOON
        self._begin(0, first=False)
        return Pace.LATER

    def lost(self, choice: Choice) -> Pace:
        """A login that stood at this node has ended."""
        index = self._index(choice)
        self._begin(0 if index is None else (index + 1) % len(self._nodes), first=True)
        return Pace.SOON if index is None or len(self._nodes) > 1 else Pace.LATER

    def before(self, choice: Choice) -> list[Choice]:
        """The nodes that are preferred to this one, the most preferred first."""
        return [Choice(reference, hurry=True) for reference in self._nodes[: self._index(choice)]]

    def _index(self, choice: Choice) -> int | None:
        """Where it stands among the configured nodes; None for a learned one, which comes after them all."""
        return None if choice.learned else self._nodes.index(choice.reference)

    def _begin(self, at: int, *, first: bool) -> None:
        self._at, self._left, self._learned, self._first_round = at, len(self._nodes), [], first
