"""Several nodes: moving to the next when one dies, going back to an earlier one, and roaming."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from client.client_world import (
    ALICE,
    BOB,
    CAROL,
    DEADLINE,
    MALLORY,
    QUICK,
    Events,
    World,
    acquainted,
    changed,
    everybody,
    identity,
    linked,
    run,
    serving,
    talk,
    until,
    world,
)
from client.test_client_staying_online import fake_node, nowhere, says_nothing
from e2e.raw_client import TIMEOUT, Tcp, u32
from e2e.raw_client import Conversation as RawConversation
from e2e.raw_identity import identity as raw_identity
from e2e.raw_node import RawNode, Session, playing
from uzel.client import Client, ClientSettings, WentOffline, WentOnline
from uzel.client.login import Login
from uzel.client.order import Choice
from uzel.errors import ConversationEndedError, NodeKeyChangedError, Reason, UnavailableError
from uzel.identity import MemoryPins
from uzel.names import NodeAddress, NodeReference
from uzel.session.redial import RedialTimes

EAGER = changed(go_back=0.02)
"""Looks at earlier nodes all the time."""


def reference(node: RawNode) -> NodeReference:
    return NodeReference(NodeAddress(*node.address))


def run_beside_raw(story: Callable[[], Awaitable[None]]) -> None:
    """Like `run`, but for stories with raw nodes, whose sockets are this process's, too."""

    async def main() -> None:
        async with asyncio.timeout(DEADLINE):
            await story()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    everybody()
    asyncio.run(main(), debug=True)


@asynccontextmanager
async def living(client: Client) -> AsyncIterator[Events]:
    events = Events(client)
    async with client:
        await client.wait_online(DEADLINE)
        yield events


def nodes_of(events: Events) -> list[NodeAddress]:
    return [event.node for event in events.online]


# -- The next one ------------------------------------------------------------------------------------------------


def test_both_move_when_their_node_dies_and_what_was_not_reported_goes_first() -> None:
    async def story() -> None:
        async with world() as one, world() as two:
            nodes = [one.reference, two.reference]
            alice, bob = (one.client(number, nodes=nodes) for number in (ALICE, BOB))
            async with living(alice) as events, living(bob) as bobs:
                ours, theirs = await talk(alice, bob)
                sending = asyncio.create_task(ours.send("whose sender is told"))
                assert (await anext(theirs)).text == "whose sender is told"
                ours.reply("first")
                ours.reply("second")
                await one.stop()
                with pytest.raises(ConversationEndedError):
                    await sending
                await until("both moved", lambda: len(nodes_of(events)) == len(nodes_of(bobs)) == 2)
                assert nodes_of(events) == nodes_of(bobs) == [one.reference.address, two.reference.address]
                async with serving(bob) as served:
                    await (await alice.call(bob.uin)).send("third")
                assert served.texts == ["first", "second", "third"]
                await one.start()

    run(story)


def test_a_node_that_says_nothing_does_not_hold_up_the_next_one() -> None:
    async def story() -> None:
        async with fake_node(says_nothing) as silent, world() as w:
            settings = changed(hurry=0.1, handshake=600.0)
            async with living(w.client(ALICE, nodes=[silent, w.reference], settings=settings)) as events:
                assert [event.reason for event in events.offline] == [Reason.LOGIN_TIMEOUT]
                assert nodes_of(events) == [w.reference.address]

    run(story)


def test_a_slow_node_gets_its_time_when_all_others_have_failed() -> None:
    async def story() -> None:
        async with world() as w:
            settings = changed(hurry=0.0)
            alice = w.client(ALICE, nodes=[w.reference, nowhere()], settings=settings)
            async with living(alice) as events:
                assert [event.reason for event in events.offline] == [Reason.LOGIN_TIMEOUT, "node_unreachable"]

    run(story)


def test_when_every_node_shows_another_key_it_is_told_at_once() -> None:
    async def story() -> None:
        async with world() as one, world() as two:
            nodes = [one.reference, two.reference]
            pins = MemoryPins(nodes={node.address: identity(MALLORY).fingerprint for node in nodes})
            alice = one.client(ALICE, nodes=nodes, pins=pins)
            events = Events(alice)
            async with alice:
                with pytest.raises(NodeKeyChangedError):
                    await alice.call(identity(BOB).uin)
            assert [event.hopeless for event in events.offline[:2]] == [False, True]

    run(story)


def test_a_caller_moves_between_linked_nodes_and_calls_across_and_within() -> None:
    async def story() -> None:
        async with linked() as (one, two), two.online(BOB) as (bob,):
            alice = one.client(ALICE, nodes=[one.reference, two.reference])
            async with living(alice) as events:
                ours, theirs = await talk(alice, bob)
                ours.reply("first")
                assert (await anext(theirs)).text == "first"  # it is not reported
                await one.stop()
                await until("she moved", lambda: len(events.online) == 2)
                async with serving(bob) as served:
                    await (await alice.call(bob.uin)).send("second")
                assert served.texts == ["first", "second"]

    run(story)


def test_a_callee_moves_between_linked_nodes_and_is_found_again() -> None:
    async def story() -> None:
        async with linked() as (one, two), two.online(ALICE) as (alice,):
            bob = one.client(BOB, nodes=[one.reference, two.reference])
            async with living(bob) as events, serving(bob) as served:
                await (await alice.call(bob.uin)).send("across")
                await one.stop()
                await until("he moved", lambda: len(events.online) == 2)
                await (await alice.call(bob.uin)).send("within")
                assert served.texts == ["across", "within"]

    run(story)


@pytest.mark.parametrize("moment", ["while it rings", "after 07", "after the 20"])
def test_a_call_goes_on_at_the_next_node(moment: str) -> None:
    callee, heard, dying = raw_identity(5), list[str](), threading.Event()

    def script(session: Session, code: int, tail: bytes) -> None:
        if code != 0x03:
            return
        if moment == "after 07":
            first.data.close()
        if moment != "while it rings":
            session.send(0x07, tail)
        if moment == "after the 20":
            first.taken(session.uin, callee.uin)
        dying.set()

    async def story() -> None:
        alice = Client(identity(ALICE), MemoryPins(), [reference(first), reference(second)], QUICK)
        async with living(alice) as events:
            calling = asyncio.create_task(alice.call(callee.uin))
            await asyncio.to_thread(dying.wait, TIMEOUT)
            await asyncio.to_thread(first.close)
            await (await calling).send("at the next one")
            assert nodes_of(events) == [reference(first).address, reference(second).address]

    def listen(conversation: RawConversation) -> None:
        heard.append(conversation.read())

    with RawNode(script) as first, RawNode(playing(callee, listen)) as second:
        run_beside_raw(story)
    assert heard == ["at the next one"]


# -- The way back ------------------------------------------------------------------------------------------------


def counting_looks(client: Client) -> list[None]:
    """Grows whenever the client thinks of going back."""
    looks: list[None] = []
    look = client._presence._go_back

    async def counted(login: Login, choice: Choice) -> tuple[Login, Choice] | None:
        looks.append(None)
        return await look(login, choice)

    vars(client._presence)["_go_back"] = counted
    return looks


def test_it_goes_back_to_the_first_node_without_a_gap_and_conversations_stay() -> None:
    async def story() -> None:
        async with world() as one, world() as two, two.online(BOB) as (bob,):
            await one.stop()
            alice = one.client(ALICE, nodes=[one.reference, two.reference], settings=EAGER)
            async with living(alice) as events:
                ours, theirs = await talk(alice, bob)
                await one.start()
                await until("it went back", lambda: len(events.online) == 2)
                assert nodes_of(events) == [two.reference.address, one.reference.address]
                assert [type(event) for event in events.all] == [WentOffline, WentOnline, WentOnline]
                await until("it left the other", lambda: two.service.snapshot()["clients"] == 1)
                sending = asyncio.create_task(ours.send("still here"))
                (await anext(theirs)).acknowledge()
                await sending
                await ours.close()

    run(story)


def test_it_stays_while_a_call_is_being_set_up() -> None:
    async def story() -> None:
        async with world() as one, world() as two, two.online(BOB) as (bob,):
            await one.stop()
            alice = one.client(ALICE, nodes=[one.reference, two.reference], settings=EAGER)
            looks = counting_looks(alice)
            async with living(alice) as events:
                calling = asyncio.create_task(alice.call(bob.uin))
                incoming = await anext(bob.calls())
                await one.start()
                seen = len(looks)
                await until("it looked again", lambda: len(looks) >= seen + 3)
                assert nodes_of(events) == [two.reference.address]
                await incoming.accept()
                await (await calling).close()
                await until("it went back", lambda: len(events.online) == 2)

    run(story)


def test_the_same_node_under_another_address_is_no_better() -> None:
    async def story() -> None:
        async with world() as w:
            other = nowhere()
            pins = acquainted()
            pins.pin_node(other.address, w.service.fingerprint)
            alice = w.client(ALICE, nodes=[other, w.reference], pins=pins, settings=EAGER)
            looks = counting_looks(alice)
            async with living(alice) as events:
                await until("it looked", lambda: len(looks) >= 3)
                assert alice.counters[Reason.NODE_UNREACHABLE] == 1
                assert len(events.online) == 1

    run(story)


class Returning(RawNode):
    """Hangs up on the first login. At the second one it does something else before it answers the ping."""

    def __init__(self, before_pong: Callable[[], None]) -> None:
        super().__init__()
        self.pongs = False
        self._before_pong = before_pong
        self._logins = 0

    def online(self, session: Session) -> None:
        self._logins += 1
        if self._logins == 1:
            session.tcp.socket.shutdown(socket.SHUT_RDWR)
            return
        super().online(session)
        self._before_pong()
        session.send(0x69, b"po")


class Watching(RawNode):
    """Knows when its client has left."""

    def __init__(self) -> None:
        super().__init__(who=raw_identity(70))
        self.left = threading.Event()

    def serve_control(self, tcp: Tcp) -> None:
        try:
            super().serve_control(tcp)
        finally:
            self.left.set()


def test_a_call_that_comes_while_it_goes_back_is_answered_where_it_came() -> None:
    caller, uin = raw_identity(5), int(identity(ALICE).uin)
    rung = threading.Event()

    def ring() -> None:
        second.session(uin).send(0x04, u32(caller.uin))
        assert rung.wait(TIMEOUT)

    def answered() -> RawConversation:
        assert second.session(uin).next(0x06) == u32(caller.uin)
        conversation = RawConversation(second.taken(caller.uin, uin), caller, caller=True)
        conversation.tls.handshake()
        return conversation

    async def story() -> None:
        alice = Client(identity(ALICE), MemoryPins(), [reference(first), reference(second)], EAGER)
        events = Events(alice)
        async with alice:
            incoming = await anext(alice.calls())
            rung.set()
            await until("it went back", lambda: len(events.online) == 2)
            assert nodes_of(events)[-1] == reference(first).address
            assert not second.left.is_set()
            ours, theirs = await asyncio.gather(incoming.accept(), asyncio.to_thread(answered))
            await until("it left", second.left.is_set)
            ours.reply("still here")
            assert await asyncio.to_thread(theirs.read) == "still here"

    with Watching() as second, Returning(ring) as first:
        run_beside_raw(story)


# -- Roaming -----------------------------------------------------------------------------------------------------


def listed(*addresses: tuple[str, int]) -> bytes:
    """The tail of an A4."""
    tail = len(addresses).to_bytes(2, "little")
    for host, port in addresses:
        tail += b"\xa0" + socket.inet_aton(host) + port.to_bytes(2, "big")
    return tail


class Telling(RawNode):
    """A node that tells of others when asked, and, if `unasked`, before; it counts how often it was asked."""

    def __init__(self, *addresses: tuple[str, int], unasked: bool = False) -> None:
        super().__init__(self._answer)
        self.asked = 0
        self.addresses = addresses
        self._unasked = unasked

    def online(self, session: Session) -> None:
        super().online(session)
        if self._unasked:
            session.send(0xA4, listed(*self.addresses))

    def _answer(self, session: Session, code: int, _: bytes) -> None:
        if code == 0x90:
            self.asked += 1
            session.send(0xA4, listed(*self.addresses))


ROAMING = changed(QUICK, roaming=True, redial=RedialTimes(first=0.005, last=0.02))


def of(w: World) -> tuple[str, int]:
    return w.reference.address.host, w.reference.address.port


def client_at(node: RawNode, settings: ClientSettings, pins: MemoryPins | None = None) -> Client:
    return Client(identity(ALICE), acquainted() if pins is None else pins, [reference(node)], settings)


def test_with_roaming_it_goes_on_at_a_node_that_was_told_of() -> None:
    async def story() -> None:
        async with world() as w, w.online(BOB) as (bob,), serving(bob) as served:
            pins = acquainted()
            with Telling(("10.0.0.1", 8935), ("127.0.0.1", 0), ("127.0.0.1", 65535), of(w)) as home:
                alice = client_at(home, ROAMING, pins)
                async with living(alice) as events:
                    await until("it was told", lambda: len(alice._presence._learned) == 1)
                    home.close()
                    await until("it moved on", lambda: len(events.online) == 2)
                    assert nodes_of(events) == [reference(home).address, w.reference.address]
                    await (await alice.call(bob.uin)).send("from elsewhere")
            assert served.texts == ["from elsewhere"]
            assert home.asked == 1
            assert set(pins.nodes()) == {reference(home).address}  # the profile knows only whom its user named

    run_beside_raw(story)


def test_a_real_node_tells_of_another_and_one_goes_on_there() -> None:
    async def story() -> None:
        async with linked() as (one, two), two.online(BOB) as (bob,), serving(bob) as served:
            alice = one.client(ALICE, settings=ROAMING)
            async with living(alice) as events:
                await until("it was told", lambda: two.reference.address in alice._presence._learned)
                await (await alice.call(bob.uin)).send("across")
                await one.stop()
                await until("it moved on", lambda: len(events.online) == 2)
                await (await alice.call(bob.uin)).send("within")
                assert nodes_of(events) == [one.reference.address, two.reference.address]
            assert served.texts == ["across", "within"]

    run(story)


def test_it_goes_back_from_a_learned_node_to_a_configured_one() -> None:
    async def story() -> None:
        async with world() as w:
            home = Telling(of(w))
            with home:
                alice = client_at(home, changed(ROAMING, go_back=0.02))
                async with living(alice) as events:
                    await until("it was told", lambda: len(alice._presence._learned) == 1)
                    home.close()
                    await until("it moved on", lambda: len(events.online) == 2)
                    with ReOpened(home) as again:
                        await until("it went back", lambda: len(events.online) == 3)
                        assert nodes_of(events)[-1] == reference(again).address
                        await until("it asked again", lambda: again.asked == 1)

    run_beside_raw(story)


class ReOpened(Telling):
    """The same node, on the same ports, after it was away."""

    def __init__(self, before: Telling) -> None:
        super().__init__(*before.addresses)
        for mine in (self.control, self.data):
            mine.close()
        host, port = before.address
        self.control = socket.create_server((host, port))
        self.data = socket.create_server((host, port + 1))
        self.address = before.address


class Trap(RawNode):
    """Counts who connects."""

    def __init__(self) -> None:
        super().__init__()
        self.came = 0

    def serve_control(self, tcp: Tcp) -> None:
        self.came += 1


@pytest.mark.parametrize("roaming", [False, True])
def test_without_roaming_nothing_is_asked_and_nobody_learned_is_dialled(roaming: bool) -> None:
    """The node tells unasked; then it dies, and the client tries again and again."""

    async def story() -> None:
        alice = client_at(home, changed(ROAMING, roaming=roaming))
        async with living(alice) as events:
            session = await asyncio.to_thread(home.session, int(alice.uin))
            await asyncio.to_thread(session.send, 0x68, b"pp")
            await asyncio.to_thread(session.next, 0x69)  # it has read the list
            home.close()
            await until("it tried six times", lambda: len(events.offline) >= 6)
            assert len(events.online) == 1
        assert bool(home.asked) == roaming
        assert bool(trap.came) == roaming

    with Trap() as trap, Telling(trap.address, unasked=True) as home:
        run_beside_raw(story)


def test_a_learned_node_with_another_key_than_before_is_forgotten() -> None:
    async def story() -> None:
        async with world() as w:
            with Telling(of(w)) as home:
                alice = client_at(home, ROAMING)
                async with living(alice) as events:
                    await until("it was told", lambda: len(alice._presence._learned) == 1)
                    alice._presence._learned_pins.pin_node(w.reference.address, identity(MALLORY).fingerprint)
                    home.close()
                    await until("it was there", lambda: alice.counters[Reason.NODE_KEY_CHANGED])
                    assert len(alice._presence._learned) == 0
                    assert len(events.online) == 1
                    await until("it goes on", lambda: len(events.offline) >= 4)
            assert w.service.snapshot()["clients"] == 0

    run_beside_raw(story)


def test_a_list_that_never_ends_is_bounded_and_harmless() -> None:
    """65,532 addresses are promised and come one by one, others besides; the connection goes on after it."""

    class Endless(RawNode):
        def online(self, session: Session) -> None:
            super().online(session)
            for start in range(0, 65532, 6553):
                count = min(6553, 65532 - start)
                body = b"".join(
                    b"\xa0" + bytes((203, 0)) + (start + at).to_bytes(2, "big") + b"\x22\xe7" for at in range(count)
                )
                if start == 0:
                    session.send(0xA4, (65532).to_bytes(2, "little") + body)
                else:
                    session.tls.send(body)

    async def story() -> None:
        alice = client_at(home, ROAMING)
        async with living(alice):
            await until("the list was read", lambda: len(alice._presence._learned) == 64)
            session = await asyncio.to_thread(home.session, int(alice.uin))
            await asyncio.to_thread(session.send, 0x04, u32(77))
            assert (await anext(alice.calls())).uin == 77

    with Endless() as home:
        run_beside_raw(story)


# -- What the other side hears -----------------------------------------------------------------------------------


def test_who_gives_up_after_06_says_08() -> None:
    caller = raw_identity(5)

    async def story() -> None:
        alice = client_at(node, QUICK)
        async with living(alice):
            session = await asyncio.to_thread(node.session, int(alice.uin))
            await asyncio.to_thread(session.send, 0x04, u32(caller.uin))
            accepting = asyncio.create_task((await anext(alice.calls())).accept())
            assert await asyncio.to_thread(session.next, 0x06) == u32(caller.uin)
            await asyncio.to_thread(node.taken, caller.uin, int(alice.uin))
            accepting.cancel()
            assert await asyncio.to_thread(session.next, 0x08) == u32(caller.uin)
            assert not alice._calls._set_ups

    with RawNode() as node:
        run_beside_raw(story)


def test_who_calls_and_gives_up_after_the_others_04_says_08() -> None:
    """D14: the 04 that crossed our 03 was accepted for us; nobody waits for it any more."""

    async def story() -> None:
        alice = client_at(node, QUICK)
        async with living(alice):
            calling = asyncio.create_task(alice.call(identity(CAROL).uin))
            session = await asyncio.to_thread(node.session, int(alice.uin))
            assert await asyncio.to_thread(session.next, 0x03)
            await asyncio.to_thread(session.send, 0x04, u32(identity(CAROL).uin))
            assert await asyncio.to_thread(session.next, 0x06)
            calling.cancel()
            assert await asyncio.to_thread(session.next, 0x08) == u32(identity(CAROL).uin)

    with RawNode() as node:
        run_beside_raw(story)


@pytest.mark.parametrize("is_there", [False, True], ids=["before the 20", "behind the 20"])
def test_a_call_that_fails_after_07_is_over_at_once(is_there: bool) -> None:
    """D12: 05 may come after 07, too, and the node need not end our data connection for it."""
    callee = identity(CAROL).uin

    def script(session: Session, code: int, tail: bytes) -> None:
        if code == 0x03:
            session.send(0x07, tail)
            if is_there:
                session.node.taken(session.uin, callee)
            session.send(0x05, tail)

    async def story() -> None:
        alice = client_at(node, QUICK)
        async with living(alice):
            with pytest.raises(UnavailableError):
                await alice.call(callee)
            assert not alice._calls._set_ups
            await until("the data connection is given up", lambda: not alice._calls._tasks)

    with RawNode(script) as node:
        run_beside_raw(story)


def test_a_call_from_ourselves_is_refused() -> None:
    async def story() -> None:
        alice = client_at(node, QUICK)
        async with living(alice):
            session = await asyncio.to_thread(node.session, int(alice.uin))
            await asyncio.to_thread(session.send, 0x04, u32(int(alice.uin)))
            assert await asyncio.to_thread(session.next, 0x08) == u32(int(alice.uin))

    with RawNode() as node:
        run_beside_raw(story)


def test_closing_does_not_wait_for_a_peer_that_takes_nothing() -> None:
    caller, uin = raw_identity(5), int(identity(ALICE).uin)

    async def story() -> None:
        alice = client_at(node, QUICK)
        async with living(alice):
            ringing = asyncio.create_task(asyncio.to_thread(node.ring, uin, caller))
            ours = await (await anext(alice.calls())).accept()
            await ringing
            ours._runner.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            for number in range(6):
                ours.reply("x" * 60_000 + str(number))
            await until("much is queued", ours._runner.transport.get_write_buffer_size)
            async with asyncio.timeout(3):  # less than the 5 s of patience
                await alice.close(0.05)

    with RawNode() as node:
        run_beside_raw(story)
