"""The records of all calls: which pair has which, whose they are, how many are unanswered. Pure.

One record for each pair, and beside it at most one challenger (D18). Bookkeeping only: what a call does is decided in
`calls` and carried out in `call_steps`, which are the only users.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TypeVar

from uzel.names import Fingerprint
from uzel.node.call_record import CallRecord, pair_of
from uzel.node.limits import Counts
from uzel.node.link import Link
from uzel.node.registry import ConnectionId
from uzel.session.calls import CallState
from uzel.session.link_queue import Pair

_Key = TypeVar("_Key", bound=Hashable)
UNANSWERED = frozenset({CallState.RINGING, CallState.LOCATING, CallState.ASKED})


class CallBook:
    """See the module's text. `relaying` counts the conversations; `data` has the held data connections."""

    def __init__(self) -> None:
        self._calls: dict[Pair, CallRecord] = {}
        self._challengers: dict[Pair, CallRecord] = {}
        self._by_number: dict[int, CallRecord] = {}
        self._in_set_up: dict[int, dict[int, None]] = {}
        self._sought: dict[int, dict[int, None]] = {}
        self._numbers = 0
        self.data: dict[ConnectionId, CallRecord] = {}
        self.relaying = 0
        self.as_caller: Counts[int] = Counts()
        self.as_callee: Counts[int] = Counts()
        self.of_node: Counts[tuple[Fingerprint, int]] = Counts()

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[CallRecord]:
        return iter(list(self._by_number.values()))

    def main(self, pair: Pair) -> CallRecord | None:
        """The pair's call, without a challenger."""
        return self._calls.get(pair)

    def challenger(self, pair: Pair) -> CallRecord | None:
        """The AA that is put to the callee while the pair has another call."""
        return self._challengers.get(pair)

    def both(self, pair: Pair) -> list[CallRecord]:
        """The challenger, then the other."""
        return [call for call in (self._challengers.get(pair), self._calls.get(pair)) if call is not None]

    def numbered(self, number: int) -> CallRecord | None:
        """The call of this number."""
        return self._by_number.get(number)

    def in_set_up(self, uin: int) -> list[CallRecord]:
        """The calls in set-up of one of our clients."""
        return [self._by_number[number] for number in self._in_set_up.get(uin, ())]

    def sought(self, uin: int) -> list[CallRecord]:
        """The calls in set-up whose callee this is, elsewhere."""
        return [self._by_number[number] for number in self._sought.get(uin, ())]

    def from_to(self, caller: int, callee: int, *, answer: bool = False) -> CallRecord:
        """The pair's call if it has this direction, else a blank record in state none, which nothing keeps.

        Of two the older, unless it is a conversation already; for an answer, the one that rings.
        """
        pair = pair_of(caller, callee)
        found = [
            call for call in (self._calls.get(pair), self._challengers.get(pair)) if call and call.caller == caller
        ]
        if len(found) == 2:
            passed = found[0].state is not CallState.RINGING if answer else found[0].state is CallState.RELAYING
            return found[passed]
        return found[0] if found else CallRecord(0, caller, callee)

    def is_elsewhere(self, pair: Pair, link: Link) -> bool:
        """The pair has a call that this link does not carry."""
        return any(call.link is not link for call in self.both(pair))

    # -- Keeping ----------------------------------------------------------------------------------------------

    def add(self, call: CallRecord) -> None:
        """A new call: give it its number."""
        assert call.pair not in (self._challengers if call.challenger else self._calls)
        self._numbers += 1
        call.number = self._numbers
        (self._challengers if call.challenger else self._calls)[call.pair] = call
        self._by_number[call.number] = call
        for uin in call.ours:
            _index(self._in_set_up, uin, call.number)
        if call.away:
            _index(self._sought, call.callee, call.number)
        self.count_unanswered(call, added=True)

    def end_set_up(self, call: CallRecord) -> None:
        """It is a conversation now, or over."""
        for uin in call.ours:
            _unindex(self._in_set_up, uin, call.number)
        if call.away:
            _unindex(self._sought, call.callee, call.number)

    def remove(self, call: CallRecord) -> None:
        """It is over."""
        del self._by_number[call.number]
        records = self._challengers if call.challenger else self._calls
        del records[call.pair]

    def promote(self, challenger: CallRecord) -> None:
        """It takes the place of the older one, which is removed already."""
        del self._challengers[challenger.pair]
        challenger.challenger = False
        self._calls[challenger.pair] = challenger

    def count_unanswered(self, call: CallRecord, *, added: bool) -> None:
        """One more, or one less, that its callee has not answered."""
        self._count(self.as_caller, call.caller, added)
        if not call.away:
            self._count(self.as_callee, call.callee, added)
            if call.link is not None:
                self._count(self.of_node, (call.link.node, call.callee), added)

    @staticmethod
    def _count(counts: Counts[_Key], key: _Key, added: bool) -> None:
        if added:
            counts.add(key)
        else:
            counts.remove(key)


def _index(numbers: dict[int, dict[int, None]], uin: int, number: int) -> None:
    numbers.setdefault(uin, {})[number] = None


def _unindex(numbers: dict[int, dict[int, None]], uin: int, number: int) -> None:
    del numbers[uin][number]
    if not numbers[uin]:
        del numbers[uin]
