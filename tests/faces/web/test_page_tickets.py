"""One-time addresses and codes: once, in time, and guessed by nobody."""

from __future__ import annotations

from uzel.faces.page_settings import PageSettings
from uzel.faces.web.tickets import Tickets, Verdict

SETTINGS = PageSettings()


def test_an_address_is_good_once_and_in_time() -> None:
    tickets = Tickets(SETTINGS)
    tickets.add_address("a", 0)
    tickets.add_address("b", 0)
    assert tickets.open_address("a", SETTINGS.address - 1) is Verdict.GOOD
    assert tickets.open_address("a", SETTINGS.address - 1) is Verdict.USED
    assert tickets.open_address("b", SETTINGS.address) is Verdict.USED
    assert tickets.open_address("c", 0) is Verdict.WRONG


def test_addresses_that_nobody_opened_are_bounded() -> None:
    tickets = Tickets(SETTINGS)
    for number in range(SETTINGS.addresses + 1):
        tickets.add_address(str(number), 0)
    assert tickets.open_address("0", 1) is Verdict.WRONG
    assert tickets.open_address("1", 1) is Verdict.GOOD


def test_a_code_is_good_once_however_it_is_written() -> None:
    tickets = Tickets(SETTINGS)
    tickets.add_code("123 456 789", 0)
    assert tickets.enter_code("123-456789", 1) is Verdict.GOOD
    assert tickets.enter_code("123456789", 1) is Verdict.WRONG


def test_a_code_is_good_in_time_and_only_the_last() -> None:
    tickets = Tickets(SETTINGS)
    tickets.add_code("111111111", 0)
    tickets.add_code("222222222", 0)
    assert tickets.enter_code("111111111", 1) is Verdict.WRONG
    assert tickets.enter_code("222222222", SETTINGS.code) is Verdict.WRONG


def test_wrong_codes_make_everybody_wait_ever_longer_and_end_the_code() -> None:
    tickets, now = Tickets(SETTINGS), 0.0
    waits: list[float] = []
    tickets.add_code("123456789", now + 10_000)
    for _ in range(SETTINGS.code_guesses):
        assert tickets.enter_code("000000000", now) is Verdict.WRONG
        assert tickets.enter_code("123456789", now) is Verdict.WAIT
        waits.append(tickets.wait(now))
        now += waits[-1]
    assert waits == [min(2.0**n, SETTINGS.last_wait) for n in range(SETTINGS.code_guesses)]
    assert tickets.enter_code("123456789", now) is Verdict.WRONG
    now += tickets.wait(now) + SETTINGS.forgive
    tickets.enter_code("000000000", now)
    assert tickets.wait(now) == SETTINGS.first_wait


def test_guesses_do_not_lock_out_who_has_the_address() -> None:
    tickets = Tickets(SETTINGS)
    tickets.add_address("right", 0)
    assert tickets.open_address("wrong", 0) is Verdict.WRONG
    assert tickets.open_address("wrong", 0) is Verdict.WAIT
    assert tickets.open_address("right", 0) is Verdict.GOOD
