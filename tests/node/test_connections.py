"""Who goes when there are too many connections, and who is refused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from uzel.errors import Reason
from uzel.node.connections import ConnectionBounds, Connections, Verdict

BOUNDS = ConnectionBounds(half_open_per_address=3, half_open=5, per_address=6, in_all=12, handshake=10, data_hello=5)


def opened(bounds: ConnectionBounds, *networks: str, established: bool = False) -> Connections:
    connections = Connections(bounds)
    for number, network in enumerate(networks):
        assert connections.open(number, network, number, is_data=False) == Verdict()
        if established:
            connections.established(number)
    return connections


def test_the_oldest_half_open_one_of_the_address_goes() -> None:
    connections = opened(BOUNDS, "a", "b", "a", "a")
    verdict = connections.open(9, "a", 9, is_data=True)
    assert verdict == Verdict(evicted=(0, Reason.HALF_OPEN_ADDRESS_FULL))


def test_the_oldest_half_open_one_of_all_goes() -> None:
    connections = opened(BOUNDS, "a", "b", "c", "d", "e")
    assert connections.open(9, "f", 9, is_data=True) == Verdict(evicted=(0, Reason.HALF_OPEN_FULL))


def test_an_address_with_enough_established_ones_is_refused() -> None:
    connections = opened(BOUNDS, *"aaaaaa", established=True)
    assert connections.open(9, "a", 9, is_data=True) == Verdict(refused=Reason.CONNECTIONS_ADDRESS_FULL)
    assert connections.open(10, "b", 9, is_data=True) == Verdict()


def test_clients_leave_room_for_data_connections() -> None:
    connections = opened(BOUNDS, *"abcdefghi", established=True)
    assert connections.open(20, "z", 9, is_data=False) == Verdict(refused=Reason.CONNECTIONS_FULL)
    for number in (21, 22, 23):
        assert connections.open(number, "z", 9, is_data=True) == Verdict()
        connections.established(number)
    assert connections.open(24, "y", 9, is_data=True) == Verdict(refused=Reason.CONNECTIONS_FULL)


def test_a_link_that_is_dialled_counts_and_is_never_half_open() -> None:
    connections = opened(BOUNDS, *"abcde")
    assert connections.open(9, "a", 9, is_data=False, dialled=True) == Verdict()
    assert (len(connections), connections.half_open) == (6, 5)
    assert [connection for connection, _ in connections.take_due(100)] == [0, 1, 2, 3, 4]
    assert len(connections) == 1
    connections.established(9)
    connections.closed(9)
    assert len(connections) == 0


def test_a_link_that_is_dialled_takes_the_place_of_a_half_open_one_at_most() -> None:
    connections = opened(BOUNDS, *"abcdefgh", established=True)
    assert connections.open(20, "i", 9, is_data=False) == Verdict()
    verdict = connections.open(21, "j", 9, is_data=False, dialled=True)
    assert verdict == Verdict(evicted=(20, Reason.CONNECTIONS_FULL))
    assert connections.open(22, "k", 9, is_data=False, dialled=True) == Verdict(refused=Reason.CONNECTIONS_FULL)
    full = opened(BOUNDS, *"aaaaaa", established=True)
    assert full.open(9, "a", 9, is_data=False, dialled=True) == Verdict(refused=Reason.CONNECTIONS_ADDRESS_FULL)


def test_the_slow_are_named_by_what_they_owe() -> None:
    connections = Connections(BOUNDS)
    connections.open(1, "a", 0, is_data=False)
    connections.open(2, "a", 0, is_data=True)
    assert connections.deadline() == 5
    assert connections.take_due(5) == [(2, Reason.DATA_HELLO_TIMEOUT)]
    assert connections.take_due(10) == [(1, Reason.HANDSHAKE_TIMEOUT)]
    assert len(connections) == connections.half_open == 0


@given(
    st.lists(
        st.tuples(st.sampled_from(["open", "data", "dial", "establish", "close", "wait"]), st.integers(0, 30)),
        max_size=80,
    )
)
def test_no_bound_is_ever_passed(steps: list[tuple[str, int]]) -> None:
    connections, number, now = Connections(BOUNDS), 0, 0.0
    for what, which in steps:
        if what in {"open", "data", "dial"}:
            number += 1
            network = "abcdefgh"[which % 8]
            connections.open(number, network, now, is_data=what == "data", dialled=what == "dial")
        elif what == "establish":
            connections.established(which)
        elif what == "close":
            connections.closed(which)
        else:
            now += which / 3
            connections.take_due(now)
        assert len(connections) <= BOUNDS.in_all
        assert connections.half_open <= BOUNDS.half_open
