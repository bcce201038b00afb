"""Certificates, engines, and peers of other make for the TLS tests."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL

from uzel.tls import Side, TlsContext, TlsEngine, make_context

Key = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


def certificate(key: Key, name: str = "7") -> x509.Certificate:
    subject = x509.Name.from_rfc4514_string(f"CN={name}")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2001, 1, 1, tzinfo=UTC))  # long past: dates are ignored (section 7)
    )
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256())


@functools.cache
def own(kind: str) -> tuple[Key, x509.Certificate]:
    """A key and its certificate: `ed25519…` or `p256…`; another name is another key."""
    key: Key = (
        ec.generate_private_key(ec.SECP256R1()) if kind.startswith("p256") else ed25519.Ed25519PrivateKey.generate()
    )
    return key, certificate(key)


@functools.cache
def context(side: Side, alpn: tuple[bytes, ...] = (), kind: str = "ed25519") -> TlsContext:
    key, shown = own(f"{kind} {side}")
    return make_context(private_key=key, certificate=shown, side=side, alpn=alpn)


def engines(
    *, offers: tuple[bytes, ...] = (), takes: tuple[bytes, ...] = (), kind: str = "ed25519"
) -> tuple[TlsEngine, TlsEngine]:
    """A client and a server, not yet started."""
    return TlsEngine(context(Side.CLIENT, offers, kind)), TlsEngine(context(Side.SERVER, takes, kind))


def carry(one: TlsEngine, other: TlsEngine, step: int = 0) -> tuple[bytes, bytes]:
    """Carry ciphertext both ways, in pieces of `step` bytes (0: whole), until both are silent.

    Returns the plaintext that each got.
    """
    got_one, got_other = bytearray(), bytearray()
    while True:
        forth, back = one.data_to_send(), other.data_to_send()
        if not forth and not back:
            return bytes(got_one), bytes(got_other)
        for at in range(0, len(forth), step or len(forth) or 1):
            got_other += other.receive(forth[at : at + step] if step else forth)
        for at in range(0, len(back), step or len(back) or 1):
            got_one += one.receive(back[at : at + step] if step else back)


def joined(kind: str = "ed25519", step: int = 0) -> tuple[TlsEngine, TlsEngine]:
    """A client and a server that have shaken hands."""
    client, server = engines(kind=kind)
    client.start()
    carry(client, server, step)
    assert (client.fault, server.fault) == (None, None)
    return client, server


class OpenSslPeer:
    """The other side on bare pyOpenSSL, with a context that a test bends as it likes."""

    def __init__(self, side: Side, bend: Callable[[SSL.Context], None], *, shows: bool = True) -> None:
        method = SSL.TLS_CLIENT_METHOD if side is Side.CLIENT else SSL.TLS_SERVER_METHOD
        self.context = SSL.Context(method)
        self.context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        if shows:
            key, shown = own(f"ed25519 bare {side}")
            self.context.use_certificate(shown)
            self.context.use_privatekey(key)
        bend(self.context)
        self.connection = SSL.Connection(self.context, None)
        self.done = False
        self.errors: list[str] = []
        if side is Side.CLIENT:
            self.connection.set_connect_state()
        else:
            self.connection.set_accept_state()

    def step(self) -> None:
        """Go on with the handshake as far as it goes; then read, which may meet an alert."""
        try:
            if not self.done:
                self.connection.do_handshake()
                self.done = True
            self.connection.recv(16384)
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.errors += [entry[2] for entry in error.args[0]] if error.args else [type(error).__name__]

    def take(self) -> bytes:
        try:
            return self.connection.bio_read(1 << 17)
        except SSL.WantReadError:
            return b""

    def meet(self, engine: TlsEngine) -> None:
        """Shake hands with an engine until both are silent, or refuse to."""
        engine.start()
        while True:
            self.step()
            forth, back = self.take(), engine.data_to_send()
            if not forth and not back:
                return
            engine.receive(forth)
            if back:
                self.connection.bio_write(back)


def stdlib_client(folder: Path) -> ssl.SSLContext:
    """The standard library as TLS client, with a certificate to show."""
    key, shown = own("ed25519 stdlib")
    file = folder / "stdlib.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + shown.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(file)
    return context
