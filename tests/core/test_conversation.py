"""What is sent, stored and reported in one conversation, step by step."""

from __future__ import annotations

from uzel.core.conversation import STORAGE, Arrived, Delivery, Effect, End, Keep, Knock, Outgoing, Settle, Take, Taken
from uzel.core.gate import Gate
from uzel.core.settings import DeliveryBounds

BOUNDS = DeliveryBounds(take=3, take_bytes=1000, keep=3)
FIRST = Take(0, 3, 1000)
NOTHING = Taken((), more=False)


class Paper:
    """A carrier that writes down what it is told; it has room for so many texts."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.told: list[tuple[str, object]] = []

    def fits(self, text: Outgoing) -> bool:
        return self.room > 0

    def send(self, text: Outgoing) -> None:
        assert self.fits(text)
        self.room -= 1
        self.told.append(("send", text.number))

    def report(self, key: object) -> None:
        self.told.append(("report", key))

    def refuse(self, key: object) -> None:
        self.told.append(("refuse", key))

    def take(self) -> list[tuple[str, object]]:
        told, self.told = self.told, []
        return told


def begun(room: int = 100, *, gate: Gate | None = Gate.OPEN, peer: Gate | None = Gate.OPEN) -> tuple[Delivery, Paper]:
    paper = Paper(room)
    delivery = Delivery(paper, BOUNDS, knock=10)
    if gate is not None:
        delivery.judged(gate)
    if peer is not None:
        delivery.peer_says(peer)
    return delivery, paper


def texts(*numbers: int, text: str = "hello", more: bool = True) -> Taken:
    return Taken(tuple(Outgoing(number, number.to_bytes(16), text, None, 0) for number in numbers), more)


def came(key: int, text: str = "hello") -> Arrived:
    return Arrived(key, key.to_bytes(16), text, None, 0)


def sent(*numbers: int) -> list[tuple[str, object]]:
    return [("send", number) for number in numbers]


def reported(*keys: int) -> list[tuple[str, object]]:
    return [("report", key) for key in keys]


# -- Out ------------------------------------------------------------------------------------------------------------


def test_nothing_is_sent_before_the_peer_has_said_hello() -> None:
    delivery, paper = begun(peer=None)
    delivery.queued()
    assert (delivery.take_effects(), paper.take()) == ([], [])
    delivery.peer_says(Gate.OPEN)
    assert delivery.take_effects() == [FIRST]


def test_texts_are_taken_from_the_outbox_then_sent_and_taken_on_until_there_are_none() -> None:
    delivery, paper = begun()
    assert delivery.take_effects() == [FIRST]
    assert paper.take() == []
    delivery.taken(texts(4, 5, 9))
    assert paper.take() == sent(4, 5, 9)
    assert delivery.take_effects() == [Take(9, 3, 1000)]
    delivery.taken(NOTHING)
    assert delivery.take_effects() == []
    delivery.queued()
    assert delivery.take_effects() == [Take(9, 3, 1000)]


def test_one_take_at_a_time_and_none_is_missed_that_came_meanwhile() -> None:
    delivery, _ = begun()
    delivery.take_effects()
    delivery.queued()
    assert delivery.take_effects() == []
    delivery.taken(NOTHING)
    assert delivery.take_effects() == [FIRST]
    delivery.queued()
    delivery.taken(texts(1, more=False))
    assert delivery.take_effects() == [Take(1, 3, 1000)]


def test_nobody_looks_again_where_nothing_waited() -> None:
    delivery, paper = begun()
    delivery.take_effects()
    delivery.taken(texts(4, 5, more=False))
    assert (delivery.take_effects(), paper.take()) == ([], sent(4, 5))
    delivery.reported(4)
    delivery.reported(5)
    assert delivery.take_effects() == [Settle((4, 5), ())]


def test_the_window_holds_back_and_reports_let_on() -> None:
    delivery, paper = begun(room=2)
    delivery.take_effects()
    delivery.taken(texts(1, 2, 3))
    assert paper.take() == sent(1, 2)
    assert delivery.take_effects() == [], "what is taken goes first"
    paper.room = 1
    delivery.reported(1)
    assert paper.take() == sent(3)
    assert delivery.take_effects() == [Take(3, 3, 1000), Settle((1,), ())]


def test_reports_settle_each_text_once() -> None:
    delivery, _ = begun()
    delivery.take_effects()
    delivery.taken(texts(1, 2, 3))
    delivery.take_effects()
    for number in (1, 1, 2, 77):
        delivery.reported(number)
    delivery.refused(3, "too_large")
    delivery.refused(3, "again")
    assert delivery.take_effects() == [Settle((1, 2), ((3, "too_large"),))]
    assert delivery.take_effects() == []


def test_a_refused_text_does_not_hold_up_the_others() -> None:
    delivery, paper = begun(room=1)
    delivery.take_effects()
    delivery.taken(texts(1, 2))
    assert paper.take() == sent(1)
    paper.room = 1
    delivery.refused(1, "malformed")
    assert paper.take() == sent(2)


def test_what_was_reported_before_the_end_is_settled_after_it() -> None:
    delivery, _ = begun()
    delivery.take_effects()
    delivery.taken(texts(1))
    delivery.take_effects()
    delivery.reported(1)
    delivery.end()
    assert delivery.take_effects() == [Settle((1,), ())]


def test_after_the_end_nothing_is_sent() -> None:
    delivery, paper = begun()
    delivery.take_effects()
    delivery.end()
    delivery.taken(texts(1, 2))
    delivery.queued()
    assert (delivery.take_effects(), paper.take()) == ([], [])


def test_who_has_not_let_us_in_gets_one_short_text() -> None:
    delivery, paper = begun(peer=Gate.ASKED)
    assert delivery.take_effects() == [Take(0, 1, 1000)]
    delivery.taken(texts(1))
    delivery.queued()
    assert paper.take() == sent(1)
    assert delivery.take_effects() == []
    delivery.reported(1)
    delivery.peer_says(Gate.OPEN)
    assert delivery.take_effects() == [Take(1, 3, 1000), Settle((1,), ())]


def test_a_knock_waits_for_room_too() -> None:
    delivery, paper = begun(room=0, peer=Gate.ASKED)
    delivery.take_effects()
    delivery.taken(texts(1))
    assert paper.take() == []
    paper.room = 1
    delivery.queued()
    assert paper.take() == sent(1)


def test_a_long_text_waits_until_we_are_let_in() -> None:
    delivery, paper = begun(peer=Gate.ASKED)
    delivery.take_effects()
    delivery.taken(texts(1, text="x" * 11))
    assert (delivery.take_effects(), paper.take()) == ([], [])
    delivery.peer_says(Gate.OPEN)
    assert paper.take() == sent(1)


def test_who_refuses_us_gets_nothing() -> None:
    delivery, paper = begun(peer=Gate.REFUSED)
    delivery.queued()
    assert (delivery.take_effects(), paper.take()) == ([], [])


def test_nobody_knocks_where_nothing_can_be_sent_any_more() -> None:
    """The peer has hung up, and what was asked of the disk is answered after that."""
    delivery, paper = begun(room=0, peer=Gate.ASKED)
    assert delivery.take_effects() == [Take(0, 1, 1000)]
    delivery.taken(texts(4))
    assert (delivery.take_effects(), paper.take()) == ([], [])


def test_whom_we_do_not_let_in_gets_nothing_either() -> None:
    for gate in (Gate.ASKED, Gate.REFUSED, None):
        delivery, paper = begun(gate=gate)
        delivery.queued()
        assert (delivery.take_effects(), paper.take()) == ([], [])
    delivery.judged(Gate.OPEN)
    assert delivery.take_effects() == [FIRST]


# -- In -------------------------------------------------------------------------------------------------------------


def taking(gate: Gate | None = Gate.OPEN) -> tuple[Delivery, Paper]:
    delivery, paper = begun(gate=gate)
    delivery.take_effects()
    delivery.taken(NOTHING)
    return delivery, paper


def test_what_arrives_is_stored_then_reported() -> None:
    delivery, paper = taking()
    delivery.arrived(came(1))
    assert (delivery.take_effects(), paper.take()) == ([Keep((came(1),))], [])
    delivery.kept()
    assert paper.take() == reported(1)


def test_one_batch_at_a_time() -> None:
    delivery, paper = taking()
    for key in range(1, 7):
        delivery.arrived(came(key))
    assert delivery.take_effects() == [Keep((came(1),))]
    delivery.kept()
    assert delivery.take_effects() == [Keep((came(2), came(3), came(4)))]
    delivery.kept()
    assert delivery.take_effects() == [Keep((came(5), came(6)))]
    assert paper.take() == reported(1, 2, 3, 4)
    delivery.kept()
    assert delivery.is_quiet


def test_what_cannot_be_stored_is_not_reported_and_ends_it() -> None:
    delivery, paper = taking()
    delivery.arrived(came(1))
    delivery.arrived(came(2))
    delivery.take_effects()
    delivery.keep_failed()
    assert delivery.take_effects() == [End(STORAGE)]
    delivery.arrived(came(3))
    assert (delivery.take_effects(), paper.take()) == ([], [])


def test_after_the_end_nothing_is_stored_and_nothing_reported() -> None:
    delivery, paper = taking()
    delivery.arrived(came(1))
    delivery.arrived(came(2))
    delivery.take_effects()
    delivery.end()
    delivery.kept()
    delivery.arrived(came(3))
    assert (delivery.take_effects(), paper.take()) == ([], [])


def test_what_arrives_waits_until_its_sender_is_judged() -> None:
    delivery, _ = taking(gate=None)
    delivery.arrived(came(1))
    assert delivery.take_effects() == []
    delivery.judged(Gate.OPEN)
    assert delivery.take_effects() == [Keep((came(1),)), FIRST]


def test_a_stranger_may_say_one_short_thing_that_is_not_reported() -> None:
    delivery, paper = taking(gate=Gate.ASKED)
    delivery.arrived(came(1))
    delivery.arrived(came(2))
    assert (delivery.take_effects(), paper.take()) == ([Knock(came(1))], [])


def test_a_stranger_who_says_a_long_thing_is_refused_it() -> None:
    delivery, paper = taking(gate=Gate.ASKED)
    delivery.arrived(came(1, "x" * 11))
    delivery.arrived(came(2))
    assert delivery.take_effects() == [Knock(came(2))]
    assert paper.take() == [("refuse", 1)]


def test_who_is_refused_is_told_so() -> None:
    delivery, paper = taking(gate=Gate.REFUSED)
    delivery.arrived(came(1))
    assert (delivery.take_effects(), paper.take()) == ([], [("refuse", 1)])


def test_who_is_let_in_later_is_heard_from_then_on() -> None:
    delivery, _ = taking(gate=Gate.ASKED)
    delivery.judged(Gate.OPEN)
    delivery.arrived(came(1))
    effects: list[Effect] = delivery.take_effects()
    assert effects == [FIRST, Keep((came(1),))]


def test_who_cannot_read_texts_gets_none_until_it_can() -> None:
    delivery, paper = begun(peer=None)
    delivery.peer_says(Gate.OPEN, takes_texts=False)
    delivery.queued()
    assert (delivery.take_effects(), paper.take()) == ([], [])
    delivery.peer_says(Gate.OPEN)
    assert delivery.take_effects() == [FIRST]
