"""Who may say what to a node, on which connection, in which state, and how often: one table (ARCHITECTURE.md, rule 5).

The framer refuses what the wire's own table does not allow on a channel (D6); a test holds the two tables together.
The state follows from where a channel is read at all: hellos on a new connection, control messages only once the
client is registered, a link's once its certificate was seen. The rate is enforced at one point,
`Switchboard._within_rate`. The end-to-end tests walk the
table whole: every message, on every connection to a node, in every state of a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from uzel.wire import (
    Accept,
    Call,
    CallReady,
    CallRequest,
    Channel,
    ClientHello,
    DataHello,
    FoundHere,
    FoundInCache,
    Message,
    NoConversation,
    NodeAnnouncement,
    NodeHello,
    NodeList,
    NodeListRequest,
    Ping,
    Pong,
    Refuse,
    RelayedData,
    Search,
)


class ConnectionState(StrEnum):
    """Where a connection to a node stands. Nothing inside TLS is read before the client is registered (D9)."""

    CONNECTED = "connected"
    ONLINE = "online"


class RateName(StrEnum):
    """The rates of `config.Limits` that a message can be counted against."""

    CALLS = "calls"
    LINK_CALLS = "link_calls"
    LINK_SEARCHES = "link_searches"
    LISTS = "lists"


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
    Rule(NodeListRequest, Channel.CONTROL_TO_NODE, ConnectionState.ONLINE, RateName.LISTS),
    Rule(Ping, Channel.LINK, ConnectionState.ONLINE),
    Rule(Pong, Channel.LINK, ConnectionState.ONLINE),
    Rule(NodeListRequest, Channel.LINK, ConnectionState.ONLINE, RateName.LISTS),
    Rule(NodeAnnouncement, Channel.LINK, ConnectionState.ONLINE),
    Rule(NodeList, Channel.LINK, ConnectionState.ONLINE),
    Rule(Search, Channel.LINK, ConnectionState.ONLINE, RateName.LINK_SEARCHES),
    Rule(FoundHere, Channel.LINK, ConnectionState.ONLINE),
    Rule(FoundInCache, Channel.LINK, ConnectionState.ONLINE),
    Rule(CallRequest, Channel.LINK, ConnectionState.ONLINE, RateName.LINK_CALLS),
    Rule(CallReady, Channel.LINK, ConnectionState.ONLINE),
    Rule(NoConversation, Channel.LINK, ConnectionState.ONLINE),
    Rule(RelayedData, Channel.LINK, ConnectionState.ONLINE),
    Rule(DataHello, Channel.DATA_HELLO, ConnectionState.CONNECTED),
)

_RULES = {(rule.channel, rule.message): rule for rule in POLICY}


def rule_for(channel: Channel, message: type[Message]) -> Rule | None:
    """The row for this message on this channel, or None when nobody may send it there."""
    return _RULES.get((channel, message))
