"""Records against OpenSSL, which is right, and against one another; then what an honest peer never sends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from tls.tls_helpers import OpenSslPeer, context, joined
from uzel.errors import Reason
from uzel.tls import Side, TlsEngine, records
from uzel.tls.records import MAX_CIPHERTEXT, MAX_IDLE, MAX_PLAINTEXT, SUITES, Records

ALERT, HANDSHAKE, DATA = 21, 22, 23
TICKET = b"\x04\x00\x00\x03abc"
KEY_UPDATE, KEY_UPDATE_ASKED = b"\x18\x00\x00\x01\x00", b"\x18\x00\x00\x01\x01"
OPPOSITE = {Side.CLIENT: Side.SERVER, Side.SERVER: Side.CLIENT}


def pair(suite: str = "TLS_AES_128_GCM_SHA256") -> tuple[Records, Records]:
    """Two ends that have shaken hands."""
    one, other = (bytes((fill,)) * (48 if "384" in suite else 32) for fill in b"ab")
    return (
        Records(suite, sending=one, receiving=other, tickets=True),
        Records(suite, sending=other, receiving=one, tickets=True),
    )


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


class TestTrace:
    """RFC 8448, section 3: both secrets, and every record that follows the client's Finished."""

    CLIENT_SECRET = bytes.fromhex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5")
    SERVER_SECRET = bytes.fromhex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643")
    TEXT = bytes(range(50))
    SERVER_TICKET = bytes.fromhex(
        "17030300de3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d41d6af8f6b580dcf3d11d63c758db289a015940252f55713e06"
        "1dc13e078891a38efbcf5753ad8ef170ad3c7353d16d9da773b9ca7f2b9fa1b6c0d4a3d03f75e09c30ba1e62972ac46f75f7b981be63439b29"
        "99ce13064615139891d5e4c5b406f16e3fc181a77ca475840025db2f0a77f81b5ab05b94c01346755f69232c86519d86cbeeac87aac347d143"
        "f9605d64f650db4d023e70e952ca49fe5137121c74bc2697687e248746d6df353005f3bce18696129c8153556b3b6c6779b37bf15985684f"
    )
    CLIENT_DATA = bytes.fromhex(
        "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a297"
        "7014bd1e3deae63aeebb21694915e4"
    )
    SERVER_DATA = bytes.fromhex(
        "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c"
        "0047c2abf332540dd032e167c2955d"
    )
    CLIENT_CLOSES = bytes.fromhex("1703030013c9872760655666b74d7ff1153efd6db6d0b0e3")
    SERVER_CLOSES = bytes.fromhex("1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9")

    def test_as_client(self) -> None:
        client = Records(
            "TLS_AES_128_GCM_SHA256", sending=self.CLIENT_SECRET, receiving=self.SERVER_SECRET, tickets=True
        )
        assert client.receive(self.SERVER_TICKET) == b""
        client.send(self.TEXT)
        assert client.data_to_send() == self.CLIENT_DATA
        assert client.receive(self.SERVER_DATA) == self.TEXT
        client.close()
        assert client.data_to_send() == self.CLIENT_CLOSES
        assert client.receive(self.SERVER_CLOSES) == b""
        assert (client.closed, client.fault) == (True, "")

    def test_as_server_that_has_sent_a_ticket(self) -> None:
        server = Records(
            "TLS_AES_128_GCM_SHA256", sending=self.SERVER_SECRET, receiving=self.CLIENT_SECRET, tickets=False, sent=1
        )
        assert server.receive(self.CLIENT_DATA) == self.TEXT
        server.send(self.TEXT)
        assert server.data_to_send() == self.SERVER_DATA
        assert server.receive(self.CLIENT_CLOSES) == b""
        server.close()
        assert server.data_to_send() == self.SERVER_CLOSES
        assert (server.closed, server.fault) == (True, "")


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

    def test_most_padding_is_taken_off(self) -> None:
        one, other = pair()
        one._send_other(0, bytes((DATA,)) + bytes(MAX_PLAINTEXT - 1))
        one._send_other(0, b"\0x\0" + bytes((DATA,)) + bytes(MAX_PLAINTEXT - 4))
        assert other.receive(one.data_to_send()) == b"\0x\0"
        assert other.fault == ""

    @pytest.mark.parametrize("asked", [True, False])
    def test_nothing_is_said_after_the_end(self, asked: bool) -> None:
        """Neither new keys that are asked for, nor an alert, nor text; but what comes is still read (6.1)."""
        one, other = pair()
        other.close()
        assert one.receive(other.data_to_send()) == b""
        one._send_other(HANDSHAKE, KEY_UPDATE_ASKED)
        one._sending = one._sending.renewed()
        one.send(b"still read")
        if not asked:
            one._send_other(HANDSHAKE, b"")
        assert other.receive(one.data_to_send()) == b"still read"
        assert bool(other.fault) == (not asked)
        other.send(b"text")
        other.close()
        assert other.data_to_send() == b""

    def test_what_comes_behind_the_end_is_not_kept(self) -> None:
        one, other = pair()
        one.close()
        assert other.receive(one.data_to_send() + bytes(1000)) == b""
        assert (other.closed, other.fault, other._held) == (True, "", b"")

    def test_a_ticket_in_pieces_is_left_alone(self) -> None:
        one, other = pair()
        for at in range(len(TICKET)):
            one._send_other(HANDSHAKE, TICKET[at : at + 1])
        one.send(b"then this")
        assert other.receive(one.data_to_send()) == b"then this"


IDLE = {
    "empty text": (DATA, b""),
    "key updates": (HANDSHAKE, KEY_UPDATE),
    "key updates asked for": (HANDSHAKE, KEY_UPDATE_ASKED),
    "tickets": (HANDSHAKE, TICKET),
    "a ticket in pieces": (HANDSHAKE, b"\0"),
    "warnings": (ALERT, b"\x01\x5a"),
}


class TestIdle:
    @staticmethod
    def idle(one: Records, kind: int, content: bytes, times: int) -> None:
        for _ in range(times):
            one._send_other(kind, content)
            if content in {KEY_UPDATE, KEY_UPDATE_ASKED}:
                one._sending = one._sending.renewed()

    @pytest.mark.parametrize("record", IDLE.values(), ids=IDLE.keys())
    def test_a_peer_that_only_keeps_us_busy_is_cut_off(self, record: tuple[int, bytes]) -> None:
        one, other = pair()
        if record[1] == b"\0":
            one._send_other(HANDSHAKE, b"\x04\x00\x3f\x00")
        self.idle(one, *record, MAX_IDLE + 1)
        one.send(b"behind")
        assert other.receive(one.data_to_send()) == b""
        assert "without data" in other.fault
        assert alert_in(one, other.data_to_send()) == 10

    @pytest.mark.parametrize("record", [IDLE["empty text"], IDLE["key updates asked for"], IDLE["warnings"]])
    def test_text_in_between_begins_the_count_anew(self, record: tuple[int, bytes]) -> None:
        one, other = pair()
        for _ in range(5):
            self.idle(one, *record, MAX_IDLE // 2)
            one.send(b"text")
        assert other.receive(one.data_to_send()) == b"text" * 5
        assert other.fault == ""

    def test_many_tickets_in_one_record_count_each(self) -> None:
        one, other = pair()
        one._send_other(HANDSHAKE, TICKET * (MAX_IDLE + 1))
        assert other.receive(one.data_to_send()) == b""
        assert "without data" in other.fault


WRONG = {
    "no kind": ((0, bytes(9)), 10),
    "no kind in a long record": ((0, bytes(MAX_PLAINTEXT)), 10),
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

    @pytest.mark.parametrize("side", Side)
    def test_only_a_server_may_send_tickets(self, side: Side) -> None:
        engine, peer = joined() if side is Side.CLIENT else reversed(joined())
        assert peer._records is not None
        peer._records._send_other(HANDSHAKE, TICKET)
        assert engine.receive(peer.data_to_send()) == b""
        assert engine.fault == (None if side is Side.CLIENT else Reason.TLS_FAILED)

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
