"""The queue of a link: order for each pair, turns between pairs, and a naive model that agrees (D19, D25)."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from uzel.session.link_queue import FRAME_COST, LinkQueue, Pair
from uzel.wire import FoundHere, Message, NoConversation, Ping, RelayedData

AB, CD, EF = (1, 2), (3, 4), (5, 6)


def data(pair: Pair, content: bytes) -> RelayedData:
    return RelayedData(*pair, content)


def drain(queue: LinkQueue) -> list[Message]:
    found = []
    while (taken := queue.take()) is not None:
        found.append(taken[0])
    return found


def test_nothing_comes_out_of_an_empty_queue() -> None:
    queue = LinkQueue()
    assert queue.take() is None
    assert not queue
    assert (len(queue), queue.bytes, queue.flows) == (0, 0, 0)


def test_what_concerns_no_conversation_goes_first_in_its_order() -> None:
    queue = LinkQueue()
    queue.put_data(AB, data(AB, b"x"))
    queue.put(FoundHere(1))
    queue.put(FoundHere(2))
    assert drain(queue) == [FoundHere(1), FoundHere(2), data(AB, b"x")]


def test_a_small_text_beside_bulk_senders_waits_one_frame_of_each() -> None:
    queue = LinkQueue()
    for _ in range(50):
        queue.put_data(AB, data(AB, b"bulk" * 1000))
        queue.put_data(CD, data(CD, b"more" * 1000))
    assert queue.take() == (data(AB, b"bulk" * 1000), AB)
    queue.put_data(EF, data(EF, b"hi"))
    following = [queue.take() for _ in range(3)]
    assert [taken[1] for taken in following if taken] == [CD, AB, EF]


def test_what_belongs_behind_a_pairs_data_waits_for_it_and_for_no_other() -> None:
    queue = LinkQueue()
    for content in (b"1", b"2"):
        queue.put_data(AB, data(AB, content))
        queue.put_data(CD, data(CD, content))
    queue.put_behind(AB, NoConversation(*AB))
    queue.put_behind(AB, Ping(b"rr"))
    queue.put_behind(EF, NoConversation(*EF))  # nothing of theirs waits
    found = drain(queue)
    assert found[0] == NoConversation(*EF)
    of_pair = [each for each in found if each == NoConversation(*AB) or isinstance(each, Ping) or each in
               (data(AB, b"1"), data(AB, b"2"))]  # fmt: skip
    assert of_pair == [data(AB, b"1"), data(AB, b"2"), NoConversation(*AB), Ping(b"rr")]
    assert found.index(data(CD, b"2")) < found.index(NoConversation(*AB))


def test_discarding_a_pair_leaves_the_others_and_gives_back_what_was_no_data() -> None:
    queue = LinkQueue()
    queue.put_data(AB, data(AB, b"12345"))
    queue.put_behind(AB, NoConversation(*AB))
    queue.put_data(CD, data(CD, b"x"))
    assert queue.discard(AB) == [NoConversation(*AB)]
    assert queue.discard(AB) == []
    assert (len(queue), queue.bytes, queue.flows) == (0, 1 + FRAME_COST, 1)
    assert drain(queue) == [data(CD, b"x")]


def test_discarding_only_the_data_sends_what_stood_behind_it_at_once() -> None:
    queue = LinkQueue()
    queue.put_data(CD, data(CD, b"x"))
    queue.put_data(AB, data(AB, b"12345"))
    queue.put_behind(AB, NoConversation(*AB))
    queue.put_behind(AB, Ping(b"rr"))
    queue.discard_data(AB)
    assert queue.waiting(AB) == 0
    assert not queue.has_flow(AB)
    assert drain(queue) == [NoConversation(*AB), Ping(b"rr"), data(CD, b"x")]


def test_single_bytes_count_for_what_they_cost() -> None:
    queue = LinkQueue()
    waiting = [queue.put_data(AB, data(AB, b"x")) for _ in range(1000)]
    assert waiting[-1] == queue.waiting(AB) == queue.bytes == 1000 * (1 + FRAME_COST)
    drain(queue)
    assert (queue.waiting(AB), queue.bytes) == (0, 0)


pairs = st.sampled_from([AB, CD, EF, (7, 8)])


class QueueModel(RuleBasedStateMachine):
    """Beside the queue, plain lists: what was put first, and what waits for each pair.

    `ahead` says of each waiting pair how many frames of others may still go before its next: at most one of each pair
    that waited when its own wait began.
    """

    def __init__(self) -> None:
        super().__init__()
        self.queue = LinkQueue()
        self.first: list[Message] = []
        self.flows: dict[Pair, list[Message]] = {}
        self.ahead: dict[Pair, int] = {}
        self.number = 0

    def waits_anew(self, pair: Pair) -> None:
        self.ahead[pair] = len([other for other in self.flows if other != pair])

    @rule()
    def put(self) -> None:
        self.number += 1
        self.queue.put(FoundHere(self.number))
        self.first.append(FoundHere(self.number))

    @rule(pair=pairs, size=st.integers(0, 40))
    def put_data(self, pair: Pair, size: int) -> None:
        self.number += 1
        message = RelayedData(*pair, bytes([self.number % 256]) * size)
        if pair not in self.flows:
            self.flows[pair] = []
            self.waits_anew(pair)
        self.flows[pair].append(message)
        assert self.queue.put_data(pair, message) == self.size_of(self.flows[pair])

    @rule(pair=pairs)
    def put_behind(self, pair: Pair) -> None:
        self.number += 1
        message = Ping(self.number.to_bytes(2, "big"))
        self.queue.put_behind(pair, message)
        self.flows.get(pair, self.first).append(message)

    @rule(pair=pairs)
    def discard(self, pair: Pair) -> None:
        left = [message for message in self.flows.pop(pair, []) if not isinstance(message, RelayedData)]
        assert self.queue.discard(pair) == left

    @rule(pair=pairs)
    def discard_data(self, pair: Pair) -> None:
        self.first += [message for message in self.flows.pop(pair, []) if not isinstance(message, RelayedData)]
        self.queue.discard_data(pair)

    @precondition(lambda self: self.first or self.flows)
    @rule()
    def take(self) -> None:
        taken = self.queue.take()
        assert taken is not None
        message, pair = taken
        if self.first:
            assert (message, pair) == (self.first.pop(0), None)
            return
        assert pair is not None
        assert message == self.flows[pair].pop(0)
        for other in self.flows:
            if other != pair:
                self.ahead[other] -= 1
                assert self.ahead[other] >= 0, "a pair waits longer than its turn"
        if self.flows[pair]:
            self.waits_anew(pair)
        else:
            del self.flows[pair]

    @staticmethod
    def size_of(messages: list[Message]) -> int:
        return sum(len(each.data) + FRAME_COST for each in messages if isinstance(each, RelayedData))

    @invariant()
    def counts_agree(self) -> None:
        others = [each for flow in self.flows.values() for each in flow if not isinstance(each, RelayedData)]
        assert len(self.queue) == len(self.first) + len(others)
        assert bool(self.queue) == bool(self.first or self.flows)
        assert self.queue.flows == len(self.flows)
        assert self.queue.bytes == sum(self.size_of(flow) for flow in self.flows.values())
        for pair in (AB, CD):
            assert self.queue.has_flow(pair) == (pair in self.flows)
            assert self.queue.waiting(pair) == self.size_of(self.flows.get(pair, []))


TestQueueModel = QueueModel.TestCase
TestQueueModel.settings = settings(max_examples=40, stateful_step_count=40)
