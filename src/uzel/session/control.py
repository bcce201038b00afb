"""The control connection, inside TLS: `NodeControl` is the node's end, `ClientControl` the client's (sections 3, 4).

Both keep the connection alive by themselves. The node's end leaves every message but a pong to the switchboard, pings
too: so every answer goes out in the order of what it answers. The client's end keeps, for each peer, where a call
stands; `CLIENT_CALLS` is that machine as a table, and docs/states.md is drawn from it. The first pong proves the
login (D9): the client's end pings at once and reports `Online` when it comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from uzel.errors import Reason
from uzel.session.keepalive import Due, Keepalive, KeepaliveTimes
from uzel.session.machine import Event, MessageMachine, Received, TokenSource
from uzel.wire import (
    Accept,
    Call,
    Channel,
    IncomingCall,
    Message,
    NodeListRequest,
    Ping,
    Pong,
    Ready,
    Refuse,
    Unavailable,
)


class _Control(MessageMachine):
    def __init__(self, channel: Channel, times: KeepaliveTimes, tokens: TokenSource, now: float) -> None:
        super().__init__(channel)
        self._tokens = tokens
        self._keepalive = Keepalive(times, now)

    def _heard(self, now: float) -> None:
        self._keepalive.heard(now)

    def deadline(self) -> float | None:
        """When the next ping, or the end, is due."""
        return None if self.closed else self._keepalive.deadline()

    def on_timeout(self, now: float) -> list[Event]:
        """Ping a quiet connection, end a silent one."""
        events: list[Event] = []
        if self.closed:
            return events
        match self._keepalive.due(now):
            case Due.END:
                self._fail(events, Reason.SILENCE)
            case Due.PING:
                self._send(Ping(self._tokens()))
            case Due.NOTHING:
                pass
        return events


class NodeControl(_Control):
    """The node's end of one client's control connection. Start it only once the client is registered (D9)."""

    def __init__(self, times: KeepaliveTimes, tokens: TokenSource, now: float) -> None:
        super().__init__(Channel.CONTROL_TO_NODE, times, tokens, now)

    def send(self, message: Message) -> None:
        """Queue a message for the client."""
        if not self.closed:
            self._send(message)

    def _on_message(self, message: Message, now: float, events: list[Event]) -> None:  # noqa: ARG002
        if not isinstance(message, Pong):
            events.append(Received(message))


class PeerCall(StrEnum):
    """Where the call between this client and one peer stands."""

    IDLE = "idle"
    CALLING = "calling"
    READY = "ready"
    """07 came: the caller's own data connection is being opened."""
    RINGING = "ringing"
    ANSWERED = "answered"


class Step(StrEnum):
    """What moves such a call: our verbs, the node's messages, and `joined`: both data connections stand."""

    CALL = "call"
    ACCEPT = "accept"
    REFUSE = "refuse"
    GIVE_UP = "give up"
    JOINED = "joined"
    INCOMING_CALL = "04"
    UNAVAILABLE = "05"
    READY = "07"


@dataclass(frozen=True, slots=True)
class Online(Event):
    """The first pong came: the login holds (D9)."""


@dataclass(frozen=True, slots=True)
class PeerEvent(Event):
    """An event about the call with one peer."""

    peer: int


class CallArrived(PeerEvent):
    """04: the peer calls; answer with `accept` or `refuse`. Its UIN is only claimed until end-to-end TLS proves it."""


class CallReady(PeerEvent):
    """07: open a data connection as caller."""


class CallAnswered(PeerEvent):
    """06 was sent: open a data connection as callee."""


class CallFailed(PeerEvent):
    """05: the call with this peer, in whichever direction, has come to nothing."""


@dataclass(frozen=True, slots=True)
class Transition:
    """What a step leads to: the next state, the message it sends, the event it reports."""

    next: PeerCall
    sends: type[Call | Accept | Refuse] | None = None
    reports: type[PeerEvent] | None = None


CLIENT_CALLS: dict[tuple[PeerCall, Step], Transition] = {
    (PeerCall.IDLE, Step.CALL): Transition(PeerCall.CALLING, sends=Call),
    (PeerCall.IDLE, Step.INCOMING_CALL): Transition(PeerCall.RINGING, reports=CallArrived),
    (PeerCall.CALLING, Step.READY): Transition(PeerCall.READY, reports=CallReady),
    (PeerCall.CALLING, Step.UNAVAILABLE): Transition(PeerCall.IDLE, reports=CallFailed),
    (PeerCall.CALLING, Step.GIVE_UP): Transition(PeerCall.IDLE),
    # D12: the call may still fail, for both.
    (PeerCall.READY, Step.UNAVAILABLE): Transition(PeerCall.IDLE, reports=CallFailed),
    (PeerCall.READY, Step.JOINED): Transition(PeerCall.IDLE),
    (PeerCall.READY, Step.GIVE_UP): Transition(PeerCall.IDLE),
    (PeerCall.READY, Step.CALL): Transition(PeerCall.CALLING, sends=Call),
    (PeerCall.READY, Step.INCOMING_CALL): Transition(PeerCall.RINGING, reports=CallArrived),
    # D14, glare: our own wish is being granted.
    (PeerCall.CALLING, Step.INCOMING_CALL): Transition(PeerCall.ANSWERED, sends=Accept, reports=CallAnswered),
    (PeerCall.RINGING, Step.CALL): Transition(PeerCall.ANSWERED, sends=Accept, reports=CallAnswered),
    (PeerCall.RINGING, Step.ACCEPT): Transition(PeerCall.ANSWERED, sends=Accept, reports=CallAnswered),
    (PeerCall.RINGING, Step.REFUSE): Transition(PeerCall.IDLE, sends=Refuse),
    (PeerCall.RINGING, Step.UNAVAILABLE): Transition(PeerCall.IDLE, reports=CallFailed),
    (PeerCall.RINGING, Step.INCOMING_CALL): Transition(PeerCall.RINGING, reports=CallArrived),
    (PeerCall.ANSWERED, Step.UNAVAILABLE): Transition(PeerCall.IDLE, reports=CallFailed),
    (PeerCall.ANSWERED, Step.INCOMING_CALL): Transition(PeerCall.RINGING, reports=CallArrived),
    (PeerCall.ANSWERED, Step.JOINED): Transition(PeerCall.IDLE),
    # 06 was sent, the conversation does not stand yet: 08 ends the call for the caller, too, who need not wait it out.
    (PeerCall.ANSWERED, Step.REFUSE): Transition(PeerCall.IDLE, sends=Refuse),
    (PeerCall.ANSWERED, Step.GIVE_UP): Transition(PeerCall.IDLE, sends=Refuse),
}
"""Every other pair of state and step changes nothing: a 05 or 07 that is no longer wanted lapses (D15), and an 08
that comes too late is ignored by the node."""

_STEP_OF: dict[type[Message], Step] = {
    IncomingCall: Step.INCOMING_CALL,
    Unavailable: Step.UNAVAILABLE,
    Ready: Step.READY,
}


class ClientControl(_Control):
    """The client's end. Pings at once; `login_timeout` seconds without a pong end it (section 8: 60 s).

    A node lets at most 32 calls wait for one callee (section 8); one that sends many more is refused beyond
    `MAX_CALLS`, so that no node can make its client grow.
    """

    MAX_CALLS = 256

    def __init__(self, times: KeepaliveTimes, tokens: TokenSource, now: float, *, login_timeout: float = 60.0) -> None:
        super().__init__(Channel.CONTROL_TO_CLIENT, times, tokens, now)
        self._login_by = now + login_timeout
        self._calls: dict[int, PeerCall] = {}
        self.online = False
        self._send(Ping(tokens()))

    def state(self, peer: int) -> PeerCall:
        """Where the call with this peer stands."""
        return self._calls.get(peer, PeerCall.IDLE)

    def step(self, peer: int, step: Step) -> list[Event]:
        """Take one of our own steps towards this peer (call, accept, refuse, give up, joined)."""
        events: list[Event] = []
        if not self.closed:
            self._step(peer, step, events)
        return events

    def request_nodes(self) -> None:
        """Ask for the node list (90); it comes as `Received(NodeList)` pieces."""
        self._send(NodeListRequest(self._tokens()))

    def deadline(self) -> float | None:
        """As for any control connection, and the end of the login time."""
        deadline = super().deadline()
        return deadline if deadline is None or self.online else min(deadline, self._login_by)

    def on_timeout(self, now: float) -> list[Event]:
        """Also ends a login that never got its pong."""
        if not self.online and not self.closed and now >= self._login_by:
            events: list[Event] = []
            self._fail(events, Reason.LOGIN_TIMEOUT)
            return events
        return super().on_timeout(now)

    def _step(self, peer: int, step: Step, events: list[Event]) -> None:
        transition = CLIENT_CALLS.get((self.state(peer), step))
        if transition is None:
            return
        if transition.next is PeerCall.IDLE:
            self._calls.pop(peer, None)
        else:
            self._calls[peer] = transition.next
        if transition.sends is not None:
            self._send(transition.sends(peer))
        if transition.reports is not None:
            events.append(transition.reports(peer))

    def _on_message(self, message: Message, now: float, events: list[Event]) -> None:  # noqa: ARG002
        match message:
            case Ping():
                self._send(Pong(message.token))
            case Pong():
                if not self.online:
                    self.online = True
                    events.append(Online())
            case IncomingCall(caller=peer) if peer not in self._calls and len(self._calls) >= self.MAX_CALLS:
                self._send(Refuse(peer))
            case IncomingCall(caller=peer) | Unavailable(uin=peer) | Ready(callee=peer):
                self._step(peer, _STEP_OF[type(message)], events)
            case _:
                events.append(Received(message))
