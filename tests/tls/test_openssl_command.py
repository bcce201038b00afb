"""Debian's `openssl` command on the other end of a socket: another OpenSSL than ours, and key updates on command."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tls.tls_helpers import context, own
from uzel.tls import Side, TlsEngine
from uzel.tls.records import SUITES

TAKE = 1 << 16


class Command:
    """`openssl s_client` or `s_server`: what it is told, and what it shows (both its outputs in one)."""

    def __init__(self, folder: Path, name: str, *options: str) -> None:
        key, shown = own("ed25519 command")
        file = folder / "shown.pem"
        file.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + shown.public_bytes(Encoding.PEM)
        )
        self.process = subprocess.Popen(
            ["openssl", name, "-tls1_3", "-cert", str(file), "-key", str(file), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait_for(self, words: str) -> str:
        """Read until a line has these words; returns it."""
        assert self.process.stdout is not None
        seen = []
        for line in self.process.stdout:
            seen.append(line.decode("ascii", "replace"))
            if words in seen[-1]:
                return seen[-1]
        raise AssertionError("".join(seen))

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


class Wire:
    """Our engine on a socket."""

    def __init__(self, connection: socket.socket, side: Side) -> None:
        self.socket, self.engine = connection, TlsEngine(context(side))
        self.engine.start()
        self.send()
        while not self.engine.handshake_done:
            assert self.read() == b""

    def send(self, plaintext: bytes = b"") -> None:
        if plaintext:
            self.engine.send(plaintext)
        self.socket.sendall(self.engine.data_to_send())

    def read(self) -> bytes:
        data = self.socket.recv(TAKE)
        assert data, self.engine.fault_detail
        plaintext = self.engine.receive(data)
        self.send()
        assert self.engine.fault is None, self.engine.fault_detail
        return plaintext

    def read_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            line += self.read()
        return line


@contextmanager
def beside(side: Side, suite: str, folder: Path) -> Iterator[tuple[Wire, Command]]:
    """Our engine on that side and the command on the other, hands shaken."""
    if side is Side.CLIENT:
        command = Command(folder, "s_server", "-accept", "127.0.0.1:0", "-Verify", "1", "-ciphersuites", suite)
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        command = Command(folder, "s_client", "-connect", f"127.0.0.1:{port}", "-ciphersuites", suite)
    try:
        if side is Side.CLIENT:
            port = int(command.wait_for("ACCEPT").rpartition(":")[2])
            connection = socket.create_connection(("127.0.0.1", port))
        else:
            with listener:
                connection, _ = listener.accept()
        with connection:
            wire = Wire(connection, side)
            assert wire.engine.summary.cipher == suite
            yield wire, command
    finally:
        command.end()


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("side", Side)
def test_text_and_key_updates_each_way(side: Side, suite: str, tmp_path: Path) -> None:
    with beside(side, suite, tmp_path) as (wire, command):
        records = wire.engine._records
        assert records is not None
        wire.send(b"hello, command\n")
        command.wait_for("hello, command")
        command.tell("hello, engine")
        assert wire.read_line() == b"hello, engine\n"
        for order, both in (("k", False), ("K", True), ("K", True)):
            theirs, ours = records._receiving, records._sending
            command.tell(order)
            if side is Side.SERVER:
                command.wait_for("KEYUPDATE")  # and it goes out with the next text
            else:
                while records._receiving is theirs:  # a server shows nothing, and it goes out at once
                    assert wire.read() == b""
            command.tell(f"after {order}")
            assert wire.read_line() == f"after {order}\n".encode()
            assert records._receiving is not theirs
            assert (records._sending is not ours) == both
            wire.send(b"and back\n")
            command.wait_for("and back")
        records._renew_sending(asked=False)
        wire.send(b"under new keys\n")
        command.wait_for("under new keys")


def test_the_command_says_goodbye(tmp_path: Path) -> None:
    """As client; as server it only closes the socket."""
    with beside(Side.SERVER, "TLS_AES_128_GCM_SHA256", tmp_path) as (wire, command):
        command.tell("Q")
        while not wire.engine.closed:
            wire.read()


@pytest.mark.parametrize(("side", "words"), [(Side.CLIENT, "DONE"), (Side.SERVER, "closed")])
def test_the_command_understands_our_goodbye(side: Side, words: str, tmp_path: Path) -> None:
    with beside(side, "TLS_AES_128_GCM_SHA256", tmp_path) as (wire, command):
        wire.send(b"goodbye\n")
        command.wait_for("goodbye")
        wire.engine.close()
        wire.send()
        command.wait_for(words)
