"""What happens in a run, chosen from its seed: the network, the people, and what befalls them.

A `Stage` is the whole federation; `build` sets it up and writes its diary (what is to happen when), `play` lets it
happen, waits until all is quiet, and has the checkers look. Every choice comes from the seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sim.checks import Checks
from sim.hostile import Hostile, Malice
from sim.lines import Path
from sim.people import Manners, Person
from sim.shell import Build, SimNode
from sim.talk import Plan
from sim.world import World
from uzel.names import NodeAddress, NodeReference
from uzel.node.limits import Rate
from uzel.node.settings import LinkSettings, SearchSettings, SwitchboardSettings
from uzel.node.switchboard import Switchboard
from uzel.session.redial import RedialTimes
from uzel.wire import Accept, Call, Message, NodeListRequest, Refuse

KINDS = {
    "calm": 16,
    "again": 16,
    "glare": 8,
    "slow": 6,
    "moves": 10,
    "faults": 14,
    "claims": 10,
    "hostile": 12,
    "mixed": 8,
}
PORT = 8935
_BAD_MANNERS = (("refuse", "opens"), ("ignore", "opens"), ("accept", "never"), ("accept", "mute"))
NOBODY = 999_999
"""A UIN that no user has."""
REST = 190.0
"""Seconds after the last thing that happened until all must be quiet: every call, and the ends of conversations."""


@dataclass(slots=True, eq=False)
class Stage:
    """One federation, and what is going to happen to it."""

    kind: str
    world: World
    checks: Checks
    chance: random.Random
    nodes: list[SimNode] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    hostiles: list[Hostile] = field(default_factory=list)
    meshes: bool = True
    begins: float = 6.0
    ends: float = 0.0

    def at(self, when: float, action: Callable[..., object], *arguments: object) -> None:
        """Write it into the diary."""
        self.ends = max(self.ends, when)
        self.world.at(when, action, *arguments)

    def some_time(self, span: float) -> float:
        """A moment within so many seconds of the beginning."""
        return self.begins + self.chance.random() * span


def build(seed: int, switchboard: Build = Switchboard, kind: str = "") -> Stage:
    """The federation of this seed; `switchboard` makes the nodes' switchboards."""
    chance = random.Random(seed)
    kind = kind or chance.choices(list(KINDS), list(KINDS.values()))[0]
    world = World(seed)
    stage = Stage(kind, world, Checks(world), chance)
    world.tell("SEED", seed, kind)
    _lay_paths(stage)
    _make_nodes(stage, switchboard)
    _make_people(stage)
    _DIARIES[kind](stage)
    return stage


def play(stage: Stage) -> None:
    """Let it happen. Raises `Violation`."""
    world, checks = stage.world, stage.checks
    world.run(stage.ends)
    if stage.kind in {"moves", "faults", "mixed"}:
        world.run(max(stage.ends, checks.calm_from) + 1.0)
        _final_round(stage)
        world.run(world.now + 40.0)
    for hostile in stage.hostiles:
        hostile.stop()
    world.run(world.now + REST)
    for _ in range(30):
        if not any(node.dials for node in stage.nodes):
            break
        world.run(world.now + 1.0)
    checks.at_rest()
    if stage.kind in {"calm", "again", "glare", "slow"} and world.now > 200.0 and stage.meshes:
        checks.look_at_mesh()


def _final_round(stage: Stage) -> None:
    """After all that happened, everybody can talk to everybody again."""
    for person in stage.people:
        others = [each for each in stage.people if each is not person]
        person.wish(stage.chance.choice(others).uin, Plan(caller_sends=500, callee_sends=500))


# -- The network ----------------------------------------------------------------------------------------------


def _lay_paths(stage: Stage) -> None:
    chance, world = stage.chance, stage.world
    world.link_buffer = chance.choice((1500, 4096, 16384, 65536))
    slowest = chance.choice((40_000, 200_000, 2_000_000))

    def new_path(one: str, other: str) -> Path:
        if one.startswith("u") or other.startswith("u"):
            return Path(world.random, delay=chance.choice((0.0005, 0.01, 0.08)), jitter=0.0)
        return Path(
            world.random,
            delay=chance.choice((0.001, 0.02, 0.15)),
            jitter=chance.choice((0.0, 0.5, 3.0)),
            rate=chance.choice((slowest, 2_000_000)),
            spike=chance.choice((0.0, 0.02)),
        )

    world.new_path = new_path


def _settings(stage: Stage) -> SwitchboardSettings:
    chance = stage.chance
    links = LinkSettings(redial=RedialTimes(last=chance.choice((10.0, 60.0))))
    settings = SwitchboardSettings(links=links)
    if stage.kind == "slow" or chance.random() < 0.3:
        links = replace(links, flow=chance.choice((4096, 16384)), queue=500, fences=64, idle=40.0)
        settings = replace(settings, links=links, held_per_conversation=24_000, held_in_all=50_000)
    if chance.random() < 0.2:
        settings = replace(settings, ring=20.0, data=5.0, every_call=100.0)
    if chance.random() < 0.2:
        settings = replace(settings, search=SearchSettings(cached=20.0, hinted=60.0, hint_refresh=30.0))
    if chance.random() < 0.1:
        settings = replace(settings, links=replace(settings.links, kept=1, learned_dials=Rate(60, 3)))
        stage.meshes = False
    return settings


def _make_nodes(stage: Stage, switchboard: Build) -> None:
    chance, world, checks = stage.chance, stage.world, stage.checks
    settings = _settings(stage)
    count = chance.choice((2, 2, 3, 3, 4)) if stage.kind != "claims" else chance.choice((2, 3))
    for number in range(1, count + 1):
        hosts = [f"20.{number}.1.1"]
        if chance.random() < 0.2:
            hosts.append(f"2a00:{number}::1")
        node = SimNode(world, checks, f"n{number}", tuple(hosts), PORT, settings, switchboard)
        world.names[f"n{number}.example"] = node.hosts
        stage.nodes.append(node)
    checks.nodes = stage.nodes
    shape = chance.choice(("full", "full", "star", "chain"))
    stage.begins = 6.0 if shape == "full" else 40.0
    for number, node in enumerate(stage.nodes):
        for other in _peers(stage.nodes, number, shape):
            host = other.hosts[0] if chance.random() < 0.8 else f"{other.name}.example"
            pinned = other.fingerprint if chance.random() < 0.2 else None
            node.peers.append(NodeReference(NodeAddress(host, PORT), pinned))
        if chance.random() < 0.05:  # itself, by mistake
            node.peers.append(NodeReference(NodeAddress(node.hosts[0], PORT)))
        world.at(chance.random(), node.start)


def _peers(nodes: list[SimNode], number: int, shape: str) -> list[SimNode]:
    if shape == "star":
        return nodes[:1] if number else []
    if shape == "chain":
        return nodes[number - 1 : number] if number else []
    return [each for each in nodes if each is not nodes[number]]


def _make_people(stage: Stage) -> None:
    chance, world, checks = stage.chance, stage.world, stage.checks
    few = stage.kind in {"again", "glare", "claims"}
    uins = chance.sample(range(1, 500), chance.choice((2, 3, 4)) if few else chance.choice((3, 4, 5, 6)))
    for number, uin in enumerate(uins):
        manners = Manners("accept", chance.choice((0.0, 0.05, 0.5, 3.0)))
        if not few and chance.random() < 0.25:
            answer, data = chance.choice(_BAD_MANNERS)
            manners = replace(manners, answer=answer, data=data)
        person = Person(world, checks, checks.people, uin, f"198.51.100.{number}", manners)
        checks.people[uin] = person
        stage.people.append(person)
        node = stage.nodes[number] if number < 2 else chance.choice(stage.nodes)
        world.at(2.0 + chance.random() * 2, person.go_online, node)


# -- What people do -------------------------------------------------------------------------------------------


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

    def knock() -> None:
        if person not in {one, other}:
            person.knock(one.uin, other.uin)

    stage.at(stage.some_time(span), chance.choice((speak, knock)))


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
    for _ in range(3):
        slow = chance.choice((1000.0, 4000.0, 50_000.0))
        plan = replace(_plan(stage, 60_000), caller_sends=60_000, how=chance.choice(("sent", "received", "later")))
        if chance.random() < 0.7:
            plan = replace(plan, reads_callee=slow)
        if chance.random() < 0.3:
            plan = replace(plan, reads_caller=slow)
        _call(stage, 10.0, plan)
    _calls(stage, 4, 30.0)


def _moves(stage: Stage) -> None:
    _calls(stage, 8, 60.0)
    for _ in range(stage.chance.choice((1, 3, 5))):
        _move(stage, 50.0)
    if stage.chance.random() < 0.4:
        _give_up(stage, 40.0)


# -- What befalls the network ---------------------------------------------------------------------------------


def _notice(chance: random.Random) -> float | None:
    """How long until one end of a dead connection knows; None: it must find out by itself."""
    return chance.choice((0.01, 0.3, 3.0, 25.0, None))


def _cut_link(stage: Stage) -> None:
    chance = stage.chance
    ends = [end for node in stage.nodes if node.up for end in node.links.values()]
    if ends:
        end = chance.choice(ends)
        stage.world.tell("FAULT", "cuts link", end.id, "to", end.other)
        stage.checks.disturb()
        end.break_apart(_notice(chance), _notice(chance))


def _cut_data(stage: Stage) -> None:
    chance = stage.chance
    lines = [line for node in stage.nodes for line in (*node.data.values(), *node.bridged.values())]
    lines += [line for node in stage.nodes for relay in node.relays.values() for line in relay.lines]
    if lines:
        line = chance.choice(lines)
        stage.world.tell("FAULT", "cuts data connection", line.hello.caller, line.hello.callee)
        stage.checks.disturb()
        line.break_apart(chance.choice((0.01, 1.0, 40.0)), chance.choice((0.01, 1.0, 40.0)))


def _cut_control(stage: Stage) -> None:
    chance = stage.chance
    person = chance.choice(stage.people)
    home = person.home
    if home is not None:
        stage.checks.left_silently(person)
        person.leave(in_order=False, notice=_notice(chance))
        stage.world.after(chance.choice((0.1, 5.0)), person.go_online, home)


def _partition(stage: Stage) -> None:
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


def _crash(stage: Stage) -> None:
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


def _stop(stage: Stage) -> None:
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


_FAULTS = (_cut_link, _cut_link, _cut_data, _cut_control, _partition, _crash, _crash, _stop)


def _faults(stage: Stage) -> None:
    _calls(stage, 10, 60.0)
    for _ in range(stage.chance.choice((1, 2, 4))):
        stage.at(stage.some_time(50.0), stage.chance.choice(_FAULTS), stage)


# -- Hostile nodes --------------------------------------------------------------------------------------------


def _add_hostile(stage: Stage, malice: Malice) -> None:
    number = len(stage.hostiles) + 1
    hostile = Hostile(stage.world, f"h{number}", (f"20.66.{number}.1",), PORT, malice)
    hostile.victims = stage.nodes
    hostile.users = [person.uin for person in stage.people]
    stage.hostiles.append(hostile)
    stage.checks.hostile += 1
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
    for diary in stage.chance.sample((_again, _calm, _glare, _slow, _moves, _faults, _hostile), 3):
        diary(stage)


_DIARIES: dict[str, Callable[[Stage], None]] = {
    "calm": _calm,
    "again": _again,
    "glare": _glare,
    "slow": _slow,
    "moves": _moves,
    "faults": _faults,
    "claims": _claims,
    "hostile": _hostile,
    "mixed": _mixed,
}
