"""The client's table of calls, walked whole: every state with every step, what is in the table and what is not."""

from __future__ import annotations

import pytest

from uzel.errors import Reason
from uzel.session.control import CLIENT_CALLS, CallAnswered, ClientControl, Online, PeerCall, PeerEvent, Step
from uzel.session.keepalive import KeepaliveTimes
from uzel.session.machine import Event, Failed, Received
from uzel.wire import (
    Accept,
    Call,
    IncomingCall,
    NodeList,
    NodeListRequest,
    Ping,
    Pong,
    Ready,
    Refuse,
    Unavailable,
    encode,
)

PEER, OTHER = 7, 8
PATHS: dict[PeerCall, tuple[Step, ...]] = {
    PeerCall.IDLE: (),
    PeerCall.CALLING: (Step.CALL,),
    PeerCall.READY: (Step.CALL, Step.READY),
    PeerCall.RINGING: (Step.INCOMING_CALL,),
    PeerCall.ANSWERED: (Step.INCOMING_CALL, Step.ACCEPT),
}
FROM_NODE = {Step.INCOMING_CALL: IncomingCall, Step.UNAVAILABLE: Unavailable, Step.READY: Ready}


def do(client: ClientControl, step: Step, peer: int = PEER) -> list[Event]:
    """Take one of our steps, or receive the node's message."""
    if step in FROM_NODE:
        return client.receive(encode(FROM_NODE[step](peer)), 0)
    return client.step(peer, step)


def client_in(state: PeerCall) -> ClientControl:
    client = ClientControl(KeepaliveTimes(), lambda: b"tk", 0)
    assert client.receive(encode(Pong(b"tk")), 0) == [Online()]
    for step in PATHS[state]:
        do(client, step)
    assert client.state(PEER) is state
    client.data_to_send()
    return client


@pytest.mark.parametrize("state", PeerCall)
@pytest.mark.parametrize("step", Step)
def test_every_state_with_every_step(state: PeerCall, step: Step) -> None:
    client = client_in(state)
    do(client, Step.CALL, OTHER)
    client.data_to_send()
    events, sent, row = do(client, step), client.data_to_send(), CLIENT_CALLS.get((state, step))
    if row is None:
        assert (events, sent, client.state(PEER)) == ([], b"", state)
    else:
        expected: list[PeerEvent] = [row.reports(PEER)] if row.reports else []
        assert events == expected
        assert sent == (encode(row.sends(PEER)) if row.sends else b"")
        assert client.state(PEER) is row.next
    assert client.state(OTHER) is PeerCall.CALLING  # one peer's call is no other's


@pytest.mark.parametrize("state", [PeerCall.CALLING, PeerCall.RINGING])
def test_glare_is_answered_06_never_03(state: PeerCall) -> None:
    """D14, from either side of the line; what the glare leads to is a call like any other."""
    client = client_in(state)
    step = Step.INCOMING_CALL if state is PeerCall.CALLING else Step.CALL
    assert do(client, step) == [CallAnswered(PEER)]
    assert client.data_to_send() == encode(Accept(PEER))
    assert do(client, Step.JOINED) == []
    assert client.state(PEER) is PeerCall.IDLE


@pytest.mark.parametrize("step", [Step.REFUSE, Step.GIVE_UP])
def test_who_said_06_and_thinks_better_of_it_says_08(step: Step) -> None:
    """The caller need not wait out the call (section 4, step 2). Once the conversation stands nothing is said."""
    client = client_in(PeerCall.ANSWERED)
    assert do(client, step) == []
    assert client.data_to_send() == encode(Refuse(PEER))
    assert (do(client, Step.UNAVAILABLE), client.state(PEER)) == ([], PeerCall.IDLE)
    client = client_in(PeerCall.ANSWERED)
    do(client, Step.JOINED)
    assert (do(client, step), client.data_to_send()) == ([], b"")


def test_what_the_sends_are() -> None:
    assert {row.sends for row in CLIENT_CALLS.values()} == {None, Call, Accept, Refuse}


def test_beyond_the_bound_only_new_callers_are_refused() -> None:
    client = client_in(PeerCall.IDLE)
    for peer in range(100, 100 + ClientControl.MAX_CALLS):
        do(client, Step.INCOMING_CALL, peer)
    assert client.data_to_send() == b""
    assert do(client, Step.INCOMING_CALL, PEER) == []
    assert client.data_to_send() == encode(Refuse(PEER))
    assert len(do(client, Step.INCOMING_CALL, 100)) == 1  # known: told again
    do(client, Step.REFUSE, 100)
    client.data_to_send()
    assert len(do(client, Step.INCOMING_CALL, PEER)) == 1
    assert client.data_to_send() == b""


def test_an_idle_peer_is_not_remembered() -> None:
    client = client_in(PeerCall.IDLE)
    for peer in range(100, 100 + 3 * ClientControl.MAX_CALLS):
        do(client, Step.CALL, peer)
        do(client, Step.UNAVAILABLE, peer)
    assert len(do(client, Step.INCOMING_CALL, PEER)) == 1


def test_a_closed_client_takes_no_step_and_says_nothing() -> None:
    client = client_in(PeerCall.RINGING)
    (event,) = client.receive(b"\x03\x04", 0)
    assert isinstance(event, Failed)
    assert event.reason is Reason.UNEQUAL_HEADER
    assert [do(client, step) for step in Step] == [[]] * len(Step)
    assert client.data_to_send() == b""
    assert client.deadline() is None
    assert client.on_timeout(1000) == []


def test_a_second_pong_is_no_second_login() -> None:
    client = client_in(PeerCall.IDLE)
    assert client.receive(encode(Pong(b"zz")), 0) == []


def test_pings_before_the_login_are_answered_and_do_not_prolong_it() -> None:
    client = ClientControl(KeepaliveTimes(idle=30, silence=90), lambda: b"tk", 0, login_timeout=60)
    assert client.data_to_send() == encode(Ping(b"tk"))
    assert client.receive(encode(Ping(b"no")), 59) == []
    assert client.data_to_send() == encode(Pong(b"no"))
    assert client.deadline() == 60
    assert client.on_timeout(60) == [Failed(Reason.LOGIN_TIMEOUT)]


def test_the_node_list_is_left_to_the_owner() -> None:
    client = client_in(PeerCall.IDLE)
    client.request_nodes()
    assert client.data_to_send() == encode(NodeListRequest(b"tk"))
    assert client.receive(encode(NodeList(())), 0) == [Received(NodeList(()))]
