"""The node's decisions about its own clients: who is online, who calls whom, whose data connections meet.

One pure object: events in (the methods that take `now`), effects out (`take_effects`). It knows connections only
by number. The asyncio shell (`service.py`) runs it over sockets; tests run it over nothing. How a call moves is
the table `session.calls.NODE_CALLS`; what may be said is the table `policy.POLICY`. Rules of section 4, D10 and
D12–D17. Counterpart: every client's `session.control.ClientControl`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from uzel.errors import Reason
from uzel.node.limits import Deadlines, Rate, RateLimiter
from uzel.node.policy import RateName, rule_for
from uzel.node.registry import ConnectionId, LocalClient, Registry
from uzel.session.calls import NODE_CALLS, CallAction, CallState, CallStep
from uzel.wire import (
    Accept,
    Call,
    Channel,
    DataHello,
    IncomingCall,
    Message,
    NodeList,
    NodeListRequest,
    Ping,
    Pong,
    Ready,
    Refuse,
    Unavailable,
)


@dataclass(frozen=True, slots=True)
class SwitchboardSettings:
    """The times (seconds) and bounds that the switchboard itself keeps; defaults of section 8."""

    ring: float = 60.0
    data: float = 15.0
    logins: Rate = Rate(60, 60)
    calls: Rate = Rate(120, 60)
    unanswered_per_caller: int = 16
    unanswered_per_callee: int = 32
    check_data_address: bool = True


@dataclass(frozen=True, slots=True)
class Effect:
    """Something for the shell to do."""


@dataclass(frozen=True, slots=True)
class Send(Effect):
    """Send this message on this control connection."""

    connection: ConnectionId
    message: Message


@dataclass(frozen=True, slots=True)
class Close(Effect):
    """Close this control or data connection."""

    connection: ConnectionId
    reason: Reason


@dataclass(frozen=True, slots=True)
class Hold(Effect):
    """Keep this data connection until it is joined, and tell when it ends."""

    connection: ConnectionId


@dataclass(frozen=True, slots=True)
class Join(Effect):
    """Copy bytes between these data connections until one ends, then say `relay_ended`."""

    call: int
    caller: int
    callee: int
    caller_data: ConnectionId
    callee_data: ConnectionId


@dataclass(frozen=True, slots=True)
class EndRelay(Effect):
    """End this conversation now; no `relay_ended` is expected."""

    call: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Note(Effect):
    """Log this, and count it when it has a reason."""

    event: str
    caller: int = 0
    callee: int = 0
    reason: Reason | None = None


Pair = tuple[int, int]


def pair_of(one: int, other: int) -> Pair:
    """The unordered pair of two users."""
    return (one, other) if one < other else (other, one)


@dataclass(slots=True, eq=False)
class CallRecord:
    """A call or conversation of one pair. The networks are those of the control connections at the 03 (D12)."""

    number: int
    caller: int
    callee: int
    caller_network: str = ""
    callee_network: str = ""
    state: CallState = CallState.NONE
    callee_data: ConnectionId | None = None
    absorbed: bool = False

    @property
    def pair(self) -> Pair:
        """Its key."""
        return pair_of(self.caller, self.callee)


@dataclass(slots=True)
class _Unanswered:
    as_caller: int = 0
    as_callee: int = 0


@dataclass(slots=True)
class _Step:
    """One step of one call, with what it needs to be carried out."""

    call: CallRecord
    now: float
    reason: Reason | None = None
    data: ConnectionId | None = None


class Switchboard:
    """See the module's text. Not thread-safe; times must not go backwards."""

    def __init__(self, settings: SwitchboardSettings) -> None:
        self._settings = settings
        self._registry = Registry()
        self._calls: dict[Pair, CallRecord] = {}
        self._relays: dict[int, CallRecord] = {}
        self._data: dict[ConnectionId, CallRecord] = {}
        self._in_set_up: dict[int, dict[Pair, None]] = {}
        self._unanswered: dict[int, _Unanswered] = {}
        self._ringing: Deadlines[Pair] = Deadlines(settings.ring)
        self._awaiting_data: Deadlines[Pair] = Deadlines(settings.data)
        self._login_rate: RateLimiter[int] = RateLimiter(settings.logins)
        self._call_rate: RateLimiter[int] = RateLimiter(settings.calls)
        self._numbers = 0
        self._draining = False
        self._effects: list[Effect] = []

    # -- What the shell may ask -------------------------------------------------------------------------------

    def take_effects(self) -> list[Effect]:
        """Everything to do since the last time, in order."""
        effects, self._effects = self._effects, []
        return effects

    def deadline(self) -> float | None:
        """When `on_timeout` wants to be called."""
        first, second = self._ringing.next(), self._awaiting_data.next()
        if first is None or second is None:
            return first if second is None else second
        return min(first, second)

    def counts(self) -> dict[str, int]:
        """How many clients, calls in set-up, conversations, waiting data connections and timers there are."""
        return {
            "clients": len(self._registry),
            "calls": len(self._calls) - len(self._relays),
            "conversations": len(self._relays),
            "data_waiting": len(self._data),
            "call_timers": len(self._ringing) + len(self._awaiting_data),
        }

    # -- Events in --------------------------------------------------------------------------------------------

    def client_online(self, connection: ConnectionId, uin: int, network: str, now: float) -> bool:
        """A client has proven who it is. False when its logins are too many: the connection is to be closed."""
        if not self._login_rate.take(uin, now):
            self._effects.append(Close(connection, Reason.LOGIN_RATE))
            return False
        older = self._registry.user(uin)
        if older is not None:
            self._leave(older, now)
            self._effects.append(Close(older.connection, Reason.REPLACED))
        self._registry.add(LocalClient(uin, connection, network))
        self._effects.append(Note("client_online", caller=uin))
        return True

    def client_offline(self, connection: ConnectionId, now: float) -> None:
        """A control connection ended: its calls in set-up end, its conversations live on (D16)."""
        client = self._registry.connection(connection)
        if client is not None:
            self._leave(client, now)
            self._effects.append(Note("client_offline", caller=client.uin))

    def client_message(self, connection: ConnectionId, message: Message, now: float) -> None:
        """A message other than a pong came on a control connection."""
        client = self._registry.connection(connection)
        if client is None:
            return
        rule = rule_for(Channel.CONTROL_TO_NODE, type(message))
        assert rule is not None, "the framer lets no other message through"
        within = rule.rate is not RateName.CALLS or self._call_rate.take(client.uin, now)
        match message:
            case Call(callee=callee):
                self._on_call(client, callee, within, now)
            case Accept(caller=caller):
                self._step(CallStep.ACCEPT, _Step(self._call_from(caller, client.uin), now))
            case Refuse(caller=caller):
                self._step(CallStep.REFUSE, _Step(self._call_from(caller, client.uin), now))
            case Ping(token=token):
                self._effects.append(Send(connection, Pong(token)))
            case NodeListRequest():
                self._effects.append(Send(connection, NodeList(())))
            case _:
                raise AssertionError(f"no handler for {message}")

    def data_hello(self, connection: ConnectionId, hello: DataHello, network: str, now: float) -> None:
        """A data connection said 20 from this network. It is held, joined or closed by an effect."""
        call = self._call_from(hello.caller, hello.callee)
        if call.state is CallState.RINGING and call.callee_data is not None:
            self._effects.append(Close(connection, Reason.DATA_TAKEN))
        elif not self._may_open_data(call, network):
            self._effects.append(Close(connection, Reason.DATA_WRONG_ADDRESS))
        else:
            self._step(CallStep.DATA, _Step(call, now, data=connection))

    def data_lost(self, connection: ConnectionId, now: float) -> None:
        """A held data connection ended before it was joined."""
        call = self._data.pop(connection, None)
        if call is not None:
            call.callee_data = None
            self._step(CallStep.DATA_LOST, _Step(call, now))

    def relay_ended(self, number: int, now: float) -> None:
        """The relay of this conversation has ended by itself."""
        call = self._relays.get(number)
        if call is not None:
            self._step(CallStep.RELAY_ENDED, _Step(call, now))

    def drain(self, now: float) -> None:
        """The node is stopping: no new calls, those in set-up end, conversations go on for now."""
        self._draining = True
        for pair in [*self._ringing.take_due(float("inf")), *self._awaiting_data.take_due(float("inf"))]:
            self._step(CallStep.TIMEOUT, _Step(self._calls[pair], now, Reason.NODE_STOPPING))

    def on_timeout(self, now: float) -> None:
        """End the calls whose time has passed."""
        for pair in [*self._ringing.take_due(now), *self._awaiting_data.take_due(now)]:
            self._step(CallStep.TIMEOUT, _Step(self._calls[pair], now))
        self._login_rate.forget_full(now)
        self._call_rate.forget_full(now)

    # -- Calls ------------------------------------------------------------------------------------------------

    def _on_call(self, client: LocalClient, callee: int, within_rate: bool, now: float) -> None:
        call = self._calls.get(pair_of(client.uin, callee))
        if call is not None and call.state is not CallState.RELAYING:
            by_caller = call.caller == client.uin
            self._step(CallStep.CALL_BY_CALLER if by_caller else CallStep.CALL_BY_CALLEE, _Step(call, now))
            return
        refusal = Reason.CALL_RATE if not within_rate else self._refusal(client, callee)
        if refusal in {Reason.CALL_RATE, Reason.NODE_STOPPING}:  # a conversation that runs goes on
            self._refuse_call(client, callee, refusal)
            return
        if call is not None:
            self._step(CallStep.CALL_BY_CALLER, _Step(call, now))
        if refusal is not None:
            self._refuse_call(client, callee, refusal)
            return
        self._step(CallStep.CALL_BY_CALLER, _Step(self._call_from(client.uin, callee), now))

    def _refusal(self, client: LocalClient, callee: int) -> Reason | None:
        if callee == 0:
            return Reason.CALL_TO_ZERO
        if callee == client.uin:
            return Reason.CALL_TO_SELF
        if self._draining:
            return Reason.NODE_STOPPING
        if self._registry.user(callee) is None:
            return Reason.CALLEE_OFFLINE
        if self._unanswered_of(client.uin).as_caller >= self._settings.unanswered_per_caller:
            return Reason.CALLER_UNANSWERED_FULL
        if self._unanswered_of(callee).as_callee >= self._settings.unanswered_per_callee:
            return Reason.CALLEE_UNANSWERED_FULL
        return None

    def _refuse_call(self, client: LocalClient, callee: int, reason: Reason) -> None:
        self._effects.append(Send(client.connection, Unavailable(callee)))
        self._effects.append(Note("call_refused", client.uin, callee, reason))

    def _call_from(self, caller: int, callee: int) -> CallRecord:
        """The pair's call if it has this direction, else a blank record in state none, which nothing keeps."""
        call = self._calls.get(pair_of(caller, callee))
        if call is not None and call.caller == caller:
            return call
        return CallRecord(0, caller, callee)

    def _may_open_data(self, call: CallRecord, network: str) -> bool:
        """The source must be the control connection's of whose turn it is (D12)."""
        if not self._settings.check_data_address or call.state in {CallState.NONE, CallState.RELAYING}:
            return True
        return network == (call.caller_network if call.state is CallState.READY else call.callee_network)

    def _leave(self, client: LocalClient, now: float) -> None:
        self._registry.remove(client)
        for pair in list(self._in_set_up.get(client.uin, ())):
            call = self._calls[pair]
            self._step(CallStep.CALLER_LOST if call.caller == client.uin else CallStep.CALLEE_LOST, _Step(call, now))

    # -- Carrying out the table -------------------------------------------------------------------------------

    def _step(self, what: CallStep, step: _Step) -> None:
        transition = NODE_CALLS.get((step.call.state, what))
        if transition is None:
            return
        call, before = step.call, step.call.state
        if before is CallState.RINGING and transition.next is not CallState.RINGING:
            self._count_unanswered(call, -1)
        call.state = transition.next
        if step.reason is None:
            step.reason = transition.reason
        self._ACTIONS[transition.action](self, step)

    def _ring(self, step: _Step) -> None:
        call = step.call
        caller, callee = self._registry.user(call.caller), self._registry.user(call.callee)
        assert caller is not None
        assert callee is not None
        self._numbers += 1
        call.number, call.caller_network, call.callee_network = self._numbers, caller.network, callee.network
        self._calls[call.pair] = call
        for uin in call.pair:
            self._in_set_up.setdefault(uin, {})[call.pair] = None
        self._count_unanswered(call, 1)
        self._ringing.set(call.pair, step.now)
        callee.told.pop(caller.uin, None)
        self._effects.append(Send(callee.connection, IncomingCall(caller.uin)))

    def _tell_late(self, step: _Step) -> None:
        callee = self._registry.user(step.call.callee)
        assert callee is not None
        if step.call.caller not in callee.told:
            self._effects.append(Send(callee.connection, Unavailable(step.call.caller)))
            self._effects.append(Note("accept_ignored", step.call.caller, step.call.callee, step.reason))

    def _close_data(self, step: _Step) -> None:
        assert step.data is not None
        assert step.reason is not None
        self._effects.append(Close(step.data, step.reason))

    def _await_data(self, step: _Step) -> None:
        call = step.call
        self._ringing.clear(call.pair)
        self._awaiting_data.set(call.pair, step.now)
        if call.callee_data is not None:
            self._step(CallStep.DATA, _Step(call, step.now, data=call.callee_data))

    def _hold_data(self, step: _Step) -> None:
        assert step.data is not None
        if step.data not in self._data:  # else it was early, and is held already
            self._effects.append(Hold(step.data))
        step.call.callee_data = step.data
        self._data[step.data] = step.call

    def _send_ready(self, step: _Step) -> None:
        self._hold_data(step)
        self._awaiting_data.set(step.call.pair, step.now)
        caller = self._registry.user(step.call.caller)
        assert caller is not None, "a call in set-up ends with its caller's control connection"
        self._effects.append(Send(caller.connection, Ready(step.call.callee)))

    def _join(self, step: _Step) -> None:
        call = step.call
        assert call.callee_data is not None
        assert step.data is not None
        self._end_set_up(call)
        del self._data[call.callee_data]
        self._relays[call.number] = call
        self._effects.append(Note("conversation_started", call.caller, call.callee))
        self._effects.append(Join(call.number, call.caller, call.callee, step.data, call.callee_data))

    def _absorb(self, step: _Step) -> None:
        step.call.absorbed = True

    def _restart(self, step: _Step) -> None:
        call = step.call
        self._forget(step)
        assert step.reason is not None
        self._effects.append(EndRelay(call.number, step.reason))

    def _forget(self, step: _Step) -> None:
        del self._relays[step.call.number]
        del self._calls[step.call.pair]

    def _nothing(self, step: _Step) -> None:
        """The row says so."""

    def _tell_caller(self, step: _Step) -> None:
        self._fail(step, callee=step.call.absorbed)

    def _tell_callee(self, step: _Step) -> None:
        self._fail(step, caller=False)

    def _tell_both(self, step: _Step) -> None:
        self._fail(step)

    def _fail(self, step: _Step, *, caller: bool = True, callee: bool = True) -> None:
        """The call ends before it was a conversation: 05 to whom the table names, if still there."""
        call = step.call
        self._end_set_up(call)
        del self._calls[call.pair]
        if call.callee_data is not None:
            del self._data[call.callee_data]
            self._effects.append(Close(call.callee_data, Reason.DATA_CALL_ENDED))
        calling, called = self._registry.user(call.caller), self._registry.user(call.callee)
        if caller and calling is not None:
            self._effects.append(Send(calling.connection, Unavailable(call.callee)))
        if callee and called is not None:
            called.tell(call.caller)
            self._effects.append(Send(called.connection, Unavailable(call.caller)))
        self._effects.append(Note("call_ended", call.caller, call.callee, step.reason))

    def _end_set_up(self, call: CallRecord) -> None:
        self._ringing.clear(call.pair)
        self._awaiting_data.clear(call.pair)
        for uin in call.pair:
            pairs = self._in_set_up[uin]
            del pairs[call.pair]
            if not pairs:
                del self._in_set_up[uin]

    def _unanswered_of(self, uin: int) -> _Unanswered:
        return self._unanswered.get(uin) or _Unanswered()

    def _count_unanswered(self, call: CallRecord, change: int) -> None:
        for uin, is_caller in ((call.caller, True), (call.callee, False)):
            counts = self._unanswered.setdefault(uin, _Unanswered())
            if is_caller:
                counts.as_caller += change
            else:
                counts.as_callee += change
            if not counts.as_caller and not counts.as_callee:
                del self._unanswered[uin]

    _ACTIONS: ClassVar = {
        CallAction.RING: _ring,
        CallAction.TELL_LATE: _tell_late,
        CallAction.CLOSE_DATA: _close_data,
        CallAction.ABSORB: _absorb,
        CallAction.AWAIT_DATA: _await_data,
        CallAction.HOLD_DATA: _hold_data,
        CallAction.DROP_DATA: _nothing,
        CallAction.SEND_READY: _send_ready,
        CallAction.JOIN: _join,
        CallAction.RESTART: _restart,
        CallAction.TELL_CALLER: _tell_caller,
        CallAction.TELL_CALLEE: _tell_callee,
        CallAction.TELL_BOTH: _tell_both,
        CallAction.FORGET: _forget,
    }
