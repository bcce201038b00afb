"""A node seen by raw clients who behave: calls, texts, and its own end."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from e2e.node_harness import NodeThread, config_of, until
from e2e.raw_client import RawClient, converse, exchange, u32
from e2e.raw_identity import identity
from e2e.stage import Stage, ended, joined
from uzel.errors import Reason


def test_two_people_talk(stage: Stage) -> None:
    with stage.scene() as scene:
        alice, bob = scene.pair()
        a, b = converse(alice, bob)
        exchange(a, b, "hello")
        exchange(b, a, "привет, как дела?")
        exchange(a, b, "")
        exchange(b, a, "x" * 65535)


def test_the_newest_key_agreement_and_both_certificates(stage: Stage) -> None:
    """The node is the TLS client, shows a certificate, and X25519MLKEM768 is agreed."""
    with stage.scene() as scene:
        alice = scene.login(2)
        assert alice.tls.connection.get_protocol_version_name() == "TLSv1.3"
        assert alice.tls.connection.get_peer_certificate(as_cryptography=True) is not None
        assert alice.tls.connection.get_group_name() == "X25519MLKEM768"


def test_many_calls_at_once(stage: Stage) -> None:
    """Every pair of eight people talks at the same time."""
    with stage.scene() as scene:
        people = [scene.login(number) for number in range(2, 10)]
        talks = [joined(a, b) for index, a in enumerate(people) for b in people[index + 1 :]]
        for number, (ours, theirs) in enumerate(talks):
            ours.send(b"%d" % number)
            assert theirs.receive() == b"%d" % number
        assert all(person.sync() == [] for person in people)


def test_a_long_stream_both_ways(stage: Stage) -> None:
    """Bulk goes through whole, both ways at once."""
    size = 16 * 2**20
    block = bytes(range(256)) * 256
    with stage.scene() as scene:
        ends = joined(*scene.pair())
        received = [0, 0]

        def read(index: int) -> None:
            while received[index] < size:
                data = ends[index].receive()
                start = received[index] % len(block)
                assert data == (block + block)[start : start + len(data)]
                received[index] += len(data)

        def write(index: int) -> None:
            for _ in range(size // len(block)):
                ends[index].send(block)

        threads = [threading.Thread(target=what, args=(index,)) for what in (read, write) for index in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert received == [size, size]


def test_what_was_sent_before_the_end_arrives(stage: Stage) -> None:
    with stage.scene() as scene:
        ours, theirs = joined(*scene.pair())
        ours.send(b"x" * 100_000)
        ours.close()
        assert ended(theirs) == b"x" * 100_000


def test_people_can_call_again_at_once(stage: Stage) -> None:
    with stage.scene() as scene:
        alice, bob = scene.pair()
        for caller, callee in [(alice, bob), (bob, alice)] * 5:
            a, b = converse(caller, callee)
            exchange(a, b)
            a.data.close()
            assert b.inbox.end() == []


def test_what_must_be_found_is_found(stage: Stage) -> None:
    """The stage would notice a connection that is left."""
    left = []

    def leave() -> None:
        with stage.scene() as scene:
            left.append(RawClient(identity(5), scene.node.address).login())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("e2e.node_harness.DEADLINE", 0.2)
        with pytest.raises(AssertionError, match="left behind"):
            leave()
    left[0].close()


def test_a_stopping_node_takes_no_new_calls(tmp_path: Path, known_identities: Path) -> None:
    """Running conversations go on for the drain time, and what is said in it arrives."""
    shutil.copytree(known_identities, tmp_path / "state")
    node = NodeThread(config_of({}, {}), tmp_path / "state")
    node.start()
    people = [RawClient(identity(number), node.address) for number in range(3)]
    alice, bob, carol = people
    try:
        for person in people:
            person.login()
        a, b = converse(alice, bob)
        exchange(a, b)
        carol.call(bob.uin)
        bob.expect(0x04)
        node.stopping(30)
        carol.expect(0x05, u32(bob.uin))
        bob.expect(0x05, u32(carol.uin))
        carol.call(bob.uin)
        carol.expect(0x05, u32(bob.uin))
        with pytest.raises(ConnectionRefusedError):
            RawClient(identity(4), node.address).connect()
        exchange(b, a, "one last thing")
        a.data.close()
        assert b.inbox.end() == []
        b.data.close()
        until("the node's end", lambda: not node.alive)
        assert node.service.counters[Reason.NODE_STOPPING] >= 2
        assert node.log.reasons[Reason.NODE_STOPPING] >= 2
    finally:
        for person in people:
            person.close()
        node.stop()
