"""Tells a switchboard a story and reads what it does: events in, effects out."""

from __future__ import annotations

from uzel.errors import Reason
from uzel.names import Fingerprint
from uzel.node.effects import Close, EndRelay, Hold, Join, Note, Send
from uzel.node.settings import SwitchboardSettings
from uzel.node.switchboard import Switchboard
from uzel.wire import Accept, Call, DataHello, Message, Refuse, Unavailable

A, B, C = 11, 22, 33


class Story:
    """Clients are on control connections of the same number; data connections are numbered from 1000."""

    def __init__(self, settings: SwitchboardSettings | None = None) -> None:
        self.switchboard = Switchboard(
            settings or SwitchboardSettings(), Fingerprint(bytes(32)), tokens=lambda: b"rr", chance=lambda: 0.5
        )
        self.now = 0.0
        self.sent: list[tuple[int, Message]] = []
        self.closed: dict[int, Reason | None] = {}
        self.held: list[int] = []
        self.joined: list[Join] = []
        self.relays_ended: list[int] = []
        self.notes: list[Note] = []
        self._data = 1000

    def online(self, *uins: int, network: str = "10.0.0.1") -> None:
        for uin in uins:
            self.switchboard.client_online(uin, uin, network, self.now)
        self.read()

    def say(self, uin: int, message: Message) -> None:
        self.switchboard.client_message(uin, message, self.now)
        self.read()

    def call(self, caller: int, callee: int) -> None:
        self.say(caller, Call(callee))

    def accept(self, callee: int, caller: int) -> None:
        self.say(callee, Accept(caller))

    def refuse(self, callee: int, caller: int) -> None:
        self.say(callee, Refuse(caller))

    def data(self, caller: int, callee: int, network: str = "10.0.0.1") -> int:
        self._data += 1
        self.switchboard.data_hello(self._data, DataHello(caller, callee), network, self.now)
        self.read()
        return self._data

    def offline(self, uin: int) -> None:
        self.switchboard.client_offline(uin, self.now)
        self.read()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.switchboard.on_timeout(self.now)
        self.read()

    def converse(self, caller: int, callee: int) -> Join:
        self.call(caller, callee)
        self.accept(callee, caller)
        self.data(caller, callee)
        self.data(caller, callee)
        self.take()
        return self.joined[-1]

    def read(self) -> None:
        for effect in self.switchboard.take_effects():
            match effect:
                case Send():
                    self.sent.append((effect.connection, effect.message))
                case Close():
                    self.closed[effect.connection] = effect.reason
                case Hold():
                    self.held.append(effect.connection)
                case Join():
                    self.joined.append(effect)
                case EndRelay():
                    self.relays_ended.append(effect.call)
                case Note():
                    self.notes.append(effect)

    def take(self) -> list[tuple[int, Message]]:
        sent, self.sent = self.sent, []
        return sent

    def told_unavailable(self) -> set[tuple[int, int]]:
        return {(to, message.uin) for to, message in self.take() if isinstance(message, Unavailable)}

    def reasons(self) -> set[Reason]:
        return {note.reason for note in self.notes if note.reason is not None}

    def is_quiet(self) -> bool:
        counts = self.switchboard.counts()
        return not any(counts[name] for name in ("calls", "data_waiting", "call_timers"))
