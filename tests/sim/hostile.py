"""Nodes that lie, stall, flood, or answer with nothing: scripted at the level of messages.

A hostile node keeps to the framing and to nothing else. What it does is drawn from its manners and the seed. It never
writes what a client wrote, so that the checkers know its bytes: all of them are EE. Counterpart: the honest nodes of
`shell`, which must not mind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.lines import LinkEnd
from sim.world import Dialling, Place, World
from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress, Range
from uzel.wire import (
    Address,
    CallReady,
    CallRequest,
    FoundHere,
    FoundInCache,
    Message,
    NoConversation,
    NodeAnnouncement,
    NodeList,
    NodeListRequest,
    Ping,
    Pong,
    RelayedData,
    Search,
    encode,
)

EVERYWHERE = frozenset({Range.PUBLIC, Range.PRIVATE, Range.LOOPBACK, Range.LINK_LOCAL})
ENOUGH = 400
"""Spontaneous messages of one hostile node."""


@dataclass(frozen=True, slots=True)
class Malice:
    """The manners of one hostile node.

    found: to A5: "here", "elsewhere" (A9 with some address), "never". hints: A8 unasked for everyone.
    asked: to AA: "ready" (AB, then EE to whatever comes), "ready only", "ready, no", "no", "silence", "late no".
    pings, lists: answers 68; answers 90 ("truth", "lies", "never").
    spam: what it says unasked, of "B8", "D0", "AB", "AA", "A5", "A9". every: seconds between two such.
    stalls: stops reading after so many seconds. loops: closes and opens its links, so many seconds apart.
    """

    found: str = "here"
    hints: bool = False
    asked: str = "ready"
    pings: bool = True
    lists: str = "truth"
    spam: tuple[str, ...] = ()
    every: float = 1.0
    stalls: float | None = None
    loops: float | None = None


class Hostile:
    """See the module's text. `victims` are the honest nodes, `users` their users."""

    def __init__(self, world: World, name: str, hosts: tuple[str, ...], port: int, malice: Malice) -> None:
        self.world = world
        self.name = name
        self.hosts = hosts
        self.port = port
        self.malice = malice
        self.fingerprint = Fingerprint(name.encode().ljust(32, b"!"))
        self.up = True
        self.victims: Sequence[Place] = ()
        self.users: Sequence[int] = ()
        self._links: list[LinkEnd] = []
        self._said = 0
        world.listen(self)
        world.story.name(self.fingerprint, name)

    def start(self) -> None:
        """Dial everyone, begin."""
        self._dial_all()
        self.world.after(1.0, self._mischief)
        if self.malice.loops is not None:
            self.world.after(self.malice.loops, self._loop)

    def stop(self) -> None:
        """Leave for good."""
        self.up = False
        for end in self._links:
            end.close()
        self._links.clear()

    # -- Links ------------------------------------------------------------------------------------------------

    def _dial_all(self) -> None:
        for victim in self.victims:
            dialling = Dialling(self, self._dialled)
            self.world.dial(dialling, NodeAddress(victim.hosts[0], victim.port), EVERYWHERE)

    def _dialled(self, end: LinkEnd | None, host: str, other: Fingerprint | None, reason: Reason | None) -> None:
        if end is not None:
            self._adopt(end)
            self._say(end, NodeAnnouncement(self.port))
            self._say(end, NodeListRequest(b"??"))

    def link_opened(self, end: LinkEnd, host: str, other: Fingerprint) -> None:
        """Somebody dialled it."""
        self._adopt(end)

    def _adopt(self, end: LinkEnd) -> None:
        end.owner = self
        self._links.append(end)
        if self.malice.hints:
            for uin in self.users:
                self._say(end, FoundHere(uin))
        if self.malice.stalls is not None:
            self.world.after(self.malice.stalls, self._stall, end)

    def link_gone(self, end: LinkEnd, reason: Reason | None) -> None:
        """A link ended."""
        self._links.remove(end)

    def _stall(self, end: LinkEnd) -> None:
        end.peer.out.stalled = True

    def _loop(self) -> None:
        if not self.up or self.malice.loops is None:
            return
        for end in self._links:
            end.close()
        self._links.clear()
        self._dial_all()
        self.world.after(self.malice.loops, self._loop)

    def _say(self, end: LinkEnd, message: Message) -> None:
        if end.is_open:
            self.world.tell(self.name, "to", end.other, message)
            end.out.send(message, len(encode(message)))

    def _say_later(self, end: LinkEnd, message: Message, delay: float) -> None:
        self.world.after(delay, self._say, end, message)

    # -- Answers ----------------------------------------------------------------------------------------------

    def link_arrived(self, end: LinkEnd, message: Message) -> None:
        """An honest node says something."""
        malice = self.malice
        match message:
            case Ping(token=token):
                if malice.pings:
                    self._say(end, Pong(token))
            case NodeListRequest():
                if malice.lists != "never":
                    self._say(end, NodeList(self._lies() if malice.lists == "lies" else ()))
            case Search(uin=uin):
                if malice.found == "here":
                    self._say(end, FoundHere(uin))
                elif malice.found == "elsewhere":
                    self._say(end, FoundInCache(uin, self._some_address()))
            case CallRequest():
                self._asked(end, message)
            case RelayedData():
                if malice.asked == "ready":
                    self._say(end, RelayedData(message.recipient, message.sender, b"\xee" * 40))

    def _asked(self, end: LinkEnd, request: CallRequest) -> None:
        pair = (request.caller, request.callee)
        asked = self.malice.asked
        if asked.startswith("ready"):
            self._say_later(end, CallReady(*pair), self.world.random.random())
            if asked == "ready, no":
                self._say_later(end, NoConversation(*pair), 1.0 + self.world.random.random() * 2)
        elif asked == "no":
            self._say(end, NoConversation(*pair))
        elif asked == "late no":
            self._say_later(end, NoConversation(*pair), self.world.random.random() * 30)

    # -- Unasked ----------------------------------------------------------------------------------------------

    def _mischief(self) -> None:
        malice = self.malice
        if not self.up:
            return
        if malice.spam and self._links and self._said < ENOUGH:
            chance = self.world.random
            end = chance.choice(self._links)
            for _ in range(chance.choice((1, 1, 2, 8))):
                self._said += 1
                self._say(end, self._lie(chance.choice(malice.spam)))
        self.world.after(malice.every * (0.5 + self.world.random.random()), self._mischief)

    def _lie(self, code: str) -> Message:
        chance = self.world.random
        one, other = chance.sample(list(self.users), 2)
        match code:
            case "B8":
                return NoConversation(one, other)
            case "D0":
                return RelayedData(one, other, b"\xee" * chance.choice((0, 1, 40, 3000)))
            case "AB":
                return CallReady(one, other)
            case "AA":
                return CallRequest(chance.choice((one, 7_000_000 + chance.randrange(50))), other)
            case "A5":
                return Search(chance.choice((one, 0, 7_000_000)))
            case "A9":
                return FoundInCache(one, self._some_address())
        raise AssertionError(code)

    def _some_address(self) -> Address:
        chance = self.world.random
        victim = chance.choice(self.victims)
        return chance.choice(
            (
                Address(self.hosts[0], self.port),
                Address(victim.hosts[0], victim.port),
                Address("20.9.9.9", 9000 + chance.randrange(50)),
                Address("127.0.0.1", 8935),
                Address("10.0.0.1", 8935),
                Address("nobody.example", 8935),
                Address(victim.hosts[0], 0),
            )
        )

    def _lies(self) -> tuple[Address, ...]:
        return tuple(self._some_address() for _ in range(self.world.random.choice((1, 10, 100))))
