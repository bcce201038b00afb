"""Searches, hints and the location cache, seen by raw nodes on both sides (section 5, D20, D22–D24)."""

from __future__ import annotations

import hashlib
import time

import pytest

from e2e.linked import ALICE, BOB, CAROL, DAVE, Linked, called_in, called_out, known_at
from e2e.node_harness import until
from e2e.raw_client import RawClient, pair, u32
from e2e.raw_link import RawLink, address_bytes, found_in_cache, home
from uzel.errors import Reason

BRIEF = {"search": 0.5}
"""For tests in which nobody answers."""


def called(caller: RawClient, callee: int) -> None:
    """Call, and know that the node has dealt with it."""
    caller.call(callee)
    assert caller.sync() == []


def refused(caller: RawClient, callee: int) -> None:
    caller.call(callee)
    caller.expect(0x05, u32(callee))


# -- The searches of others ---------------------------------------------------------------------------------------


def test_our_own_client_is_found_here(linked: Linked) -> None:
    linked.start()
    link = linked.dial(1)
    assert link.asked(ALICE.uin) == []
    alice = linked.login(ALICE)
    assert link.asked(ALICE.uin) == [(0xA8, u32(ALICE.uin))]
    alice.close()
    until("offline", lambda: link.asked(ALICE.uin) == [])


def test_nobody_is_found_nowhere(linked: Linked) -> None:
    linked.start()
    link = linked.dial(1)
    for uin in (0, 7, 2**32 - 1):
        assert link.asked(uin) == []


def test_a_search_is_never_passed_on(linked: Linked) -> None:
    linked.start()
    asker, other = linked.dial(1), linked.dial(2)
    assert asker.asked(BOB.uin) == []
    assert other.sync() == []


def led_to(linked: Linked, link: RawLink, callee: int) -> None:
    """A call of one of our clients to this user led to AB over this link, so the location is worth telling."""
    dave = linked.login(DAVE)
    called_out(dave, callee, link)
    link.call_ready(DAVE.uin, callee)
    dave.expect(0x07)


def test_a_cached_user_is_told_with_the_address_of_its_node(linked: Linked) -> None:
    linked.start()
    federate, link = linked.proven(1)
    led_to(linked, link, BOB.uin)
    expected = found_in_cache(BOB.uin, address_bytes(federate.host, federate.port))
    assert linked.dial(2).asked(BOB.uin) == [(0xA9, expected)]


def test_the_askers_own_address_is_never_told(linked: Linked) -> None:
    """Neither over the link that it dialled, nor over another of the same node."""
    linked.start()
    _, link = linked.proven(1)
    led_to(linked, link, BOB.uin)
    assert link.asked(BOB.uin) == []
    assert linked.dial(1).asked(BOB.uin) == []


def test_a_user_at_a_node_that_nobody_met_is_not_told(linked: Linked) -> None:
    linked.start()
    link = linked.dial(1)
    led_to(linked, link, BOB.uin)
    assert linked.dial(2).asked(BOB.uin) == []


def test_where_a_caller_came_from_is_for_own_use_only(linked: Linked) -> None:
    """An AA says where its caller is: our client calls back without a search, others are not told (D24)."""
    linked.start()
    _, link = linked.proven(1)
    asker = linked.dial(2)
    alice = linked.login(ALICE)
    called_in(link, BOB.uin, alice)
    alice.refuse(BOB.uin)
    link.expect(0xB8)
    assert asker.asked(BOB.uin) == []
    link.sync()
    alice.call(BOB.uin)
    link.expect(0xAA, pair(ALICE.uin, BOB.uin))
    assert asker.sync() == []


# -- Hints --------------------------------------------------------------------------------------------------------


def place(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def hint_numbers(uin: int, numbers: list[int]) -> set[int]:
    """Section 5 by itself: the first three raw nodes at or after the UIN's place on the ring."""
    ring = sorted(numbers, key=lambda number: place(address_bytes(home(number), 0)[:5]))
    after = [number for number in ring if place(address_bytes(home(number), 0)[:5]) >= place(u32(uin))]
    return set((after + ring)[:3])


def hinted(link: RawLink, uin: int) -> bool:
    return (0xA8, u32(uin)) in link.heard


def test_a_client_is_hinted_to_the_three_nodes_of_the_ring(linked: Linked) -> None:
    linked.start()
    links = {number: linked.proven(number)[1] for number in range(1, 7)}
    bystander = linked.dial(7)
    for who in (ALICE, BOB, CAROL):
        linked.login(who)
        expected = hint_numbers(who.uin, list(links))
        for number in expected:
            until("a hint", lambda link=links[number], uin=who.uin: hinted(link, uin))  # type: ignore[misc]  # bound now
        for number, link in links.items():
            link.sync()
            assert hinted(link, who.uin) == (number in expected)
        bystander.sync()
        assert not hinted(bystander, who.uin)


def test_a_new_node_on_the_ring_gets_its_hints(linked: Linked) -> None:
    linked.start()
    linked.login(ALICE)
    _, link = linked.proven(1)
    until("a hint", lambda: hinted(link, ALICE.uin))


def test_hints_are_repeated_while_the_client_is_online(linked: Linked) -> None:
    linked.start(hint_refresh=0.2)
    _, link = linked.proven(1)
    alice = linked.login(ALICE)
    hint = (0xA8, u32(ALICE.uin))
    until("repeated", lambda: link.heard.count(hint) >= 3)
    alice.close()
    until("offline", lambda: link.asked(ALICE.uin) == [])
    link.sync()
    told = link.heard.count(hint)
    time.sleep(0.5)  # nothing can be waited for: no hint shall come
    link.sync()
    assert link.heard.count(hint) == told


def test_a_hint_saves_the_search(linked: Linked) -> None:
    linked.start()
    link, other = linked.dial(1), linked.dial(2)
    called_out(linked.login(ALICE), BOB.uin, link)
    assert other.sync() == []


def test_hints_expire(linked: Linked) -> None:
    linked.start(hinted=0.2, **BRIEF)
    link = linked.dial(1)
    alice = linked.login(ALICE)
    known_at(link, BOB.uin)
    time.sleep(0.3)
    alice.call(BOB.uin)
    link.expect(0xA5, u32(BOB.uin))


def test_a_hint_is_no_answer_to_others(linked: Linked) -> None:
    """A node told of a user by a hint answers A9 with the hinting node's address, when that was met."""
    linked.start()
    federate, link = linked.proven(1)
    known_at(link, BOB.uin)
    expected = found_in_cache(BOB.uin, address_bytes(federate.host, federate.port))
    assert linked.dial(2).asked(BOB.uin) == [(0xA9, expected)]


# -- Our own searches ---------------------------------------------------------------------------------------------


def test_everyone_is_asked_and_the_first_answer_is_called(linked: Linked) -> None:
    linked.start()
    links = [linked.dial(number) for number in (1, 2, 3)]
    alice = linked.login(ALICE)
    called(alice, BOB.uin)
    for link in links:
        link.expect(0xA5, u32(BOB.uin))
    links[1].found_here(BOB.uin)
    links[1].expect(0xAA, pair(ALICE.uin, BOB.uin))
    links[2].found_here(BOB.uin)
    assert links[0].sync() == links[2].sync() == links[1].sync() == alice.sync() == []


def test_the_hint_nodes_are_asked_first(linked: Linked) -> None:
    """Everyone is asked only when they do not answer in time."""
    linked.start(everyone_after=1.0)
    everyone = linked.dial(9)
    links = {number: linked.proven(number)[1] for number in range(1, 6)}
    expected = hint_numbers(BOB.uin, list(links))
    alice = linked.login(ALICE)
    called(alice, BOB.uin)
    for number in expected:
        links[number].expect(0xA5, u32(BOB.uin))
    for number in links.keys() - expected:
        assert links[number].sync() == []
    assert everyone.sync() == []
    everyone.expect(0xA5, u32(BOB.uin))


def test_one_search_is_in_flight_however_many_ask(linked: Linked) -> None:
    linked.start()
    link = linked.dial(1)
    people = [linked.login(who) for who in (ALICE, CAROL, DAVE)]
    for person in people:
        called(person, BOB.uin)
    link.expect(0xA5, u32(BOB.uin))
    assert link.sync() == []
    link.found_here(BOB.uin)
    for person in people:
        link.expect(0xAA, pair(person.uin, BOB.uin))


def test_a_node_with_two_links_is_asked_once(linked: Linked) -> None:
    linked.start()
    older, newer = linked.dial(1), linked.dial(1)
    called(linked.login(ALICE), BOB.uin)
    newer.expect(0xA5, u32(BOB.uin))
    assert older.sync() == newer.sync() == []


def test_nobody_answers(linked: Linked) -> None:
    """05 at the end of the search time; then, for a moment, at once."""
    linked.start(search=0.4, unknown=60.0)
    link = linked.dial(1)
    alice, carol = linked.login(ALICE), linked.login(CAROL)
    refused(alice, BOB.uin)
    link.expect(0xA5, u32(BOB.uin))
    refused(alice, BOB.uin)
    refused(carol, BOB.uin)
    assert link.sync() == []
    link.found_here(BOB.uin)  # a hint is newer than what nobody knew
    carol.call(BOB.uin)
    link.expect(0xAA, pair(CAROL.uin, BOB.uin))


def test_no_links_no_search(linked: Linked) -> None:
    linked.start()
    refused(linked.login(ALICE), BOB.uin)


def test_everyone_is_asked_once_a_minute_for_one_uin(linked: Linked) -> None:
    linked.start(everyone_every=60.0, **BRIEF)
    link = linked.dial(1)
    alice = linked.login(ALICE)
    for _ in range(3):
        refused(alice, BOB.uin)
    link.expect(0xA5, u32(BOB.uin))
    assert link.sync() == []
    refused(alice, CAROL.uin)
    link.expect(0xA5, u32(CAROL.uin))


def test_a_client_that_searches_too_much_is_held_back(linked: Linked) -> None:
    linked.start(searches_per_minute=1, search_burst=3, **BRIEF)
    link = linked.dial(1)
    alice, carol = linked.login(ALICE), linked.login(CAROL)
    for uin in range(1000, 1005):
        refused(alice, uin)
    linked.counted(Reason.SEARCH_RATE, 2)
    for uin in range(1000, 1003):
        link.expect(0xA5, u32(uin))
    assert link.sync() == []
    called(carol, BOB.uin)
    link.expect(0xA5, u32(BOB.uin))


def test_an_answer_out_of_a_cache_is_dialled(linked: Linked) -> None:
    """A9: the node that it names is dialled, and asked there; it is not announced to anybody before."""
    linked.start()
    federate = linked.federate(1)
    teller = linked.dial(2)
    alice = linked.login(ALICE)
    alice.call(BOB.uin)
    teller.expect(0xA5, u32(BOB.uin))
    teller.found_in_cache(BOB.uin, federate.host, federate.port)
    federate.link().expect(0xAA, pair(ALICE.uin, BOB.uin))
    assert teller.sync() == []


@pytest.mark.parametrize("name", [home(1), "localhost"], ids=["address", "name"])
@pytest.mark.parametrize("counts_itself", [True, False])
def test_an_a9_may_count_its_size_or_not(linked: Linked, name: str, counts_itself: bool) -> None:
    """Receivers accept n and n + 2 (D2)."""
    linked.start()
    federate = linked.federate(1, at="127.0.0.1" if name == "localhost" else "")
    teller = linked.dial(2)
    alice = linked.login(ALICE)
    alice.call(BOB.uin)
    teller.expect(0xA5, u32(BOB.uin))
    tail = found_in_cache(BOB.uin, address_bytes(name, federate.port))
    size = int.from_bytes(tail[:2], "little") - (0 if counts_itself else 2)
    teller.send(0xA9, size.to_bytes(2, "little") + tail[2:])
    federate.link().expect(0xAA, pair(ALICE.uin, BOB.uin))


def test_an_a9_that_nobody_asked_for_is_ignored(linked: Linked) -> None:
    linked.start(**BRIEF)
    federate = linked.federate(1)
    teller = linked.dial(2)
    alice = linked.login(ALICE)
    teller.found_in_cache(BOB.uin, federate.host, federate.port)
    teller.found_in_cache(0, federate.host, federate.port)
    assert teller.sync() == []
    refused(alice, BOB.uin)
    assert federate.dialled_by == 0


def test_an_a9_that_led_to_ab_is_cached(linked: Linked) -> None:
    linked.start()
    federate = linked.federate(1)
    teller = linked.dial(2)
    alice, carol = linked.login(ALICE), linked.login(CAROL)
    alice.call(BOB.uin)
    teller.expect(0xA5, u32(BOB.uin))
    teller.found_in_cache(BOB.uin, federate.host, federate.port)
    link = federate.link()
    link.expect(0xAA)
    link.call_ready(ALICE.uin, BOB.uin)
    alice.expect(0x07)
    carol.call(BOB.uin)
    link.expect(0xAA, pair(CAROL.uin, BOB.uin))
    assert teller.sync() == []
    expected = found_in_cache(BOB.uin, address_bytes(federate.host, federate.port))
    assert teller.asked(BOB.uin) == [(0xA9, expected)]


def test_somebody_who_comes_home_is_called_at_home(linked: Linked) -> None:
    """What was known of a user elsewhere ends when it logs in here."""
    linked.start()
    link = linked.dial(1)
    alice = linked.login(ALICE)
    known_at(link, BOB.uin)
    bob = linked.login(BOB)
    alice.call(BOB.uin)
    bob.expect(0x04, u32(ALICE.uin))
    link.found_here(BOB.uin)
    assert link.sync() == []
