"""A peer that speaks the base protocol alone: the product's own base client, without a core (D27).

It keeps what it has not got a report for, sends that first in the next conversation, and calls again until nothing is
left. What it hears it writes down, then reports. It never crashes: what it holds is in memory.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

from sim.story import Violation
from sim_core.exchange import Exchange, SimCalls
from uzel.client.conversation import BaseProtocol, Conversation
from uzel.client.settings import ClientSettings
from uzel.errors import ConversationEndedError, UzelError
from uzel.names import Uin
from uzel.store.records import TextState

if TYPE_CHECKING:
    from sim_core.checks import Checks
    from sim_core.person import Person


class _BaseCalls(SimCalls[Conversation]):
    peer: BasePeer

    def begun(self, conversation: Conversation) -> None:
        self._spawn(self.peer.talk(conversation))


class BasePeer:
    """See the module's text."""

    name = "base"

    def __init__(self, uin: Uin, exchange: Exchange, checks: Checks) -> None:
        self.uin = uin
        self.heard: dict[Uin, list[str]] = defaultdict(list)
        self.said: dict[Uin, list[str]] = defaultdict(list)
        self._waiting: dict[Uin, list[str]] = defaultdict(list)
        self._open: dict[Uin, Conversation] = {}
        self._checks = checks
        self._loop = asyncio.get_running_loop()
        self._protocol = BaseProtocol(ClientSettings())
        self._calls = _BaseCalls(exchange, uin, self._protocol, ClientSettings(), self.tell)
        self._calls.peer = self
        exchange.online[uin] = self._calls
        self._calls._spawn(self._answer())
        self._calls._spawn(self._call_again())

    def tell(self, *what: object) -> None:
        self._checks.story.tell(self._loop.time(), self.name, *what)

    def say(self, to: Uin, text: str) -> None:
        self.said[to].append(text)
        self._waiting[to].append(text)
        self._let_out(to)

    def is_quiet(self) -> bool:
        """Everything was reported."""
        return not any(self._waiting.values()) and not any(self._protocol._unreported.values())

    async def talk(self, conversation: Conversation) -> None:
        """Until it ends."""
        peer = conversation.peer.uin
        self._open[peer] = conversation
        self._let_out(peer)
        async for text in conversation:
            self.heard[peer].append(text.text)
            self.tell("hears", text.text[:12], "of", peer)
            await asyncio.sleep(self._calls.exchange.soon())
            text.acknowledge()
        if self._open.get(peer) is conversation:
            del self._open[peer]

    def _let_out(self, to: Uin) -> None:
        conversation, waiting = self._open.get(to), self._waiting[to]
        while conversation is not None and waiting:
            try:
                conversation.reply(waiting[0])
            except ConversationEndedError:
                return
            del waiting[0]

    async def _answer(self) -> None:
        async for call in self._calls.calls():
            self._calls._spawn(self._try(call.accept()))

    async def _call_again(self) -> None:
        while True:
            await asyncio.sleep(1 + 4 * self._calls.exchange.chance.random())
            for peer in sorted({*self._waiting, *self._protocol._unreported}):
                if self._waiting[peer] or self._protocol._unreported.get(peer):
                    self._calls._spawn(self._try(self._calls.place(peer)))

    @staticmethod
    async def _try(wish: object) -> None:
        try:
            await wish  # type: ignore[misc]  # an awaitable of a conversation, whichever
        except UzelError:
            return

    # -- At the end -------------------------------------------------------------------------------------------

    def check(self, person: Person) -> None:
        """Both ways at least once, first arrivals in order."""
        own = [text for text in person.texts() if text.chat == self.uin]
        heard = list(dict.fromkeys(self.heard[person.uin]))
        said = [text.text for text in own if (person.uin, text.id) not in self._checks.again]
        for text in own:
            if text.state is TextState.DELIVERED and text.text not in heard:
                raise Violation(f"base never heard {text.text[:12]!r} of {person.name}, which is marked delivered")
        there = list(dict.fromkeys(self._checks.heard(person, self.uin)))
        if there != self.said[person.uin]:
            raise Violation(f"{person.name} has {there} of base, not {self.said[person.uin]}")
        if (first := [text for text in heard if text in said]) != [text for text in said if text in heard]:
            raise Violation(f"base heard the texts of {person.name} in another order: {first}")
