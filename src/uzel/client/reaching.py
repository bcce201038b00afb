"""Opening the control connection: a name's addresses side by side, so that a dead one costs a moment, not the login.

A name is looked up on a thread of its own that nobody has to wait for: a resolver that hangs must not keep a program
from ending. Then each address gets a head start of `HEAD_START` seconds before the next one is tried as well; the first
that answers is used. Counterparts: `net.dial`, which connects; `net.listen`, at the node.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Collection

from uzel.errors import InvalidNameError, NodeUnreachableError, Reason, TimedOutError, UzelError
from uzel.names import NodeAddress, Range, range_of
from uzel.net.dial import DialError, dial

HEAD_START = 0.25
"""Seconds, as in RFC 8305."""
MOST_TRIED = 6
"""IP addresses of one name that are tried."""
ANYWHERE = frozenset(Range)
_SAY = {
    Reason.NAME_UNKNOWN: "its name cannot be looked up",
    Reason.RANGE_REFUSED: "it lies in a network where it may not be",
    Reason.HANDSHAKE_TIMEOUT: "no answer",
}


async def reach(address: NodeAddress, ranges: Collection[Range], seconds: float) -> socket.socket:
    """A connected socket, within so many seconds. Raises `NodeUnreachableError`, or `TimedOutError`."""
    until = asyncio.get_running_loop().time() + seconds
    try:
        async with asyncio.timeout_at(until):
            hosts = [address.host] if range_of(address.host) is not None else await _look_up(address)
    except TimeoutError:
        raise TimedOutError(f"{address}: its name is still looked up", reason=Reason.HANDSHAKE_TIMEOUT) from None
    return await _first(address, hosts[:MOST_TRIED], ranges, until)


async def _first(address: NodeAddress, hosts: list[str], ranges: Collection[Range], until: float) -> socket.socket:
    loop = asyncio.get_running_loop()
    left, found = list(hosts), list[socket.socket]()
    trying = set[asyncio.Task[tuple[socket.socket, str]]]()
    error: UzelError = NodeUnreachableError(f"{address}: {_SAY[Reason.NAME_UNKNOWN]}")
    try:
        while left or trying:
            if left:
                each = NodeAddress(left.pop(0), address.port)
                trying.add(loop.create_task(dial(each, ranges, max(0.0, until - loop.time()))))
            done, trying = await asyncio.wait(
                trying, timeout=HEAD_START if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                try:
                    found.append(task.result()[0])
                except DialError as failed:
                    error = _told(address, failed)
            if found:
                return found.pop()
    finally:
        for spare in found:
            spare.close()
        await _give_up(trying)
    raise error


async def _give_up(trying: set[asyncio.Task[tuple[socket.socket, str]]]) -> None:
    for task in trying:
        task.cancel()
    for outcome in await asyncio.gather(*trying, return_exceptions=True):
        if isinstance(outcome, tuple):
            outcome[0].close()


def _told(address: NodeAddress, failed: DialError) -> UzelError:
    text = f"{address}: {_SAY.get(failed.reason) or failed.detail or failed.reason}"
    if failed.reason is Reason.HANDSHAKE_TIMEOUT:
        return TimedOutError(text, reason=failed.reason)
    return NodeUnreachableError(text)


async def _look_up(address: NodeAddress) -> list[str]:
    """The IP addresses of a name, canonical, as the system's resolver orders them."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def settle(hosts: list[str]) -> None:
        if not answer.done():
            answer.set_result(hosts)

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []
        hosts = [_canonical(str(entry[4][0])) for entry in found]
        try:
            loop.call_soon_threadsafe(settle, list(dict.fromkeys(hosts)))
        except RuntimeError:  # the loop is closed: nobody asks any more
            return

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    return await answer


def _canonical(host: str) -> str:
    try:
        return NodeAddress.of(host, 1).host
    except InvalidNameError:
        return host
