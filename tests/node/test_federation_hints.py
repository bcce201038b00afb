"""Our own clients' hints: who gets them, how often, and that a dial is made for many of them (D23)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from node.federation import PORT, Federation, Node, Peer, PeerLink, holders, node_and_peers
from uzel.errors import Reason
from uzel.node.hints import AT_ONCE
from uzel.node.settings import LinkSettings, SwitchboardSettings
from uzel.wire import FoundHere

A, D = 11, 44
MINUTE = 60.0


def hinted(links: list[PeerLink], uin: int = A) -> list[PeerLink]:
    return [link for link in links if FoundHere(uin) in link.take()]


def far_node() -> tuple[Federation, Node, Peer]:
    """The node knows one other, to which it keeps no link."""
    world = Federation(SwitchboardSettings(links=LinkSettings(kept=0)))
    node, far = world.nodes[0], world.peer()
    node.remember(far.address, far.fingerprint)
    world.wait(2)
    return world, node, far


@pytest.mark.parametrize("random", [0.0, 0.5, 0.999])
def test_hints_at_login_and_every_25_minutes_or_some_more(random: float) -> None:
    world, node, links = node_and_peers(6)
    node.random = random
    three = [link for link in links if link in holders(links, A)]
    node.online(A)
    assert hinted(links) == three
    times = [0.0]
    begun = world.now
    while world.now < begun + 180 * MINUTE:
        world.wait(10, step=10)
        if (told := hinted(links)) != []:
            assert told == three
            times.append(world.now - begun)
    assert all(25 * MINUTE <= later - earlier <= 30 * MINUTE for earlier, later in pairwise(times))
    assert len(times) > 6
    node.offline(A)
    world.wait(3000, step=10)
    assert hinted(links) == []


def test_a_link_that_is_made_for_something_else_carries_hints_that_are_old_enough() -> None:
    world, node, far = far_node()
    node.online(A)
    assert FoundHere(A) in far.link.take()
    world.wait(19 * MINUTE, step=5)
    early = far.dials(node, announces=PORT)
    assert FoundHere(A) not in early.take()
    early.close()
    world.wait(2 * MINUTE, step=5)
    late = far.dials(node, announces=PORT)
    assert FoundHere(A) in late.take()
    late.close()
    count = len(far.links)
    world.wait(24 * MINUTE, step=5)
    assert len(far.links) == count, "the next one is due from then on"


def test_one_dial_carries_the_hints_of_many() -> None:
    world, node, far = far_node()
    node.online(A)
    world.wait(5 * MINUTE, step=5)
    node.online(D)
    count = len(far.links)
    world.wait(25 * MINUTE, step=5)
    assert len(far.links) == count + 1
    assert [message for message in far.link.take() if isinstance(message, FoundHere)] == [FoundHere(A), FoundHere(D)]


def test_of_very_many_only_some_go_along_and_the_others_in_their_own_time() -> None:
    world, node, far = far_node()
    uins = set(range(10_000, 10_000 + AT_ONCE + 200))
    node.online(*uins)
    dialled = len(far.links)
    early = far.dials(node, announces=PORT)
    assert early.take(FoundHere) == [], "they were told by the link that was dialled for them"
    early.close()
    world.wait(22 * MINUTE, step=30)
    late = far.dials(node, announces=PORT)
    assert len(late.take(FoundHere)) == AT_ONCE
    world.wait(8 * MINUTE, step=30)
    told = {message.uin for link in far.links[dialled:] for message in link.heard if isinstance(message, FoundHere)}
    assert len(told) == 200, "those that were left"


def test_a_link_that_carries_a_hint_is_not_idle() -> None:
    world, node, far = far_node()
    node.online(A)
    world.wait(100, step=5)
    node.online(D)
    world.wait(100, step=5)
    assert FoundHere(D) in far.link.take()
    assert far.link.is_open
    world.wait(30, step=5)
    assert not far.link.is_open


def test_nothing_is_kept_of_clients_that_are_gone() -> None:
    _, node, _ = node_and_peers(2)
    before = node.counts()["timers"]
    for uin in range(1000, 1100):
        node.online(uin)
    assert node.counts()["timers"] == before + 200
    for uin in range(1000, 1100):
        node.offline(uin)
    assert node.counts()["timers"] == before
    assert not node.board._finder._hints._sent


def test_a_node_that_left_the_three_is_told_no_more() -> None:
    world, node, links = node_and_peers(3)
    node.online(A)
    while len(now := [link for link in links if link in holders(links, A)]) == len(links):
        links.append(world.peer().known_to(node))
    world.wait(15)
    for link in links:
        link.take()
    world.wait(31 * MINUTE, step=5)
    assert hinted(links) == now


def test_a_newcomer_among_the_three_is_told_and_no_other() -> None:
    world, node, links = node_and_peers(4)
    node.online(A)
    newcomers: list[PeerLink] = []
    while not newcomers or newcomers[-1] not in holders(links + newcomers, A):
        newcomers.append(world.peer().known_to(node))
    for link in links + newcomers:
        link.take()
    world.wait(11)
    assert [link for link in links + newcomers if FoundHere(A) in link.take()] == [newcomers[-1]]


def test_a_hint_that_went_another_way_meanwhile_is_not_sent_again() -> None:
    world, node, far = far_node()
    world.hanging.add(far.address)
    node.online(A)
    link = far.dials(node)
    assert FoundHere(A) in link.take()
    for who, dial in world.hung:
        who.board.dial_failed(dial.dial, Reason.NODE_UNREACHABLE, world.now)
    world.wait(300, step=5)
    assert hinted(far.links) == []


def test_a_hint_node_that_cannot_be_reached_is_tried_again_after_a_minute() -> None:
    world, node, links = node_and_peers(1)
    far = world.peer()
    node.remember(far.address, far.fingerprint)
    world.hanging.add(far.address)
    node.online(A)
    who, dial = world.hung.pop()
    world.hanging.clear()
    world.unreachable.add(far.address)
    world.answer(who, dial)
    world.run()
    world.unreachable.clear()
    assert hinted(links) == links
    world.wait(75)
    assert FoundHere(A) in far.links[0].heard
    assert hinted(links) == [], "the others have theirs"
