"""Links between our node and raw ones, in both directions: set-up, keepalive, addresses (D4–D6, D11, D21, D22).

Searches and calls stand in `test_links_search.py` and `test_links_calls.py`.
"""

from __future__ import annotations

import base64
import socket
import time
from pathlib import Path

import pytest

from e2e.linked import ALICE, BOB, CAROL, Linked, addresses, called_in, connected_out, host, known_at, listed, meet
from e2e.node_harness import EVER, NodeProcess, until
from e2e.raw_client import Conversation, RawClient, Tcp, frame, pair, u32
from e2e.raw_identity import named, node_identity
from e2e.raw_link import RawFederate, RawLink, address_bytes, node_list
from e2e.raw_node import echoing
from e2e.stage import ended
from uzel.errors import Reason


def reference(federate: RawFederate, written: str = "") -> str:
    """HOST:PORT, as an operator names it."""
    name = written or federate.host
    return f"[{name}]:{federate.port}" if ":" in name else f"{name}:{federate.port}"


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
        address_bytes(host(1), four.port),
        address_bytes("::1", six.port),
        address_bytes("localhost", name.port),
    }
    assert {each[0] for each in all_three} == {0xA0, 0xA1, 0xA2}
    assert listed(linked.dial(4)) == all_three
    assert listed(four.link()) == all_three - {address_bytes(host(1), four.port)}
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
    federate, other = linked.federate(1), linked.federate(2, at=host(1))
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
    assert federate.met == 1


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
    linked.start(f"{host(1)}:{port}")
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
    with RawFederate(node_identity(1), host(1), [BOB], echoing) as federate:
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
