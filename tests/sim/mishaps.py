"""What befalls the network: connections that break, partitions, nodes that crash and come back, or stop in good order.

Each is a function of the stage, done at its time. The checkers are told of every one (`disturb`), so that they do not
ask for what nobody can keep. Counterpart: `diaries`, which chooses when.
"""

from __future__ import annotations

import random

from sim.stage import Stage


def _notice(chance: random.Random) -> float | None:
    """How long until one end of a dead connection knows; None: it must find out by itself."""
    return chance.choice((0.01, 0.3, 3.0, 25.0, None))


def cut_link(stage: Stage) -> None:
    chance = stage.chance
    ends = [end for node in stage.nodes if node.up for end in node.links.values()]
    if ends:
        end = chance.choice(ends)
        stage.world.tell("FAULT", "cuts link", end.id, "to", end.other)
        stage.checks.disturb()
        end.break_apart(_notice(chance), _notice(chance))


def cut_data(stage: Stage) -> None:
    chance = stage.chance
    lines = [line for node in stage.nodes for line in node.desk.lines]
    if lines:
        line = chance.choice(lines)
        stage.world.tell("FAULT", "cuts data connection", line.hello.caller, line.hello.callee)
        stage.checks.disturb()
        line.break_apart(chance.choice((0.01, 1.0, 40.0)), chance.choice((0.01, 1.0, 40.0)))


def cut_control(stage: Stage) -> None:
    chance = stage.chance
    person = chance.choice(stage.people)
    home = person.home
    if home is not None:
        stage.checks.left_silently(person)
        person.leave(in_order=False, notice=_notice(chance))
        stage.world.after(chance.choice((0.1, 5.0)), person.go_online, home)


def partition(stage: Stage) -> None:
    chance, world = stage.chance, stage.world
    names = [node.name for node in stage.nodes]
    some = chance.sample(names, chance.randrange(1, len(names)))
    paths = world.paths_between(some, [name for name in names if name not in some])
    world.tell("FAULT", "partition:", *some)
    stage.checks.disturb()
    for path in paths:
        path.blocked = True
    lasts = chance.choice((1.0, 10.0, 60.0, 120.0))
    stage.ends = max(stage.ends, world.now + lasts)

    def heal() -> None:
        world.tell("FAULT", "heals")
        stage.checks.disturb()
        for path in paths:
            path.heal()

    world.after(lasts, heal)


def crash(stage: Stage) -> None:
    chance, world = stage.chance, stage.world
    node = chance.choice(stage.nodes)
    if not node.up:
        return
    stage.checks.disturb()
    quick = chance.random() < 0.6
    node.crash(lambda: 0.05 if quick else _notice(chance))
    if chance.random() < 0.3:
        node.known.clear()
    lasts = chance.choice((0.1, 2.0, 20.0))
    stage.ends = max(stage.ends, world.now + lasts)

    def restart() -> None:
        stage.checks.disturb()
        if not node.up:
            node.start()

    world.after(lasts, restart)


def stop(stage: Stage) -> None:
    """A node stops as it should: it drains, and is gone some seconds later."""
    node = stage.chance.choice(stage.nodes)
    stage.checks.disturb()
    node.drain()
    lasts = stage.chance.choice((0.5, 5.0))

    def gone() -> None:
        stage.checks.disturb()
        if node.up:
            node.crash(lambda: 0.05)

    def back() -> None:
        stage.checks.disturb()
        if not node.up:
            node.start()

    stage.world.after(lasts, gone)
    stage.world.after(lasts + 2.0, back)
    stage.ends = max(stage.ends, stage.world.now + lasts + 2.0)


MISHAPS = (cut_link, cut_link, cut_data, cut_control, partition, crash, crash, stop)
