"""What only a core meets: a raw node rings as somebody who speaks `uzel/2`; each reason is counted and logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import cbor2
import pytest

from client.client_world import ALICE, QUICK, identity, until
from core.core_world import EAGER
from e2e.raw_client import Conversation, Tls, context, frame, u32
from e2e.raw_identity import RawIdentity
from e2e.raw_identity import identity as raw_identity
from e2e.raw_node import RawNode
from uzel.core.gate import Strangers
from uzel.core.messenger import Messenger
from uzel.errors import Reason
from uzel.names import ContactLink, NodeAddress, NodeReference, Uin
from uzel.store.profile import Profile

CALLER = raw_identity(5)
HELLO = {"id": bytes(range(16)), "t": "hello", "at": 1, "caps": ["text"], "agent": "raw", "gate": "open"}
Act = Callable[[RawNode, int], None]


class Speaker(Conversation):
    """The end-to-end TLS client, which offers this much."""

    def __init__(self, node: RawNode, uin: int, who: RawIdentity, *protocols: bytes) -> None:
        session = node.session(uin)
        session.send(0x04, u32(who.uin))
        session.next(0x06)
        super().__init__(node.taken(who.uin, uin), who, caller=True)
        offering = context(who, server=False)
        if protocols:
            offering.set_alpn_protos(list(protocols))
        self.tls = Tls(self.data, offering, server=False)
        self.tls.handshake()

    def envelope(self, body: bytes) -> None:
        self.tls.send(frame(0x31, len(body).to_bytes(4, "little") + body))


def speaks(*bodies: bytes) -> Act:
    """Rings, agrees on `uzel/2`, and sends these envelopes."""

    def act(node: RawNode, uin: int) -> None:
        speaker = Speaker(node, uin, CALLER, b"uzel/2")
        for body in bodies:
            speaker.envelope(body)
        speaker.tls.receive()  # its hello; the connection stays open

    return act


def offers_less(node: RawNode, uin: int) -> None:
    Speaker(node, uin, CALLER, b"uzel/1")


def offers_nothing(node: RawNode, uin: int) -> None:
    Speaker(node, uin, CALLER)


WRONG = cbor2.dumps({"id": bytes(16), "t": "text", "at": 1, "text": 5})
CASES: dict[Reason, Act] = {
    Reason.HELLO_MISSING: speaks(cbor2.dumps({"id": bytes(16), "t": "text", "at": 1, "text": "too soon"})),
    Reason.ENVELOPE_MALFORMED: speaks(b"\xff"),
    Reason.ENVELOPE_REJECTED: speaks(cbor2.dumps(HELLO), WRONG),
    Reason.DOWNGRADED: offers_less,
    Reason.NOT_LET_IN: offers_nothing,
}


@pytest.mark.parametrize("reason", CASES, ids=str)
def test_it_is_counted_and_logged(reason: Reason, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "uzel.client")
    us = identity(ALICE)

    async def story(node: RawNode) -> None:
        with Profile.create(tmp_path / "profile", us) as profile:
            reference = NodeReference(NodeAddress(*node.address))
            async with asyncio.timeout(20), Messenger(profile, [reference], EAGER, QUICK) as messenger:
                caller = Uin(CALLER.uin)
                if reason is Reason.NOT_LET_IN:
                    await messenger.people.choose_strangers(Strangers.REFUSE)
                else:
                    await messenger.people.add(ContactLink(caller))
                if reason is Reason.DOWNGRADED:
                    await messenger.ledger.change_contact(
                        caller, lambda tables: tables.people.speaks(caller, envelopes=True), "met"
                    )
                await messenger.wait_online()
                node.go(lambda: CASES[reason](node, us.uin))
                await until(str(reason), lambda: messenger.counters[reason])

    with RawNode() as node:
        asyncio.run(story(node))
    assert reason in {getattr(record, "reason", None) for record in caplog.records}
