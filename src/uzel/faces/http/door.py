"""The door of a server that strangers can reach: how many connections stand, and how long one may be silent.

Whoever connects has to send the head of a request, whole, within some seconds, and each further one once it is begun;
with TLS the handshake is bound alike. There are so many connections in all and for each address: when one more comes,
the oldest of those that are quiet goes, which costs a browser nothing but another connect; when none is quiet the new
one is refused. So a core whose page strangers can reach keeps its descriptors, and its page. Whoever is sent away is
told to `refused`, with the reason. Counterparts: `serving`, which opens it; `uzel.net.listen`, which accepts;
`refusals`, which counts.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from uzel.errors import Reason
from uzel.faces.http.refusals import Refused
from uzel.net.descriptors import SpareDescriptor
from uzel.net.listen import Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorBounds:
    """Seconds for a handshake, and again for the head of a request; connections in all, and of one address."""

    first: float
    most: int
    each: int


class Visit(H11Protocol):
    """One connection, which is not to be silent where a request is due."""

    bounds: DoorBounds
    _due: asyncio.TimerHandle | None = None

    @property
    def is_quiet(self) -> bool:
        """No request is under way."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """The handshake is over."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """A part of a request."""
        super().data_received(data)
        if not self.is_quiet:
            self._expect_nothing()
        elif self._due is None:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._expect_nothing()
        self.left()
        super().connection_lost(exc)

    def leave(self) -> None:
        """End it at once."""
        self.transport.abort()

    def left(self) -> None:
        """Called when it is over; its door puts something here."""

    def refused(self, reason: Reason) -> object:
        """Called when it is not served; its door puts something here."""

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self.refused(Reason.REQUEST_MALFORMED)
        super().send_400_response(msg)

    def _expect(self) -> None:
        self._due = self.loop.call_later(self.bounds.first, self._give_up)

    def _give_up(self) -> None:
        self.refused(Reason.SILENCE)
        self.leave()

    def _expect_nothing(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


@dataclass(slots=True, eq=False)
class _Guest:
    """Who is in, or on the way in: `handshake` is what lets them in."""

    address: str
    handshake: asyncio.Task[None] | None = None
    visit: Visit | None = None

    @property
    def is_quiet(self) -> bool:
        return self.visit is None or self.visit.is_quiet

    def send_away(self) -> None:
        if self.visit is not None:
            self.visit.leave()
        elif self.handshake is not None:
            self.handshake.cancel()


class Door:
    """See the module's text. Belongs to the running loop; `sock` listens, and is this door's from now on."""

    def __init__(
        self,
        sock: socket.socket,
        make: Callable[[], Visit],
        bounds: DoorBounds,
        tls: ssl.SSLContext | None,
        refused: Refused,
    ) -> None:
        self._make = make
        self._refused = refused
        self._bounds = bounds
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._guests: dict[_Guest, None] = {}  # who came first is first
        self._spare = SpareDescriptor()
        self._listener = Listener(self._loop, sock, self._comes, on_refused=self._turned_away, spare=self._spare)

    def close(self) -> None:
        """Let nobody in any more; whoever is in stays."""
        self._listener.close()
        self._spare.release()
        for guest in list(self._guests):
            if guest.visit is None:
                guest.send_away()

    def _comes(self, connection: socket.socket, address: Any) -> None:
        host = str(address[0])
        same = [guest for guest in self._guests if guest.address == host]
        room = len(same) < self._bounds.each or self._make_room(same, Reason.CONNECTIONS_ADDRESS_FULL)
        if room and len(self._guests) >= self._bounds.most:
            room = self._make_room(list(self._guests), Reason.CONNECTIONS_FULL)
        if not room:
            connection.close()
            return
        guest = _Guest(host)
        self._guests[guest] = None
        guest.handshake = self._loop.create_task(self._let_in(guest, connection))

    def _turned_away(self, reason: Reason) -> None:
        self._refused(reason, "")

    def _make_room(self, guests: list[_Guest], reason: Reason) -> bool:
        """Send away who came first of those that are quiet; when there is none, the newcomer goes."""
        quiet = next((guest for guest in guests if guest.is_quiet), None)
        self._refused(reason, (quiet or guests[-1]).address)
        if quiet is None:
            return False
        self._guests.pop(quiet)
        quiet.send_away()
        return True

    async def _let_in(self, guest: _Guest, connection: socket.socket) -> None:
        visit = self._make()
        visit.bounds = self._bounds
        visit.left = lambda: self._guests.pop(guest, None)  # type: ignore[method-assign]
        visit.refused = lambda reason: self._refused(reason, guest.address)  # type: ignore[method-assign]
        limit = self._bounds.first if self._tls is not None else None
        began = self._loop.time()
        try:
            await self._loop.connect_accepted_socket(
                lambda: visit, connection, ssl=self._tls, ssl_handshake_timeout=limit
            )
            guest.visit = visit
        except BaseException as error:
            self._guests.pop(guest, None)
            with suppress(OSError):
                connection.close()
            if not isinstance(error, OSError):  # what a handshake fails with
                raise
            late = limit is not None and self._loop.time() - began >= limit
            self._refused(Reason.HANDSHAKE_TIMEOUT if late else reason_of(error), guest.address)


def reason_of(error: OSError) -> Reason:
    """Why a handshake came to nothing."""
    if not isinstance(error, ssl.SSLError):
        return Reason.CONNECTION_LOST
    old = error.reason in {"UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION", "VERSION_TOO_LOW"}
    return Reason.TLS_VERSION if old else Reason.TLS_FAILED
