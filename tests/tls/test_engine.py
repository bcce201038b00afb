"""Two engines against each other in memory, whole and in pieces; then what an honest engine never sends."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from tls.tls_helpers import carry, context, engines, joined, own
from uzel.errors import Reason
from uzel.tls import Side, TlsEngine, TlsSummary

SUMMARY = TlsSummary("TLSv1.3", "X25519MLKEM768", "TLS_AES_128_GCM_SHA256", "")
FATAL_ALERT = b"\x15\x03"


class TestTogether:
    @pytest.mark.parametrize("step", [0, 1, 7])
    @pytest.mark.parametrize("kind", ["ed25519", "p256"])
    def test_they_agree_and_know_each_other(self, kind: str, step: int) -> None:
        client, server = joined(kind, step)
        assert client.summary == server.summary == SUMMARY
        for engine, other in ((client, Side.SERVER), (server, Side.CLIENT)):
            assert engine.peer_certificate_der == own(f"{kind} {other}")[1].public_bytes(Encoding.DER)

    def test_a_server_says_nothing_first(self) -> None:
        _, server = engines()
        server.start()
        assert server.data_to_send() == b""

    def test_after_the_handshake_come_only_two_tickets_that_open_nothing(self) -> None:
        """OpenSSL before 4.1 sends them even with tickets and cache switched off; pyOpenSSL cannot make it none.

        They are short because they hold nothing: a number into a cache that does not exist.
        """
        client, server = engines()
        client.start()
        server.receive(client.data_to_send())
        client.receive(server.data_to_send())
        server.receive(client.data_to_send())
        assert (client.handshake_done, server.handshake_done) == (True, True)
        last = server.data_to_send()
        assert len(last) <= 160
        assert client.receive(last) == b""
        assert server.data_to_send() == client.data_to_send() == b""

    def test_text_in_the_flight_that_ends_the_handshake_is_returned(self) -> None:
        client, server = engines()
        client.start()
        server.receive(client.data_to_send())
        client.receive(server.data_to_send())
        client.send(b"early bird")
        assert server.receive(client.data_to_send()) == b"early bird"

    @pytest.mark.parametrize("step", [0, 1009])
    def test_a_mebibyte_goes_each_way(self, step: int) -> None:
        client, server = joined()
        forth, back = (hashlib.shake_256(name).digest(1 << 20) for name in (b"forth", b"back"))
        client.send(forth)
        server.send(back)
        assert carry(client, server, step) == (back, forth)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.integers(0, 60_000), max_size=5), st.lists(st.integers(500, 40_000), min_size=1, max_size=12))
    def test_any_sizes_in_any_pieces_with_output_taken_in_between(self, sizes: list[int], cuts: list[int]) -> None:
        """Half a record may be inside the engine whenever its output is taken."""
        client, server = joined()
        for size in sizes:
            client.send(bytes(size))
            server.send(b"back" * (size % 3000))
        data, heard, told = client.data_to_send(), b"", b""
        while data:
            cuts = [*cuts[1:], cuts[0]]
            piece, data = data[: cuts[0]], data[cuts[0] :]
            heard += server.receive(piece)
            told += client.receive(server.data_to_send())
        told += client.receive(server.data_to_send())
        assert heard == bytes(sum(sizes))
        assert told == b"back" * sum(size % 3000 for size in sizes)
        assert (client.fault, server.fault) == (None, None)

    def test_small_pieces_byte_by_byte(self) -> None:
        client, server = joined()
        for piece in (b"a", b"", b"bc", b"d" * 100):
            client.send(piece)
        assert carry(client, server, 1) == (b"", b"abc" + b"d" * 100)

    def test_output_is_handed_out_once(self) -> None:
        client, server = joined()
        client.send(b"once")
        first = client.data_to_send()
        assert client.data_to_send() == b""
        assert server.receive(first) == b"once"

    @pytest.mark.parametrize(
        ("offers", "takes", "agreed"),
        [
            ((b"uzel/2", b"uzel/1"), (b"uzel/2", b"uzel/1"), "uzel/2"),
            ((b"uzel/2", b"uzel/1"), (b"uzel/1",), "uzel/1"),
            ((b"uzel/1", b"uzel/2"), (b"uzel/2", b"uzel/1"), "uzel/2"),  # the server's order counts
            ((b"uzel/2", b"uzel/1"), (), ""),
            ((), (b"uzel/2", b"uzel/1"), ""),
            ((b"uzel/9",), (b"uzel/2", b"uzel/1"), ""),  # no overlap: on without (D29)
        ],
    )
    def test_alpn(self, offers: tuple[bytes, ...], takes: tuple[bytes, ...], agreed: str) -> None:
        client, server = engines(offers=offers, takes=takes)
        client.start()
        carry(client, server)
        assert client.handshake_done
        assert server.handshake_done
        assert (client.summary.alpn, server.summary.alpn) == (agreed, agreed)


class TestClosing:
    def test_close_notify_closes_after_what_came_before_it(self) -> None:
        client, server = joined()
        client.send(b"last words")
        client.close()
        assert server.receive(client.data_to_send()) == b"last words"
        assert (server.closed, server.fault) == (True, None)
        assert server.receive(b"whatever") == b""

    def test_both_may_close(self) -> None:
        client, server = joined()
        client.close()
        server.close()
        carry(client, server)
        assert (client.closed, server.closed, client.fault, server.fault) == (True, True, None, None)
        client.close()
        assert client.fault is None

    def test_one_side_may_close_and_still_hear_the_other(self) -> None:
        client, server = joined()
        client.close()
        server.send(b"I had this on its way")
        assert client.receive(server.data_to_send()) == b"I had this on its way"

    def test_before_the_handshake_there_is_nothing_to_close(self) -> None:
        client, _ = engines()
        client.close()
        assert client.data_to_send() == b""
        assert client.fault is None

    def test_sending_before_the_handshake_is_our_own_misuse(self) -> None:
        client, _ = engines()
        with pytest.raises(RuntimeError):
            client.send(b"too early")

    def test_sending_after_close_does_nothing_that_raises(self) -> None:
        client, server = joined()
        client.close()
        server.receive(client.data_to_send())
        client.send(b"too late")
        assert client.data_to_send() == b""

    def test_a_receiver_of_close_notify_may_still_send(self) -> None:
        client, server = joined()
        client.close()
        server.receive(client.data_to_send())
        server.send(b"reports")
        assert client.receive(server.data_to_send()) == b"reports"


JUNK = {
    "http": b"GET / HTTP/1.1\r\nHost: uzel\r\n\r\n",
    "uzel": b"\xca\xca\x01\x00",
    "counting": bytes(range(256)),
    "zeros": bytes(64),
    "long record": b"\x16\x03\x01\xff\xff" + b"a" * 64,
    "ssl 2": b"\x80\x2e\x01\x03\x01" + b"a" * 64,
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "data at once": b"\x17\x03\x03\x00\x20" + bytes(32),
    "refused": b"\x15\x03\x03\x00\x02\x02\x28",
}


class TestBadInput:
    @pytest.mark.parametrize("side", Side)
    @pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
    def test_junk_fails_by_name(self, side: Side, junk: bytes) -> None:
        engine = TlsEngine(context(side))
        engine.start()
        engine.data_to_send()
        assert engine.receive(junk) == b""
        for at in range(0, 64, 5):  # what looked like the start of a record is given more of it
            engine.receive(junk[at : at + 5])
        assert engine.fault is Reason.TLS_FAILED
        assert engine.fault_detail
        assert not engine.handshake_done

    @pytest.mark.parametrize("side", Side)
    @given(st.binary(min_size=1, max_size=600))
    def test_any_bytes_are_a_fault_or_nothing_yet(self, side: Side, junk: bytes) -> None:
        engine = TlsEngine(context(side))
        engine.start()
        engine.receive(junk)
        assert not engine.handshake_done
        assert engine.fault in {None, Reason.TLS_FAILED, Reason.TLS_VERSION}

    @pytest.mark.parametrize("side", Side)
    @pytest.mark.parametrize(
        "record",
        [
            b"\x16\x03\x03\x00\x04\x00\x00\x00\x00",  # empty handshake messages
            b"\x16\x03\x01\x40\x00\x01\x03\xff\xff" + bytes(0x3FFC),  # a hello of many records
            b"\x14\x03\x03\x00\x01\x01",  # change cipher spec, over and over
            b"\x15\x03\x03\x00\x02\x01\x5a",  # warnings
        ],
        ids=["empty", "huge", "change cipher spec", "warnings"],
    )
    def test_an_endless_handshake_is_cut_off(self, side: Side, record: bytes) -> None:
        engine = TlsEngine(context(side))
        engine.start()
        taken = 0
        while engine.fault is None:
            engine.receive(record)
            taken += len(record)
            assert taken <= (64 + 17) * 1024
        assert engine.fault is Reason.TLS_FAILED

    def test_empty_records_are_counted_even_if_openssl_is_patient(self) -> None:
        server = TlsEngine(context(Side.SERVER))
        for _ in range(64 * 1024 // 5 + 1):
            server.receive(b"\x16\x03\x01\x00\x00")
        assert server.fault is Reason.TLS_FAILED

    def test_a_truncated_flight_is_neither_success_nor_fault(self) -> None:
        client, server = engines()
        client.start()
        flight = client.data_to_send()
        server.receive(flight[:-1])
        assert (server.fault, server.handshake_done, server.data_to_send()) == (None, False, b"")
        server.receive(flight[-1:])
        assert server.data_to_send()

    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, 2), st.integers(0, 1 << 16), st.integers(1, 255), st.sampled_from([100, 1 << 16]))
    def test_a_changed_byte_anywhere_is_a_fault_or_harmless(self, flight: int, at: int, mask: int, step: int) -> None:
        """A record's legacy version is the only thing that nobody checks; all else must show."""
        client, server = engines()
        client.start()
        one, other = client, server
        for number in range(3):
            data = bytearray(one.data_to_send())
            if number == flight and data:
                data[at % len(data)] ^= mask
            for start in range(0, len(data), step):
                assert other.receive(bytes(data[start : start + step])) == b""
            one, other = other, one
        carry(client, server)
        for engine in (client, server):
            assert engine.fault in {None, Reason.TLS_FAILED, Reason.TLS_VERSION, Reason.CERTIFICATE_MISSING}
        if (client.fault, server.fault) == (None, None) and client.handshake_done and server.handshake_done:
            assert client.summary == server.summary == SUMMARY
            client.send(b"whole")
            assert carry(client, server) == (b"", b"whole")

    @settings(max_examples=50, deadline=None)
    @given(st.integers(5, 5 + 300 + 16), st.integers(1, 255))
    def test_changed_data_is_never_delivered(self, at: int, mask: int) -> None:
        client, server = joined()
        client.send(b"x" * 300)
        record = bytearray(client.data_to_send())
        record[at] ^= mask
        assert server.receive(bytes(record)) == b""
        assert server.fault is Reason.TLS_FAILED
        assert server.data_to_send()[:2] == b"\x17\x03"  # the alert, encrypted as everything now
        assert server.receive(b"more") == b""
        server.send(b"nothing goes out after a fault")
        server.close()
        assert server.data_to_send() == b""

    def test_a_repeated_record_is_a_fault(self) -> None:
        client, server = joined()
        client.send(b"pay 10")
        record = client.data_to_send()
        assert server.receive(record + record) == b"pay 10"
        assert server.fault is Reason.TLS_FAILED

    def test_a_fault_in_the_handshake_leaves_its_alert_to_send(self) -> None:
        client, server = engines()
        client.start()
        hello = bytearray(client.data_to_send())
        hello[9:11] = b"\x00\x00"  # the hello's legacy version: SSL 2 and older
        hello[43] ^= 0xFF  # the length of the session id: nothing fits any more
        server.receive(bytes(hello))
        assert server.fault is Reason.TLS_FAILED
        alert = server.data_to_send()
        assert alert[:2] == FATAL_ALERT
        client.receive(alert)
        assert client.fault is Reason.TLS_FAILED
