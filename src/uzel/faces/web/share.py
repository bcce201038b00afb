"""The page for other devices: over HTTPS alone, TLS 1.3, with a certificate of the user's own.

The identity's key never serves HTTPS: it proves a number, not a name, and browsers take no Ed25519. A device may call
the page by the host that it is shared at, and by the names that the certificate carries, and by no other. Without a
certificate the way is ssh, which needs nothing from here. Counterpart: `server`, which listens.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from uzel.errors import ConfigError, ProfileError
from uzel.faces.http.serving import BACKLOG
from uzel.faces.web.guard import Place
from uzel.names import split_host_port
from uzel.store.files import read_private, read_start

MOST_CERTIFICATE = 256 * 1024
"""Bytes of a certificate's file: a chain of dozens."""


def refuse_without_certificate(port: int) -> NoReturn:
    """Raises `ConfigError`, which shows what does the same."""
    raise ConfigError(
        "other devices get the page over HTTPS alone: give --cert FILE and --cert-key FILE. Without a certificate, "
        f"run this on the other computer: ssh -N -L {port}:127.0.0.1:{port} USER@THIS-COMPUTER and open there what "
        "uzel web --no-browser prints here"
    )


@dataclass(frozen=True, slots=True)
class Share:
    """Where the page is shared: the host and port to listen on, the TLS context, and the names of the place."""

    host: str
    port: int
    tls: ssl.SSLContext
    names: tuple[str, ...]

    @classmethod
    def read(cls, address: str, certificate: Path, key: Path) -> Self:
        """Raises `InvalidNameError`, and `ConfigError` when certificate and key will not do."""
        host, port = split_host_port(address)
        try:
            read_private(key, limit=MOST_CERTIFICATE)  # others may not read it
            shown = read_start(certificate, MOST_CERTIFICATE, private=False)
        except ProfileError as error:
            raise ConfigError(f"--cert, --cert-key: {error.detail}") from None
        names = _names(shown, certificate)
        if not ipaddress_of(host).is_unspecified:
            names = tuple(dict.fromkeys((_written(host), *names)))
        if not names:
            raise ConfigError(f"--cert {certificate}: it names no host, and --share {address} does not, either")
        return cls(host, port, _context(certificate, key), names)

    def bind(self) -> socket.socket:
        """A listening socket. Raises `ConfigError` when that cannot be."""
        try:
            family, kind, _, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            sock = socket.socket(family, kind, socket.IPPROTO_TCP)  # asyncio looks at that for no-delay
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(address)
                sock.listen(BACKLOG)
            except OSError:
                sock.close()
                raise
        except OSError as error:
            raise ConfigError(f"--share {_written(self.host)}:{self.port}: {error.strerror}") from None
        sock.setblocking(False)
        return sock

    def place(self, port: int) -> Place:
        """What a browser may call it, once it listens there."""
        return Place("https", port, self.names)


def ipaddress_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address that a host is; one that is a name counts as some address."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return ipaddress.ip_address("192.0.2.1")


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error.strerror or "not understood"
        raise ConfigError(f"--cert {certificate}, --cert-key {key}: {reason}") from None
    return context


def _no_password() -> str:
    raise ConfigError("--cert-key: that key is under a passphrase, which nobody is here to type: give one without")


def _names(pem: bytes, path: Path) -> tuple[str, ...]:
    """The hosts that a certificate is for, without those with a star: a page is at one place."""
    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        addresses = [_written(str(each)) for each in found.get_values_for_type(x509.IPAddress)]
        hosts = [name for name in found.get_values_for_type(x509.DNSName) if "*" not in name]
    except x509.ExtensionNotFound:
        hosts, addresses = [], []
    except (ValueError, IndexError):
        raise ConfigError(f"--cert {path}: that is no certificate in PEM form") from None
    if not isinstance(certificate.public_key(), ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise ConfigError(f"--cert {path}: browsers take no such key; give a certificate with a P-256 or RSA key")
    if certificate.not_valid_after_utc < datetime.now(UTC):
        raise ConfigError(f"--cert {path}: it ran out on {certificate.not_valid_after_utc:%Y-%m-%d}; renew it")
    return (*hosts, *addresses)


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host else host
