"""A call through one node, as a table (section 4, D12–D17). The switchboard looks every step up here.

A call is one unordered pair of users (D13). Its caller is who sent the 03 that made it. `NODE_CALLS` says for
each state and step what comes next and what the node does; docs/states.md is drawn from it. Counterpart: the two
clients' `control.CLIENT_CALLS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from uzel.errors import Reason


class CallState(StrEnum):
    """Where a call stands at the node."""

    NONE = "none"
    RINGING = "ringing"
    ACCEPTED = "accepted"
    READY = "ready"
    RELAYING = "relaying"


class CallStep(StrEnum):
    """What happens to a call. Data steps come after the check of the data connection's source (D12)."""

    CALL_BY_CALLER = "03 by the caller"
    CALL_BY_CALLEE = "03 by the callee"
    ACCEPT = "06 by the callee"
    REFUSE = "08 by the callee"
    DATA = "20 that matches"
    DATA_LOST = "a data connection ends"
    TIMEOUT = "its time passes"
    CALLER_LOST = "the caller's control connection ends"
    CALLEE_LOST = "the callee's control connection ends"
    RELAY_ENDED = "the relay ends"


class CallAction(StrEnum):
    """What the node does."""

    RING = "04 to the callee"
    ABSORB = "remember the callee's wish (D14)"
    AWAIT_DATA = "wait for the callee's data connection"
    HOLD_DATA = "hold the early data connection"
    DROP_DATA = "forget the held data connection"
    SEND_READY = "07 to the caller"
    JOIN = "join the data connections"
    RESTART = "end the conversation, begin a call"
    TELL_CALLER = "05 to the caller"
    TELL_CALLEE = "05 to the callee"
    TELL_BOTH = "05 to both"
    TELL_LATE = "05 to who accepts, once (D15)"
    CLOSE_DATA = "close that data connection"
    FORGET = "forget the conversation"


@dataclass(frozen=True, slots=True)
class CallTransition:
    """The next state, what the node does, and the reason it is counted under, if any."""

    next: CallState
    action: CallAction
    reason: Reason | None = None


_NONE, _RINGING, _ACCEPTED, _READY, _RELAYING = CallState

NODE_CALLS: dict[tuple[CallState, CallStep], CallTransition] = {
    (_NONE, CallStep.CALL_BY_CALLER): CallTransition(_RINGING, CallAction.RING),
    (_NONE, CallStep.ACCEPT): CallTransition(_NONE, CallAction.TELL_LATE, Reason.LATE_ACCEPT),
    (_NONE, CallStep.DATA): CallTransition(_NONE, CallAction.CLOSE_DATA, Reason.DATA_NO_CALL),
    (_RINGING, CallStep.CALL_BY_CALLEE): CallTransition(_RINGING, CallAction.ABSORB),
    (_RINGING, CallStep.ACCEPT): CallTransition(_ACCEPTED, CallAction.AWAIT_DATA),
    (_RINGING, CallStep.REFUSE): CallTransition(_NONE, CallAction.TELL_CALLER, Reason.CALLEE_REFUSED),
    (_RINGING, CallStep.DATA): CallTransition(_RINGING, CallAction.HOLD_DATA),
    (_RINGING, CallStep.DATA_LOST): CallTransition(_RINGING, CallAction.DROP_DATA),
    (_RINGING, CallStep.TIMEOUT): CallTransition(_NONE, CallAction.TELL_BOTH, Reason.RING_TIMEOUT),
    (_RINGING, CallStep.CALLER_LOST): CallTransition(_NONE, CallAction.TELL_CALLEE, Reason.CONTROL_LOST),
    (_RINGING, CallStep.CALLEE_LOST): CallTransition(_NONE, CallAction.TELL_CALLER, Reason.CONTROL_LOST),
    (_ACCEPTED, CallStep.CALL_BY_CALLEE): CallTransition(_ACCEPTED, CallAction.ABSORB),
    (_ACCEPTED, CallStep.REFUSE): CallTransition(_NONE, CallAction.TELL_CALLER, Reason.CALLEE_REFUSED),
    (_ACCEPTED, CallStep.DATA): CallTransition(_READY, CallAction.SEND_READY),
    (_ACCEPTED, CallStep.TIMEOUT): CallTransition(_NONE, CallAction.TELL_BOTH, Reason.CALLEE_DATA_TIMEOUT),
    (_ACCEPTED, CallStep.CALLER_LOST): CallTransition(_NONE, CallAction.TELL_CALLEE, Reason.CONTROL_LOST),
    (_ACCEPTED, CallStep.CALLEE_LOST): CallTransition(_NONE, CallAction.TELL_CALLER, Reason.CONTROL_LOST),
    (_READY, CallStep.CALL_BY_CALLEE): CallTransition(_READY, CallAction.ABSORB),
    (_READY, CallStep.REFUSE): CallTransition(_NONE, CallAction.TELL_CALLER, Reason.CALLEE_REFUSED),
    (_READY, CallStep.DATA): CallTransition(_RELAYING, CallAction.JOIN),
    (_READY, CallStep.DATA_LOST): CallTransition(_NONE, CallAction.TELL_BOTH, Reason.DATA_LOST),
    (_READY, CallStep.TIMEOUT): CallTransition(_NONE, CallAction.TELL_BOTH, Reason.CALLER_DATA_TIMEOUT),
    (_READY, CallStep.CALLER_LOST): CallTransition(_NONE, CallAction.TELL_CALLEE, Reason.CONTROL_LOST),
    (_READY, CallStep.CALLEE_LOST): CallTransition(_NONE, CallAction.TELL_CALLER, Reason.CONTROL_LOST),
    (_RELAYING, CallStep.CALL_BY_CALLER): CallTransition(_RINGING, CallAction.RESTART, Reason.CALL_RESTARTED),
    (_RELAYING, CallStep.CALL_BY_CALLEE): CallTransition(_RINGING, CallAction.RESTART, Reason.CALL_RESTARTED),
    (_RELAYING, CallStep.ACCEPT): CallTransition(_RELAYING, CallAction.TELL_LATE, Reason.LATE_ACCEPT),
    (_RELAYING, CallStep.DATA): CallTransition(_RELAYING, CallAction.CLOSE_DATA, Reason.DATA_TAKEN),
    (_RELAYING, CallStep.RELAY_ENDED): CallTransition(_NONE, CallAction.FORGET),
}
"""Every other pair changes nothing: a repeated 03 or 06 in set-up and an 08 for no call are ignored (D13, D15)."""
