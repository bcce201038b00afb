"""Which node next, and how soon: rounds, what follows a lost login, learned nodes, and the way back."""

from __future__ import annotations

from uzel.client.order import LEARNED_A_ROUND, Choice, NodeOrder, Pace
from uzel.names import NodeAddress, NodeReference


def node(number: int) -> NodeReference:
    return NodeReference(NodeAddress(f"192.0.2.{number}", 8935))


def learned(number: int) -> NodeAddress:
    return NodeAddress(f"198.51.100.{number}", 8935)


def order(count: int, *others: NodeAddress) -> NodeOrder:
    return NodeOrder([node(number) for number in range(count)], lambda at_most: list(others[:at_most]))


def host(choice: Choice) -> str:
    return choice.reference.address.host


def failing(made: NodeOrder, attempts: int) -> list[tuple[str, Pace]]:
    """Where the next attempts go when all of them fail, and what follows each."""
    return [(host(made.next()), made.failed()) for _ in range(attempts)]


def test_a_round_goes_through_all_in_order_and_begins_again_after_a_pause() -> None:
    three = order(3)
    first = [
        ("192.0.2.0", Pace.AT_ONCE),
        ("192.0.2.1", Pace.AT_ONCE),
        ("192.0.2.2", Pace.LATER),
    ]
    assert failing(three, 6) == first * 2


def test_one_node_alone_is_tried_later_each_time() -> None:
    alone = order(1)
    assert failing(alone, 2) == [("192.0.2.0", Pace.LATER)] * 2
    assert alone.lost(alone.next()) is Pace.LATER


def test_after_a_lost_login_comes_the_next_and_the_lost_one_last() -> None:
    three = order(3)
    three.failed()
    assert three.lost(three.next()) is Pace.SOON
    assert failing(three, 4) == [
        ("192.0.2.2", Pace.AT_ONCE),
        ("192.0.2.0", Pace.AT_ONCE),
        ("192.0.2.1", Pace.LATER),
        ("192.0.2.0", Pace.AT_ONCE),
    ]


def test_after_the_last_node_comes_the_first() -> None:
    two = order(2)
    two.failed()
    assert two.lost(two.next()) is Pace.SOON
    assert host(two.next()) == "192.0.2.0"


def test_only_in_the_first_round_and_only_while_others_are_left_is_there_a_hurry() -> None:
    two = order(2)
    hurries = []
    for _ in range(4):
        hurries.append(two.next().hurry)
        two.failed()
    assert hurries == [True, False, False, False]
    two.lost(two.next())
    assert two.next().hurry
    assert not order(1).next().hurry


def test_learned_ones_come_when_a_whole_round_has_failed_and_then_the_first_again() -> None:
    two = order(2, learned(1), learned(2))
    assert failing(two, 5) == [
        ("192.0.2.0", Pace.AT_ONCE),
        ("192.0.2.1", Pace.SOON),
        ("198.51.100.1", Pace.SOON),
        ("198.51.100.2", Pace.LATER),
        ("192.0.2.0", Pace.AT_ONCE),
    ]


def test_a_round_tries_only_some_learned_ones() -> None:
    one = order(1, *(learned(number) for number in range(50)))
    tried = [where for where, _ in failing(one, LEARNED_A_ROUND + 2)]
    assert [where for where in tried if where.startswith("192")] == ["192.0.2.0"] * 2


def test_after_a_learned_one_died_the_configured_ones_are_first() -> None:
    two = order(2, learned(1), learned(2))
    failing(two, 2)
    stood = two.next()
    assert stood.learned
    assert two.lost(stood) is Pace.SOON
    assert [where for where, _ in failing(two, 3)] == ["192.0.2.0", "192.0.2.1", "198.51.100.1"]


def test_what_is_preferred_to_what() -> None:
    three = order(3)
    choices = [Choice(node(number)) for number in range(3)] + [Choice(NodeReference(learned(1)), learned=True)]
    before = [[host(each) for each in three.before(choice)] for choice in choices]
    assert before == [
        [],
        ["192.0.2.0"],
        ["192.0.2.0", "192.0.2.1"],
        ["192.0.2.0", "192.0.2.1", "192.0.2.2"],
    ]
    assert all(each.hurry for each in three.before(choices[3]))
