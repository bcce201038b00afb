"""The raw client and the raw node understand one another: what is to measure others is itself measured."""

from __future__ import annotations

import pytest

from e2e.raw_client import VALID_TAILS, Conversation, RawClient, Unexpected, converse, exchange, frame, u32
from e2e.raw_identity import UINS, identity, p256_identity, spki, uin_of
from e2e.raw_node import RawNode, echoing, playing, relaying


def test_the_written_down_uins_are_those_of_the_keys() -> None:
    for index in (0, 17, len(UINS) - 1):
        assert uin_of(identity(index).key) == identity(index).uin
    assert uin_of(p256_identity().key) == p256_identity().uin
    assert len({spki(identity(index).key) for index in range(len(UINS))}) == len(UINS)


def test_there_are_25_codes() -> None:
    assert len(VALID_TAILS) == 25


def logged_in(node: RawNode, index: int) -> RawClient:
    return RawClient(identity(index), node.address).login()


def test_two_raw_clients_talk_through_the_raw_node() -> None:
    with RawNode(relaying) as node, logged_in(node, 0) as alice, logged_in(node, 1) as bob:
        alice.call(12345)
        alice.expect(0x05, u32(12345))
        for caller, callee in ((alice, bob), (alice, bob), (bob, alice)):
            a, b = converse(caller, callee)
            exchange(a, b, "привет")
            exchange(b, a, "x" * 65535)
            a.data.close()
            assert b.inbox.end() == []


def test_the_raw_node_plays_the_callee() -> None:
    peer = identity(5)
    with RawNode(playing(peer, echoing)) as node, RawClient(identity(0), node.address) as alice:
        alice.login().call(peer.uin)
        alice.expect(0x07, u32(peer.uin))
        conversation = Conversation(alice.data(alice.uin, peer.uin), alice.identity, caller=True)
        conversation.tls.handshake()
        conversation.text("hello")
        conversation.reported()
        assert conversation.read() == "hello"


def test_the_raw_node_plays_the_caller() -> None:
    peer = identity(5)
    with RawNode() as node, RawClient(identity(0), node.address) as alice:
        alice.login()

        def answer() -> None:
            alice.expect(0x04, u32(peer.uin))
            alice.accept(peer.uin)
            conversation = Conversation(alice.data(peer.uin, alice.uin), alice.identity, caller=False)
            conversation.tls.handshake()
            assert conversation.read() == "hello"

        node.go(answer)
        conversation = node.ring(alice.uin, peer)
        conversation.text("hello")
        conversation.reported()


def test_the_raw_node_refuses_another_version() -> None:
    with RawNode() as node, RawClient(identity(0), node.address) as alice:
        node.answer = (0x02, b"\x02\x00")
        alice.connect()
        with pytest.raises(Unexpected, match="02"):
            alice.hello()
        assert alice.inbox.end() == []


def greet_wrongly() -> None:
    with RawNode() as node, RawClient(identity(0), node.address) as alice:
        alice.connect()
        alice.tcp.send(frame(0xCB, b"\x01\x00"))
        assert alice.tcp.receive() == b""


def test_faults_of_a_script_are_raised() -> None:
    with pytest.raises(Unexpected, match="CA"):
        greet_wrongly()
