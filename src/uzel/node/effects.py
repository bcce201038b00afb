"""What the switchboard asks of its shell: frozen values, carried out at once and in order.

The switchboard knows connections only by number; `service` maps numbers to sockets, tests/sim to nothing at all.
Counterpart: the methods of `switchboard.Switchboard`, which take what happens.
"""

from __future__ import annotations

from dataclasses import dataclass

from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress, Range
from uzel.node.registry import ConnectionId
from uzel.wire import Message


@dataclass(frozen=True, slots=True)
class Effect:
    """Something for the shell to do."""


@dataclass(frozen=True, slots=True)
class Send(Effect):
    """Send this message on this client's control connection."""

    connection: ConnectionId
    message: Message


@dataclass(frozen=True, slots=True)
class Close(Effect):
    """Close this control, data or link connection now. What is kept for a bridged one is discarded.

    Without a reason nothing is wrong, as after a dial-back.
    """

    connection: ConnectionId
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Hold(Effect):
    """Keep this data connection until it is joined or bridged, and tell when it ends."""

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
class Bridge(Effect):
    """This data connection belongs to a conversation over a link now.

    All its bytes, the early ones first, go to `data_received`, its end to `data_ended`.
    """

    connection: ConnectionId
    call: int
    caller: int
    callee: int


@dataclass(frozen=True, slots=True)
class Write(Effect):
    """Write to a bridged data connection. What it does not take is kept, and told by `data_backlog`."""

    connection: ConnectionId
    data: bytes


@dataclass(frozen=True, slots=True)
class Pause(Effect):
    """Do not read this bridged data connection for now."""

    connection: ConnectionId


@dataclass(frozen=True, slots=True)
class Resume(Effect):
    """Read it again."""

    connection: ConnectionId


@dataclass(frozen=True, slots=True)
class EndData(Effect):
    """Pass on what is kept, within the drain time (D17), then end this bridged data connection.

    Nothing that it still brings counts, and no `data_ended` is expected.
    """

    connection: ConnectionId


@dataclass(frozen=True, slots=True)
class Dial(Effect):
    """Open a connection to this node, up to the end of the TLS handshake; then `link_dialled` or `dial_failed`.

    A name is resolved by the shell. Only IP addresses in `ranges` may be connected to (D22).
    """

    dial: int
    address: NodeAddress
    ranges: frozenset[Range]


@dataclass(frozen=True, slots=True)
class StopDial(Effect):
    """That connection is no longer wanted: give it up, say nothing."""

    dial: int


@dataclass(frozen=True, slots=True)
class LinkOutput(Effect):
    """There is something to pull with `link_output`."""

    connection: ConnectionId


@dataclass(frozen=True, slots=True)
class Remember(Effect):
    """The node with this key answered at this address just now: keep that across restarts."""

    address: NodeAddress
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class PinNode(Effect):
    """This configured address was met with this key for the first time: pin it (section 7)."""

    address: NodeAddress
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class Forget(Effect):
    """This address is known no more."""

    address: NodeAddress


@dataclass(frozen=True, slots=True)
class Note(Effect):
    """Log this, and count it when it has a reason."""

    event: str
    caller: int = 0
    callee: int = 0
    reason: Reason | None = None
    node: Fingerprint | None = None
