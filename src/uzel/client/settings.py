"""A client's times and bounds, with their defaults (section 8). Seconds, unless said otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field

from uzel.session.conversation import WINDOW_BASE
from uzel.session.keepalive import KeepaliveTimes
from uzel.session.redial import RedialTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Change one with `dataclasses.replace` or by keyword.

    handshake: TCP connect, hello and TLS with the node, together.
    login: until the first pong.
    hurry: from connecting to the first pong, at a node that is not the last one left, in the first round (`order`).
    go_back: while at another node than the first one, between looks at those before it; varied by ±20 %.
    roaming: ask the node for others, and try those when every configured one has failed. A node sees who calls whom.
    call: a call, from 03 until the conversation stands; a node answers within 150 s.
    data_connect: TCP connect of a data connection.
    first_byte: how long a callee waits for the caller's first byte.
    conversation_handshake: end-to-end TLS.
    busy_ping: how long a peer that calls while a conversation with it runs may take to answer there (D13).
    tries: calls in all when someone else answers (D20).
    window: bytes of unreported texts in flight (D28).
    unreported: bytes of texts that may wait for one peer; `send` waits beyond it.
    waiting_calls: calls that the program has not looked at; more are refused.
    """

    handshake: float = 10.0
    login: float = 60.0
    hurry: float = 5.0
    go_back: float = 300.0
    roaming: bool = False
    call: float = 150.0
    data_connect: float = 10.0
    first_byte: float = 30.0
    conversation_handshake: float = 10.0
    busy_ping: float = 5.0
    tries: int = 3
    window: int = WINDOW_BASE
    unreported: int = 8 * 1024 * 1024
    waiting_calls: int = 64
    keepalive: KeepaliveTimes = field(default_factory=KeepaliveTimes)
    redial: RedialTimes = field(default_factory=RedialTimes)
