"""What a context insists on, against peers on bare OpenSSL: version, key agreement, certificate."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from OpenSSL._util import lib

from tls.tls_helpers import OpenSslPeer, context, own, stdlib_client
from uzel.errors import Reason
from uzel.tls import GROUPS, Side, TlsEngine, make_context

OPPOSITE = {Side.CLIENT: Side.SERVER, Side.SERVER: Side.CLIENT}


def unbent(bare: SSL.Context) -> None:
    """A peer as OpenSSL makes it."""


def only_p256(bare: SSL.Context) -> None:
    bare.set_tmp_ecdh(ec.SECP256R1())


def only_tls_1_2(bare: SSL.Context) -> None:
    bare.set_max_proto_version(SSL.TLS1_2_VERSION)


def only_ccm(bare: SSL.Context) -> None:
    bare.set_tls13_ciphersuites(b"TLS_AES_128_CCM_SHA256")


def meet(side: Side, bend: Callable[[SSL.Context], None], *, shows: bool = True) -> tuple[TlsEngine, OpenSslPeer]:
    """An engine of ours on that side against a bent peer on the other."""
    engine, peer = TlsEngine(context(side)), OpenSslPeer(OPPOSITE[side], bend, shows=shows)
    peer.meet(engine)
    return engine, peer


@pytest.mark.parametrize("side", Side)
class TestPeers:
    def test_an_unbent_one_is_taken(self, side: Side) -> None:
        engine, peer = meet(side, unbent)
        assert (engine.fault, engine.handshake_done, peer.done, peer.errors) == (None, True, True, [])
        assert engine.summary.group == "X25519MLKEM768"

    def test_p256_key_agreement_is_refused_with_an_alert(self, side: Side) -> None:
        engine, peer = meet(side, only_p256)
        assert engine.fault is Reason.TLS_FAILED
        assert not engine.handshake_done
        assert not peer.done
        assert peer.errors

    def test_tls_1_2_is_refused_by_its_name_with_an_alert(self, side: Side) -> None:
        engine, peer = meet(side, only_tls_1_2)
        assert engine.fault is Reason.TLS_VERSION
        assert not engine.handshake_done
        words = {Side.SERVER: "tlsv1 alert protocol version", Side.CLIENT: "unsupported protocol"}
        assert words[side] in peer.errors

    def test_another_cipher_is_no_version_fault(self, side: Side) -> None:
        engine, _ = meet(side, only_ccm)
        assert engine.fault is Reason.TLS_FAILED


def test_a_client_without_a_certificate_is_told_so() -> None:
    engine, peer = meet(Side.SERVER, unbent, shows=False)
    assert engine.fault is Reason.CERTIFICATE_MISSING
    assert not engine.handshake_done
    assert "tlsv13 alert certificate required" in peer.errors


def test_the_server_does_not_ask_for_what_a_client_need_not_show() -> None:
    """A server of other make may not ask for our certificate; that is its own business."""
    engine, _ = meet(Side.CLIENT, lambda bare: bare.set_verify(SSL.VERIFY_NONE))
    assert engine.handshake_done


def test_a_session_is_never_resumed(tmp_path: Path) -> None:
    """The standard library comes back with the ticket it got, and begins anew all the same."""
    client, session = stdlib_client(tmp_path), None
    for _ in range(2):
        inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        connection = client.wrap_bio(inward, outward, session=session)
        engine = TlsEngine(context(Side.SERVER))
        for step in (connection.do_handshake, connection.do_handshake, connection.read):
            with contextlib.suppress(ssl.SSLWantReadError):
                step()
            engine.receive(outward.read())
            inward.write(engine.data_to_send())
        with contextlib.suppress(ssl.SSLWantReadError):
            connection.read()
        assert engine.handshake_done
        assert not connection.session_reused
        session = connection.session
        assert session is not None


LISTS = {
    "X25519": "x25519",
    "X25519:P-256": "x25519",
    "P-256:X25519": "x25519",  # begins with P-256 and is asked again
    "X25519:X25519MLKEM768": "X25519MLKEM768",
    "SecP256r1MLKEM768:X25519": "x25519",
    "P-256:P-384": None,
    "SecP256r1MLKEM768": None,
}


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(("known", "agreed"), LISTS.items(), ids=LISTS.keys())
def test_peers_that_know_other_key_agreements(side: Side, known: str, agreed: str | None) -> None:
    def only_these(bare: SSL.Context) -> None:
        # pyOpenSSL carries this call and shows it under no public name
        assert lib.SSL_CTX_set1_curves_list(bare._context, known.encode()) == 1

    engine, _ = meet(side, only_these)
    assert engine.handshake_done == (agreed is not None)
    assert engine.fault == (None if agreed else Reason.TLS_FAILED)
    if agreed is not None:
        assert engine.summary.group == agreed
        assert agreed in GROUPS


def test_a_server_that_answers_tls_1_3_with_1_2_is_refused_by_its_name() -> None:
    engine = TlsEngine(context(Side.CLIENT))
    engine.start()
    hello = engine.data_to_send()
    session = hello[44 : 44 + hello[43]]
    body = b"\x03\x03" + bytes(32) + bytes([len(session)]) + session + b"\xc0\x2f\x00"
    message = b"\x02" + len(body).to_bytes(3, "big") + body
    engine.receive(b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message)
    assert engine.fault is Reason.TLS_VERSION
    assert engine.data_to_send() == b"\x15\x03\x03\x00\x02\x02\x46"  # fatal: protocol version


@pytest.mark.parametrize("side", Side)
def test_who_waits_in_a_handshake_keeps_no_buffers(side: Side) -> None:
    release_buffers = 0x10
    key, shown = own("ed25519 one")
    assert make_context(private_key=key, certificate=shown, side=side).context.set_mode(0) & release_buffers


def test_a_key_of_another_certificate_is_our_own_misuse() -> None:
    key, _ = own("ed25519 one")
    _, shown = own("ed25519 two")
    with pytest.raises(SSL.Error):
        make_context(private_key=key, certificate=shown, side=Side.SERVER)
