"""Opening a connection to a node whose address others may have named (D22).

A name is resolved here, and only IP addresses in an allowed range are connected to: a name in the public network must
not make a node knock at its neighbours. They are tried in turn, each with its share of the time. Counterparts:
`uzel.net.listen`; `node.link_connection`, which says hello on what was opened.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Collection, Sequence

from uzel.errors import Reason
from uzel.names import NodeAddress, Range, range_of
from uzel.net.listen import peer_host

MOST_TRIED = 4
"""IP addresses of one name that are tried."""


class DialError(Exception):
    """There is no connection, because of `reason`."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


async def dial(address: NodeAddress, ranges: Collection[Range], seconds: float) -> tuple[socket.socket, str]:
    """Connect within so many seconds; returns the socket, non-blocking and with TCP_NODELAY, and the IP it went to.

    Raises `DialError`: NAME_UNKNOWN, RANGE_REFUSED, NODE_UNREACHABLE, or HANDSHAKE_TIMEOUT when there was no time left.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    try:
        async with asyncio.timeout_at(until):
            hosts = await _resolve(loop, address)
    except TimeoutError:
        raise DialError(Reason.HANDSHAKE_TIMEOUT, "the name is still being looked up") from None
    allowed = [host for host in hosts if range_of(host) in ranges][:MOST_TRIED]
    if not allowed:
        raise DialError(Reason.RANGE_REFUSED)
    last = DialError(Reason.NODE_UNREACHABLE)
    for number, host in enumerate(allowed):
        now = loop.time()
        try:
            async with asyncio.timeout_at(now + (until - now) / (len(allowed) - number)):
                return await _connect(loop, host, address.port), host
        except TimeoutError:
            last = DialError(Reason.HANDSHAKE_TIMEOUT, "no answer")
        except OSError as error:
            last = DialError(Reason.NODE_UNREACHABLE, error.strerror or type(error).__name__)
    raise last


async def _resolve(loop: asyncio.AbstractEventLoop, address: NodeAddress) -> Sequence[str]:
    """The IP addresses, canonical, as the system's resolver orders them."""
    if range_of(address.host) is not None:
        return [address.host]
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DialError(Reason.NAME_UNKNOWN, type(error).__name__) from None
    return list(dict.fromkeys(peer_host(sockaddr) for *_, sockaddr in found))


async def _connect(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    version = ipaddress.ip_address(host).version
    sock = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, (host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def bound_unsent(sock: socket.socket, unsent: int) -> None:
    """Have the kernel take no more than so many bytes that it has not sent yet, where it can.

    Otherwise its buffer, megabytes on a fast path, holds bytes that nothing can overtake any more (D25).
    """
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None:
        sock.setsockopt(socket.IPPROTO_TCP, option, unsent)
