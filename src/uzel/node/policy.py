"""Who may say what to a node, on which connection, in which state, and how often: one table (ARCHITECTURE.md, rule 5).

The framer refuses what the wire's own table does not allow on a channel (D6); a test holds the two tables together.
The state follows from where a channel is read at all: hellos on a new connection, control messages only once the
client is registered. The rate is enforced at one point, `Switchboard.client_message`. The end-to-end tests walk the
table whole: every message, on every connection to a node, in every state of a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from uzel.wire import (
    Accept,
    Call,
    Channel,
    ClientHello,
    DataHello,
    Message,
    NodeHello,
    NodeListRequest,
    Ping,
    Pong,
    Refuse,
)


class ConnectionState(StrEnum):
    """Where a connection to a node stands. Nothing inside TLS is read before the client is registered (D9)."""

    CONNECTED = "connected"
    ONLINE = "online"


class RateName(StrEnum):
    """The rates of `config.Limits` that a message can be counted against."""

    CALLS = "calls"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: this message, on this channel, in this state, counted against this rate."""

    message: type[Message]
    channel: Channel
    state: ConnectionState
    rate: RateName | None = None


POLICY: tuple[Rule, ...] = (
    Rule(ClientHello, Channel.CONTROL_HELLO, ConnectionState.CONNECTED),
    Rule(NodeHello, Channel.CONTROL_HELLO, ConnectionState.CONNECTED),
    Rule(Call, Channel.CONTROL_TO_NODE, ConnectionState.ONLINE, RateName.CALLS),
    Rule(Accept, Channel.CONTROL_TO_NODE, ConnectionState.ONLINE),
    Rule(Refuse, Channel.CONTROL_TO_NODE, ConnectionState.ONLINE),
    Rule(Ping, Channel.CONTROL_TO_NODE, ConnectionState.ONLINE),
    Rule(Pong, Channel.CONTROL_TO_NODE, ConnectionState.ONLINE),
    Rule(NodeListRequest, Channel.CONTROL_TO_NODE, ConnectionState.ONLINE),
    Rule(DataHello, Channel.DATA_HELLO, ConnectionState.CONNECTED),
)

_RULES = {(rule.channel, rule.message): rule for rule in POLICY}


def rule_for(channel: Channel, message: type[Message]) -> Rule | None:
    """The row for this message on this channel, or None when no client may send it there."""
    return _RULES.get((channel, message))
