"""Which addresses a node tells, dials, keeps and pins, seen by raw nodes on both sides (D4, D21, D22, section 7)."""

from __future__ import annotations

import base64
import socket

import pytest

from e2e.linked import ALICE, BOB, Linked, known_at, listed, reference
from e2e.node_harness import until
from e2e.raw_client import frame, pair, u32
from e2e.raw_federate import RawFederate
from e2e.raw_identity import node_identity
from e2e.raw_link import RawLink, address_bytes, home, node_list
from uzel.errors import Reason

# -- Which addresses are told (D4, D22) ---------------------------------------------------------------------------


def test_an_announced_port_is_told_once_it_was_met(linked: Linked) -> None:
    """The dial-back says nothing and closes right after its handshake."""
    linked.start()
    asker = linked.dial(2)
    stranger = linked.federate(3)
    silent = linked.federate(1)
    silent.stall = "hello"
    link = RawLink.dial(linked.node.address, silent.identity, silent.host, announce=silent.port)
    linked.enter_context(link)
    silent.wait(lambda: silent.dialled_by == 1, "no dial-back")
    assert listed(asker) == set()
    federate, link = linked.proven(4)
    assert federate.accepted == []
    assert federate.links[-1].heard == []
    assert listed(asker) == {address_bytes(federate.host, federate.port)}
    assert listed(link) == set()
    assert stranger.dialled_by == 0


def test_somebody_elses_port_is_not_believed(linked: Linked) -> None:
    """The dial-back meets another key there: nobody is sent there for the liar's users."""
    linked.start()
    honest = linked.federate(1)
    liar = RawLink.dial(linked.node.address, node_identity(2), honest.host, announce=honest.port)
    linked.enter_context(liar)
    honest.wait(lambda: honest.met == 1, "no dial-back")
    known_at(liar, BOB.uin)
    asker = linked.dial(3)
    assert asker.asked(BOB.uin) == []


@pytest.mark.parametrize("port", [0, 65535], ids=str)
def test_an_impossible_port_is_ignored(linked: Linked, port: int) -> None:
    linked.start()
    link = linked.dial(1)
    link.announce(port)
    assert link.sync() == []
    linked.counted(Reason.ANNOUNCEMENT_IGNORED)


def test_a_second_announcement_is_ignored(linked: Linked) -> None:
    linked.start()
    federate, link = linked.proven(1)
    other = linked.federate(2, at=federate.host)
    link.announce(other.port)
    assert link.sync() == []
    linked.counted(Reason.ANNOUNCEMENT_IGNORED)
    assert other.dialled_by == 0


def test_an_announcement_of_the_accepting_node_is_ignored(linked: Linked) -> None:
    federate, other = linked.federate(1), linked.federate(2, at=home(1))
    linked.start(reference(federate))
    federate.link().announce(other.port)
    assert federate.link().sync() == []
    linked.counted(Reason.ANNOUNCEMENT_IGNORED)
    assert other.dialled_by == 0


def test_what_was_only_heard_is_not_told(linked: Linked) -> None:
    """It is dialled; when nobody answers, or no node, it is told to nobody, and forgotten after three failures."""
    linked.start()
    link, asker = linked.dial(1), linked.dial(2)
    with socket.create_server(("127.0.50.1", 0)) as mute, socket.create_server(("127.0.51.1", 0)) as closed:
        nobody = closed.getsockname()
        closed.close()
        told = [address_bytes(*mute.getsockname()), address_bytes(*nobody), address_bytes("nobody.invalid", 8935)]
        link.send(0xA4, node_list(*told))
        mute.accept()[0].close()
        linked.counted(Reason.NODE_UNREACHABLE, 3)
        linked.counted(Reason.NAME_UNKNOWN, 3)
        for _ in range(2):
            mute.accept()[0].close()
        assert listed(asker) == set()
    until("forgotten", lambda: list(linked.node.ask(linked.node.service.peers)) == [])


def test_a_told_address_is_dialled_and_then_told_on(linked: Linked) -> None:
    linked.start()
    federate = linked.federate(1)
    link, asker = linked.dial(2), linked.dial(3)
    link.send(0xA4, node_list(address_bytes(federate.host, federate.port)))
    federate.wait(lambda: federate.met == 1, "not dialled")
    expected = {address_bytes(federate.host, federate.port)}
    until("it is told", lambda: listed(asker) == expected)


def test_an_ipv4_mapped_address_is_ipv4(linked: Linked) -> None:
    linked.start()
    federate = linked.federate(1)
    mapped = b"\xa1" + bytes(10) + b"\xff\xff" + address_bytes(federate.host, federate.port)[1:]
    link, asker = linked.dial(2), linked.dial(3)
    link.send(0xA4, node_list(mapped, address_bytes(federate.host, federate.port)))
    expected = {address_bytes(federate.host, federate.port)}
    until("it is told", lambda: listed(asker) == expected)
    federate.wait(lambda: federate.met == 1, "not dialled")
    assert federate.dialled_by == 1


def test_its_own_address_is_recognised(linked: Linked) -> None:
    """It dials itself once, remembers that, and tells nobody."""
    linked.start()
    link, asker = linked.dial(1), linked.dial(2)
    own = address_bytes(*linked.node.address)
    link.send(0xA4, node_list(own))
    linked.counted(Reason.OWN_ADDRESS)
    link.send(0xA4, node_list(own, own))
    assert link.sync() == []
    assert listed(asker) == set()
    assert link.sync() == []
    assert linked.count(Reason.OWN_ADDRESS) <= 2  # both ends of the one connection may say so


def test_a_long_list_is_read_as_it_comes(linked: Linked) -> None:
    """65,532 addresses, most of them nonsense, in many pieces, and no end: what is good is used at once."""
    linked.start()
    federate = linked.federate(1)
    link = linked.dial(2)
    good = address_bytes(federate.host, federate.port)
    nowhere = address_bytes("0.0.0.0", 1)
    link.tls.send(frame(0xA4, (65532).to_bytes(2, "little")) + good + nowhere * 10_000)
    federate.wait(lambda: federate.met == 1, "not dialled")


# -- Keeping links ------------------------------------------------------------------------------------------------


def test_a_lost_configured_link_is_dialled_again(linked: Linked) -> None:
    federate = linked.federate(1)
    linked.start(reference(federate))
    for turn in range(3):
        link = federate.link(turn)
        assert link.sync() == []
        link.reset()
    assert federate.link(3).sync() == []


def test_a_node_that_is_not_there_yet_is_dialled_again(linked: Linked) -> None:
    with linked.federate(1) as absent:
        port = absent.port
    linked.start(f"{home(1)}:{port}")
    linked.counted(Reason.NODE_UNREACHABLE, 4)  # configured: never forgotten
    assert linked.federate(1, port=port).link().sync() == []


def test_known_nodes_survive_a_restart(linked: Linked) -> None:
    """A node that was told, and answered, is dialled again by the next start, without being configured or told."""
    federate = linked.federate(1)
    linked.start()
    linked.dial(2).send(0xA4, node_list(address_bytes(federate.host, federate.port)))
    federate.wait(lambda: federate.met == 1, "not dialled")
    linked.stop()
    linked.start()
    federate.wait(lambda: federate.met == 2, "not dialled after the restart")
    asker = linked.dial(3)
    until("it is told", lambda: listed(asker) == {address_bytes(federate.host, federate.port)})


def test_a_link_dialled_on_demand_is_let_go(linked: Linked) -> None:
    federate = linked.federate(1)
    linked.start(links_kept=0, link_idle=0.6, search=0.2)
    alice = linked.login(ALICE)
    teller = linked.dial(2)
    teller.script = lambda link, code, tail: code == 0xA5 and answer_elsewhere(link, tail, federate)
    alice.call(BOB.uin)
    link = federate.link()
    link.expect(0xAA, pair(ALICE.uin, BOB.uin))
    link.no_conversation(ALICE.uin, BOB.uin)
    alice.expect(0x05, u32(BOB.uin))
    assert {code for code, _ in link.ended()} <= {0xA5}
    assert federate.dialled_by == 1


def answer_elsewhere(link: RawLink, uin: bytes, federate: RawFederate) -> bool:
    link.found_in_cache(int.from_bytes(uin, "little"), federate.host, federate.port)
    return True


# -- Pinned keys (section 7) --------------------------------------------------------------------------------------


def changed(linked: Linked, before: RawFederate, after: int) -> RawFederate:
    """Another node, with another key, at the address of one that is gone."""
    before.close()
    return linked.federate(after, port=before.port, at=before.host)


def test_a_changed_key_at_a_configured_address_is_refused(linked: Linked) -> None:
    """Pinned at first sight, across restarts; only that link is refused."""
    federate = linked.federate(1)
    peers = (reference(federate),)
    linked.start(*peers)
    assert federate.link().sync() == []
    linked.stop()
    other = changed(linked, federate, 2)
    linked.start(*peers)
    linked.counted(Reason.NODE_KEY_CHANGED, 2)
    assert other.accepted == []
    assert linked.dial(3).sync() == []
    back = changed(linked, other, 1)
    assert back.link().sync() == []


def test_a_given_fingerprint_must_be_met(linked: Linked) -> None:
    one, other = linked.federate(1), linked.federate(2)
    peers = (f"{reference(one)},{fingerprint_text(1)}", f"{reference(other)},{fingerprint_text(1)}")
    linked.start(*peers)
    assert one.link().sync() == []
    linked.counted(Reason.NODE_KEY_CHANGED)
    assert other.accepted == []


def test_a_given_fingerprint_accepts_a_changed_key(linked: Linked) -> None:
    federate = linked.federate(1)
    linked.start(reference(federate))
    assert federate.link().sync() == []
    linked.stop()
    other = changed(linked, federate, 2)
    linked.start(f"{reference(other)},{fingerprint_text(2)}")
    assert other.link().sync() == []
    linked.stop()
    linked.start(reference(other))
    assert other.link(1).sync() == []


def fingerprint_text(number: int) -> str:
    return base64.urlsafe_b64encode(node_identity(number).fingerprint).rstrip(b"=").decode()
