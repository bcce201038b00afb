"""Plays a script of faults while two people talk, waits until everything is mended and said, and looks what there is.

Nothing here decides what is right (`checks`). Time is only waited for where the script says so; what must come about is
waited for with patience. Counterparts: `schedule`, `faults`, `speaking`; `run`, the command.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from chaos import faults
from chaos.checks import Answer, delivered_ids, of_a_look, of_one_way, received_ids
from chaos.schedule import Act, draw
from chaos.speaking import Speaker
from chaos.stage import Side, Stage
from e2e.netns_processes import Field
from uzel.errors import StorageError

PATIENCE = 180.0
"""Seconds until everything that waits must be delivered, once nothing is broken any more: a call that failed is tried
again after two minutes at the latest."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to play: `seconds` of faults, each at most `longest` seconds, and so many texts from each side."""

    seed: int
    seconds: float
    longest: float
    texts: int


@dataclass(slots=True)
class Report:
    """What was done and found."""

    plan: Plan
    acts: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    answers: dict[str, Counter[str]] = field(default_factory=dict)
    arrived: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    drained: float = 0.0
    """Seconds from the last mending until nothing waited."""
    took: float = 0.0
    found: list[str] = field(default_factory=list)

    def values(self) -> dict[str, object]:
        """For a program."""
        values = {name: getattr(self, name) for name in ("acts", "arrived", "looks", "drained", "took", "found")}
        answers = {name: dict(counted) for name, counted in self.answers.items()}
        return {"plan": asdict(self.plan), "broken": dict(self.broken), "answers": answers, **values}

    def lines(self) -> list[str]:
        """For a person."""
        plan = self.plan
        told = [f"seed {plan.seed}: {self.acts} acts in {self.took:.0f} s, everything said {self.drained:.1f} s later"]
        told += [f"  {count} × {kind}" for kind, count in sorted(self.broken.items())]
        for name, answers in self.answers.items():
            said = ", ".join(f"{count} {answer}" for answer, count in sorted(answers.items()))
            told.append(f"  {name} said {answers.total()} texts ({said}); {self.arrived.get(name, 0)} arrived")
        told.append(f"  {self.looks} looks in the middle of it")
        return told + [f"  WRONG: {each}" for each in self.found or ()] + ["  nothing wrong"] * (not self.found)


def play(plan: Plan, folder: Path) -> Report:
    """Play it in this folder. Raises `Impossible` where there can be no network of one's own, `AssertionError` when
    something of the stage itself does not come about.
    """
    report = Report(plan)
    began = time.monotonic()
    with Field(folder, folder) as network:
        stage = Stage(network, folder)
        speakers = _speakers(stage, plan)
        for speaker in speakers:
            speaker.start()
        for act in draw(plan.seed, plan.seconds, plan.longest):
            _play_act(stage, act, report)
            _look(stage, report)
        report.took = time.monotonic() - began
        _finish(stage, speakers, report)
    return report


def _speakers(stage: Stage, plan: Plan) -> list[Speaker]:
    pairs = (stage.sides, stage.sides[::-1])
    return [Speaker(a.name, a.profile, b.link, plan.seed, plan.texts, plan.seconds) for a, b in pairs]


def _play_act(stage: Stage, act: Act, report: Report) -> None:
    time.sleep(act.after)
    broken: list[tuple[float, AbstractContextManager[None]]] = []
    for fault in act.faults:
        way = faults.make(stage, fault)
        way.__enter__()
        broken.append((time.monotonic() + fault.seconds, way))
        report.broken[fault.kind] += 1
    for until, way in sorted(broken, key=lambda each: each[0]):
        time.sleep(max(0.0, until - time.monotonic()))
        way.__exit__(None, None, None)
    for side in stage.sides:
        side.revive()  # a full disk may have kept it from starting
    report.acts += 1


def _look(stage: Stage, report: Report) -> None:
    """First at what is marked delivered, then at what has arrived."""
    a, b = stage.sides
    for sender, receiver in ((a, b), (b, a)):
        with suppress(StorageError):
            delivered = delivered_ids(sender.texts(receiver.link.uin, whole=False))
            report.found += of_a_look(delivered, received_ids(receiver.texts(sender.link.uin, whole=False)))
            report.looks += 1


def _finish(stage: Stage, speakers: list[Speaker], report: Report) -> None:
    for speaker in speakers:
        speaker.join(PATIENCE)
        if speaker.is_alive() or speaker.fault is not None:
            report.found.append(f"{speaker.name} could not say it all: {speaker.fault!r}")
        speaker.hush()
    mended = time.monotonic()
    while not all(_has_said_all(side) for side in stage.sides):
        for side in stage.sides:
            side.revive()
        if time.monotonic() > mended + PATIENCE:
            report.found.append(
                f"texts still wait after {PATIENCE:.0f} s: {[s.ask('GET', '/status') for s in stage.sides]}"
            )
            break
        time.sleep(0.05)
    report.drained = time.monotonic() - mended
    report.found += stage.stop_cores()
    a, b = stage.sides
    for speaker, sender, receiver in zip(speakers, (a, b), (b, a), strict=True):
        said = list(speaker.said)
        ours = sender.texts(receiver.link.uin, whole=True)
        theirs = receiver.texts(sender.link.uin, whole=True)
        report.found += [f"{sender.name}: {each}" for each in of_one_way(said, ours, theirs)]
        report.answers[sender.name] = Counter(each.answer.name.lower() for each in said)
        report.arrived[sender.name] = len(received_ids(theirs))
        if not any(each.answer is Answer.ACCEPTED for each in said):
            report.found.append(f"{sender.name} said nothing")
    for side in stage.sides:
        report.found += _talk_of(side)


def _has_said_all(side: Side) -> bool:
    status = side.ask("GET", "/status")
    return status is not None and status.get("waiting") == 0


def _talk_of(side: Side) -> list[str]:
    """Lines of a core's stderr that are neither its log nor a sentence for a person."""
    strange = []
    for core in [*side.past, side.core]:
        for line in core.talk:
            try:
                json.loads(line)
            except ValueError:
                if not line.startswith("uzel: "):
                    strange.append(line.rstrip())
    return [f"the core of {side.name} said: {' / '.join(strange[:20])}"] if strange else []
