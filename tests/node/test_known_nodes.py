"""The addresses of other nodes: what counts, what is proven, what is told to whom, how often one is dialled (D22)."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from node.federation import PORT, Federation, Node, Peer
from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress, NodeReference, Range, range_of
from uzel.node.context import Context
from uzel.node.known_nodes import MOST_OWN, KnownNodes
from uzel.node.settings import LinkSettings, SwitchboardSettings
from uzel.wire import Address, Call, FoundHere, FoundInCache, NodeList, NodeListRequest, Search

GIVER, OTHER, THIRD = (Fingerprint(bytes([number]) * 32) for number in (1, 2, 3))


def known_nodes(settings: LinkSettings | None = None, chance: float = 0.5) -> KnownNodes:
    board = SwitchboardSettings(links=settings or LinkSettings())
    return KnownNodes(Context(board, Fingerprint(bytes(32)), lambda: b"rr", lambda: chance))


def at(host: str, port: int = PORT) -> NodeAddress:
    return NodeAddress(host, port)


def prove(known: KnownNodes, host: str, node: Fingerprint, met_at: str | None = None) -> None:
    """Somebody in the same range told it, and the node was met there."""
    known.learn(Address(host, PORT), GIVER, range_of(met_at or host))
    found = known.get(at(host))
    assert found is not None
    known.answered(found, node, met_at or host)


def told(known: KnownNodes, asker: Range | None, without: Fingerprint | None = None) -> set[str]:
    return {address.host for address in known.tell(1000, asker, without)}


# -- What counts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "giver", "counts"),
    [
        ("20.1.2.3", Range.PUBLIC, True),
        ("20.1.2.3", Range.PRIVATE, True),
        ("2a01::1", Range.LOOPBACK, True),
        ("10.1.2.3", Range.PRIVATE, True),
        ("10.1.2.3", Range.PUBLIC, False),
        ("10.1.2.3", Range.LOOPBACK, False),
        ("fd00::1", Range.PRIVATE, True),
        ("fd00::1", Range.PUBLIC, False),
        ("127.0.0.1", Range.LOOPBACK, True),
        ("127.0.0.1", Range.PRIVATE, False),
        ("::1", Range.PUBLIC, False),
        ("169.254.1.1", Range.LINK_LOCAL, True),
        ("169.254.1.1", Range.PRIVATE, False),
        ("100.64.0.1", Range.PUBLIC, False),
        ("0.0.0.0", Range.PRIVATE, False),
        ("224.0.0.1", Range.PUBLIC, False),
        ("255.255.255.255", Range.NOWHERE, False),
        ("node.example", Range.PUBLIC, True),
        ("node.example", None, True),
        ("10.1.2.3", None, False),
        ("a..b", Range.PUBLIC, False),
    ],
)
def test_an_address_counts_from_its_own_range_only(host: str, giver: Range | None, counts: bool) -> None:
    known = known_nodes()
    assert known.learn(Address(host, PORT), GIVER, giver) == counts
    assert (len(known), known.has_to_meet) == (int(counts), counts)


@pytest.mark.parametrize("port", [0, 65535])
def test_a_port_that_leaves_none_for_data_is_ignored(port: int) -> None:
    assert not known_nodes().learn(Address("20.1.2.3", port), GIVER, Range.PUBLIC)


@pytest.mark.parametrize(
    ("giver", "ranges"),
    [
        (Range.PUBLIC, {Range.PUBLIC}),
        (Range.PRIVATE, {Range.PUBLIC, Range.PRIVATE}),
        (Range.LOOPBACK, {Range.PUBLIC, Range.LOOPBACK}),
    ],
)
def test_where_a_name_may_lead(giver: Range, ranges: set[Range]) -> None:
    known = known_nodes()
    known.learn(Address("node.example", PORT), GIVER, giver)
    found = known.get(at("node.example"))
    assert found is not None
    assert found.ranges == ranges


def test_a_configured_one_may_be_anywhere() -> None:
    known = known_nodes()
    found = known.configure(NodeReference(at("10.0.0.1")), None)
    assert Range.PRIVATE in found.ranges
    assert Range.LOOPBACK in found.ranges
    assert Range.NOWHERE not in found.ranges


def test_bounds_in_all_and_for_each_giver() -> None:
    known = known_nodes(LinkSettings(learned=10, learned_per_giver=4))
    counts = [known.learn(Address(f"20.0.1.{number}", PORT), GIVER, Range.PUBLIC) for number in range(6)]
    assert counts == [True] * 4 + [False] * 2
    assert known.learn(Address("20.0.1.0", PORT), GIVER, Range.PUBLIC), "what is known already costs nothing"
    known.configure(NodeReference(at("20.0.1.0")), None)
    assert known.learn(Address("20.0.1.5", PORT), GIVER, Range.PUBLIC), "a configured one counts for nobody"
    for giver in (OTHER, THIRD):
        for number in range(6):
            known.learn(Address(f"20.0.{giver.raw[0]}.{number}", PORT), giver, Range.PUBLIC)
    assert len(known) <= 11


def test_a_forgotten_one_makes_room() -> None:
    known = known_nodes(LinkSettings(learned_per_giver=1))
    assert known.learn(Address("20.0.0.1", PORT), GIVER, Range.PUBLIC)
    found = known.get(at("20.0.0.1"))
    assert found is not None
    assert [known.failed(found, Reason.NODE_UNREACHABLE, 0) for _ in range(3)] == [False, False, True]
    assert len(known) == 0
    assert known.learn(Address("20.0.0.2", PORT), GIVER, Range.PUBLIC)


def test_a_configured_one_is_never_forgotten() -> None:
    known = known_nodes()
    found = known.configure(NodeReference(at("20.0.0.1")), None)
    assert not any(known.failed(found, Reason.NODE_UNREACHABLE, 0) for _ in range(20))
    assert known.get(at("20.0.0.1")) is found


def test_an_answer_sets_the_failures_back() -> None:
    known = known_nodes()
    known.learn(Address("20.0.0.1", PORT), GIVER, Range.PUBLIC)
    found = known.get(at("20.0.0.1"))
    assert found is not None
    for _ in range(5):
        assert not known.failed(found, Reason.NODE_UNREACHABLE, 0)
        assert not known.failed(found, Reason.NODE_UNREACHABLE, 0)
        known.answered(found, OTHER, "20.0.0.1")


def test_delays_grow_up_to_five_minutes() -> None:
    known = known_nodes()
    found = known.configure(NodeReference(at("20.0.0.1")), None)
    delays = []
    for _ in range(12):
        known.failed(found, Reason.NODE_UNREACHABLE, 0)
        delays.append(found.retry_at)
    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


# -- Own addresses ------------------------------------------------------------------------------------------------


def test_an_own_address_is_not_learned_again() -> None:
    known = known_nodes()
    prove(known, "20.0.0.1", OTHER)
    known.note_own(at("20.0.0.1"))
    assert known.is_own(at("20.0.0.1"))
    assert (len(known), len(known.ring), told(known, Range.PUBLIC)) == (0, 0, set())
    assert not known.learn(Address("20.0.0.1", PORT), GIVER, Range.PUBLIC)
    assert known.learn(Address("20.0.0.1", PORT + 2), GIVER, Range.PUBLIC), "another node of this machine, perhaps"


def test_own_addresses_are_bounded() -> None:
    known = known_nodes()
    for number in range(MOST_OWN + 10):
        known.note_own(at("20.0.0.1", number + 1))
    assert sum(known.is_own(at("20.0.0.1", number + 1)) for number in range(MOST_OWN + 10)) == MOST_OWN


# -- Proof, and what is told --------------------------------------------------------------------------------------


def test_only_proven_ones_are_told_and_lie_on_the_ring() -> None:
    known = known_nodes()
    known.learn(Address("20.0.0.1", PORT), GIVER, Range.PUBLIC)
    assert (told(known, Range.PUBLIC), len(known.ring), known.nodes()) == (set(), 0, [])
    prove(known, "20.0.0.1", OTHER)
    assert (told(known, Range.PUBLIC), len(known.ring), known.nodes()) == ({"20.0.0.1"}, 1, [OTHER])
    assert known.proven_addresses(OTHER) == [at("20.0.0.1")]


def test_met_again_with_another_key_it_belongs_to_that_one() -> None:
    known = known_nodes()
    prove(known, "20.0.0.1", OTHER)
    prove(known, "20.0.0.1", THIRD)
    assert known.nodes() == [THIRD]
    assert (len(known.ring), known.ring.hint_nodes(7)) == (1, [THIRD])
    assert known.proven_addresses(OTHER) == []
    assert told(known, Range.PUBLIC, THIRD) == set()


def test_a_node_with_several_addresses_lies_once_on_the_ring() -> None:
    known = known_nodes()
    for host in ("node.example", "20.0.0.9", "2a01::1", "20.0.0.1"):
        prove(known, host, OTHER, "20.0.0.1")
    assert len(known.ring) == 1
    assert known.proven_addresses(OTHER)[0] == at("20.0.0.1")
    assert len(told(known, Range.PUBLIC)) == 4


def test_what_is_told_to_whom() -> None:
    known = known_nodes()
    prove(known, "20.0.0.1", OTHER)
    prove(known, "10.0.0.1", THIRD)
    prove(known, "127.0.0.1", Fingerprint(b"4" * 32))
    prove(known, "169.254.0.1", Fingerprint(b"5" * 32))
    prove(known, "inside.example", Fingerprint(b"6" * 32), "10.0.0.7")
    prove(known, "outside.example", Fingerprint(b"7" * 32), "20.0.0.7")
    public = {"20.0.0.1", "outside.example"}
    assert told(known, Range.PUBLIC) == public
    assert told(known, Range.PRIVATE) == public | {"10.0.0.1", "inside.example"}
    assert told(known, Range.LOOPBACK) == public | {"127.0.0.1"}
    assert told(known, Range.LINK_LOCAL) == public | {"169.254.0.1"}
    assert told(known, None) == public
    assert told(known, Range.PUBLIC, OTHER) == {"outside.example"}, "nobody is told of itself"
    assert known.address_to_tell(THIRD, Range.PUBLIC) is None
    assert known.address_to_tell(THIRD, Range.PRIVATE) == at("10.0.0.1")
    assert known.address_to_tell(GIVER, Range.PUBLIC) is None


def test_a_part_is_told_at_random() -> None:
    chance = 0.0
    known = KnownNodes(Context(SwitchboardSettings(), Fingerprint(bytes(32)), lambda: b"rr", lambda: chance))
    for number in range(30):
        prove(known, f"20.0.0.{number}", Fingerprint(bytes([number + 10]) * 32))
    parts = []
    for number in range(10):
        chance = number / 10
        parts.append(frozenset(known.tell(5, Range.PUBLIC, None)))
        assert len(parts[-1]) == 5
    assert len(set(parts)) > 3


def test_from_before_the_start() -> None:
    known = known_nodes()
    known.restore(at("20.0.0.1"), OTHER, 1e9)
    assert known.nodes() == [OTHER]
    assert told(known, Range.PUBLIC) == {"20.0.0.1"}
    assert known.has_to_meet, "it is to show that it is still there"
    known.restore(at("10.0.0.1"), THIRD, 1e9)
    assert told(known, Range.PUBLIC) == {"20.0.0.1"}
    found = known.get(at("10.0.0.1"))
    assert found is not None
    assert found.ranges == {Range.PRIVATE}


def test_the_store_cannot_exceed_the_bounds() -> None:
    known = known_nodes(LinkSettings(learned=5))
    for number in range(9):
        known.restore(at(f"20.0.0.{number}"), Fingerprint(bytes([number + 1]) * 32), 1e9)
    assert len(known) == 5


# -- How often one is dialled -------------------------------------------------------------------------------------


def liars(world: Federation, node: Node, count: int, each: int) -> dict[str, Peer]:
    """Nodes that tell addresses where nobody is; by the first two bytes of their lies."""
    found = {}
    for number in range(count):
        liar = world.peer()
        link = liar.dials(node)
        lies = (Address(f"30.{number}.{index // 250}.{index % 250}", PORT) for index in range(each))
        link.say(NodeList(tuple(lies)))
        found[f"30.{number}"] = liar
    return found


def test_one_dial_a_second_and_few_on_one_word_however_many_lie() -> None:
    world = Federation(None)
    node = world.nodes[0]
    telling = liars(world, node, 20, 40)
    minutes = 4
    world.wait(minutes * 60, step=0.5)
    moments = node.told.dialled_at
    assert all(later - earlier >= 1 for earlier, later in pairwise(moments))
    assert len(moments) >= 50 * minutes, "the budget of all is used"
    on_word = Counter(address.host.rsplit(".", 2)[0] for address in node.told.dialled)
    assert set(on_word) == set(telling), "they take turns"
    assert max(on_word.values()) <= 5 * minutes


def test_one_liar_uses_up_its_own_word_only() -> None:
    world = Federation(None)
    node = world.nodes[0]
    liars(world, node, 1, 4000)
    minutes = 5
    world.wait(minutes * 60, step=0.5)
    assert 5 * minutes - 5 < len(node.told.dialled) <= 5 * minutes
    honest, teller = world.peer(), world.peer()
    teller.dials(node).say(NodeList((honest.told,)))
    world.wait(3)
    assert honest.address in node.told.remembered, "another's word is not held up"


def test_a_list_of_65532_lies() -> None:
    world = Federation(None)
    node = world.nodes[0]
    liar = world.peer()
    link = liar.dials(node)
    lies = [Address(f"30.{index // 250 // 250}.{index // 250 % 250}.{index % 250}", PORT) for index in range(65_532)]
    for start in range(0, len(lies), 4096):
        link.say(NodeList(tuple(lies[start : start + 4096])))
    assert node.counts()["known_nodes"] == 4096
    world.wait(60, step=0.5)
    assert len(node.told.dialled) <= 5
    assert not [address for address in node.told.remembered if address.host.startswith("30.")]


def test_three_failures_and_it_is_forgotten() -> None:
    world = Federation(None)
    node = world.nodes[0]
    liars(world, node, 1, 1)
    world.wait(120)
    assert node.told.dialled == [at("30.0.0.0")] * 3
    assert node.told.forgotten == [at("30.0.0.0")]
    assert node.counts()["known_nodes"] == 0


def test_an_answer_to_a_search_is_dialled_within_the_same_budgets() -> None:
    world = Federation(None)
    node, liar = world.nodes[0], world.peer()
    link = liar.known_to(node)
    world.wait(2)
    node.online(11)
    node.told.dialled_at.clear()
    for number in range(40):
        node.say(11, Call(1000 + number))
        if link.take(Search):
            link.say(FoundInCache(1000 + number, Address(f"30.0.0.{number}", PORT)))
        world.wait(2)
    assert 5 <= len(node.told.dialled_at) <= 5 * 2 + 5
    assert all(later - earlier >= 1 for earlier, later in pairwise(node.told.dialled_at))


# -- Own and others' addresses never told back ----------------------------------------------------------------------


def test_a_list_holds_neither_the_askers_address_nor_ours() -> None:
    world = Federation(None)
    node = world.nodes[0]
    one, other = world.peer(), world.peer()
    first, second = one.known_to(node), other.known_to(node)
    node.board._links.known.note_own(node.address)
    first.say(NodeListRequest(b"rr"))
    second.say(NodeListRequest(b"rr"))
    assert first.take(NodeList) == [NodeList((other.told,))]
    assert second.take(NodeList) == [NodeList((one.told,))]


def test_an_answer_never_names_the_asker() -> None:
    world = Federation(None)
    node = world.nodes[0]
    one, other = world.peer(), world.peer()
    first, second = one.known_to(node), other.known_to(node)
    first.say(FoundHere(22))
    first.say(Search(22))
    assert first.take(FoundInCache) == []
    second.say(Search(22))
    assert second.take(FoundInCache) == [FoundInCache(22, one.told)]
