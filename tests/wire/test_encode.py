"""What `encode` refuses: our own misuse, always as `ValueError`, never cut or padded without a word."""

from __future__ import annotations

import pytest

from uzel import wire
from uzel.wire import Address, Message, encode

ADDRESS = Address("192.0.2.1", 8935)


@pytest.mark.parametrize(
    "message",
    [
        wire.ClientHello(256, 0),
        wire.VersionMismatch(0, -1),
        wire.Call(-1),
        wire.Call(2**32),
        wire.CallRequest(1, 2**32),
        wire.Ping(b""),
        wire.Ping(b"a"),
        wire.Pong(b"abc"),
        wire.Delivered(b"abc"),
        wire.NodeListRequest(b"a"),
        wire.Envelope(b""),
        wire.Envelope(bytes(wire.MAX_ENVELOPE + 1)),
        wire.EnvelopeDelivered(bytes(15)),
        wire.EnvelopeDelivered(bytes(17)),
        wire.EnvelopeRefused(bytes(15), 1),
        wire.EnvelopeRefused(bytes(16), 256),
        wire.EnvelopeRefused(bytes(16), -1),
        wire.NodeAnnouncement(65536),
        wire.NodeAnnouncement(-1),
        wire.Text("a" * 65536),
        wire.Text("я" * 32768),
        wire.Text("\ud800"),
        wire.RelayedData(1, 2, bytes(65525)),
        wire.RelayedData(1, 2**32, b""),
        wire.FoundInCache(2**32, ADDRESS),
        wire.NodeList((ADDRESS,), to_come=1),
        wire.NodeList((ADDRESS,) * 65533),
        *(
            wire.FoundInCache(1, address)
            for address in (
                Address("192.0.2.1", 65536),
                Address("192.0.2.1", -1),
                Address("", 1),
                Address("a" * 254, 1),
                Address("Node.example", 1),
                Address("узел.example", 1),
                Address("a b", 1),
                Address("[::1]", 1),
                Address("0:0::1", 1),
                Address("2001:DB8::1", 1),
                Address("fe80::1%eth0", 1),
                Address("::ffff:192.0.2.1", 1),
                Address("::ffff:c000:201", 1),
                Address("::g", 1),
            )
        ),
    ],
    ids=lambda message: repr(message)[:60],
)
def test_a_value_that_does_not_fit_is_refused(message: Message) -> None:
    with pytest.raises(ValueError, match=r"."):
        encode(message)


def test_a_name_that_only_looks_like_ipv4_stays_a_name() -> None:
    for host in ("1.2.3", "01.2.3.4", "256.1.1.1", "1"):
        assert encode(wire.FoundInCache(1, Address(host, 1)))[8] == 0xA2
