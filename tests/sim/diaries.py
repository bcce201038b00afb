"""What happens in each kind of run: who calls whom, and what comes between. Every choice comes from the seed.

A diary writes into the stage what is to happen when. Counterparts: `stage`, where it happens; `mishaps`; `hostile`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sim.hostile import Hostile, Malice
from sim.mishaps import MISHAPS
from sim.stage import PORT, Stage
from sim.talk import Plan
from uzel.names import NodeAddress, NodeReference
from uzel.wire import Accept, Call, Message, NodeListRequest, Refuse

NOBODY = 999_999
"""A UIN that no user has."""


def _plan(stage: Stage, most: int = 20_000) -> Plan:
    chance = stage.chance
    sizes = (0, 10, 3000, most)
    return Plan(
        caller_sends=chance.choice(sizes),
        callee_sends=chance.choice(sizes),
        record=chance.choice((200, 1500, 8000)) if most <= 20_000 else 8000,
        ends=chance.random() < 0.5,
        how=chance.choice(("sent", "sent", "received", "later", "reset")),
        after=chance.choice((0.0, 0.1, 1.0, 12.0)),
    )


def _call(stage: Stage, span: float, plan: Plan | None = None) -> None:
    chance = stage.chance
    caller, callee = chance.sample(stage.people, 2)
    uin = callee.uin if chance.random() < 0.95 else NOBODY
    stage.at(stage.some_time(span), caller.wish, uin, plan or _plan(stage))


def _calls(stage: Stage, count: int, span: float) -> None:
    for _ in range(count):
        _call(stage, span)


def _give_up(stage: Stage, span: float) -> None:
    """Call, think better of it, and perhaps call again at once."""
    chance = stage.chance
    caller, callee = chance.sample(stage.people, 2)
    when = stage.some_time(span)
    stage.at(when, caller.wish, callee.uin, _plan(stage))
    stage.at(when + chance.choice((0.0, 0.05, 0.3, 2.0)), caller.give_up, callee.uin)
    if chance.random() < 0.5:
        stage.at(when + 0.4 + chance.random() * 3, caller.wish, callee.uin, _plan(stage))


def _move(stage: Stage, span: float) -> None:
    chance = stage.chance
    person, node = chance.choice(stage.people), chance.choice(stage.nodes)
    when = stage.some_time(span)

    def move() -> None:
        in_order = chance.random() < 0.7
        if not in_order:
            stage.checks.left_silently(person)
        person.leave(in_order=in_order, notice=chance.choice((0.1, 20.0, None)))
        stage.world.after(chance.choice((0.0, 0.5, 5.0)), person.go_online, node)

    stage.at(when, move)


def _again(stage: Stage) -> None:
    """Conversations that end in the middle and begin again at once, from either side."""
    chance = stage.chance
    for _ in range(chance.choice((1, 2, 3))):
        plan: Plan | None = None
        for _ in range(chance.choice((1, 2, 4))):
            plan = Plan(
                caller_sends=chance.choice((0, 2000, 40_000)),
                callee_sends=chance.choice((0, 2000, 40_000)),
                record=chance.choice((1000, 8000)),
                ends=chance.random() < 0.5,
                how=chance.choice(("sent", "later", "later", "reset")),
                after=chance.choice((0.0, 0.02, 0.1, 0.3)),
                again=chance.choice((0.0, 0.0, 0.01, 0.1, 1.0)),
                by_ender=chance.random() < 0.6,
                next=plan or _plan(stage),
            )
        _call(stage, 10.0, plan)
    _calls(stage, 2, 20.0)


def _calm(stage: Stage) -> None:
    _calls(stage, stage.chance.choice((4, 8, 12)), 40.0)
    if stage.chance.random() < 0.4:
        _give_up(stage, 30.0)
    for _ in range(stage.chance.choice((0, 0, 4))):
        _rude(stage, 40.0)


def _rude(stage: Stage, span: float) -> None:
    """Somebody sends what is not its turn, or knocks for others. It hurts nobody but its own calls."""
    chance = stage.chance
    person, other = chance.sample(stage.people, 2)
    one = chance.choice(stage.people)

    def speak() -> None:
        stage.checks.trouble(person.uin, other.uin, "rudeness")
        stage.checks.spoil(person.uin, other.uin)
        message: Message
        for message in chance.sample(
            (Accept(other.uin), Refuse(other.uin), Call(other.uin), Call(0), Call(person.uin), NodeListRequest(b"!!")),
            chance.choice((1, 2, 5)),
        ):
            person.say(message)

    when = stage.some_time(span)
    if chance.random() < 0.5 or one in {person, other}:
        stage.at(when, speak)
    else:  # while the other two set up a call
        stage.at(when, one.wish, other.uin, _plan(stage))
        for _ in range(4):
            stage.at(when + chance.random(), person.knock, one.uin, other.uin)


def _glare(stage: Stage) -> None:
    """Both call each other, within the time that a message takes."""
    chance = stage.chance
    for round_ in range(chance.choice((2, 4))):
        one, other = chance.sample(stage.people, 2)
        when = stage.begins + round_ * 15.0
        apart = chance.choice((0.0, 0.001, 0.02, 0.1, 0.4))
        stage.at(when, one.wish, other.uin, _plan(stage))
        stage.at(when + apart, other.wish, one.uin, _plan(stage))
    _calls(stage, 2, 20.0)


def _slow(stage: Stage) -> None:
    """Some do not read as fast as others write."""
    chance = stage.chance
    for _ in range(4):
        slow = chance.choice((1000.0, 4000.0, 50_000.0))
        plan = replace(_plan(stage, 60_000), caller_sends=60_000, how=chance.choice(("sent", "received", "later")))
        if chance.random() < 0.7:
            plan = replace(plan, reads_callee=slow)
        if chance.random() < 0.3:
            plan = replace(plan, reads_caller=slow)
        _call(stage, 5.0, plan)
    _calls(stage, 4, 30.0)


def _busy(stage: Stage) -> None:
    """Much at once over one slow link, and small texts beside it."""
    chance = stage.chance
    bulk = Plan(
        caller_sends=24_000, callee_sends=24_000, record=chance.choice((1000, 4000)), ends=chance.random() < 0.5
    )
    for _ in range(5):
        _call(stage, 1.0, replace(bulk, how=chance.choice(("sent", "received")), ends=chance.random() < 0.5))
    for _ in range(4):
        _call(stage, 4.0, replace(_plan(stage, 10), record=200))


def _moves(stage: Stage) -> None:
    _calls(stage, 8, 60.0)
    for _ in range(stage.chance.choice((1, 3, 5))):
        _move(stage, 50.0)
    if stage.chance.random() < 0.4:
        _give_up(stage, 40.0)


def _faults(stage: Stage) -> None:
    _calls(stage, 10, 60.0)
    for _ in range(stage.chance.choice((1, 2, 4))):
        stage.at(stage.some_time(50.0), stage.chance.choice(MISHAPS), stage)


def _add_hostile(stage: Stage, malice: Malice) -> None:
    number = len(stage.hostiles) + 1
    hostile = Hostile(stage.world, f"h{number}", (f"20.66.{number}.1",), PORT, malice)
    hostile.victims = stage.nodes
    hostile.users = [person.uin for person in stage.people]
    stage.hostiles.append(hostile)
    stage.checks.hostile += 1
    stage.checks.lying = True
    if stage.chance.random() < 0.3:
        stage.nodes[0].peers.append(NodeReference(NodeAddress(hostile.hosts[0], PORT)))
    stage.world.at(1.0 + stage.chance.random() * 4, hostile.start)


def _claims(stage: Stage) -> None:
    """One node says that it has everyone; all calls succeed all the same, within three tries."""
    chance = stage.chance
    asked = chance.choice(("ready", "ready only", "ready, no", "no", "silence", "late no"))
    _add_hostile(stage, Malice(found="here", hints=chance.random() < 0.5, asked=asked, pings=chance.random() < 0.8))
    stage.checks.hostile_is_fair = True
    for number in range(chance.choice((2, 4))):
        caller, callee = chance.sample(stage.people, 2)
        stage.at(stage.begins + number * 5.0, caller.wish, callee.uin, _plan(stage, 3000))


def _hostile(stage: Stage) -> None:
    chance = stage.chance
    _calls(stage, 7, 40.0)
    for _ in range(3):
        _call(stage, 30.0, replace(_plan(stage), how="later", after=12.0))
    if chance.random() < 0.3:
        _again(stage)
    for _ in range(chance.choice((1, 1, 2))):
        codes = ("B8", "B8", "D0", "AB", "AA", "A5", "A9")
        malice = Malice(
            found=chance.choice(("here", "elsewhere", "never")),
            hints=chance.random() < 0.3,
            asked=chance.choice(("ready", "ready only", "ready, no", "no", "silence", "late no")),
            pings=chance.random() < 0.7,
            lists=chance.choice(("truth", "lies", "never")),
            spam=tuple(chance.sample(codes, chance.choice((0, 1, 1, 2, 4)))),
            every=chance.choice((0.05, 0.3, 2.0)),
            stalls=chance.choice((None, None, None, 10.0)),
            loops=chance.choice((None, None, None, 3.0)),
        )
        _add_hostile(stage, malice)


def _mixed(stage: Stage) -> None:
    for diary in stage.chance.sample((_again, _calm, _glare, _slow, _busy, _moves, _faults, _hostile), 3):
        diary(stage)


DIARIES: dict[str, Callable[[Stage], None]] = {
    "calm": _calm,
    "again": _again,
    "glare": _glare,
    "slow": _slow,
    "busy": _busy,
    "moves": _moves,
    "faults": _faults,
    "claims": _claims,
    "hostile": _hostile,
    "mixed": _mixed,
}
