"""What a client alone can meet: a raw node produces each reason over a real socket; it is counted and logged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
from OpenSSL import SSL

from client.client_world import QUICK, until
from e2e.raw_client import Closed, Conversation, Tls, Unexpected, frame, u32
from e2e.raw_identity import identity
from e2e.raw_node import RawNode
from uzel.client import Client, ClientSettings
from uzel.errors import Reason
from uzel.identity import Identity, MemoryPins, Pin
from uzel.names import Fingerprint, NodeAddress, NodeReference, Uin

HASTY = {
    Reason.LOGIN_TIMEOUT: replace(QUICK, login=0.2),
    Reason.FIRST_BYTE_TIMEOUT: replace(QUICK, first_byte=0.2),
}
"""Short is only the time that is to pass."""
CALLER = identity(5)
OTHER = identity(6)
WRONG = Fingerprint(bytes(32))
Act = Callable[[RawNode, int], None]


def accepted_malformed(node: RawNode, uin: int) -> None:
    """01 without OK."""


def no_pong(node: RawNode, uin: int) -> None:
    """It never answers the first ping."""


def says(code: int, tail: bytes) -> Act:
    def act(node: RawNode, uin: int) -> None:
        node.session(uin).send(code, tail)

    return act


def rings(node: RawNode, uin: int) -> Conversation:
    """Up to the callee's data connection; the end-to-end handshake is still to come."""
    session = node.session(uin)
    session.send(0x04, u32(CALLER.uin))
    session.next(0x06)
    return Conversation(node.taken(CALLER.uin, uin), CALLER, caller=True)


def silent_caller(node: RawNode, uin: int) -> None:
    """It rings, and says nothing on the data connection that comes: what the client says is not waited for, either."""
    node.session(uin).send(0x04, u32(CALLER.uin))


def caller_without_certificate(node: RawNode, uin: int) -> None:
    rings(node, uin)
    bare = SSL.Context(SSL.TLS_METHOD)
    tls = Tls(node.taken(CALLER.uin, uin), bare, server=False)
    with contextlib.suppress(Closed, SSL.Error, Unexpected):
        tls.handshake()
        tls.receive()
        tls.receive()


def caller_is_another(node: RawNode, uin: int) -> None:
    session = node.session(uin)
    session.send(0x04, u32(CALLER.uin))
    session.next(0x06)
    Conversation(node.taken(CALLER.uin, uin), OTHER, caller=True).tls.handshake()


def caller(node: RawNode, uin: int) -> None:
    rings(node, uin).tls.handshake()


def text_that_is_not_utf8(node: RawNode, uin: int) -> None:
    conversation = rings(node, uin)
    conversation.tls.handshake()
    conversation.tls.send(frame(0x30, b"\x02\x00\xff\xff"))


CASES: dict[Reason, tuple[Act, MemoryPins]] = {
    Reason.ACCEPTED_MALFORMED: (accepted_malformed, MemoryPins()),
    Reason.LOGIN_TIMEOUT: (no_pong, MemoryPins()),
    Reason.SIZE_OUT_OF_RANGE: (says(0xA4, b"\xff\xff"), MemoryPins()),
    Reason.ADDRESS_MALFORMED: (says(0xA4, b"\x01\x00\xa7"), MemoryPins()),
    Reason.FIRST_BYTE_TIMEOUT: (silent_caller, MemoryPins()),
    Reason.CERTIFICATE_MISSING: (caller_without_certificate, MemoryPins()),
    Reason.PEER_WRONG_UIN: (caller_is_another, MemoryPins()),
    Reason.PEER_KEY_CHANGED: (caller, MemoryPins({Uin(CALLER.uin): Pin(WRONG, verified=True)})),
    Reason.TEXT_NOT_UTF8: (text_that_is_not_utf8, MemoryPins()),
}


@pytest.fixture(scope="module")
def us() -> Identity:
    return Identity.generate()


@pytest.mark.parametrize("reason", CASES, ids=str)
def test_it_is_counted_and_logged(reason: Reason, us: Identity, caplog: pytest.LogCaptureFixture) -> None:
    act, pins = CASES[reason]
    caplog.set_level(logging.INFO, "uzel.client")
    with RawNode() as node:
        node.pongs = reason is not Reason.LOGIN_TIMEOUT
        node.answer = (0x01, b"KO") if reason is Reason.ACCEPTED_MALFORMED else node.answer
        node.go(lambda: act(node, us.uin))
        asyncio.run(meets(reason, Client(us, pins, [reference(node)], settings(reason))))
    assert reason in {getattr(record, "reason", None) for record in caplog.records}


def test_a_changed_node_key_is_counted_and_logged(us: Identity, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "uzel.client")
    with RawNode() as node:
        pins = MemoryPins(nodes={reference(node).address: WRONG})
        asyncio.run(meets(Reason.NODE_KEY_CHANGED, Client(us, pins, [reference(node)], QUICK)))
    assert Reason.NODE_KEY_CHANGED in {getattr(record, "reason", None) for record in caplog.records}


def settings(reason: Reason) -> ClientSettings:
    return HASTY.get(reason, QUICK)


def reference(node: RawNode) -> NodeReference:
    return NodeReference(NodeAddress(*node.address))


async def meets(reason: Reason, client: Client) -> None:
    async def read(*_: object) -> None:
        """Nothing that comes here is a text."""

    async with asyncio.timeout(10), client:
        serving = asyncio.create_task(client.serve(read))
        await until(str(reason), lambda: client.counters[reason])
        serving.cancel()
