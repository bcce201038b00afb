"""Records against OpenSSL, which is right, and against one another; then what an honest peer never sends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from tls.tls_helpers import OpenSslPeer, context, joined
from uzel.errors import Reason
from uzel.tls import Side, TlsEngine, records
from uzel.tls.records import MAX_CIPHERTEXT, MAX_PLAINTEXT, SUITES, Records

ALERT, HANDSHAKE, DATA = 21, 22, 23
TICKET = b"\x04\x00\x00\x03abc"
KEY_UPDATE, KEY_UPDATE_ASKED = b"\x18\x00\x00\x01\x00", b"\x18\x00\x00\x01\x01"
OPPOSITE = {Side.CLIENT: Side.SERVER, Side.SERVER: Side.CLIENT}


def pair(suite: str = "TLS_AES_128_GCM_SHA256") -> tuple[Records, Records]:
    """Two ends that have shaken hands."""
    one, other = (bytes((fill,)) * (48 if "384" in suite else 32) for fill in b"ab")
    return Records(suite, sending=one, receiving=other), Records(suite, sending=other, receiving=one)


def beside_openssl(side: Side, suite: str = "TLS_AES_128_GCM_SHA256") -> tuple[TlsEngine, OpenSslPeer]:
    """An engine that has shaken hands with OpenSSL in this suite."""
    engine = TlsEngine(context(side))
    peer = OpenSslPeer(OPPOSITE[side], lambda bare: bare.set_tls13_ciphersuites(suite.encode()))
    peer.meet(engine)
    assert (engine.handshake_done, engine.summary.cipher, peer.errors) == (True, suite, [])
    return engine, peer


def read_all(peer: OpenSslPeer) -> bytes:
    got = bytearray()
    try:
        while True:
            got += peer.connection.recv(1 << 15)
    except SSL.WantReadError:
        return bytes(got)


class TestBesideOpenSsl:
    @pytest.mark.parametrize("suite", SUITES)
    @pytest.mark.parametrize("side", Side)
    def test_each_reads_the_other(self, side: Side, suite: str) -> None:
        engine, peer = beside_openssl(side, suite)
        for size in (1, 100, MAX_PLAINTEXT, MAX_PLAINTEXT + 1, 100_000):
            engine.send(b"x" * size)
            peer.connection.bio_write(engine.data_to_send())
            assert read_all(peer) == b"x" * size
            peer.connection.sendall(b"y" * size)
            assert engine.receive(peer.take()) == b"y" * size

    @pytest.mark.parametrize("suite", SUITES)
    @pytest.mark.parametrize("side", Side)
    def test_keys_are_renewed_in_time_and_openssl_follows(
        self, side: Side, suite: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(records, "RENEW_AFTER", 3)
        engine, peer = beside_openssl(side, suite)
        ours = engine._records
        assert ours is not None
        first = ours._sending
        for _ in range(9):
            engine.send(b"as usual")
            peer.connection.bio_write(engine.data_to_send())
            assert read_all(peer) == b"as usual"
        assert ours._sending is not first

    @pytest.mark.parametrize("side", Side)
    def test_openssl_is_asked_for_new_keys_and_takes_them(self, side: Side) -> None:
        engine, peer = beside_openssl(side)
        ours = engine._records
        assert ours is not None
        ours._send_other(HANDSHAKE, KEY_UPDATE_ASKED)
        ours._sending = ours._sending.renewed()
        engine.send(b"under new keys")
        peer.connection.bio_write(engine.data_to_send())
        assert read_all(peer) == b"under new keys"
        before = ours._receiving
        peer.connection.sendall(b"so am I")
        assert engine.receive(peer.take()) == b"so am I"
        assert ours._receiving is not before

    @pytest.mark.parametrize("side", Side)
    def test_both_understand_the_end(self, side: Side) -> None:
        engine, peer = beside_openssl(side)
        engine.close()
        peer.connection.bio_write(engine.data_to_send())
        with pytest.raises(SSL.ZeroReturnError):
            peer.connection.recv(1)
        peer.connection.shutdown()
        assert engine.receive(peer.take()) == b""
        assert (engine.closed, engine.fault) == (True, None)

    @pytest.mark.parametrize("side", Side)
    def test_openssl_understands_our_alert(self, side: Side) -> None:
        engine, peer = beside_openssl(side)
        peer.connection.sendall(b"pay 10")
        record = bytearray(peer.take())
        record[-1] ^= 1
        assert engine.receive(bytes(record)) == b""
        peer.connection.bio_write(engine.data_to_send())
        with pytest.raises(SSL.Error, match="bad record mac"):
            peer.connection.recv(1)


class TestTogether:
    def test_openssl_is_let_go(self) -> None:
        """It is 30 of the 36 KiB that an idle connection took."""
        for engine in joined():
            assert engine._handshake is None

    @settings(max_examples=60, deadline=None)
    @given(
        st.sampled_from(sorted(SUITES)),
        st.lists(st.integers(0, 40_000), max_size=5),
        st.lists(st.integers(1, 30_000), min_size=1, max_size=9),
    )
    def test_any_sizes_in_any_pieces(self, suite: str, sizes: list[int], cuts: list[int]) -> None:
        one, other = pair(suite)
        sent = [bytes((number,)) * size for number, size in enumerate(sizes)]
        for number, data in enumerate(sent):
            one.send(data)
            if number % 2:
                one._send_other(HANDSHAKE, TICKET)
                one._renew_sending(asked=False)
        data, got = one.data_to_send(), b""
        while data:
            cuts = [*cuts[1:], cuts[0]]
            piece, data = data[: cuts[0]], data[cuts[0] :]
            got += other.receive(piece)
        assert (got, other.fault) == (b"".join(sent), "")

    def test_no_two_records_look_alike(self) -> None:
        one, _ = pair()
        seen = set()
        for _ in range(100):
            one.send(b"the same")
            seen.add(one.data_to_send()[5:])
        assert len(seen) == 100

    def test_keys_are_renewed_before_they_are_worn_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(records, "RENEW_AFTER", 4)
        one, other = pair()
        first = one._sending
        for _ in range(20):
            one.send(b"again")
            assert other.receive(one.data_to_send()) == b"again"
            assert one._sending.number <= 4
        assert one._sending is not first
        assert other.fault == ""

    def test_who_is_asked_for_new_keys_often_answers_once(self) -> None:
        one, other = pair()
        for _ in range(50):
            one._send_other(HANDSHAKE, KEY_UPDATE_ASKED)
            one._sending = one._sending.renewed()
        other.receive(one.data_to_send())
        answer = other.data_to_send()
        assert len(answer) == 5 + 5 + 1 + 16
        other.send(b"with new keys")
        assert one.receive(answer + other.data_to_send()) == b"with new keys"

    def test_padding_is_taken_off(self) -> None:
        one, other = pair()
        one._send_other(0, b"padded" + bytes((DATA,)) + bytes(300))
        assert other.receive(one.data_to_send()) == b"padded"

    def test_a_ticket_in_pieces_is_left_alone(self) -> None:
        one, other = pair()
        for at in range(len(TICKET)):
            one._send_other(HANDSHAKE, TICKET[at : at + 1])
        one.send(b"then this")
        assert other.receive(one.data_to_send()) == b"then this"


WRONG = {
    "no kind": ((0, bytes(9)), 10),
    "unknown kind": ((24, b"heartbeat"), 10),
    "change cipher spec": ((20, b"\x01"), 10),
    "empty handshake": ((HANDSHAKE, b""), 10),
    "client hello": ((HANDSHAKE, b"\x01\x00\x00\x01x"), 10),
    "certificate request": ((HANDSHAKE, b"\x0d\x00\x00\x03\x00\x00\x00"), 10),
    "a ticket too long": ((HANDSHAKE, b"\x04\x00\x40\x00"), 10),
    "key update, then more": ((HANDSHAKE, KEY_UPDATE + TICKET), 10),
    "long key update": ((HANDSHAKE, b"\x18\x00\x00\x02\x00\x00"), 50),
    "odd key update": ((HANDSHAKE, b"\x18\x00\x00\x01\x02"), 47),
    "short alert": ((ALERT, b"\x01"), 50),
    "long content": ((DATA, bytes(MAX_PLAINTEXT + 1)), 22),
}


def alert_in(one: Records, output: bytes) -> int:
    """Which alert the other side has sent."""
    one.receive(output)
    return int(one.fault.rpartition(" ")[2])


class TestWrong:
    @pytest.mark.parametrize(("record", "alert"), WRONG.values(), ids=WRONG.keys())
    def test_it_is_named_and_answered(self, record: tuple[int, bytes], alert: int) -> None:
        one, other = pair()
        one.send(b"before")
        one._send_other(*record)
        one.send(b"behind")
        assert other.receive(one.data_to_send()) == b"before"
        assert other.fault
        assert alert_in(one, other.data_to_send()) == alert
        assert other.receive(b"more") == b""

    @pytest.mark.parametrize("between", [(DATA, b"text"), (ALERT, b"\x01\x00")])
    def test_nothing_may_come_inside_a_handshake_message(self, between: tuple[int, bytes]) -> None:
        one, other = pair()
        one._send_other(HANDSHAKE, TICKET[:5])
        one._send_other(*between)
        assert other.receive(one.data_to_send()) == b""
        assert alert_in(one, other.data_to_send()) == 10

    def test_a_message_too_long_is_judged_before_it_is_held(self) -> None:
        one, other = pair()
        one._send_other(HANDSHAKE, b"\x04\x00\x40\x00")
        other.receive(one.data_to_send())
        assert other.fault

    @pytest.mark.parametrize(
        ("header", "alert"),
        [
            (b"\x16", 10),
            (b"\x14\x03\x03\x00\x01", 10),
            (b"\x17\x03\x03" + (MAX_CIPHERTEXT + 1).to_bytes(2, "big"), 22),
            (b"\x17\x03\x03\x00\x10", 50),
            (b"\x17\x03\x03\x00\x00", 50),
        ],
    )
    def test_a_header_is_judged_before_its_body_is_held(self, header: bytes, alert: int) -> None:
        one, other = pair()
        assert other.receive(header) == b""
        assert other.fault
        assert alert_in(one, other.data_to_send()) == alert

    def test_a_record_left_out_shows(self) -> None:
        one, other = pair()
        one.send(b"first")
        one.data_to_send()
        one.send(b"second")
        assert other.receive(one.data_to_send()) == b""
        assert alert_in(one, other.data_to_send()) == 20

    def test_an_alert_ends_without_an_answer(self) -> None:
        one, other = pair()
        one._send_other(ALERT, b"\x02\x74")
        one.send(b"behind")
        assert other.receive(one.data_to_send()) == b""
        assert other.fault == "the other side sent alert 116"
        assert other.data_to_send() == b""

    def test_a_canceled_user_is_no_end(self) -> None:
        one, other = pair()
        one._send_other(ALERT, b"\x01\x5a")
        one.send(b"not yet")
        assert other.receive(one.data_to_send()) == b"not yet"

    @given(st.binary(max_size=200))
    def test_any_bytes_are_a_fault_or_nothing_yet(self, junk: bytes) -> None:
        _, other = pair()
        assert other.receive(junk) == b""
        assert len(other._held) <= 5 + MAX_CIPHERTEXT

    @settings(max_examples=200)
    @given(st.integers(0, 255), st.binary(max_size=80))
    def test_any_content_of_any_kind_is_data_a_fault_or_nothing(self, kind: int, content: bytes) -> None:
        one, other = pair()
        one._send_other(kind, content)
        got = other.receive(one.data_to_send())
        assert not got or kind in {0, DATA}
        assert len(other._message) <= len(content)


def test_the_engine_names_it_for_the_log() -> None:
    client, server = joined()
    client.send(b"text")
    server.receive(client.data_to_send()[:-1] + b"\x00")
    assert server.fault is Reason.TLS_FAILED
    assert "changed" in server.fault_detail
