"""The runs: a seed chooses a kind, a stage and a diary; `play` lets it happen, waits until all is quiet, and looks."""

from __future__ import annotations

import random

from sim.checks import Checks
from sim.diaries import DIARIES
from sim.shell import Build
from sim.stage import Stage, lay_paths, make_nodes, make_people
from sim.talk import Plan
from sim.world import World
from uzel.node.switchboard import Switchboard

KINDS = {
    "calm": 16,
    "again": 16,
    "glare": 8,
    "slow": 6,
    "busy": 8,
    "moves": 10,
    "faults": 14,
    "claims": 10,
    "hostile": 12,
    "mixed": 8,
}
"""How often each kind of run is chosen."""
RECOVERS = frozenset({"moves", "faults", "hostile", "mixed"})
"""Kinds of run after which, all being well again, everybody must get through to everybody."""
MESHES = frozenset({"calm", "again", "glare", "slow", "busy"})
REST = 190.0
"""Seconds after the last thing that happened until all must be quiet: every call, and the ends of conversations."""
WELL_AGAIN = 75.0
"""Seconds after the last lie until searches are answered truly: everyone is asked once a minute."""


def build(seed: int, switchboard: Build = Switchboard, kind: str = "") -> Stage:
    """The federation of this seed; `switchboard` makes the nodes' switchboards."""
    chance = random.Random(seed)
    kind = kind or chance.choices(list(KINDS), list(KINDS.values()))[0]
    world = World(seed)
    stage = Stage(kind, world, Checks(world), chance)
    world.tell("SEED", seed, kind)
    lay_paths(stage)
    make_nodes(stage, switchboard)
    make_people(stage)
    DIARIES[kind](stage)
    return stage


def play(stage: Stage) -> None:
    """Let it happen. Raises `Violation`."""
    world, checks = stage.world, stage.checks
    world.run(stage.ends)
    if stage.kind in RECOVERS:
        _end_lies(stage)
        world.run(max(world.now, checks.calm_from) + 1.0)
        _final_round(stage)
        world.run(world.now + 40.0)
    _end_lies(stage)
    world.run(world.now + REST)
    for _ in range(30):
        if not any(node.dials for node in stage.nodes):
            break
        world.run(world.now + 1.0)
    checks.at_rest()
    if stage.kind in MESHES and stage.meshes:
        checks.look_at_mesh()


def _end_lies(stage: Stage) -> None:
    """The hostile nodes go away for good; wait until what they said no longer counts."""
    if stage.checks.lying:
        for hostile in stage.hostiles:
            hostile.stop()
        stage.world.run(stage.world.now + WELL_AGAIN)
        stage.checks.lying = False


def _final_round(stage: Stage) -> None:
    """After all that happened, everybody can talk to everybody again."""
    for person in stage.people:
        others = [each for each in stage.people if each is not person]
        person.wish(stage.chance.choice(others).uin, Plan(caller_sends=500, callee_sends=500))
