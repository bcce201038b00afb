"""Faults planted into the switchboard, to see that the checkers find them: the checkers are checked.

Each is a switchboard with one thing wrong in it, made by replacing a method of its parts; nothing in the product knows
of it. Counterpart: test_sim, which demands that every one is found within 1,000 seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uzel.node.call_record import CallRecord, pair_of
from uzel.node.effects import Pause
from uzel.node.link import Link
from uzel.node.switchboard import Switchboard
from uzel.session.calls import CallState
from uzel.wire import Message, NoConversation, RelayedData


class LastDataDropped(Switchboard):
    """The last D0 that waits when a conversation ends is lost before its B8."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        plant(self._links, "output", self._output)

    def _output(self, sound: Callable[..., Message | None], connection: int, now: float) -> Message | None:
        message = sound(connection, now)
        link = self._links.get(connection)
        if isinstance(message, RelayedData) and link is not None:
            flow = link.queue._flows.get(pair_of(message.sender, message.recipient))
            if flow is not None and isinstance(flow.messages[0], NoConversation):
                return sound(connection, now)
        return message


class WrongPair(Switchboard):
    """Now and then a D0 is given to another conversation of the same link."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._count = 0
        plant(self._calls, "relayed", self._relayed)

    def _relayed(
        self, sound: Callable[..., None], link: Link, sender: int, recipient: int, data: bytes, now: float
    ) -> None:
        self._count += 1
        for number in link.calls:
            call = self._calls._book.numbered(number)
            if (
                self._count % 4 == 0
                and call is not None
                and call.state is CallState.RELAYING
                and call.here != recipient
            ):
                sender, recipient = call.there, call.here
                break
        sound(link, sender, recipient, data, now)


class NoRingTimer(Switchboard):
    """A call may ring for ever."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        plant(self._calls._steps._ringing, "set", lambda sound, number, now: None)


class NoDataTimer(Switchboard):
    """A data connection is awaited for ever."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        plant(self._calls._steps._awaiting_data, "set", lambda sound, number, now: None)


class NoFence(Switchboard):
    """A B8 that ends something is followed by nothing."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        plant(self._links._pings, "raise_fence", lambda sound, link, pair, now: None)


class LeakedCall(Switchboard):
    """Of a call that another node refused, something is kept."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        plant(self._calls._book, "remove", self._remove)

    def _remove(self, sound: Callable[..., None], call: CallRecord) -> None:
        sound(call)
        if call.away and call.ready_at == 0.0:
            self._calls._book._by_number[call.number] = call


class OtherLinkObeyed(Switchboard):
    """A B8 counts from whichever link it comes."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        plant(self._calls, "no_conversation", self._no_conversation)

    def _no_conversation(self, sound: Callable[..., None], link: Link, one: int, other: int, now: float) -> None:
        call = self._calls._book.main(pair_of(one, other))
        sound(call.link if call is not None and call.link is not None else link, one, other, now)


class HeldForEver(Switchboard):
    """What a client does not take is kept, however much it is."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        plant(self._calls.streams, "_enforce", lambda sound, stream, now: None)


class NeverPaused(Switchboard):
    """A client is read however much of it waits for the link."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        plant(self._calls.streams, "received", self._received)

    def _received(self, sound: Callable[..., None], connection: int, data: bytes) -> None:
        sound(connection, data)
        self._context.effects = [each for each in self._context.effects if not isinstance(each, Pause)]


class Unfair(Switchboard):
    """The conversation that was served last is served next."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        plant(self._links, "output", self._output)

    def _output(self, sound: Callable[..., Message | None], connection: int, now: float) -> Message | None:
        link = self._links.get(connection)
        if link is not None and link.queue._flows:
            link.queue._flows.move_to_end(next(reversed(link.queue._flows)), last=False)
        return sound(connection, now)


FAULTS: dict[str, type[Switchboard]] = {
    "the last D0 dropped before B8": LastDataDropped,
    "D0 to the wrong pair": WrongPair,
    "a ring timer never set": NoRingTimer,
    "a data timer never set": NoDataTimer,
    "the fence left out": NoFence,
    "a leaked call": LeakedCall,
    "B8 obeyed from another link": OtherLinkObeyed,
    "no bound on held bytes": HeldForEver,
    "a client never paused": NeverPaused,
    "no turns among conversations": Unfair,
}


def plant(part: object, name: str, faulty: Callable[..., object]) -> None:
    """Replace a method of this object; the faulty one gets the sound one as its first argument."""
    sound = getattr(part, name)
    assert callable(sound)
    setattr(part, name, lambda *arguments, **named: faulty(sound, *arguments, **named))
