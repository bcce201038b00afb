"""The nodes between the people, as far as anybody notices: who is online, calls, and the lines that are laid for them.

Rules kept as the nodes and `client.calls` keep them: one call is set up between two people at a time, both may ask for
it (D14); whoever talks already refuses if the talk is alive (D13); a key is pinned at first use, and another one ends
the call. What happens at an end then is the product's:
`Calls._begin` ends the older conversation before the newer begins. Counterpart: `person`, at both ends.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, cast

from sim_core.line import End, Line
from uzel.client.calls import Calls
from uzel.client.carried import Carried, Extension
from uzel.client.data_connection import DataConnection
from uzel.client.events import ArrivedCall
from uzel.client.reasons import Reasons
from uzel.client.settings import ClientSettings
from uzel.errors import ConversationEndedError, PeerKeyChangedError, UnavailableError, UzelError
from uzel.identity import MemoryPins, PeerTrust, Pins
from uzel.names import Fingerprint, Uin
from uzel.net.runner import Runner

AnyCalls: TypeAlias = "SimCalls[Any]"
RINGS = 30.0
"""Seconds after which a call that nobody answered has failed."""

Tell = Callable[..., None]


def fingerprint_of(uin: Uin, key: int = 0) -> Fingerprint:
    """A made-up key; one person may have several, one after the other."""
    return Fingerprint(int(uin).to_bytes(16) + key.to_bytes(16))


class Exchange:
    """See the module's text. `delay`: seconds that a message takes."""

    def __init__(self, chance: random.Random, delay: float) -> None:
        self.chance = chance
        self.delay = delay
        self.online: dict[Uin, AnyCalls] = {}
        self.lines: list[Line] = []
        self._loop = asyncio.get_running_loop()

    def soon(self) -> float:
        return self.delay * (0.5 + self.chance.random())

    def ring(self, caller: AnyCalls, set_up: SimSetUp, to: Uin) -> None:
        self._loop.call_later(self.soon(), self._ring_at, caller, set_up, to)
        self._loop.call_later(RINGS, caller.failed, to, set_up)

    def refuse(self, caller: AnyCalls, set_up: SimSetUp, by: Uin) -> None:
        self._loop.call_later(self.soon(), caller.failed, by, set_up)

    def connect(self, caller: AnyCalls, callee: AnyCalls) -> None:
        """Lay a line; each end finds it there in its own time."""
        self.lines = [line for line in self.lines if not line.is_over]
        line = Line(self.chance, self.delay)
        self.lines.append(line)
        alpn = "uzel/2" if b"uzel/2" in caller.alpn and b"uzel/2" in callee.alpn else "uzel/1"
        for side, other, end in ((caller, callee, line.ends[0]), (callee, caller, line.ends[1])):
            side.connecting(other.uin)
            self._loop.call_later(self.soon(), side.open, other.uin, end, alpn, other.fingerprint)

    def _ring_at(self, caller: AnyCalls, set_up: SimSetUp, to: Uin) -> None:
        callee = self.online.get(to)
        if callee is None or caller.dead:
            self.refuse(caller, set_up, to)
        else:
            callee.rung(caller, set_up)


@dataclass(eq=False)
class SimSetUp:
    """A call that is being set up at one side."""

    outcome: asyncio.Future[object]
    connected: bool = False
    opening: asyncio.Task[None] | None = None


class SimData(DataConnection):
    """A data connection that needs no node and no TLS: it is there."""

    def __init__(self, end: End, alpn: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._gone = self._loop.create_future()
        self._conversation = None
        self._connected = True
        self.runner = Runner(self._loop, self)
        end.join(self.runner, alpn)


class SimCalls(Calls[Carried], Generic[Carried]):
    """Of `Calls`, the conversations; what goes on at the node is the exchange's. Without `pins` any key will do."""

    def __init__(
        self, exchange: Exchange, uin: Uin, extension: Extension[Carried], settings: ClientSettings, tell: Tell
    ) -> None:
        self.exchange = exchange
        self.uin = uin
        self.fingerprint = fingerprint_of(uin)
        self.pins: Pins | None = None
        self._pins = MemoryPins()
        self.alpn = tuple(extension.alpn)
        self.dead = False
        self.set_ups: dict[Uin, SimSetUp] = {}
        self.arriving: asyncio.Queue[ArrivedCall[Carried]] = asyncio.Queue()
        self._extension = extension
        self._settings = settings
        self._counters = Reasons()
        self._conversations: dict[Uin, Carried] = {}
        self._tasks = set()
        self._ends: list[End] = []
        self._tell = tell

    # -- What the client does ---------------------------------------------------------------------------------

    async def place(self, peer: Uin) -> Carried:
        """As `Calls.call`. Raises `UnavailableError` and whatever the set-up ends with."""
        running = self._conversations.get(peer)
        if running is not None and running.is_open:
            return running
        set_up = self.set_ups.get(peer)
        if set_up is None:
            set_up = self._new_set_up(peer)
            self._tell("calls", peer)
            self.exchange.ring(self, set_up, peer)
        return await self._stands(set_up)

    async def calls(self) -> AsyncIterator[ArrivedCall[Carried]]:
        """Calls that arrive."""
        while True:
            yield await self.arriving.get()

    def die(self) -> None:
        """The process is gone, in whatever it was."""
        self.dead = True
        self.exchange.online.pop(self.uin, None)
        for end in self._ends:
            end.sever()
        for task in list(self._tasks):
            task.cancel()

    # -- What the exchange says -------------------------------------------------------------------------------

    def rung(self, caller: AnyCalls, ring: SimSetUp) -> None:
        """Somebody calls."""
        own = self.set_ups.get(caller.uin)
        if ring.connected or (own is not None and own.connected):
            return  # the wish is being granted
        if own is not None:
            self.exchange.connect(caller, self)
        else:
            self._spawn(self._offer_call(caller, ring))

    def failed(self, peer: Uin, ring: SimSetUp) -> None:
        """Nobody answered, or somebody said no."""
        if self.set_ups.get(peer) is ring and not ring.connected:
            self._fail_with(peer, ring, UnavailableError(f"UIN {peer}"))

    def connecting(self, peer: Uin) -> None:
        """A line is being laid."""
        (self.set_ups.get(peer) or self._new_set_up(peer)).connected = True

    def open(self, peer: Uin, end: End, alpn: str, shown: Fingerprint) -> None:
        """A line is there, and the key that is shown at its other end."""
        if self.dead:
            end.sever()
            return
        self._ends = [each for each in self._ends if not each.lost]
        self._ends.append(end)
        set_up = self.set_ups.get(peer) or self._new_set_up(peer)
        set_up.connected = True
        if set_up.opening is not None:
            set_up.opening.cancel()
        set_up.opening = self._spawn(self._open_line(peer, set_up, SimData(end, alpn), shown))

    # -- Inside -----------------------------------------------------------------------------------------------

    def _new_set_up(self, peer: Uin) -> SimSetUp:
        set_up = self.set_ups[peer] = SimSetUp(asyncio.get_running_loop().create_future())
        return set_up

    async def _stands(self, set_up: SimSetUp) -> Carried:
        return cast("Carried", await asyncio.shield(set_up.outcome))

    async def _offer_call(self, caller: AnyCalls, ring: SimSetUp) -> None:
        running = self._conversations.get(caller.uin)
        if running is not None and await self._is_alive(running):
            self.exchange.refuse(caller, ring, self.uin)
            return

        async def accept() -> Carried:
            if caller.dead or ring.connected or caller.set_ups.get(self.uin) is not ring:
                raise UnavailableError(f"the call of UIN {caller.uin} is over")
            self.exchange.connect(caller, self)
            return await self._stands(self.set_ups[caller.uin])

        self.arriving.put_nowait(
            ArrivedCall(caller.uin, accept, lambda: self.exchange.refuse(caller, ring, self.uin), lambda: True)
        )

    async def _open_line(self, peer: Uin, set_up: SimSetUp, data: SimData, shown: Fingerprint) -> None:
        try:
            await self._secure(data)
            self._trust(peer, shown)
            conversation = await self._begin(data, peer, PeerTrust(peer, shown, False, False))
        except UzelError as error:
            await data.abort()
            self._fail_with(peer, set_up, error)
        except BaseException:
            data.runner.abort()
            raise
        else:
            self._let_go(peer, set_up)
            set_up.outcome.set_result(conversation)
            self.begun(conversation)

    async def _secure(self, data: SimData) -> None:
        """The handshake. Raises `ConversationEndedError`."""
        await asyncio.sleep(self.exchange.soon())
        if data.runner.is_closing and self.exchange.chance.random() < 0.7:  # else the goodbye came right behind it
            raise ConversationEndedError
        data.runner._secured = True
        data.runner.update()

    def _trust(self, peer: Uin, shown: Fingerprint) -> None:
        """The look at the key. Raises `PeerKeyChangedError`, `StorageError`."""
        if self.pins is None or (self.pins.peer(peer) is None and not self._extension.remembers(peer)):
            return
        try:
            self.pins.pin_peer(peer, shown, verified=False)
        except PeerKeyChangedError as error:
            error.shown = shown
            raise

    def begun(self, conversation: Carried) -> None:
        """A conversation stands."""

    def _fail_with(self, peer: Uin, set_up: SimSetUp, error: UzelError) -> None:
        self._let_go(peer, set_up)
        if not set_up.outcome.done():
            set_up.outcome.set_exception(error)
            set_up.outcome.exception()

    def _let_go(self, peer: Uin, set_up: SimSetUp) -> None:
        if self.set_ups.get(peer) is set_up:
            del self.set_ups[peer]

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
