"""Links between our node and raw ones, in both directions: set-up, keepalive, addresses (D4–D6, D11, D21, D22).

Searches and calls stand in `test_links_addresses.py`, `test_links_search.py` and `test_links_calls.py`.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from e2e.linked import ALICE, BOB, CAROL, Linked, addresses, called_in, connected_out, known_at, listed, meet, reference
from e2e.node_harness import EVER, NodeProcess, until
from e2e.raw_client import Conversation, RawClient, Tcp, frame, pair, u32
from e2e.raw_federate import RawFederate
from e2e.raw_identity import named, node_identity
from e2e.raw_link import RawLink, address_bytes, home, node_list
from e2e.raw_node import echoing
from e2e.stage import ended
from uzel.errors import Reason

# -- Set-up -------------------------------------------------------------------------------------------------------


def test_a_raw_node_dials(linked: Linked) -> None:
    """Our node is the TLS client, shows its certificate, answers 90, and announces nothing: it did not dial."""
    linked.start()
    link = RawLink.dial(linked.node.address, node_identity(1))
    linked.enter_context(link)
    assert link.expect(0xA4) == node_list()
    assert link.peer_fingerprint == linked.node.service.fingerprint.raw
    assert link.tls.connection.get_protocol_version_name() == "TLSv1.3"
    assert link.tls.connection.get_group_name() == "X25519MLKEM768"
    assert link.sync() == []
    assert 0xA2 not in {code for code, _ in link.heard}


def test_our_node_dials(linked: Linked) -> None:
    """CB 1.0; then A2 with its control port and 90, before anything else."""
    federate = linked.federate(1)
    linked.start(reference(federate))
    link = federate.link()
    assert link.expect(0xA2) == linked.node.address[1].to_bytes(2, "big")
    link.expect(0x90)
    assert [code for code, _ in link.heard[:2]] == [0xA2, 0x90]
    assert link.peer_fingerprint == linked.node.service.fingerprint.raw
    assert federate.greeted == [b"\x01\x00"]
    assert link.sync() == []


def test_the_name_in_a_nodes_certificate_means_nothing(linked: Linked) -> None:
    linked.start()
    for names in (("node.example",), (), ("0",), (str(ALICE.uin),)):
        link = RawLink.dial(linked.node.address, named(*names))
        linked.enter_context(link)
        assert link.sync() == []


def test_peers_of_all_three_kinds_are_dialled_and_told(linked: Linked) -> None:
    """An IPv4 address, an IPv6 address and a name: A0, A1 and A2 in the list, the asker's own never."""
    four, six, name = linked.federate(1), linked.federate(2, at="::1"), linked.federate(3, at="127.0.0.1")
    linked.start(reference(four), reference(six), reference(name, "localhost"))
    for federate in (four, six, name):
        federate.link().sync()
    all_three = {
        address_bytes(home(1), four.port),
        address_bytes("::1", six.port),
        address_bytes("localhost", name.port),
    }
    assert {each[0] for each in all_three} == {0xA0, 0xA1, 0xA2}
    assert listed(linked.dial(4)) == all_three
    assert listed(four.link()) == all_three - {address_bytes(home(1), four.port)}
    alice = linked.login(ALICE)
    alice.send(0x90, b"rr")
    assert addresses(alice.expect(0xA4)) == all_three


def test_a_connection_that_says_nothing_is_no_link(linked: Linked) -> None:
    linked.start(link_first_message=0.3)
    with RawLink.prepared(linked.node.address, node_identity(1)) as link:
        link.start()
        assert link.ended() == []
        assert link.heard == []
    linked.counted(Reason.LINK_UNUSED)


def test_two_nodes_and_a_client_share_the_port(linked: Linked) -> None:
    linked.start()
    one, alice, other = linked.dial(1), linked.login(ALICE), linked.dial(2)
    assert one.sync() == alice.sync() == other.sync() == []


# -- Versions (D5) ------------------------------------------------------------------------------------------------


def test_another_major_is_refused(linked: Linked) -> None:
    linked.start()
    for version in (b"\x00\x00", b"\x02\x00", b"\xff\x01"):
        tcp = Tcp(linked.node.address)
        tcp.send(frame(0xCB, version))
        assert ended(tcp) == frame(0x02, b"\x01\x00")
        tcp.close()
    linked.counted(Reason.VERSION_MISMATCH, 3)


def test_another_minor_is_served(linked: Linked) -> None:
    linked.start()
    link = RawLink(Tcp(linked.node.address), node_identity(1), dialled=True)
    linked.enter_context(link)
    link.hello(b"\x01\x09")
    link.handshake()
    link.start()
    assert link.sync() == []


def test_an_02_with_our_major_is_dialled_with_that_version(linked: Linked) -> None:
    federate = linked.federate(1)
    federate.version = b"\x01\x05"
    linked.start(reference(federate), redial_first=EVER, redial_last=EVER)
    assert federate.link().sync() == []
    assert federate.greeted == [b"\x01\x00", b"\x01\x05"]


def test_an_02_with_our_major_is_dialled_once_more(linked: Linked) -> None:
    federate = linked.federate(1)
    federate.answer = (0x02, b"\x01\x05")
    linked.start(reference(federate), redial_first=EVER, redial_last=EVER)
    linked.counted(Reason.VERSION_MISMATCH)
    assert federate.greeted == [b"\x01\x00", b"\x01\x05"]


def test_an_02_with_another_major_is_not(linked: Linked) -> None:
    federate = linked.federate(1)
    federate.answer = (0x02, b"\x02\x00")
    linked.start(reference(federate), redial_first=EVER, redial_last=EVER)
    linked.counted(Reason.VERSION_MISMATCH)
    assert federate.greeted == [b"\x01\x00"]


# -- Keepalive (D11) ----------------------------------------------------------------------------------------------


def test_pings_are_answered_in_their_order(linked: Linked) -> None:
    linked.start()
    link = linked.dial(1)
    for token in (b"\x00\x00", b"zz", b"zz", b"\xff\xff"):
        link.send(0x68, token)
    for token in (b"\x00\x00", b"zz", b"zz", b"\xff\xff"):
        assert link.expect(0x69) == token


def test_a_quiet_link_is_pinged_and_lives(linked: Linked) -> None:
    linked.start(ping_idle=0.1, silence=0.5)
    link = linked.dial(1)
    for _ in range(10):
        link.expect(0x68)
    assert link.sync() == []


def test_a_link_that_never_answered_a_68_is_probed_with_90(linked: Linked) -> None:
    """A node written from the source alone may know no 68; its A4 is life."""
    linked.start(ping_idle=0.1, silence=0.5)
    link = RawLink.prepared(linked.node.address, node_identity(1))
    linked.enter_context(link)
    link.pongs = False
    link.start()
    link.introduce(None)
    for _ in range(10):
        link.expect(0x90)
    assert not link.over


def test_a_link_that_answers_nothing_is_given_up(linked: Linked) -> None:
    linked.start(ping_idle=0.1, silence=0.4)
    link = linked.dial(1)
    link.pongs = link.lists = False
    assert link.ended() == []
    linked.counted(Reason.SILENCE)


def test_half_a_message_is_life_too(linked: Linked) -> None:
    """It is the bytes that count, not whole messages."""
    linked.start(ping_idle=EVER, silence=0.6)
    link = linked.dial(1)
    began = time.monotonic()
    message = frame(0xD0, b"\x30\x00" + pair(7, 8) + bytes(40))
    for byte in message[:-1]:
        link.tls.send(bytes((byte,)))
        time.sleep(0.02)
    assert time.monotonic() - began > 0.6
    link.tls.send(message[-1:])
    assert link.expect(0xB8) == pair(7, 8)


# -- Two links to one node (D21) ----------------------------------------------------------------------------------


def test_a_link_in_each_direction(linked: Linked) -> None:
    """Both live; a new call takes the newest, a conversation stays where it is."""
    federate = linked.federate(1)
    linked.start(reference(federate))
    first = federate.link()
    first.sync()
    alice = linked.login(ALICE)
    data, stream = connected_out(alice, BOB.uin, first)
    second = federate.dial(linked.node.address)
    assert second.sync() == first.sync() == []
    alice.call(CAROL.uin)
    for link in (first, second):  # whichever it searches on
        link.script = found_here
    second.expect(0xAA, pair(ALICE.uin, CAROL.uin))
    meet(data, stream)
    assert first.sync() == []


def found_here(link: RawLink, code: int, tail: bytes) -> bool:
    """The script of a node that has everybody."""
    if code == 0xA5:
        link.send(0xA8, tail)
    return code == 0xA5


def test_an_older_link_that_no_longer_answers_is_ended_by_a_newer(linked: Linked) -> None:
    linked.start(link_replaced=0.3)
    alive, dead = linked.dial(1), linked.dial(1)
    dead.pongs = False
    newest = linked.dial(1)
    alive.expect(0x68)
    dead.expect(0x68)
    assert dead.ended() == []
    assert alive.sync() == newest.sync() == []


def test_a_second_address_of_a_linked_node_is_only_met(linked: Linked) -> None:
    """The link that stands carries its calls on."""
    one, other = linked.federate(1), linked.federate(1, at="127.0.77.1")
    linked.start(reference(one))
    alice = linked.login(ALICE)
    data, stream = connected_out(alice, BOB.uin, one.link())
    known_at(one.link(), CAROL.uin)
    one.link().send(0xA4, node_list(address_bytes(other.host, other.port)))
    other.wait(lambda: other.met == 1, "not dialled")
    other.wait(lambda: other.links[0].over, "a second link to the same node that nobody needs")
    meet(data, stream)


# -- The end ------------------------------------------------------------------------------------------------------


def test_a_stopping_node_lets_conversations_across_go_on(linked: Linked) -> None:
    """No new call and no new link; with its last conversation it ends."""
    linked.start()
    link, other = linked.dial(1), linked.dial(2)
    alice, carol = linked.login(ALICE), linked.login(CAROL)
    data, stream = connected_out(alice, BOB.uin, link)
    called_in(other, BOB.uin, carol)
    linked.node.stopping(EVER)
    assert other.expect(0xB8) == pair(BOB.uin, CAROL.uin)
    carol.expect(0x05, u32(BOB.uin))
    link.call_request(BOB.uin, CAROL.uin)
    assert link.expect(0xB8) == pair(BOB.uin, CAROL.uin)
    with pytest.raises(ConnectionRefusedError):
        RawLink.dial(linked.node.address, node_identity(3))
    meet(data, stream)
    data.send(b"one last thing")
    data.close()
    assert stream.receive() == b"one last thing"
    assert stream.receive() == b""
    until("the node's end", lambda: not linked.node.alive)


def test_a_stopping_node_ends_its_links(linked: Linked) -> None:
    federate = linked.federate(1)
    linked.start(reference(federate))
    link = linked.dial(2)
    federate.link().sync()
    linked.stop()
    assert link.ended() == federate.link().ended() == []
    assert federate.dialled_by == 1


def test_the_node_as_it_is_installed(tmp_path: Path, known_identities: Path) -> None:
    """`uzel node run --peer`: a process of its own, on its own kind of loop, talks to raw nodes in both directions."""
    with RawFederate(node_identity(1), home(1), [BOB], echoing) as federate:
        peer = ("--peer", reference(federate))
        with NodeProcess(tmp_path, template=known_identities, arguments=peer) as node:
            federate.link().sync()
            with RawClient(ALICE, node.address) as alice, RawLink.dial(node.address, node_identity(2)) as link:
                alice.login()
                assert listed(link) == {address_bytes(federate.host, federate.port)}
                assert link.asked(ALICE.uin) == [(0xA8, u32(ALICE.uin))]
                data, stream = connected_out(alice, CAROL.uin, link)
                stream.send(bytes(4 * 2**20))
                received = 0
                while received < 4 * 2**20:
                    received += len(data.receive())
                data.close()
                alice.call(BOB.uin)
                alice.expect(0x07, u32(BOB.uin))
                conversation = Conversation(alice.data(ALICE.uin, BOB.uin), ALICE, caller=True)
                conversation.tls.handshake()
                for text in ("hello", "x" * 65535):
                    conversation.text(text)
                    conversation.reported()
                    assert conversation.read() == text
