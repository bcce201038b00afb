"""What happens in a run, all chosen from its seed: who is there, what they say, and everything that goes wrong.

First trouble, for some minutes; then calm: disks have room, everybody is up, online and let in, and nothing breaks any
more. Then everything that was accepted has to arrive, within the time that the outbox takes at most.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from sim.story import Violation
from sim_core.base_peer import BasePeer
from sim_core.checks import Checks
from sim_core.exchange import Exchange
from sim_core.loop import SimLoop
from sim_core.person import Manners, Person, SimTalks
from uzel.core.settings import DeliveryBounds
from uzel.names import Uin

KINDS = ("breaks", "keys", "crashes", "disks", "strangers", "quarrels", "clocks", "older", "base", "everything")
PATIENCE = 3 * 3600.0
"""Seconds of calm within which everything has arrived: who was not let in is tried hourly."""
IDLE = 600.0
"""Seconds within which a conversation ends in which nothing is said: five times what the outbox allows."""
_SPANS = (5.0, 60.0, 300.0)
_LOOKS = (5.0, 30.0, 120.0, 300.0, 600.0, 1200.0)


@dataclass(eq=False)
class Stage:
    """One run."""

    seed: int
    kind: str
    loop: SimLoop
    chance: random.Random
    checks: Checks
    talks: type[SimTalks]
    people: list[Person] = field(default_factory=list)
    base: BasePeer | None = None
    span: float = 0.0
    said: int = 0

    def has(self, *kinds: str) -> bool:
        return self.kind in {*kinds, "everything"}

    def some(self, most: int, action: Callable[[], object]) -> None:
        """Let this happen so many times at most, at moments of the troubled time."""
        for _ in range(self.chance.randrange(most + 1)):
            self.loop.call_later(self.chance.random() * self.span, self._do, action)

    def _do(self, action: Callable[[], object]) -> None:
        result = action()
        if isinstance(result, Coroutine):
            self.loop.create_task(result)

    def text(self) -> str:
        """Another text, now and then one that is too long to knock with."""
        self.said += 1
        return f"text {self.said}." + (" and more" * 150 if self.chance.random() < 0.05 else "")


def build(seed: int, talks: type[SimTalks], kind: str) -> Stage:
    loop = SimLoop()
    chance = random.Random(seed)
    return Stage(seed, kind or chance.choice(KINDS), loop, chance, Checks(loop), talks)


def play(stage: Stage) -> None:
    """Raises `Violation`, and whatever breaks."""
    try:
        stage.loop.play(stage.loop.create_task(_story(stage)))
    finally:
        _end(stage)


async def _story(stage: Stage) -> None:
    exchange = Exchange(stage.chance, stage.chance.choice((0.002, 0.03, 0.3)))
    stage.span = stage.chance.choice(_SPANS)
    _gather(stage, exchange)
    for person in stage.people:
        await person.wake()
    _trouble(stage, exchange)
    await asyncio.sleep(stage.span)
    await _calm(stage)
    await _everything_arrives(stage)
    if stage.seed % 4 == 0:
        await _nobody_talks(stage)
    stage.checks.all_is_well()
    if stage.base is not None:
        stage.base.check(stage.people[0])


def _gather(stage: Stage, exchange: Exchange) -> None:
    chance = stage.chance
    names = ("ann", "bob", "cid") if chance.random() < 0.5 else ("ann", "bob")
    for uin, name in enumerate(names, 1):
        slowest = chance.choice((0.0, 0.01, 0.2, 2.0))
        window = chance.choice((60, 300, 512 * 1024))
        bounds = DeliveryBounds(take=chance.choice((1, 3, 256)), keep=chance.choice((1, 2, 256)))
        person = Person(
            name, Uin(uin), stage.loop, stage.checks, exchange, Manners(slowest, window, bounds), stage.talks
        )
        stage.people.append(person)
        stage.checks.people[person.uin] = person
    for person in stage.people:
        for other in stage.people:
            is_stranger = stage.has("strangers") and person is not stage.people[0] and chance.random() < 0.6
            if other is not person and not is_stranger:
                person.add_contact(other.uin)
            elif is_stranger and chance.random() < 0.4:
                other.add_contact(person.uin, person.make_invite(chance))
    if stage.has("base"):
        stage.base = BasePeer(Uin(9), exchange, stage.checks)
        stage.people[0].add_contact(stage.base.uin)


def _trouble(stage: Stage, exchange: Exchange) -> None:
    chance, people = stage.chance, stage.people
    for person in people:
        for other in people:
            if other is not person:
                stage.some(8, lambda person=person, other=other: person.say(other.uin, stage.text()))  # type: ignore[misc]
        if chance.random() < 0.4:
            stage.some(4, lambda person=person: person.take_back(chance))  # type: ignore[misc]
        if stage.has("crashes", "older"):
            stage.some(4, lambda person=person: _restart(stage, person))  # type: ignore[misc]
        if stage.has("disks"):
            stage.some(3, lambda person=person: _fill(stage, person))  # type: ignore[misc]
        if stage.has("strangers"):
            stage.some(4, lambda person=person: _befriend(stage, person))  # type: ignore[misc]
        if stage.has("quarrels"):
            stage.some(3, lambda person=person: _quarrel(stage, person))  # type: ignore[misc]
        if stage.has("keys"):
            stage.some(2, lambda person=person: _change_key(stage, person))  # type: ignore[misc]
            stage.some(4, person.accept_keys)
        if stage.has("clocks"):
            stage.some(4, lambda person=person: _jump(stage, person))  # type: ignore[misc]
            stage.some(2, lambda person=person: _restart(stage, person))  # type: ignore[misc]
        if stage.has("breaks"):
            stage.some(2, lambda person=person: _away(stage, person))  # type: ignore[misc]
    stage.some(8, lambda: _cut(stage, exchange))
    if (base := stage.base) is not None:
        stage.some(10, lambda: people[0].say(base.uin, stage.text()))
        stage.some(6, lambda: base.say(people[0].uin, stage.text()))


def _cut(stage: Stage, exchange: Exchange) -> None:
    lines = [line for line in exchange.lines if not line.is_over]
    if lines:
        stage.checks.story.tell(stage.loop.time(), "-", "a line breaks")
        stage.chance.choice(lines).cut()


async def _restart(stage: Stage, person: Person) -> None:
    person.crash()
    if stage.has("older"):
        person.envelopes = stage.chance.random() < 0.5
    await asyncio.sleep(stage.chance.random() * stage.chance.choice((0.1, 20.0)))
    await person.wake()


async def _change_key(stage: Stage, person: Person) -> None:
    """Its core shows another key from now on; or one that it had before, as somebody in between might."""
    person.crash()
    person.key = stage.chance.randrange(3)
    stage.checks.story.tell(stage.loop.time(), person.name, "has the key", person.key)
    await asyncio.sleep(stage.chance.random() * 5)
    await person.wake()


async def _fill(stage: Stage, person: Person) -> None:
    stage.checks.story.tell(stage.loop.time(), person.name, "has a full disk")
    person.disk.is_full = True
    await asyncio.sleep(stage.chance.random() * stage.chance.choice((0.1, 2.0, 40.0)))
    stage.checks.story.tell(stage.loop.time(), person.name, "has space again")
    person.disk.is_full = False


async def _befriend(stage: Stage, person: Person) -> None:
    other = stage.chance.choice([each for each in stage.people if each is not person])
    await person.befriend(other.uin, by_link=stage.chance.random() < 0.3)


async def _quarrel(stage: Stage, person: Person) -> None:
    """Somebody is blocked for a while, or removed and perhaps made a contact again."""
    chance = stage.chance
    other = chance.choice([each for each in stage.people if each is not person]).uin
    removes, pause = chance.random() < 0.4, chance.random() * chance.choice((0.1, 2.0, 30.0))
    await (person.remove(other) if removes else person.block(other, blocked=True))
    await asyncio.sleep(pause)
    if removes:
        await person.befriend(other, by_link=True)
    else:
        await person.block(other, blocked=False)


def _jump(stage: Stage, person: Person) -> None:
    person.clock = stage.chance.choice((1, 2, 3, 1000, 1_000_000))
    stage.checks.story.tell(stage.loop.time(), person.name, "has the clock at", person.clock)


async def _away(stage: Stage, person: Person) -> None:
    if (life := person.awake) is not None:
        life.go_offline()
        await asyncio.sleep(stage.chance.random() * 20)
        life.go_online()


async def _calm(stage: Stage) -> None:
    stage.checks.story.tell(stage.loop.time(), "-", "calm")
    for person in stage.people:
        person.disk.is_full = False
    await asyncio.sleep(41.0)  # whoever is away, or waits with a restart, is back
    for person in stage.people:
        person.disk.is_full = False
        if not person.envelopes:
            person.envelopes = True
            person.crash()
        await person.wake()
        for other in stage.people:
            if other is not person:
                await person.befriend(other.uin, by_link=False)
                await person.befriend(other.uin, by_link=True)
                await person.block(other.uin, blocked=False)


async def _everything_arrives(stage: Stage) -> None:
    until = stage.loop.time() + PATIENCE
    for look in (*_LOOKS, PATIENCE):
        await asyncio.sleep(min(look, max(0.0, until - stage.loop.time())))
        for person in stage.people:
            await person.accept_keys()
        if all(_is_quiet(person) for person in stage.people) and (stage.base is None or stage.base.is_quiet()):
            return
    for person in stage.people:
        if not _is_quiet(person):
            waiting = person.disk.tables.texts.chats_waiting()
            raise Violation(f"{person.name} is not done after hours: texts wait for {waiting}")
    raise Violation("base is not done after hours")


async def _nobody_talks(stage: Stage) -> None:
    """A conversation in which nothing is said does not stay."""
    await asyncio.sleep(IDLE)
    for person in stage.people:
        if person.awake is not None and person.awake._talks.open:
            raise Violation(f"{person.name} keeps a conversation open in which nothing is said")


def _is_quiet(person: Person) -> bool:
    life = person.awake
    return life is not None and not person.disk.tables.texts.chats_waiting() and life.is_quiet()


def _end(stage: Stage) -> None:
    """Let go of everything, whatever is still running."""
    for person in stage.people:
        person.crash()
    loop = stage.loop
    loop.set_exception_handler(lambda *_: None)
    for _ in range(3):
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.call_soon(loop.stop)
        loop.run_forever()
    loop.close()
    for person in stage.people:
        person.disk.db.close()
