"""What holds for every message and every sequence of bytes, tried on many of them."""

from __future__ import annotations

import string
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from uzel import wire
from uzel.wire import MAX_BUFFERED, MAX_PIECE, ONE_SHOT, TABLE, Address, Channel, Framer, Message, NodeList, encode

byte = st.integers(0, 255)
uin = st.one_of(st.sampled_from([0, 1, 2**32 - 1]), st.integers(0, 2**32 - 1))
port = st.integers(0, 65535)
token = st.binary(min_size=2, max_size=2)
envelope_id = st.binary(min_size=16, max_size=16)


def _is_name(text: str) -> bool:
    """Whether it is not what an IPv4 address looks like: that one would be written as such."""
    try:
        IPv4Address(text)
    except ValueError:
        return True
    return False


def _is_not_mapped(host: str) -> bool:
    return getattr(ip_address(host), "ipv4_mapped", None) is None


hosts = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str).filter(_is_not_mapped),
    st.text(string.ascii_lowercase + string.digits + ".-_", min_size=1, max_size=253).filter(_is_name),
)
addresses = st.builds(Address, hosts, port)
BY_TYPE: dict[type[Message], st.SearchStrategy[Message]] = {
    wire.ClientHello: st.builds(wire.ClientHello, byte, byte),
    wire.NodeHello: st.builds(wire.NodeHello, byte, byte),
    wire.Accepted: st.just(wire.Accepted()),
    wire.VersionMismatch: st.builds(wire.VersionMismatch, byte, byte),
    wire.Call: st.builds(wire.Call, uin),
    wire.IncomingCall: st.builds(wire.IncomingCall, uin),
    wire.Unavailable: st.builds(wire.Unavailable, uin),
    wire.Accept: st.builds(wire.Accept, uin),
    wire.Ready: st.builds(wire.Ready, uin),
    wire.Refuse: st.builds(wire.Refuse, uin),
    wire.DataHello: st.builds(wire.DataHello, uin, uin),
    wire.Text: st.builds(wire.Text, st.text(st.characters(codec="utf-8"))),
    wire.Envelope: st.builds(wire.Envelope, st.binary(min_size=1, max_size=300)),
    wire.EnvelopeDelivered: st.builds(wire.EnvelopeDelivered, envelope_id),
    wire.EnvelopeRefused: st.builds(wire.EnvelopeRefused, envelope_id, byte),
    wire.Delivered: st.builds(wire.Delivered, token),
    wire.Ping: st.builds(wire.Ping, token),
    wire.Pong: st.builds(wire.Pong, token),
    wire.NodeListRequest: st.builds(wire.NodeListRequest, token),
    wire.NodeAnnouncement: st.builds(wire.NodeAnnouncement, port),
    wire.NodeList: st.builds(NodeList, st.lists(addresses, max_size=8).map(tuple)),
    wire.Search: st.builds(wire.Search, uin),
    wire.FoundHere: st.builds(wire.FoundHere, uin),
    wire.FoundInCache: st.builds(wire.FoundInCache, uin, addresses),
    wire.CallRequest: st.builds(wire.CallRequest, uin, uin),
    wire.CallReady: st.builds(wire.CallReady, uin, uin),
    wire.NoConversation: st.builds(wire.NoConversation, uin, uin),
    wire.RelayedData: st.builds(wire.RelayedData, uin, uin, st.binary(max_size=300)),
}
ON_CHANNEL = {channel: st.one_of([BY_TYPE[r.cls] for r in TABLE if channel in r.channels]) for channel in Channel}
STREAMED = [channel for channel in Channel if channel not in ONE_SHOT]
cuts = st.lists(st.integers(0, 400), max_size=12)


def _pieces(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(data)) for cut in at), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def _read(channel: Channel, framer: Framer, pieces: list[bytes]) -> list[Message]:
    """Feed the pieces and check what holds after each; node lists come back joined, as far as they came."""
    messages: list[Message] = []
    for piece in pieces:
        faulty = framer.fault is not None
        fresh = framer.feed(piece)
        assert framer.buffered <= MAX_BUFFERED[channel]
        assert not (faulty and fresh)
        assert not (framer.fault and framer.buffered)
        for message in fresh:
            last = messages[-1] if messages else None
            if isinstance(message, NodeList) and isinstance(last, NodeList) and last.to_come:
                assert 0 < len(message.addresses) == last.to_come - message.to_come
                messages[-1] = NodeList.join([last, message])
            else:
                messages.append(message)
            assert not isinstance(message, NodeList) or len(message.addresses) <= MAX_PIECE
    return messages


def test_there_is_a_strategy_for_every_message() -> None:
    assert set(BY_TYPE) == {row.cls for row in TABLE}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.cls.__name__)
def test_what_is_written_is_read_back(row: wire.Row) -> None:
    @settings(max_examples=40, deadline=None)
    @given(BY_TYPE[row.cls], cuts)
    def check(message: Message, at: list[int]) -> None:
        data = encode(message)
        assert data[0] == data[1] == row.code
        for channel in row.channels:
            framer = Framer(channel)
            assert _read(channel, framer, _pieces(data, at)) == [message]
            assert (framer.fault, framer.buffered, framer.eof(), framer.rest()) == (None, 0, None, b"")

    check()


@pytest.mark.parametrize("channel", STREAMED)
def test_any_cuts_give_the_same_messages(channel: Channel) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(ON_CHANNEL[channel], max_size=6), st.binary(max_size=12), cuts)
    def check(messages: list[Message], behind: bytes, at: list[int]) -> None:
        data = b"".join(map(encode, messages)) + behind
        whole, cut = Framer(channel), Framer(channel)
        expected = _read(channel, whole, [data])
        assert expected[: len(messages)] == messages
        assert _read(channel, cut, _pieces(data, at)) == expected
        assert (cut.fault, cut.fault_detail, cut.buffered) == (whole.fault, whole.fault_detail, whole.buffered)

    check()


@pytest.mark.parametrize("channel", Channel)
def test_any_bytes_give_messages_or_one_named_fault(channel: Channel) -> None:
    codes = st.sampled_from([bytes((row.code, row.code)) for row in TABLE])
    noise = st.lists(st.one_of(codes, st.binary(max_size=6)), max_size=12).map(b"".join)

    @settings(max_examples=80, deadline=None)
    @given(noise, cuts)
    @example(b"", [])
    def check(data: bytes, at: list[int]) -> None:
        whole, cut = Framer(channel), Framer(channel)
        assert _read(channel, cut, _pieces(data, at)) == _read(channel, whole, [data])
        assert (cut.fault, cut.fault_detail, cut.eof()) == (whole.fault, whole.fault_detail, whole.eof())
        rest = whole.rest()
        assert cut.rest() == rest
        assert data.endswith(rest)

    check()


@settings(max_examples=60, deadline=None)
@given(st.ip_addresses(v=6).filter(lambda address: isinstance(address, IPv6Address)), port, uin)
def test_an_address_is_canonical_once_read(address: IPv6Address, number: int, user: int) -> None:
    """Written again, what was read is the same address, mapped ones as IPv4."""
    raw = b"\xa9\xa9\x19\x00" + user.to_bytes(4, "little") + b"\xa1" + address.packed + number.to_bytes(2, "big")
    (message,) = Framer(Channel.LINK).feed(raw)
    assert isinstance(message, wire.FoundInCache)
    assert ip_address(message.address.host) == (address.ipv4_mapped or address)
    assert Framer(Channel.LINK).feed(encode(message)) == [message]
    assert replace(message, uin=user) == message
