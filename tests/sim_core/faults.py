"""Faults planted into a core, to see that the checks find them: the checkers are checked.

Each is a `Talks` with one thing wrong in it, or in what it works with; nothing in the product knows of it. Counterpart:
test_sim_core, which demands that every one is found within 1,000 seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sim_core.person import SimTalks
from uzel.core import works
from uzel.core.carriers import ENVELOPE_CODE
from uzel.core.conversation import Effect, Outgoing, Settle, Take, Taken
from uzel.core.gate import Gate
from uzel.core.talk import Talk
from uzel.names import Fingerprint, Uin
from uzel.store.records import TextRecord
from uzel.store.tables import Tables


class ReportedTooSoon(SimTalks):
    """What arrived is reported when the disk is asked, not when it has answered."""

    def _do(self, talk: Talk, work: Any, done: Any, failed: Any) -> None:
        if getattr(work, "func", None) is works.keep:
            super()._do(talk, work, lambda _: None, lambda: None)
            self._loop.call_soon(_answer, talk, done, None)
        else:
            super()._do(talk, work, done, failed)


class SentTooSoon(SimTalks):
    """What is taken from the outbox is sent before the commit that says so."""

    def _do(self, talk: Talk, work: Any, done: Any, failed: Any) -> None:
        if getattr(work, "func", None) is not works.take:
            super()._do(talk, work, done, failed)
            return
        disk, taken = self.life.person.disk, []
        with suppress(_TakenBackError), disk.transaction():
            taken.append(work(disk.tables))
            raise _TakenBackError
        super()._do(talk, work, lambda _: None, lambda: None)
        self._loop.call_soon(_answer, talk, done, taken[0])


def _answer(talk: Talk, done: Callable[[Any], None], result: object) -> None:
    done(result)
    talk.update()


class _TakenBackError(Exception):
    """Undo it."""


class NoDedupe(SimTalks):
    """An id that came before is a new text."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        texts = self._ledger.writer._tables.texts
        changes = texts._changes

        def sees(sql: str, values: Any) -> bool:
            return changes(sql, values) or sql.strip().startswith("INSERT INTO seen")

        texts._changes = sees  # type: ignore[method-assign]


class IdsOfAll(SimTalks):
    """An id that anybody used counts for everybody."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        texts = self._ledger.writer._tables.texts
        sound = texts.receive

        def receive(chat: Uin, fingerprint: Fingerprint, text_id: bytes, *rest: Any) -> TextRecord | None:
            if texts._db.execute("SELECT 1 FROM seen WHERE id = ?", (text_id,)).fetchone():
                texts._changes("INSERT INTO seen VALUES (?, ?, NULL) ON CONFLICT DO NOTHING",
                               (texts._sender(fingerprint), text_id))  # fmt: skip
                return None
            return sound(chat, fingerprint, text_id, *rest)

        texts.receive = receive  # type: ignore[method-assign,assignment]


class NotTakenAnew(SimTalks):
    """The next conversation goes on behind what the last one took."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._last: dict[Uin, Talk] = {}

    def begin(self, *arguments: Any) -> Talk:
        talk = super().begin(*arguments)
        last = self._last.get(talk.peer.uin)
        if last is not None:
            talk.delivery._last = last.delivery._last
        self._last[talk.peer.uin] = talk
        return talk


class EnvelopesForgotten(SimTalks):
    """What went as 31 goes as 30 to a peer that speaks less now."""

    def carry_out(self, talk: Talk, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Take):
                self._do(talk, self._take(talk, effect), talk.delivery.taken, lambda: None)
        super().carry_out(talk, [effect for effect in effects if not isinstance(effect, Take)])

    @staticmethod
    def _take(talk: Talk, wanted: Take) -> Callable[[Tables], Taken]:
        peer, code = talk.peer.uin, talk.carrier.code

        def work(tables: Tables) -> Taken:
            taken = works.take(tables, peer, wanted, ENVELOPE_CODE, 0)
            if code != ENVELOPE_CODE:
                tables.texts._db.executemany(
                    "UPDATE texts SET sent_as = ? WHERE number = ?", [(code, text.number) for text in taken.texts]
                )
            return taken

        return work


class StoredAfterFailure(SimTalks):
    """What could not be stored is left out, and the conversation goes on."""

    def begin(self, *arguments: Any) -> Talk:
        talk = super().begin(*arguments)
        delivery = talk.delivery

        def goes_on() -> None:
            delivery._keeping = ()
            delivery._keep()

        delivery.keep_failed = goes_on  # type: ignore[method-assign]
        return talk


class SentWhileStopped(SimTalks):
    """A contact who showed another key is let in with the one that is pinned, before the person has decided."""

    def begin(self, *arguments: Any) -> Talk:
        talk = super().begin(*arguments)
        if talk.peer.uin in self._ledger.people and talk.peer.uin not in self._ledger.blocked:
            talk.delivery.judged(Gate.OPEN)
        return talk


class LostWithTheKey(SimTalks):
    """With the old key what waited for it is forgotten."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        people, texts = (tables := self._ledger.writer._tables).people, tables.texts
        unstop = people.unstop

        def forgets(uin: Uin) -> bool:
            texts._db.execute("DELETE FROM texts WHERE chat = ? AND state = 'queued'", (uin,))
            return unstop(uin)

        people.unstop = forgets  # type: ignore[method-assign]


class DeliveredOnceSent(SimTalks):
    """A text that was sent is marked delivered."""

    def begin(self, *arguments: Any) -> Talk:
        talk = super().begin(*arguments)
        send = talk.carrier.send

        def sends(text: Outgoing) -> None:
            send(text)
            super(DeliveredOnceSent, self).carry_out(talk, [Settle((text.number,), ())])

        talk.carrier.send = sends  # type: ignore[method-assign]
        return talk


FAULTS: dict[str, type[SimTalks]] = {
    "a report before the commit": ReportedTooSoon,
    "a text sent before its marking is committed": SentTooSoon,
    "no dedupe": NoDedupe,
    "ids not kept per peer": IdsOfAll,
    "reorder after a reconnect": NotTakenAnew,
    "a resend as 30 of what was sent as 31": EnvelopesForgotten,
    "something stored after a failure to store": StoredAfterFailure,
    "marked delivered when sent": DeliveredOnceSent,
    "texts for a contact who is stopped": SentWhileStopped,
    "what waited lost with the old key": LostWithTheKey,
}
