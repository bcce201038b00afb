"""All calls and conversations of a node, local and over links, moved by the tables of `session.calls`. Pure.

Here it is decided which step of which call an event is; `call_steps` carries the steps out. Rules: one call for each
pair (D13), but for a challenger: an AA for a pair that is held is put to the callee, and the older one ends only when
the callee's new data connection stands (D18). What a link says counts only for the calls that it carries. Counterparts:
the clients' `session.control.ClientControl`, and the other nodes' `Calls`.
"""

from __future__ import annotations

from uzel.errors import Reason
from uzel.names import Fingerprint
from uzel.node.call_book import UNANSWERED, CallBook
from uzel.node.call_record import CallRecord, Step, pair_of
from uzel.node.call_steps import CallSteps
from uzel.node.context import Context
from uzel.node.effects import Close, Send
from uzel.node.finder import Candidate, Finder
from uzel.node.link import Link
from uzel.node.links import Links
from uzel.node.registry import ConnectionId, LocalClient, Registry
from uzel.session.calls import CallState, CallStep
from uzel.session.link_queue import Pair
from uzel.wire import NoConversation, Unavailable


class Calls:
    """See the module's text."""

    def __init__(self, context: Context, registry: Registry, links: Links, finder: Finder) -> None:
        settings = context.settings
        self._context = context
        self._settings = settings
        self._registry = registry
        self._links = links
        self._finder = finder
        self._book = CallBook()
        self._steps = CallSteps(context, registry, links, finder, self._book, self._freed)
        self.streams = self._steps.streams
        self._draining = False

    # -- What others may ask ----------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """How many calls in set-up, conversations, waiting data connections and timers there are."""
        return {
            "calls": len(self._book) - self._book.relaying,
            "conversations": self._book.relaying,
            "data_waiting": len(self._book.data),
            "call_timers": self._steps.timers,
            "bridged": len(self.streams),
            "held_bytes": self.streams.held,
        }

    def carried_by(self, link: Link) -> int:
        """How many conversations run over this link."""
        calls = (self._book.numbered(number) for number in link.calls)
        return sum(call is not None and call.state is CallState.RELAYING for call in calls)

    def deadline(self) -> float | None:
        """The earliest of the calls' own deadlines."""
        return self._steps.deadline()

    def on_timeout(self, now: float) -> None:
        """End the calls whose time has passed."""
        self._steps.on_timeout(now)

    # -- Clients ----------------------------------------------------------------------------------------------

    def call(self, client: LocalClient, callee: int, within_rate: bool, now: float) -> None:
        """03."""
        pair = pair_of(client.uin, callee)
        for claimed in self._book.both(pair):
            # another node says that this client calls from there: a wish of its own counts more
            if claimed.link is not None and not claimed.away and claimed.caller == client.uin:
                self._steps.step(CallStep.TIMEOUT, Step(claimed, now, Reason.CALL_RESTARTED))
        call = self._book.challenger(pair) or self._book.main(pair)
        if call is not None and call.state is not CallState.RELAYING and not self._serves_here(call, client, now):
            by_caller = call.caller == client.uin
            self._steps.step(CallStep.CALL_BY_CALLER if by_caller else CallStep.CALL_BY_CALLEE, Step(call, now))
            return
        refusal = Reason.CALL_RATE if not within_rate else self._refusal(client, callee)
        if refusal in {Reason.CALL_RATE, Reason.NODE_STOPPING}:  # a conversation that runs goes on
            self._refuse(client, callee, refusal)
            return
        call = self._book.main(pair)
        if call is not None:
            self._steps.step(CallStep.CALL_BY_CALLER, Step(call, now))
        if refusal is not None:
            self._refuse(client, callee, refusal)
            return
        away = self._registry.user(callee) is None
        self._steps.step(CallStep.CALL_BY_CALLER, Step(CallRecord(0, client.uin, callee, away), now))

    def accept(self, client: LocalClient, caller: int, now: float) -> None:
        """06."""
        self._steps.step(CallStep.ACCEPT, Step(self._book.from_to(caller, client.uin, answer=True), now))

    def refuse(self, client: LocalClient, caller: int, now: float) -> None:
        """08."""
        self._steps.step(CallStep.REFUSE, Step(self._book.from_to(caller, client.uin, answer=True), now))

    def came_online(self, uin: int, now: float) -> None:
        """Who looked for this client elsewhere finds it here."""
        for call in self._book.sought(uin):
            if call.state in UNANSWERED:
                self._steps.step(CallStep.SERVED, Step(call, now))
                self._steps.step(CallStep.CALL_BY_CALLER, Step(CallRecord(0, call.caller, uin), now))

    def left(self, client: LocalClient, now: float) -> None:
        """Its control connection ended: its calls in set-up end, its conversations live on (D16)."""
        for call in self._book.in_set_up(client.uin):
            is_caller = call.caller == client.uin
            self._steps.step(CallStep.CALLER_LOST if is_caller else CallStep.CALLEE_LOST, Step(call, now))

    def data(self, connection: ConnectionId, caller: int, callee: int, network: str, now: float) -> None:
        """20: the connection is held, joined, bridged or closed."""
        call = self._book.from_to(caller, callee)
        if call.state is CallState.RINGING and call.callee_data is not None:
            self._context.do(Close(connection, Reason.DATA_TAKEN))
        elif call.state in {CallState.LOCATING, CallState.ASKED}:
            self._context.do(Close(connection, Reason.DATA_NO_CALL))
        elif not self._may_open_data(call, network):
            self._context.do(Close(connection, Reason.DATA_WRONG_ADDRESS))
        else:
            self._steps.data(call, connection, now)

    def data_lost(self, connection: ConnectionId, now: float) -> None:
        """A held data connection ended."""
        call = self._book.data.pop(connection, None)
        if call is not None:
            call.callee_data = None
            self._steps.step(CallStep.DATA_LOST, Step(call, now))

    def data_ended(self, connection: ConnectionId, reason: Reason | None, now: float) -> None:
        """A bridged data connection ended."""
        call = self.streams.of(connection)
        if call is not None:
            self._steps.step(CallStep.RELAY_ENDED, Step(call, now, reason))

    def relay_ended(self, number: int, now: float) -> None:
        """The relay between two of our clients ended by itself."""
        call = self._book.numbered(number)
        if call is not None and call.state is CallState.RELAYING:
            self._steps.step(CallStep.RELAY_ENDED, Step(call, now))

    # -- Links ------------------------------------------------------------------------------------------------

    def request(self, link: Link, caller: int, callee: int, within_rate: bool, now: float) -> None:
        """AA."""
        pair = pair_of(caller, callee)
        if link.is_fenced(pair):
            self._context.note("call_request_ignored", Reason.CALL_FENCED, caller=caller, callee=callee)
            return
        glare = None
        for call in self._book.both(pair):
            if self._crosses(call, link, caller, now):
                if call.state is not CallState.ASKED or (call.caller < caller and not call.held):  # D26: ours wins
                    call.deferred = None if call.link is link else link
                    self._context.note("call_request_ignored", Reason.CALL_GLARE, caller=caller, callee=callee)
                    return
                glare = call
            elif call.link is link and call.state is not CallState.ASKED:
                if call.state is not CallState.RELAYING and not (call.state is CallState.READY and call.away):
                    return  # a repetition in set-up (D18)
                self._steps.step(CallStep.REQUEST, Step(call, now, silent=True))
        refusal = self._refusal_of_request(link, caller, callee, within_rate)
        if refusal is not None:
            self._context.note("call_refused", refusal, caller=caller, callee=callee)
            self._links.send(link, _no(caller, callee))
            if glare is not None:  # the other node dropped ours for the one that we refuse
                self._steps.step(CallStep.LATE, Step(glare, now, refusal, silent=glare.link is link))
            return
        self._serve(link, caller, callee, now, settled=glare is not None and glare.link is link)

    def _freed(self, link: Link, caller: int, callee: int, now: float) -> None:
        """Our call, which an AA over this link crossed, is over: the AA has its turn when this event is dealt with."""
        self._context.timers.set(("calls", "deferred", link.id, caller, callee), now)

    def deferred_due(self, link: Link, caller: int, callee: int, now: float) -> None:
        """Its turn has come."""
        self.request(link, caller, callee, True, now)

    def _serve(self, link: Link, caller: int, callee: int, now: float, *, settled: bool) -> None:
        """Put an AA to its callee. Our client's own wish to call that user is withdrawn: if `settled`, in silence."""
        wish = self._book.main(pair_of(caller, callee))
        absorbed = wish is not None and wish.away and wish.caller == callee and wish.state in UNANSWERED
        if wish is not None and absorbed:
            self._steps.step(CallStep.SERVED, Step(wish, now, silent=settled))
            wish = None
        self._finder.called_from(caller, link.node, now)
        served = CallRecord(0, caller, callee, link=link, absorbed=absorbed, challenger=wish is not None)
        self._steps.step(CallStep.REQUEST, Step(served, now))

    def answered(self, link: Link, caller: int, callee: int, now: float) -> None:
        """AB."""
        pair = pair_of(caller, callee)
        if link.is_fenced(pair):
            return
        call = self._book.main(pair)
        if call is not None and call.away and call.link is link and call.caller == caller:
            if not call.held:
                self._steps.step(CallStep.ANSWERED, Step(call, now))
        elif self._book.is_elsewhere(pair, link):
            self._context.note("answer_ignored", Reason.OTHER_LINK, caller=caller, callee=callee)
        else:
            self._context.note("answer_refused", Reason.NO_CONVERSATION, caller=caller, callee=callee)
            self._links.send(link, _no(caller, callee))

    def no_conversation(self, link: Link, one: int, other: int, now: float) -> None:
        """B8. It names the pair in either order, and is never answered."""
        pair = pair_of(one, other)
        if link.is_fenced(pair):
            self._links.discard_data(link, pair)
            return
        for call in self._book.both(pair):
            if call.deferred is link:  # it withdraws what crossed ours
                call.deferred = None
                return
            if call.link is link:
                self._links.pair_ended(link, pair, now)
                if call.link is link:
                    self._steps.step(CallStep.NO, Step(call, now, silent=True))
                return
        if self._book.is_elsewhere(pair, link):
            self._context.note("no_conversation_ignored", Reason.OTHER_LINK, caller=one, callee=other)

    def relayed(self, link: Link, sender: int, recipient: int, data: bytes, now: float) -> None:
        """D0."""
        pair = pair_of(sender, recipient)
        if link.is_fenced(pair):
            return
        call = self._book.main(pair)
        if call is not None and call.link is link and call.here == recipient:
            if call.state is CallState.RELAYING or (call.away and call.state is CallState.READY):
                self.streams.arrived(call, data, now)
            return  # before AB: of an older conversation, whose node did not fence it
        self._context.note("data_refused", Reason.NO_CONVERSATION, caller=sender, callee=recipient)
        self._links.send(link, _no(sender, recipient))

    def link_down(self, link: Link, now: float) -> None:
        """What it carried ends here too, or goes on to the next node."""
        for number in list(link.calls):
            call = self._book.numbered(number)
            if call is not None:
                self._steps.step(CallStep.LINK_LOST, Step(call, now, silent=True))

    def fence_down(self, link: Link, pair: Pair, now: float) -> None:
        """An AA that was held back may go."""
        call = self._book.main(pair)
        if call is not None and call.link is link and call.held:
            self._steps.fence_down(call, link, now)

    def data_sent(self, link: Link, pair: Pair) -> None:
        """Some of this pair's relayed data has left."""
        call = self._book.main(pair)
        if call is not None:
            self.streams.sent(call, link, pair)

    # -- The search -------------------------------------------------------------------------------------------

    def found(self, number: int, candidate: Candidate, now: float) -> None:
        """An answer to the search of this call."""
        call = self._book.numbered(number)
        if call is not None:
            self._steps.quests.found(call, candidate, now)

    def search_over(self, number: int, asked: frozenset[Fingerprint], now: float) -> None:
        """No more answers will come."""
        call = self._book.numbered(number)
        if call is not None:
            self._steps.quests.search_over(call, asked, now)

    def better_due(self, number: int, now: float) -> None:
        """Nothing better came in time."""
        call = self._book.numbered(number)
        if call is not None and call.state is CallState.LOCATING:
            self._steps.quests.go_on(call, now)

    # -- Time -------------------------------------------------------------------------------------------------

    def drain(self, now: float) -> None:
        """The node is stopping: calls in set-up end, conversations go on for now."""
        self._draining = True
        for call in self._book:
            if call.state is not CallState.RELAYING:
                late = call.away and call.state is not CallState.READY
                self._steps.step(CallStep.LATE if late else CallStep.TIMEOUT, Step(call, now, Reason.NODE_STOPPING))

    # -- Deciding ---------------------------------------------------------------------------------------------

    def _refusal(self, client: LocalClient, callee: int) -> Reason | None:
        if callee == 0:
            return Reason.CALL_TO_ZERO
        if callee == client.uin:
            return Reason.CALL_TO_SELF
        if self._draining:
            return Reason.NODE_STOPPING
        if self._book.as_caller[client.uin] >= self._settings.unanswered_per_caller:
            return Reason.CALLER_UNANSWERED_FULL
        if self._registry.user(callee) and self._book.as_callee[callee] >= self._settings.unanswered_per_callee:
            return Reason.CALLEE_UNANSWERED_FULL
        return None

    def _refuse(self, client: LocalClient, callee: int, reason: Reason) -> None:
        self._context.do(Send(client.connection, Unavailable(callee)))
        self._context.note("call_refused", reason, caller=client.uin, callee=callee)

    def _refusal_of_request(self, link: Link, caller: int, callee: int, within_rate: bool) -> Reason | None:
        if not within_rate:
            return Reason.LINK_CALL_RATE
        if self._draining:
            return Reason.NODE_STOPPING
        if callee == 0 or caller == 0:
            return Reason.CALL_TO_ZERO
        if callee == caller:
            return Reason.CALL_TO_SELF
        if self._registry.user(callee) is None:
            return Reason.CALLEE_OFFLINE
        if self._book.challenger(pair_of(caller, callee)) is not None:
            return Reason.CALL_HELD
        if (
            self._book.as_callee[callee] >= self._settings.unanswered_per_callee
            or self._book.of_node[link.node, callee] >= self._settings.unanswered_per_link
        ):
            return Reason.CALLEE_UNANSWERED_FULL
        return None

    def _crosses(self, call: CallRecord, link: Link, caller: int, now: float) -> bool:
        """The AA is the callee's own wish, from the node that our AA went to, and neither knew of the other's (D26).

        Over another link to that node it may come even after the AB to ours.
        """
        if not call.away or call.callee != caller or call.link is None or call.link.node != link.node:
            return False
        if call.state is CallState.ASKED:
            return True
        return call.link is not link and now < call.ready_at + self._settings.search.short

    def _serves_here(self, call: CallRecord, client: LocalClient, now: float) -> bool:
        """The callee of a call that looks for it elsewhere calls from here: that call is withdrawn."""
        if not call.away or client.uin != call.callee:
            return False
        if call.state is CallState.READY:
            self._steps.step(CallStep.TIMEOUT, Step(call, now, Reason.CALL_RESTARTED))
        else:
            self._steps.step(CallStep.SERVED, Step(call, now))
        return True

    def _may_open_data(self, call: CallRecord, network: str) -> bool:
        """The source must be the control connection's of whose turn it is (D12)."""
        if not self._settings.check_data_address or call.state in {CallState.NONE, CallState.RELAYING}:
            return True
        return network == (call.caller_network if call.state is CallState.READY else call.callee_network)


def _no(caller: int, callee: int) -> NoConversation:
    return NoConversation(caller, callee)
