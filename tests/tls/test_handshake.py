"""The moment at which OpenSSL hands over: what a peer may put around its Finished, and whose secrets are whose.

The peer is OpenSSL, whose last flight is opened with its own secrets, changed, and sealed again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from OpenSSL import SSL
from OpenSSL._util import ffi, lib

from tls.tls_helpers import OpenSslPeer, carry, context, engines, joined, own
from uzel.errors import Reason
from uzel.tls import Side, TlsEngine, make_context
from uzel.tls.records import SUITES, _Keys

SUITE = "TLS_AES_128_GCM_SHA256"
HANDSHAKE, DATA = 22, 23
KEY_UPDATE, KEY_UPDATE_ASKED = b"\x18\x00\x00\x01\x00", b"\x18\x00\x00\x01\x01"
CHANGE_CIPHER_SPEC = b"\x14\x03\x03\x00\x01\x01"
PLAIN_ALERT = b"\x15\x03\x03\x00\x02\x02\x28"
OPPOSITE = {Side.CLIENT: Side.SERVER, Side.SERVER: Side.CLIENT}


class Flight:
    """A peer's last flight: what of it is plain, its messages (the last is the Finished), and keys to seal another."""

    def __init__(self, role: str, secrets: dict[str, bytes], sealed: bytes) -> None:
        opening, self.handshake, self.data = (
            _Keys(SUITES[SUITE], secrets[f"{role}_{name}"])
            for name in ("HANDSHAKE_TRAFFIC_SECRET", "HANDSHAKE_TRAFFIC_SECRET", "TRAFFIC_SECRET_0")
        )
        self.plain, self.messages = b"", []
        while sealed:
            length = 5 + int.from_bytes(sealed[3:5], "big")
            record, sealed = sealed[:length], sealed[length:]
            if record[0] == DATA:
                self.messages.append(opening.cipher().decrypt(opening.nonce(), record[5:], record[:5])[:-1])
            else:
                self.plain += record

    def sealed(self, *messages: bytes) -> bytes:
        return b"".join(seal(self.handshake, HANDSHAKE, message) for message in messages)

    def honest(self) -> bytes:
        return self.sealed(*self.messages)


Make: TypeAlias = Callable[[Flight], bytes]


def seal(keys: _Keys, kind: int, content: bytes) -> bytes:
    inner = content + bytes((kind,))
    header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
    return header + keys.cipher().encrypt(keys.nonce(), inner, header)


def ready(side: Side) -> tuple[TlsEngine, OpenSslPeer, Flight]:
    """An engine on that side, and the flight of its peer that would end the handshake for it."""
    secrets: dict[str, bytes] = {}

    def note(_: SSL.Connection, line: bytes) -> None:
        name, _random, secret = line.decode().split()
        secrets[name] = bytes.fromhex(secret)

    def bend(bare: SSL.Context) -> None:
        bare.set_keylog_callback(note)
        bare.set_tls13_ciphersuites(SUITE.encode())

    engine, peer = TlsEngine(context(side)), OpenSslPeer(OPPOSITE[side], bend)
    engine.start()
    if side is Side.SERVER:
        peer.step()
        engine.receive(peer.take())
    peer.connection.bio_write(engine.data_to_send())
    peer.step()
    return engine, peer, Flight(OPPOSITE[side].name, secrets, peer.take())


def give(engine: TlsEngine, data: bytes, step: int) -> bytes:
    return b"".join(engine.receive(data[at : at + step]) for at in range(0, len(data), step))


HELD: dict[str, tuple[Make, bytes]] = {
    "nothing more": (lambda f: f.honest(), b""),
    "text behind it": (
        lambda f: f.honest() + seal(f.data, DATA, b"early ") + seal(f.data, DATA, b"bird"),
        b"early bird",
    ),
    "empty text behind it": (lambda f: f.honest() + seal(f.data, DATA, b"") + seal(f.data, DATA, b"x"), b"x"),
    "new keys at once": (
        lambda f: f.honest() + seal(f.data, HANDSHAKE, KEY_UPDATE) + seal(f.data.renewed(), DATA, b"new"),
        b"new",
    ),
    "new keys at once, and ours asked for": (
        lambda f: f.honest() + seal(f.data, HANDSHAKE, KEY_UPDATE_ASKED) + seal(f.data.renewed(), DATA, b"new"),
        b"new",
    ),
    "one record for the flight": (lambda f: f.sealed(b"".join(f.messages)) + seal(f.data, DATA, b"on"), b"on"),
    "a record for each byte": (
        lambda f: f.sealed(*(bytes((byte,)) for byte in b"".join(f.messages))) + seal(f.data, DATA, b"on"),
        b"on",
    ),
}
"""Odd and allowed: how the flight is made, and the text that comes of it."""

REFUSED: dict[str, Make] = {
    "a key update in its record": lambda f: f.sealed(*f.messages[:-1], f.messages[-1] + KEY_UPDATE),
    "half a key update in its record": lambda f: f.sealed(*f.messages[:-1], f.messages[-1] + KEY_UPDATE[:3]),
    "a key update before it": lambda f: f.sealed(*f.messages[:-1], KEY_UPDATE, f.messages[-1]),
    "text before it": lambda f: f.sealed(*f.messages[:-1]) + seal(f.data, DATA, b"text") + f.sealed(f.messages[-1]),
    "a key update under the old keys": lambda f: f.honest() + f.sealed(KEY_UPDATE),
    "text under the old keys": lambda f: f.honest() + seal(f.handshake, DATA, b"text"),
    "change cipher spec behind it": lambda f: f.honest() + CHANGE_CIPHER_SPEC,
    "a plain alert before it": lambda f: PLAIN_ALERT + f.honest(),
    "a plain alert behind it": lambda f: f.honest() + PLAIN_ALERT,
}


@pytest.mark.parametrize("step", [1 << 16, 1])
@pytest.mark.parametrize("side", Side)
class TestAroundTheFinished:
    @pytest.mark.parametrize(("make", "text"), HELD.values(), ids=HELD.keys())
    def test_what_is_allowed_is_taken_and_answered(self, side: Side, step: int, make: Make, text: bytes) -> None:
        """The peer counts our records from the first: its OpenSSL would refuse one that is numbered wrongly."""
        engine, peer, flight = ready(side)
        assert give(engine, flight.plain + make(flight), step) == text
        engine.send(b"and ours")
        peer.connection.bio_write(engine.data_to_send())
        peer.connection.do_handshake()
        assert peer.connection.recv(100) == b"and ours"

    @pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
    def test_what_is_not_is_named_and_brings_no_text(self, side: Side, step: int, make: Make) -> None:
        engine, _, flight = ready(side)
        assert give(engine, flight.plain + make(flight), step) == b""
        assert engine.fault is Reason.TLS_FAILED
        assert engine.fault_detail


class TestSecrets:
    def test_handshakes_step_by_step_in_one_context_do_not_mix(self) -> None:
        pairs = [engines() for _ in range(5)]
        for client, _ in pairs:
            client.start()
        for _ in range(2):
            for client, server in pairs:
                server.receive(client.data_to_send())
            for client, server in reversed(pairs):
                client.receive(server.data_to_send())
        for number, (client, server) in enumerate(pairs):
            client.send(b"%d" % number)
            assert carry(client, server) == (b"", b"%d" % number)

    def test_handshakes_of_threads_in_one_context_do_not_mix(self) -> None:
        together, wrong = threading.Barrier(4), []

        def meet(name: bytes) -> None:
            together.wait()
            for _ in range(10):
                client, server = joined()
                client.send(name)
                if carry(client, server) != (b"", name):
                    wrong.append(name)

        threads = [threading.Thread(target=meet, args=(b"%d" % number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    @pytest.mark.parametrize("side", Side)
    def test_an_openssl_that_tells_no_secrets_is_a_named_fault(self, side: Side) -> None:
        key, shown = own("ed25519 untold")
        untold = make_context(private_key=key, certificate=shown, side=side)
        lib.SSL_CTX_set_keylog_callback(untold.context._context, ffi.NULL)
        engine, other = TlsEngine(untold), TlsEngine(context(OPPOSITE[side]))
        engine.start()
        other.start()
        carry(engine, other)
        assert (engine.fault, engine.handshake_done) == (Reason.TLS_FAILED, False)

    @pytest.mark.parametrize("side", Side)
    def test_they_are_in_no_words_and_no_file(
        self, side: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "keys"
        monkeypatch.setenv("SSLKEYLOGFILE", str(file))
        key, shown = own("ed25519 logged")
        engine, peer = (
            TlsEngine(make_context(private_key=key, certificate=shown, side=side)),
            TlsEngine(context(OPPOSITE[side])),
        )
        engine.start()
        peer.start()
        carry(engine, peer)
        records = engine._records
        assert records is not None
        words = f"{engine} {engine.summary} {records} {records._sending} {records._sending._suite}"
        assert records._sending._secret.hex() not in words
        assert repr(records._sending._secret) not in words
        assert not file.exists()
        assert capfd.readouterr() == ("", "")
