"""The stage of a run: the network, the nodes and the people, all chosen from the seed. What then happens: `diaries`."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sim.checks import Checks
from sim.hostile import Hostile
from sim.lines import Path
from sim.people import Manners, Person
from sim.shell import Build, SimNode
from sim.world import World
from uzel.names import NodeAddress, NodeReference
from uzel.node.limits import Rate
from uzel.node.settings import LinkSettings, SearchSettings, SwitchboardSettings
from uzel.session.redial import RedialTimes

PORT = 8935
_BAD_MANNERS = (("refuse", "opens"), ("ignore", "opens"), ("accept", "never"), ("accept", "mute"))


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


def lay_paths(stage: Stage) -> None:
    chance, world = stage.chance, stage.world
    world.link_buffer = chance.choice((1500, 4096, 16384, 65536))
    slowest = chance.choice((40_000, 200_000, 2_000_000))
    fastest = 2_000_000
    if stage.kind == "busy":
        slowest = fastest = 50_000
        world.link_buffer = 1500

    def new_path(one: str, other: str) -> Path:
        if one.startswith("u") or other.startswith("u"):
            return Path(world.random, delay=chance.choice((0.0005, 0.01, 0.08)), jitter=0.0)
        if one.startswith("h") and chance.random() < 0.7:  # liars answer first
            return Path(world.random, delay=0.001)
        return Path(
            world.random,
            delay=chance.choice((0.001, 0.02, 0.15)),
            jitter=chance.choice((0.0, 0.5, 3.0)),
            rate=chance.choice((slowest, fastest)),
            spike=chance.choice((0.0, 0.02)),
        )

    world.new_path = new_path


def _settings(stage: Stage) -> SwitchboardSettings:
    chance = stage.chance
    links = LinkSettings(redial=RedialTimes(last=chance.choice((10.0, 60.0))))
    settings = SwitchboardSettings(links=links)
    if stage.kind == "slow" or chance.random() < 0.3:
        links = replace(links, flow=chance.choice((4096, 16384)), queue=500, fences=64, idle=40.0)
        settings = replace(settings, links=links, held_per_conversation=24_000, held_in_all=30_000)
    if stage.kind == "hostile" and chance.random() < 0.4:
        links = replace(settings.links, queue=chance.choice((60, 200)), fences=16)
        settings = replace(settings, links=links, link_calls=Rate(60, 10))
    if chance.random() < 0.2:
        settings = replace(settings, ring=20.0, data=5.0, every_call=100.0)
    if stage.kind == "claims" and chance.random() < 0.6:  # what was told at login is forgotten by then
        settings = replace(settings, search=SearchSettings(hinted=2.0))
    elif chance.random() < 0.2:
        settings = replace(settings, search=SearchSettings(cached=20.0, hinted=60.0, hint_refresh=30.0))
    if chance.random() < 0.1:
        settings = replace(settings, links=replace(settings.links, kept=1, learned_dials=Rate(60, 3)))
        stage.meshes = False
    return settings


def make_nodes(stage: Stage, switchboard: Build) -> None:
    chance, world, checks = stage.chance, stage.world, stage.checks
    settings = _settings(stage)
    count = chance.choice({"claims": (2, 3), "busy": (2,)}.get(stage.kind, (2, 2, 3, 3, 4)))
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


def make_people(stage: Stage) -> None:
    chance, world, checks = stage.chance, stage.world, stage.checks
    few = stage.kind in {"again", "glare", "claims", "busy"}
    count = 6 if stage.kind == "busy" else chance.choice((2, 3, 4)) if few else chance.choice((3, 4, 5, 6))
    uins = chance.sample(range(1, 500), count)
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
