"""What counts as said in a conversation."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from uzel.client.login import token
from uzel.client.reasons import Reasons
from uzel.core.carriers import BaseCarrier
from uzel.core.conversation import Effect
from uzel.core.settings import CoreSettings
from uzel.core.talk import Talk
from uzel.identity import PeerTrust
from uzel.names import Fingerprint, Uin
from uzel.net.runner import Runner
from uzel.session.conversation import WINDOW_BASE, ConversationMachine, IncomingText, Ponged
from uzel.session.envelopes import Hello
from uzel.session.keepalive import KeepaliveTimes
from uzel.session.unreported import Unreported


class Desk:
    """Counts what it hears."""

    heards = 0

    def carry_out(self, talk: Talk, effects: list[Effect]) -> None:
        """Nothing is done here."""

    def said_hello(self, talk: Talk, hello: Hello) -> None:
        """Nobody does."""

    def heard(self, talk: Talk) -> None:
        self.heards += 1


def a_talk(desk: Desk) -> Talk:
    unreported = Unreported()
    machine = ConversationMachine(unreported, KeepaliveTimes(), token, 0.0)
    runner: Any = SimpleNamespace(engine=SimpleNamespace(summary=None), is_closing=False, update=lambda: None)
    peer = PeerTrust(Uin(7), Fingerprint(bytes(32)), verified=False, first_use=False)
    carrier = BaseCarrier(machine, unreported, WINDOW_BASE)
    return Talk(
        cast("Runner", runner), peer, carrier, desk, CoreSettings(), counters=Reasons(), on_ended=lambda _: None
    )


def test_a_pong_is_nothing_said() -> None:
    """Both sides ping a quiet conversation: would that count, it would never be idle."""

    async def story() -> None:
        desk = Desk()
        talk = a_talk(desk)
        talk.on_events([Ponged(b"ab")])
        assert desk.heards == 0
        talk.on_events([Ponged(b"ab"), IncomingText("hello")])
        assert desk.heards == 1

    asyncio.run(story())
