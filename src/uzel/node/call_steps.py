"""Carrying out what the tables of `session.calls` say about a call: messages, timers, data connections, endings. Pure.

Every ending goes one way: who is told is in the table, how (05, or B8 and a fence) follows from where they are.
Counterpart: `calls.Calls`, which decides what step an event is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from uzel.errors import Reason
from uzel.node.call_book import UNANSWERED, CallBook
from uzel.node.call_record import CallRecord, Step
from uzel.node.context import Context
from uzel.node.effects import Close, EndRelay, Hold, Join, Send
from uzel.node.finder import Finder
from uzel.node.limits import Deadlines
from uzel.node.link import Link
from uzel.node.links import Links
from uzel.node.quests import Quests
from uzel.node.registry import ConnectionId, Registry
from uzel.node.streams import Streams
from uzel.session.calls import CallAction, CallState, CallStep
from uzel.wire import CallReady, CallRequest, IncomingCall, Ready, Unavailable

Freed = Callable[[Link, int, int, float], None]


class CallSteps:
    """See the module's text. `freed` is told of a deferred AA (link, caller, callee, now) whose turn has come."""

    def __init__(
        self, context: Context, registry: Registry, links: Links, finder: Finder, book: CallBook, freed: Freed
    ) -> None:
        settings = context.settings
        self._context = context
        self._settings = settings
        self._registry = registry
        self._links = links
        self._finder = finder
        self._book = book
        self._freed = freed
        self.quests = Quests(context, links, finder, self)
        self.streams = Streams(context, links, self._overflow)
        self._ringing: Deadlines[int] = Deadlines(settings.ring)
        self._awaiting_data: Deadlines[int] = Deadlines(settings.data)
        self._asked: Deadlines[int] = Deadlines(settings.ring + settings.data + settings.request_margin)
        self._every: Deadlines[int] = Deadlines(settings.every_call)

    @property
    def timers(self) -> int:
        """How many deadlines of calls run."""
        return len(self._ringing) + len(self._awaiting_data) + len(self._asked) + len(self._every)

    def deadline(self) -> float | None:
        """The earliest of them."""
        times = (self._ringing.next(), self._awaiting_data.next(), self._asked.next(), self._every.next())
        return min((when for when in times if when is not None), default=None)

    def on_timeout(self, now: float) -> None:
        """End the calls whose time has passed."""
        for number in [*self._ringing.take_due(now), *self._awaiting_data.take_due(now), *self._asked.take_due(now)]:
            if (call := self._book.numbered(number)) is not None:
                self.step(CallStep.TIMEOUT, Step(call, now))
        for number in self._every.take_due(now):
            if (call := self._book.numbered(number)) is not None:
                self.step(CallStep.LATE, Step(call, now))

    def data(self, call: CallRecord, connection: ConnectionId, now: float) -> None:
        """The data connection whose turn it is stands."""
        across = call.link is not None and not call.away and call.state is CallState.ACCEPTED
        self.step(CallStep.DATA_ACROSS if across else CallStep.DATA, Step(call, now, data=connection))

    def fence_down(self, call: CallRecord, link: Link, now: float) -> None:
        """Its AA, which was held back, may go."""
        call.held = False
        self._asked.set(call.number, now)
        self._links.send(link, CallRequest(call.caller, call.callee))

    def located(self, call: CallRecord, link: Link, now: float) -> None:
        """A link to a node that may have the callee stands."""
        call.link = link
        self.step(CallStep.LOCATED, Step(call, now))

    def not_found(self, call: CallRecord, now: float) -> None:
        """No node is left to try."""
        self.step(CallStep.NOT_FOUND, Step(call, now))

    # -- Carrying out the tables ------------------------------------------------------------------------------

    def step(self, what: CallStep, step: Step) -> None:
        """Take this step of this call, if the table has it."""
        call = step.call
        transition = call.transition(what)
        if transition is None:
            return
        before, call.state = call.state, transition.next
        if before in UNANSWERED and transition.next not in UNANSWERED:
            self._book.count_unanswered(call, added=False)
        if before is CallState.RELAYING and transition.next is not CallState.RELAYING:
            self._book.relaying -= 1
        if step.reason is None:
            step.reason = transition.reason
        self._ACTIONS[transition.action](self, step)

    def _begin(self, call: CallRecord) -> None:
        self._book.add(call)
        caller, callee = (self._registry.user(uin) if uin in call.ours else None for uin in (call.caller, call.callee))
        call.caller_network = caller.network if caller is not None else ""
        call.callee_network = callee.network if callee is not None else ""

    def _ring(self, step: Step) -> None:
        call = step.call
        callee = self._registry.user(call.callee)
        assert callee is not None
        self._begin(call)
        older = self._book.main(call.pair)
        call.rivals = call.challenger and older is not None and older.state is CallState.RINGING
        if call.link is not None:
            self._links.bind(call.link, call.number, step.now)
        self._ringing.set(call.number, step.now)
        callee.told.pop(call.caller, None)
        self._context.do(Send(callee.connection, IncomingCall(call.caller)))

    def _locate(self, step: Step) -> None:
        self._begin(step.call)
        self._every.set(step.call.number, step.now)
        self.quests.begin(step.call, step.now)

    def _ask(self, step: Step) -> None:
        call = step.call
        link = call.link
        assert link is not None
        self._links.bind(link, call.number, step.now)
        self._asked.set(call.number, step.now)
        call.held = link.is_fenced(call.pair)
        if not call.held:
            self._links.send(link, CallRequest(call.caller, call.callee))

    def _try_next(self, step: Step) -> None:
        call = step.call
        link = call.link
        assert link is not None
        self._asked.clear(call.number)
        self.quests.failed(call, link, step.now, silent=step.reason is Reason.NODE_SILENT)
        self._context.note("next_node", step.reason, caller=call.caller, callee=call.callee, node=link.node)
        call.link, call.held = None, False
        self._links.unbind(link, call.number, step.now)
        self._serve_deferred(call, step.now)
        if call.state is CallState.LOCATING:
            self.quests.go_on(call, step.now)

    def _serve_deferred(self, call: CallRecord, now: float) -> None:
        link, call.deferred = call.deferred, None
        if link is not None and (not call.ready_at or now < call.ready_at + self._settings.search.short):
            self._freed(link, call.callee, call.caller, now)

    def _give_up(self, step: Step) -> None:
        call = step.call
        assert call.link is not None
        if not call.held:
            self._links.end_pair(call.link, (call.caller, call.callee), call.pair, step.now)
        self._try_next(step)

    def _tell_late(self, step: Step) -> None:
        callee = self._registry.user(step.call.callee)
        assert callee is not None
        if step.call.caller not in callee.told:
            callee.tell(step.call.caller)
            self._context.do(Send(callee.connection, Unavailable(step.call.caller)))
            self._context.note("accept_ignored", step.reason, caller=step.call.caller, callee=step.call.callee)

    def _close_data(self, step: Step) -> None:
        assert step.data is not None
        self._context.do(Close(step.data, step.reason))

    def _await_data(self, step: Step) -> None:
        call = step.call
        self._ringing.clear(call.number)
        self._awaiting_data.set(call.number, step.now)
        if call.callee_data is not None:
            self.data(call, call.callee_data, step.now)

    def _hold_data(self, step: Step) -> None:
        assert step.data is not None
        if step.data not in self._book.data:  # else it was early, and is held already
            self._context.do(Hold(step.data))
        step.call.callee_data = step.data
        self._book.data[step.data] = step.call

    def _send_ready(self, step: Step) -> None:
        call = step.call
        if call.away:
            assert call.link is not None
            self._asked.clear(call.number)
            self._every.clear(call.number)
            self.quests.end(call)
            self._finder.led(call.callee, call.link.node, step.now)
            call.ready_at = step.now
        else:
            self._hold_data(step)
        self._awaiting_data.set(call.number, step.now)
        caller = self._registry.user(call.caller)
        assert caller is not None, "a call in set-up ends with its caller's control connection"
        self._context.do(Send(caller.connection, Ready(call.callee)))

    def _started(self, call: CallRecord) -> None:
        self._end_set_up(call)
        self._book.relaying += 1
        self._context.note("conversation_started", caller=call.caller, callee=call.callee)

    def _join(self, step: Step) -> None:
        call = step.call
        assert call.callee_data is not None
        assert step.data is not None
        self._started(call)
        del self._book.data[call.callee_data]
        self._context.do(Join(call.number, call.caller, call.callee, step.data, call.callee_data))

    def _bridge(self, step: Step) -> None:
        assert step.data is not None
        self._started(step.call)
        self.streams.bridge(step.call, step.data)

    def _answer(self, step: Step) -> None:
        call = step.call
        assert step.data is not None
        assert call.link is not None
        if call.challenger:
            self._replace(call, step.now)
        if call.callee_data is not None:
            del self._book.data[call.callee_data]
        self._started(call)
        call.ready_at = step.now
        self._links.send(call.link, CallReady(call.caller, call.callee))
        self.streams.bridge(call, step.data)

    def _replace(self, challenger: CallRecord, now: float) -> None:
        """The challenger's data connection stands: the older call of the pair ends (D18)."""
        older = self._book.main(challenger.pair)
        if older is not None:
            older.deferred = None  # this one is it, or comes after it
            before, older.state = older.state, CallState.NONE
            step = Step(older, now, Reason.CALL_RESTARTED)
            if before is CallState.RELAYING:
                self._book.relaying -= 1
                self._end_conversation(step)
            else:
                if before in UNANSWERED:
                    self._book.count_unanswered(older, added=False)
                callee = challenger.callee  # it gets what it wished for, or accepted: no 05
                self._fail(step, caller=older.caller != callee, callee=older.callee != callee)
        self._book.promote(challenger)

    def _absorb(self, step: Step) -> None:
        step.call.absorbed = True

    def _nothing(self, step: Step) -> None:
        """The row says so."""

    # -- Endings ----------------------------------------------------------------------------------------------

    def _restart(self, step: Step) -> None:
        """The record goes; whoever restarts makes a new one."""
        step.call.state = CallState.NONE
        self._end_conversation(step)

    def _end_conversation(self, step: Step) -> None:
        """End a running conversation from this side."""
        call = step.call
        if call.link is None:
            assert step.reason is not None
            self._context.do(EndRelay(call.number, step.reason))
            self._book.remove(call)
            self._ring_again(call, told=False)
            return
        self.streams.end(call, pass_on=True)
        if step.silent:
            self._links.discard(call.link, call.pair)
        else:
            self._links.end_pair(call.link, (call.caller, call.callee), call.pair, step.now)
        self._over(step)

    def _forget(self, step: Step) -> None:
        call = step.call
        if call.link is None:
            self._book.remove(call)
            self._ring_again(call, told=False)
            return
        self.streams.end(call, pass_on=True)
        self._links.end_pair(call.link, (call.caller, call.callee), call.pair, step.now, after_data=True)
        self._over(step)

    def _end_data(self, step: Step) -> None:
        self.streams.end(step.call, pass_on=True)
        self._over(step)

    def _cut(self, step: Step) -> None:
        call = step.call
        assert call.link is not None
        assert call.data is not None
        self._context.do(Close(call.data, step.reason))
        self.streams.end(call, pass_on=False)
        self._links.end_pair(call.link, (call.caller, call.callee), call.pair, step.now)
        self._over(step)

    def _overflow(self, call: CallRecord, reason: Reason, now: float) -> None:
        self.step(CallStep.OVERFLOW, Step(call, now, reason))

    def _over(self, step: Step) -> None:
        """A conversation over a link is over; one that was short may have been with a wrong one (D20)."""
        call, link = step.call, step.call.link
        assert link is not None
        if call.away and step.now < call.ready_at + self._settings.search.short:
            self._finder.locations.mark_bad(call.callee, link.node, step.now)
        self._context.note("conversation_over", step.reason, caller=call.caller, callee=call.callee)
        self._book.remove(call)
        self._links.unbind(link, call.number, step.now)
        self._ring_again(call, told=False)
        self._serve_deferred(call, step.now)

    def _drop(self, step: Step) -> None:
        self._fail(step, caller=False, callee=False)

    def _tell_caller(self, step: Step) -> None:
        self._fail(step, callee=step.call.absorbed and not step.call.away)

    def _tell_callee(self, step: Step) -> None:
        self._fail(step, caller=False)

    def _tell_both(self, step: Step) -> None:
        self._fail(step)

    def _fail(self, step: Step, *, caller: bool = True, callee: bool = True) -> None:
        """The call ends before it was a conversation: whom the table names is told, if still there."""
        call = step.call
        self._end_set_up(call)
        self._book.remove(call)
        self.streams.end(call, pass_on=False)
        if call.callee_data is not None:
            del self._book.data[call.callee_data]
            self._context.do(Close(call.callee_data, Reason.DATA_CALL_ENDED))
        if caller:
            self._tell(call, step, to_caller=True)
        if callee:
            self._tell(call, step, to_caller=False)
        if call.link is not None:
            if call.ready_at and call.away and step.silent:  # it said AB, and then no, or was gone
                self._finder.locations.mark_bad(call.callee, call.link.node, step.now)
            self._links.unbind(call.link, call.number, step.now)
        self._context.note("call_ended", step.reason, caller=call.caller, callee=call.callee)
        self._ring_again(call)
        self._serve_deferred(call, step.now)

    def _ring_again(self, over: CallRecord, *, told: bool = True) -> None:
        """The callee's answer, or a 05 that it was told, may have been for the call that is over: a challenger that
        still rings needs another. Where neither can be, a second 04 would say that the caller began afresh, and cost
        the callee the data connection that it is opening.
        """
        rival = None if over.challenger else self._book.challenger(over.pair)
        callee = None if rival is None else self._registry.user(rival.callee)
        if rival is None or callee is None or rival.state is not CallState.RINGING:
            return
        if told or rival.rivals:
            callee.told.pop(rival.caller, None)
            self._context.do(Send(callee.connection, IncomingCall(rival.caller)))

    def _tell(self, call: CallRecord, step: Step, *, to_caller: bool) -> None:
        behind_link = call.link is not None and call.away is not to_caller
        if behind_link or (call.away and not to_caller):
            if call.link is not None and not step.silent and not call.held:
                self._links.end_pair(call.link, (call.caller, call.callee), call.pair, step.now)
            return
        client = self._registry.user(call.caller if to_caller else call.callee)
        if client is not None:
            if not to_caller:
                client.tell(call.caller)
            self._context.do(Send(client.connection, Unavailable(call.callee if to_caller else call.caller)))

    def _end_set_up(self, call: CallRecord) -> None:
        for timers in (self._ringing, self._awaiting_data, self._asked, self._every):
            timers.clear(call.number)
        self.quests.end(call)
        self._book.end_set_up(call)

    _ACTIONS: ClassVar = {
        CallAction.RING: _ring,
        CallAction.LOCATE: _locate,
        CallAction.ASK: _ask,
        CallAction.TRY_NEXT: _try_next,
        CallAction.GIVE_UP: _give_up,
        CallAction.TELL_LATE: _tell_late,
        CallAction.CLOSE_DATA: _close_data,
        CallAction.ABSORB: _absorb,
        CallAction.AWAIT_DATA: _await_data,
        CallAction.HOLD_DATA: _hold_data,
        CallAction.DROP_DATA: _nothing,
        CallAction.SEND_READY: _send_ready,
        CallAction.JOIN: _join,
        CallAction.ANSWER: _answer,
        CallAction.BRIDGE: _bridge,
        CallAction.RESTART: _restart,
        CallAction.TELL_CALLER: _tell_caller,
        CallAction.TELL_CALLEE: _tell_callee,
        CallAction.TELL_BOTH: _tell_both,
        CallAction.DROP: _drop,
        CallAction.FORGET: _forget,
        CallAction.END_DATA: _end_data,
        CallAction.CUT: _cut,
    }
