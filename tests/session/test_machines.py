"""Both ends of the control connection and of a conversation, against each other in memory, with a clock of our own."""

from __future__ import annotations

import functools
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uzel.errors import Reason
from uzel.session.control import (
    CallAnswered,
    CallArrived,
    CallFailed,
    CallReady,
    ClientControl,
    NodeControl,
    Online,
    PeerCall,
    Step,
)
from uzel.session.conversation import (
    MAX_UNACKNOWLEDGED_BYTES,
    WINDOW_BASE,
    ConversationMachine,
    IncomingText,
    Ponged,
    ReportIgnored,
)
from uzel.session.first_byte import FirstByte, FirstBytes
from uzel.session.hello import HelloAccepted, HelloAnswerer, HelloOfferer, HelloRefused, HelloTaken
from uzel.session.keepalive import KeepaliveTimes
from uzel.session.machine import Ended, Event, Failed, Machine, Received
from uzel.session.unreported import MAX_PIECE, OutgoingText, Unreported, pieces_of
from uzel.wire import Accept, Call, Delivered, IncomingCall, Ping, Pong, Ready, Refuse, Text, Unavailable, encode

TIMES = KeepaliveTimes(30, 90)


def tokens() -> bytes:
    return b"tk"


def pass_on(one: Machine, other: Machine, now: float = 0.0) -> tuple[list[Event], list[Event]]:
    """Carry bytes until both are silent; returns what each reported."""
    reported: tuple[list[Event], list[Event]] = ([], [])
    while True:
        forth, back = one.data_to_send(), other.data_to_send()
        if not forth and not back:
            return reported
        reported[1].extend(other.receive(forth, now) if forth else [])
        reported[0].extend(one.receive(back, now) if back else [])


class TestHello:
    def test_a_client_is_taken(self) -> None:
        offerer, answerer = HelloOfferer(), HelloAnswerer()
        assert answerer.receive(offerer.data_to_send() + b"TLS", 0) == [HelloTaken(False, 1, 0)]
        assert answerer.rest() == b"TLS"
        answerer.accept()
        assert offerer.receive(answerer.data_to_send(), 0) == [HelloAccepted()]

    def test_a_newer_minor_is_compatible(self) -> None:
        assert HelloAnswerer().receive(HelloOfferer(1, 7).data_to_send(), 0) == [HelloTaken(False, 1, 7)]

    def test_another_major_is_told_ours_and_refused(self) -> None:
        offerer, answerer = HelloOfferer(2, 0), HelloAnswerer()
        events = answerer.receive(offerer.data_to_send(), 0)
        assert [event.reason for event in events if isinstance(event, Failed)] == [Reason.VERSION_MISMATCH]
        assert offerer.receive(answerer.data_to_send(), 0) == [HelloRefused(1, 0)]

    def test_a_node_is_told_from_a_client(self) -> None:
        assert HelloAnswerer().receive(b"\xcb\xcb\x01\x00", 0) == [HelloTaken(True, 1, 0)]


def online() -> tuple[ClientControl, NodeControl]:
    client, node = ClientControl(TIMES, tokens, 0), NodeControl(TIMES, tokens, 0)
    _, asked = pass_on(client, node)
    assert asked == [Received(Ping(b"tk"))]
    node.send(Pong(b"tk"))  # as the switchboard does
    assert pass_on(client, node)[0] == [Online()]
    return client, node


class TestControl:
    def test_the_first_pong_is_the_login(self) -> None:
        client, _ = online()
        assert client.online

    def test_a_login_without_a_pong_ends(self) -> None:
        client = ClientControl(TIMES, tokens, 0, login_timeout=5)
        assert client.deadline() == 5
        assert client.on_timeout(5) == [Failed(Reason.LOGIN_TIMEOUT)]

    def test_what_comes_before_the_pong_is_taken(self) -> None:
        client = ClientControl(TIMES, tokens, 0)
        assert client.receive(encode(IncomingCall(7)) + encode(Pong(b"tk")), 0) == [CallArrived(7), Online()]

    def test_quiet_is_pinged_and_silence_ends(self) -> None:
        _, node = online()
        assert node.on_timeout(29) == []
        assert node.data_to_send() == b""
        assert node.on_timeout(30) == []
        assert node.data_to_send() == encode(Ping(b"tk"))
        assert node.on_timeout(89) == []
        assert node.on_timeout(90) == [Failed(Reason.SILENCE)]
        assert node.deadline() is None

    def test_any_byte_is_life(self) -> None:
        _, node = online()
        node.receive(encode(Pong(b"zz"))[:1], 80)
        assert node.on_timeout(100) == []
        assert node.on_timeout(170) == [Failed(Reason.SILENCE)]

    def test_a_call_goes_out_and_comes_back(self) -> None:
        client, node = online()
        assert client.step(7, Step.CALL) == []
        assert pass_on(client, node)[1] == [Received(Call(7))]
        node.send(Ready(7))
        assert pass_on(client, node)[0] == [CallReady(7)]
        assert client.state(7) is PeerCall.READY
        assert client.step(7, Step.JOINED) == []
        assert client.state(7) is PeerCall.IDLE

    def test_a_call_is_accepted_or_refused(self) -> None:
        for step, answer in ((Step.ACCEPT, Accept(7)), (Step.REFUSE, Refuse(7))):
            client, node = online()
            node.send(IncomingCall(7))
            assert pass_on(client, node)[0] == [CallArrived(7)]
            client.step(7, step)
            assert pass_on(client, node)[1] == [Received(answer)]

    def test_glare_from_both_sides_of_the_line(self) -> None:
        client, node = online()
        client.step(7, Step.CALL)
        node.send(IncomingCall(7))
        mine, theirs = pass_on(client, node)
        assert mine == [CallAnswered(7)]
        assert Received(Accept(7)) in theirs
        client, node = online()
        node.send(IncomingCall(7))
        pass_on(client, node)
        assert client.step(7, Step.CALL) == [CallAnswered(7)]  # 06, never 03
        assert pass_on(client, node)[1] == [Received(Accept(7))]

    def test_late_answers_lapse(self) -> None:
        client, node = online()
        client.step(7, Step.CALL)
        client.step(7, Step.GIVE_UP)
        node.send(Ready(7))
        node.send(Unavailable(7))
        assert pass_on(client, node)[0] == []

    def test_unavailable_ends_whatever_there_was(self) -> None:
        client, node = online()
        client.step(7, Step.CALL)
        node.send(Unavailable(7))
        assert pass_on(client, node)[0] == [CallFailed(7)]

    def test_a_node_cannot_make_its_client_grow(self) -> None:
        client, node = online()
        for peer in range(1, ClientControl.MAX_CALLS + 3):
            node.send(IncomingCall(peer))
        _, answers = pass_on(client, node)
        assert answers == [Received(Refuse(ClientControl.MAX_CALLS + 1)), Received(Refuse(ClientControl.MAX_CALLS + 2))]

    def test_faults_and_ends(self) -> None:
        _, node = online()
        assert [type(event) for event in node.receive(encode(Text("no")), 0)] == [Failed]
        assert node.receive(encode(Call(7)), 0) == []
        _, node = online()
        assert node.eof(0) == [Ended()]
        _, node = online()
        node.receive(encode(Call(7))[:3], 0)
        assert node.eof(0) == [Failed(Reason.TRUNCATED_MESSAGE)]


class Speaker:
    """One end of a conversation and what became of its texts."""

    def __init__(self) -> None:
        self.unreported = Unreported()
        self.delivered: list[str] = []
        self.machine = self.fresh()

    def fresh(self) -> ConversationMachine:
        self.machine = ConversationMachine(self.unreported, TIMES, tokens, 0)
        return self.machine

    def send(self, text: str) -> OutgoingText:
        outgoing = OutgoingText(text, lambda: self.delivered.append(text))
        self.unreported.add(outgoing)
        self.machine.pump()
        return outgoing


def texts(events: list[Event]) -> list[IncomingText]:
    return [event for event in events if isinstance(event, IncomingText)]


class TestConversation:
    def test_a_text_is_reported_when_acknowledged_and_not_before(self) -> None:
        sender, receiver = Speaker(), Speaker()
        sender.send("hello")
        (arrived,) = texts(pass_on(sender.machine, receiver.machine)[1])
        assert arrived.text == "hello"
        assert sender.delivered == []
        receiver.machine.acknowledge(arrived)
        pass_on(sender.machine, receiver.machine)
        assert sender.delivered == ["hello"]

    def test_reports_go_in_order_whatever_the_order_of_acknowledgement(self) -> None:
        sender, receiver = Speaker(), Speaker()
        for text in "abc":
            sender.send(text)
        arrived = texts(pass_on(sender.machine, receiver.machine)[1])
        receiver.machine.acknowledge(arrived[2])
        receiver.machine.acknowledge(arrived[1])
        pass_on(sender.machine, receiver.machine)
        assert sender.delivered == []
        receiver.machine.acknowledge(arrived[0])
        receiver.machine.acknowledge(arrived[0])
        pass_on(sender.machine, receiver.machine)
        assert sender.delivered == ["a", "b", "c"]

    def test_unreported_texts_go_again_first_and_in_order(self) -> None:
        sender, receiver = Speaker(), Speaker()
        for text in ("one", "two", "x" * 100_000):
            sender.send(text)
        arrived = texts(pass_on(sender.machine, receiver.machine)[1])
        receiver.machine.acknowledge(arrived[0])
        pass_on(sender.machine, receiver.machine)
        sender.send("four")
        sender.fresh()
        again = texts(pass_on(sender.machine, receiver.fresh())[1])
        assert again[0].text == "two"
        assert "".join(text.text for text in again[1:-1]) == "x" * 100_000
        assert again[-1].text == "four"

    def test_a_withdrawn_text_is_not_sent_again(self) -> None:
        sender, receiver = Speaker(), Speaker()
        first, _ = sender.send("first"), sender.send("second")
        pass_on(sender.machine, receiver.machine)
        sender.unreported.withdraw(first)
        sender.fresh()
        assert [text.text for text in texts(pass_on(sender.machine, receiver.fresh())[1])] == ["second"]

    def test_the_window_holds_a_sender_back(self) -> None:
        sender, receiver = Speaker(), Speaker()
        for _ in range(10):
            sender.send("x" * 60_000)
        arrived = texts(pass_on(sender.machine, receiver.machine)[1])
        assert sender.unreported.in_flight_bytes <= WINDOW_BASE
        assert len(arrived) == 4
        receiver.machine.acknowledge(arrived[0])
        assert len(texts(pass_on(sender.machine, receiver.machine)[1])) == 1

    def test_a_receiver_that_owes_too_much_stops_reading(self) -> None:
        receiver = Speaker()
        arrived = []
        while receiver.machine.wants_data:
            arrived += texts(receiver.machine.receive(encode(Text("y" * 65_000)), 0))
        assert sum(text.size for text in arrived) < MAX_UNACKNOWLEDGED_BYTES + 70_000
        receiver.machine.acknowledge(arrived[0])
        assert receiver.machine.wants_data

    def test_a_report_of_nothing_is_ignored(self) -> None:
        machine = Speaker().machine
        assert [type(event) for event in machine.receive(encode(Delivered(b"zz")), 0)] == [ReportIgnored]
        assert not machine.closed

    def test_pings_are_answered(self) -> None:
        one, other = Speaker().machine, Speaker().machine
        token = one.ping()
        assert pass_on(one, other)[0] == [Ponged(token)]

    def test_bad_text_ends_it_without_acting_on_any_of_it(self) -> None:
        machine = Speaker().machine
        events = machine.receive(encode(Text("good")) + b"\x30\x30\x02\x00\xff\xff" + encode(Text("late")), 0)
        assert [event.text for event in texts(events)] == ["good"]
        assert isinstance(events[-1], Failed)
        assert events[-1].reason is Reason.TEXT_NOT_UTF8
        assert machine.closed

    @given(st.text(max_size=3000), st.integers(1, 60))
    def test_pieces_are_whole_code_points(self, text: str, times: int) -> None:
        whole = text * times
        pieces = list(pieces_of(whole))
        assert "".join(piece.decode("utf-8") for piece in pieces) == whole
        assert all(len(piece) <= MAX_PIECE for piece in pieces)

    @pytest.mark.parametrize("width", ["a", "й", "€", "😀"])
    def test_long_texts_split_between_code_points(self, width: str) -> None:
        whole = "x" + width * 60_000
        assert "".join(piece.decode("utf-8") for piece in pieces_of(whole)) == whole


@given(
    st.lists(st.tuples(st.sampled_from(["send", "out", "report", "break", "withdraw"]), st.integers(0, 5)), max_size=60)
)
def test_unreported_is_a_list_with_a_mark(steps: list[tuple[str, int]]) -> None:
    """Against a model: what is in flight is a prefix, each report takes the oldest, a break puts all back."""
    queue, names = Unreported(), itertools.count()
    waiting: list[str] = []
    flying: list[str] = []
    delivered: list[str] = []
    objects: dict[str, OutgoingText] = {}
    withdrawn: set[str] = set()
    for what, which in steps:
        if what == "send":
            name = str(next(names))
            objects[name] = OutgoingText(name, functools.partial(delivered.append, name))
            queue.add(objects[name])
            waiting.append(name)
        elif what == "out" and (piece := queue.next_piece(10**9)) is not None:
            flying.append(piece.decode())
            assert flying == waiting[: len(flying)]
        elif what == "report":
            assert queue.reported() == bool(flying)
            if flying:
                assert delivered[-1] == flying.pop(0) == waiting.pop(0)
        elif what == "break":
            queue.rewind()
            flying.clear()
            waiting = [name for name in waiting if name not in withdrawn]
        elif what == "withdraw" and which < len(waiting):
            name = waiting[which]
            withdrawn.add(name)
            queue.withdraw(objects[name])
            if name not in flying:
                waiting.remove(name)
        assert len(queue) == len(waiting)
        assert queue.waiting_bytes == sum(objects[name].size for name in waiting)


def test_the_first_byte_is_waited_for() -> None:
    wait = FirstByte(0, 30)
    assert wait.on_timeout(29) == []
    assert wait.on_timeout(30) == [Failed(Reason.FIRST_BYTE_TIMEOUT)]
    assert FirstByte(0).receive(b"\x16", 1) == [FirstBytes(b"\x16")]
    assert FirstByte(0).eof(1) == [Ended()]
