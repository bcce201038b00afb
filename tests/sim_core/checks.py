"""What holds in every run of cores: at every step what goes out was committed before, and at the end nothing is lost.

The disks are the truth: what they hold outlived every crash. Between Uzels every text that was accepted, and not taken
back, is in the other history exactly once, and first arrivals are in the order of their numbers. A text that ever went
as 30 has no id over there, so it is there at least once; so is one that went under two keys, for ids are remembered by
key. Nothing goes to a contact who showed another key, and nothing is taken, until that key is accepted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from sim.story import Story, Violation
from sim_core.loop import SimLoop
from uzel.core.conversation import Outgoing
from uzel.identity import PeerTrust
from uzel.names import Uin
from uzel.store.records import TextRecord, TextState

if TYPE_CHECKING:
    from sim_core.person import Person

WAITS = {TextState.QUEUED, TextState.SENDING}


class Checks:
    """The checker of one run; its story as well."""

    def __init__(self, loop: SimLoop) -> None:
        self.story = Story()
        self._loop = loop
        self.people: dict[Uin, Person] = {}
        self._accepted: dict[Uin, dict[bytes, str]] = defaultdict(dict)
        self._sent_as: dict[tuple[Uin, bytes], set[int]] = defaultdict(set)
        self._sent_under: dict[tuple[Uin, bytes], set[int]] = defaultdict(set)
        self._reported: Counter[tuple[Uin, Uin, str]] = Counter()
        self.again: set[tuple[Uin, bytes]] = set()
        """Texts that were sent once, taken back and tried again: they have another place in the outbox than before."""

    # -- At every step ----------------------------------------------------------------------------------------

    def accepted(self, person: Person, record: TextRecord) -> None:
        """The person was told that this text is safe."""
        self._accepted[person.uin][record.id] = record.text

    def sends(self, person: Person, peer: Uin, text: Outgoing, code: int) -> None:
        """A text leaves. It may have been given up in the same moment, with its receiver."""
        record = person.disk.tables.texts.get(text.number)
        if record is None or record.state not in {TextState.SENDING, TextState.FAILED} or record.sent_as != code:
            self._wrong(person, f"sends {text.number} as {code:x} before that is committed: {record and record.state}")
        before = self._sent_as[person.uin, text.id]
        if code == 0x30 and 0x31 in before:
            self._wrong(person, f"sends {text.number} as 30, which went as 31")
        before.add(code)
        self._sent_under[person.uin, text.id].add(person.key)
        if self._is_stopped(person, peer):
            self._wrong(person, f"sends {text.number} to {peer}, who showed another key")

    def reports(self, person: Person, trust: PeerTrust, key: Any) -> None:
        """A report leaves."""
        peer = trust.uin
        if self._is_stopped(person, peer):
            self._wrong(person, f"takes a text of {peer}, who showed another key")
        if isinstance(key, bytes):
            if not person.disk.tables.texts.has_seen(trust.fingerprint, key):
                self._wrong(person, "reports what is not committed")
            return
        reported = self._reported
        reported[person.uin, peer, key.text] += 1
        sql = "SELECT count(*) FROM texts WHERE chat = ? AND outgoing = 0 AND text = ?"
        if person.disk.db.execute(sql, (peer, key.text)).fetchone()[0] < reported[person.uin, peer, key.text]:
            self._wrong(person, "reports a text that is not committed")

    @staticmethod
    def _is_stopped(person: Person, peer: Uin) -> bool:
        contact = None if person.life is None else person.life.ledger.people.get(peer)
        return contact is not None and contact.stopped is not None

    # -- At the end -------------------------------------------------------------------------------------------

    def all_is_well(self) -> None:
        """When all is quiet."""
        for person in self.people.values():
            own = person.texts()
            for text in own:
                self._settled(person, text)
            there = {text.id: text.text for text in own}
            for text_id, said in self._accepted[person.uin].items():
                if there.get(text_id) != said:
                    self._wrong(person, f"lost the text {said!r}, which was accepted")
            for peer in {text.chat: None for text in own}:
                if peer in self.people:
                    self._arrived(person, self.people[peer], [text for text in own if text.chat == peer])
            if knocks := person.disk.tables.people.knocks.all():
                self._wrong(person, f"still has a request of {knocks[0].uin}, who is a contact")

    def _settled(self, person: Person, text: TextRecord) -> None:
        if text.state in WAITS:
            self._wrong(person, f"{text.number} to {text.chat} is still {text.state}")

    def _arrived(self, person: Person, peer: Person, texts: list[TextRecord]) -> None:
        """What this person said to that one, and what is in that one's history."""
        heard = self.heard(peer, person.uin)
        times = Counter(heard)
        for text in texts:
            name = (person.uin, text.id)
            once = 0x30 not in self._sent_as[name] and len(self._sent_under[name]) < 2
            if times[text.text] > 1 and once:
                self._wrong(peer, f"has {text.text[:12]!r} of {person.name} {times[text.text]} times")
            if text.state is TextState.DELIVERED and not times[text.text]:
                self._wrong(peer, f"does not have {text.text[:12]!r} of {person.name}, which is marked delivered")
        if strange := set(times) - {text.text for text in texts}:
            self._wrong(peer, f"has {min(strange)!r}, which {person.name} never said")
        in_order = [text.text for text in texts if (person.uin, text.id) not in self.again]
        self._order(peer, person, in_order, list(dict.fromkeys(heard)))

    def _order(self, peer: Person, person: Person, said: list[str], heard: list[str]) -> None:
        place = {text: number for number, text in enumerate(said)}
        places = [place[text] for text in heard if text in place]
        if places != sorted(places):
            self._wrong(
                peer, f"has the texts of {person.name} in another order: {[said[each][:12] for each in places]}"
            )

    @staticmethod
    def heard(person: Person, of: Uin) -> list[str]:
        sql = "SELECT text FROM texts WHERE chat = ? AND outgoing = 0 ORDER BY number"
        return [text for (text,) in person.disk.db.execute(sql, (of,))]

    def _wrong(self, person: Person, what: str) -> None:
        violation = Violation(f"{person.name} {what}")
        self._loop.fail(violation)  # also where whoever asked would swallow it
        raise violation
