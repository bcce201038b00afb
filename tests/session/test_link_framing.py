"""A link's framing: everything goes up, in order, however it comes, and a flood in turns."""

from __future__ import annotations

import random

import pytest

from uzel.errors import Reason
from uzel.session.link import MOST_EVENTS, Heard, LinkFraming
from uzel.session.machine import Ended, Event, Failed, Received
from uzel.wire import Channel, Framer, Message, NodeList, Ping, RelayedData, Search, encode

FLOOD = [Search(number) for number in range(20_000)]
BULK = [RelayedData(1, 2, bytes([number]) * 65_524) for number in range(8)]


def messages(events: list[Event]) -> list[Message]:
    return [event.message for event in events if isinstance(event, Received)]


def turns(framing: LinkFraming, now: float) -> list[list[Event]]:
    """Give it turns until it wants data again."""
    took: list[list[Event]] = []
    while (due := framing.deadline()) is not None:
        assert due <= now
        assert not framing.wants_data
        took.append(framing.on_timeout(now))
    return took


def test_every_message_goes_up_and_every_read_is_heard() -> None:
    framing = LinkFraming()
    data = encode(Ping(b"ab")) + encode(Search(7))
    assert framing.receive(data[:3], 0) == [Heard(3)]
    assert framing.receive(data[3:], 1) == [Heard(len(data) - 3), Received(Ping(b"ab")), Received(Search(7))]
    assert framing.wants_data
    assert framing.data_to_send() == b""
    assert framing.eof(2) == [Ended()]
    assert framing.receive(data, 3) == []
    assert framing.eof(4) == []


def test_a_flood_goes_up_in_turns_and_nothing_is_read_meanwhile() -> None:
    framing = LinkFraming()
    first = framing.receive(b"".join(map(encode, FLOOD)), 5)
    rest = turns(framing, 5)
    assert len(rest) > 20
    assert all(len(each) < MOST_EVENTS + 4096 // 6 + 2 for each in (first, *rest))
    assert messages([event for each in (first, *rest) for event in each]) == FLOOD
    assert framing.wants_data
    assert framing.on_timeout(6) == []


def test_bulk_needs_no_turns() -> None:
    framing = LinkFraming()
    assert messages(framing.receive(b"".join(map(encode, BULK)), 0)) == BULK
    assert framing.deadline() is None


def test_what_was_on_its_way_comes_behind() -> None:
    framing = LinkFraming()
    events = framing.receive(b"".join(map(encode, FLOOD)), 0)
    assert framing.receive(encode(Ping(b"zz")), 0) == [Heard(4)]
    events += [event for each in turns(framing, 0) for event in each]
    assert messages(events) == [*FLOOD, Ping(b"zz")]


def test_the_end_behind_a_flood_comes_behind_it() -> None:
    framing = LinkFraming()
    framing.receive(b"".join(map(encode, FLOOD)), 0)
    assert framing.eof(0) == []
    *others, last = turns(framing, 0)
    assert not any(isinstance(event, Ended) for each in others for event in each)
    assert last[-1] == Ended()
    assert framing.deadline() is None


@pytest.mark.parametrize("flood", [[], FLOOD], ids=["alone", "behind a flood"])
def test_a_fault_and_a_cut_are_named_once_after_what_came_before(flood: list[Message]) -> None:
    for end, reason in ((b"\x11\x11", Reason.UNKNOWN_CODE), (encode(Ping(b"xx"))[:3], Reason.TRUNCATED_MESSAGE)):
        framing = LinkFraming()
        events = framing.receive(b"".join(map(encode, flood)) + end, 0)
        events += framing.eof(0)
        events += [event for each in turns(framing, 0) for event in each]
        assert messages(events) == flood
        assert [event.reason for event in events if isinstance(event, Failed)] == [reason]
        assert isinstance(events[-1], Failed)
        assert framing.receive(b"x", 1) == []
        assert framing.on_timeout(1) == []


def test_however_it_is_cut_the_messages_are_the_same() -> None:
    chance = random.Random(4)
    mixed: list[Message] = [chance.choice((Search(3), BULK[0], Ping(b"qq"))) for _ in range(200)]
    data = b"".join(map(encode, mixed)) + encode(NodeList(())) * 500
    whole = Framer(Channel.LINK).feed(data)
    framing, got, at = LinkFraming(), [], 0
    while at < len(data):
        size = chance.choice((1, 5, 4096, 5000, 200_000))
        got += messages(framing.receive(data[at : at + size], 0))
        got += [message for each in turns(framing, 0) for message in messages(each)]
        at += size
    assert got == whole
