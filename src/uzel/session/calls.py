"""A call at a node, as two tables (sections 4 and 5, D12–D20, D25, D26). The switchboard looks every step up here.

A call is one unordered pair of users (D13). Its caller is who sent the 03 that made it. `NODE_CALLS` is for callees who
are clients of this node, whether the caller is one too or is behind a link (AA); `CALLS_AWAY` is for callees who have
to be found at another node. For each state and step they say what comes next and what the node does; docs/states.md
is drawn from them. Counterparts: the two clients' `control.CLIENT_CALLS`, and the other node's tables.
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
    LOCATING = "locating"
    """The callee's node is looked for, or dialled."""
    ASKED = "asked"
    """AA is sent, or waits for a fence to come down (D19)."""


class CallStep(StrEnum):
    """What happens to a call. Data steps come after the check of the data connection's source (D12)."""

    CALL_BY_CALLER = "03 by the caller"
    CALL_BY_CALLEE = "03 by the callee"
    ACCEPT = "06 by the callee"
    REFUSE = "08 by the callee"
    DATA = "20 that matches"
    DATA_ACROSS = "20 that matches, the caller behind a link"
    DATA_LOST = "a data connection ends"
    TIMEOUT = "its time passes"
    CALLER_LOST = "the caller's control connection ends"
    CALLEE_LOST = "the callee's control connection ends"
    RELAY_ENDED = "the relay, or its data connection, ends"
    REQUEST = "AA"
    LOCATED = "a link to the callee's node stands"
    NOT_FOUND = "no node is left to try"
    ANSWERED = "AB"
    NO = "B8"
    LINK_LOST = "the link is lost"
    SERVED = "AA the other way is served"
    LATE = "150 s have passed since the 03"
    OVERFLOW = "the client does not take its bytes"


class CallAction(StrEnum):
    """What the node does. Whoever is told is told 05 if a client here, B8 if behind a link."""

    RING = "04 to the callee"
    ABSORB = "remember the callee's wish (D14)"
    AWAIT_DATA = "wait for the callee's data connection"
    HOLD_DATA = "hold the early data connection"
    DROP_DATA = "forget the held data connection"
    SEND_READY = "07 to the caller"
    JOIN = "join the data connections"
    ANSWER = "AB to the caller's node, bridge the data connection"
    BRIDGE = "bridge the data connection"
    LOCATE = "look for the callee's node"
    ASK = "AA to the callee's node"
    TRY_NEXT = "try the next node (D20)"
    GIVE_UP = "B8, try the next node (D20)"
    DROP = "forget the call"
    RESTART = "end the conversation, begin a call"
    TELL_CALLER = "tell the caller"
    TELL_CALLEE = "tell the callee"
    TELL_BOTH = "tell both"
    TELL_LATE = "05 to who accepts, once (D15)"
    CLOSE_DATA = "close that data connection"
    FORGET = "forget the conversation; B8 behind the last D0"
    END_DATA = "end the data connection, forget the conversation"
    CUT = "close the data connection, B8"


@dataclass(frozen=True, slots=True)
class CallTransition:
    """The next state, what the node does, and the reason it is counted under, if any."""

    next: CallState
    action: CallAction
    reason: Reason | None = None


_NONE, _RINGING, _ACCEPTED, _READY, _RELAYING, _LOCATING, _ASKED = CallState

NODE_CALLS: dict[tuple[CallState, CallStep], CallTransition] = {
    (_NONE, CallStep.CALL_BY_CALLER): CallTransition(_RINGING, CallAction.RING),
    (_NONE, CallStep.REQUEST): CallTransition(_RINGING, CallAction.RING),
    (_NONE, CallStep.ACCEPT): CallTransition(_NONE, CallAction.TELL_LATE, Reason.LATE_ACCEPT),
    (_NONE, CallStep.DATA): CallTransition(_NONE, CallAction.CLOSE_DATA, Reason.DATA_NO_CALL),
    (_RINGING, CallStep.CALL_BY_CALLEE): CallTransition(_RINGING, CallAction.ABSORB),
    (_RINGING, CallStep.ACCEPT): CallTransition(_ACCEPTED, CallAction.AWAIT_DATA),
    (_RINGING, CallStep.REFUSE): CallTransition(_NONE, CallAction.TELL_CALLER, Reason.CALLEE_REFUSED),
    (_RINGING, CallStep.DATA): CallTransition(_RINGING, CallAction.HOLD_DATA),
    (_RINGING, CallStep.DATA_LOST): CallTransition(_RINGING, CallAction.DROP_DATA),
    (_RINGING, CallStep.TIMEOUT): CallTransition(_NONE, CallAction.TELL_BOTH, Reason.RING_TIMEOUT),
    (_RINGING, CallStep.NO): CallTransition(_NONE, CallAction.TELL_CALLEE, Reason.CALLER_WITHDREW),
    (_RINGING, CallStep.LINK_LOST): CallTransition(_NONE, CallAction.TELL_CALLEE, Reason.LINK_LOST),
    (_RINGING, CallStep.CALLER_LOST): CallTransition(_NONE, CallAction.TELL_CALLEE, Reason.CONTROL_LOST),
    (_RINGING, CallStep.CALLEE_LOST): CallTransition(_NONE, CallAction.TELL_CALLER, Reason.CONTROL_LOST),
    (_ACCEPTED, CallStep.CALL_BY_CALLEE): CallTransition(_ACCEPTED, CallAction.ABSORB),
    (_ACCEPTED, CallStep.REFUSE): CallTransition(_NONE, CallAction.TELL_CALLER, Reason.CALLEE_REFUSED),
    (_ACCEPTED, CallStep.DATA): CallTransition(_READY, CallAction.SEND_READY),
    (_ACCEPTED, CallStep.DATA_ACROSS): CallTransition(_RELAYING, CallAction.ANSWER),
    (_ACCEPTED, CallStep.NO): CallTransition(_NONE, CallAction.TELL_CALLEE, Reason.CALLER_WITHDREW),
    (_ACCEPTED, CallStep.LINK_LOST): CallTransition(_NONE, CallAction.TELL_CALLEE, Reason.LINK_LOST),
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
    (_RELAYING, CallStep.REQUEST): CallTransition(_RINGING, CallAction.RESTART, Reason.CALL_RESTARTED),
    (_RELAYING, CallStep.NO): CallTransition(_NONE, CallAction.END_DATA),
    (_RELAYING, CallStep.LINK_LOST): CallTransition(_NONE, CallAction.END_DATA, Reason.LINK_LOST),
    (_RELAYING, CallStep.OVERFLOW): CallTransition(_NONE, CallAction.CUT, Reason.HELD_FULL),
}
"""Every other pair changes nothing: a repeated 03, 06 or AA in set-up and an 08 for no call are ignored
(D13, D15, D18)."""

CALLS_AWAY: dict[tuple[CallState, CallStep], CallTransition] = {
    (_NONE, CallStep.CALL_BY_CALLER): CallTransition(_LOCATING, CallAction.LOCATE),
    (_LOCATING, CallStep.LOCATED): CallTransition(_ASKED, CallAction.ASK),
    (_LOCATING, CallStep.NOT_FOUND): CallTransition(_NONE, CallAction.TELL_CALLER, Reason.CALLEE_OFFLINE),
    (_LOCATING, CallStep.LATE): CallTransition(_NONE, CallAction.TELL_CALLER, Reason.NODE_SILENT),
    (_LOCATING, CallStep.CALLER_LOST): CallTransition(_NONE, CallAction.DROP, Reason.CONTROL_LOST),
    (_LOCATING, CallStep.SERVED): CallTransition(_NONE, CallAction.DROP),
    (_ASKED, CallStep.ANSWERED): CallTransition(_READY, CallAction.SEND_READY),
    (_ASKED, CallStep.NO): CallTransition(_LOCATING, CallAction.TRY_NEXT, Reason.NODE_SAYS_NO),
    (_ASKED, CallStep.LINK_LOST): CallTransition(_LOCATING, CallAction.TRY_NEXT, Reason.LINK_LOST),
    (_ASKED, CallStep.TIMEOUT): CallTransition(_LOCATING, CallAction.GIVE_UP, Reason.NODE_SILENT),
    (_ASKED, CallStep.LATE): CallTransition(_NONE, CallAction.TELL_BOTH, Reason.NODE_SILENT),
    (_ASKED, CallStep.CALLER_LOST): CallTransition(_NONE, CallAction.TELL_CALLEE, Reason.CONTROL_LOST),
    (_ASKED, CallStep.SERVED): CallTransition(_NONE, CallAction.TELL_CALLEE),
    (_READY, CallStep.DATA): CallTransition(_RELAYING, CallAction.BRIDGE),
    (_READY, CallStep.TIMEOUT): CallTransition(_NONE, CallAction.TELL_BOTH, Reason.CALLER_DATA_TIMEOUT),
    (_READY, CallStep.NO): CallTransition(_NONE, CallAction.TELL_CALLER, Reason.NODE_SAYS_NO),
    (_READY, CallStep.LINK_LOST): CallTransition(_NONE, CallAction.TELL_CALLER, Reason.LINK_LOST),
    (_READY, CallStep.CALLER_LOST): CallTransition(_NONE, CallAction.TELL_CALLEE, Reason.CONTROL_LOST),
    (_READY, CallStep.OVERFLOW): CallTransition(_NONE, CallAction.TELL_BOTH, Reason.HELD_FULL),
    (_READY, CallStep.REQUEST): CallTransition(_NONE, CallAction.TELL_CALLER, Reason.CALL_RESTARTED),
    (_RELAYING, CallStep.REQUEST): CallTransition(_LOCATING, CallAction.RESTART, Reason.CALL_RESTARTED),
    (_RELAYING, CallStep.CALL_BY_CALLER): CallTransition(_LOCATING, CallAction.RESTART, Reason.CALL_RESTARTED),
    (_RELAYING, CallStep.CALL_BY_CALLEE): CallTransition(_LOCATING, CallAction.RESTART, Reason.CALL_RESTARTED),
    (_RELAYING, CallStep.DATA): CallTransition(_RELAYING, CallAction.CLOSE_DATA, Reason.DATA_TAKEN),
    (_RELAYING, CallStep.RELAY_ENDED): CallTransition(_NONE, CallAction.FORGET),
    (_RELAYING, CallStep.NO): CallTransition(_NONE, CallAction.END_DATA),
    (_RELAYING, CallStep.LINK_LOST): CallTransition(_NONE, CallAction.END_DATA, Reason.LINK_LOST),
    (_RELAYING, CallStep.OVERFLOW): CallTransition(_NONE, CallAction.CUT, Reason.HELD_FULL),
}
"""As above. A 20 for any other state finds no call that waits for it, and its connection is closed."""
