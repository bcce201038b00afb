"""The contract of `KnownNodes`, on the one in memory and the one on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uzel.names import Fingerprint, NodeAddress
from uzel.store.known_nodes import KnownNode, KnownNodes, MemoryKnownNodes
from uzel.store.sqlite_known_nodes import SqliteKnownNodes

A, B = Fingerprint(b"a" * 32), Fingerprint(b"b" * 32)
ONE = NodeAddress("192.0.2.1", 8935)
SIX = NodeAddress("2001:db8::1", 65534)
NAME = NodeAddress("node.example", 1)
Make = Callable[[int], KnownNodes]


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    opened: list[KnownNodes] = []

    def open_one(bound: int) -> KnownNodes:
        path = tmp_path / f"{len(opened)}.db"
        known: KnownNodes = (
            MemoryKnownNodes(bound=bound) if request.param == "memory" else SqliteKnownNodes(path, bound=bound)
        )
        opened.append(known)
        return known

    yield open_one
    for known in opened:
        known.close()
        known.close()  # twice is fine


def at(number: int) -> NodeAddress:
    return NodeAddress("node.example", number)


def ports(known: KnownNodes) -> list[int]:
    return [node.address.port for node in known.all()]


def test_who_answered_last_comes_first(make: Make) -> None:
    known = make(10)
    assert known.all() == []
    known.answered(ONE, A, 1.0)
    known.answered(SIX, B, 3.0)
    known.answered(NAME, A, 2.5)
    assert known.all() == [KnownNode(SIX, B, 3.0), KnownNode(NAME, A, 2.5), KnownNode(ONE, A, 1.0)]
    known.answered(ONE, A, 4.0)
    assert known.all()[0] == KnownNode(ONE, A, 4.0)


def test_of_equals_the_address_decides(make: Make) -> None:
    known = make(2)
    for number in (3, 1, 2):
        known.answered(at(number), A, 1.0)
    assert ports(known) == [1, 2]


def test_another_key_takes_the_place(make: Make) -> None:
    known = make(10)
    known.answered(ONE, A, 1.0)
    known.flush()
    known.answered(ONE, B, 2.0)
    assert known.all() == [KnownNode(ONE, B, 2.0)]


def test_a_clock_set_back_takes_no_time_away(make: Make) -> None:
    known = make(10)
    known.answered(ONE, A, 100.0)
    known.answered(ONE, A, 3.0)
    known.flush()
    known.answered(ONE, B, 2.0)
    assert known.all() == [KnownNode(ONE, B, 100.0)]


def test_the_longest_unanswered_go_first(make: Make) -> None:
    known = make(3)
    for number in (1, 2, 3):
        known.answered(at(number), A, float(number))
    known.answered(at(1), A, 4.0)
    known.answered(at(4), A, 5.0)
    assert ports(known) == [4, 1, 3]
    known.answered(at(2), A, 0.0)  # it answered before all the others
    assert ports(known) == [4, 1, 3]


def test_what_is_forgotten_may_answer_again(make: Make) -> None:
    known = make(3)
    known.forget(ONE)
    known.answered(ONE, A, 5.0)
    known.flush()
    known.forget(ONE)
    assert known.all() == []
    known.answered(ONE, A, 9.0)
    known.flush()
    known.forget(ONE)
    known.answered(ONE, B, 2.0)  # nothing is left of the time before
    known.forget(SIX)
    assert known.all() == [KnownNode(ONE, B, 2.0)]


def test_a_pin_is_changed_by_nothing_else(make: Make) -> None:
    known = make(1)
    assert known.pin(ONE) is None
    known.set_pin(ONE, A)
    known.answered(ONE, B, 1.0)
    known.forget(ONE)
    for number in range(1, 10):
        known.answered(at(number), B, float(number))
        known.flush()
    assert known.pin(ONE) == A
    assert known.pin(at(9)) is None
    known.set_pin(ONE, B)
    assert known.pin(ONE) == B


VERBS = st.sampled_from(["answered a", "answered b", "early", "forget", "flush", "all", "pin a", "pin b"])
STEPS = st.lists(st.tuples(VERBS, st.integers(1, 6)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 4))
def test_both_are_the_same(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], bound: int) -> None:
    path = tmp_path_factory.mktemp("known") / "known.db"
    memory, disk = MemoryKnownNodes(bound=bound), SqliteKnownNodes(path, bound=bound)
    for now, (verb, number) in enumerate(steps):
        for known in (memory, disk):
            _do(known, verb, at(number), float(now))
        if verb == "all":
            assert memory.all() == disk.all()
    disk.close()
    again = SqliteKnownNodes(path, bound=bound)
    assert memory.all() == again.all()
    assert len(again.all()) <= bound
    assert [memory.pin(at(number)) for number in range(1, 7)] == [again.pin(at(number)) for number in range(1, 7)]
    again.close()


def _do(known: KnownNodes, verb: str, address: NodeAddress, now: float) -> None:
    match verb:
        case "answered a" | "answered b":
            known.answered(address, A if verb.endswith("a") else B, now)
        case "early":
            known.answered(address, A, 0.0)
        case "forget":
            known.forget(address)
        case "flush":
            known.flush()
        case "pin a" | "pin b":
            known.set_pin(address, A if verb.endswith("a") else B)
