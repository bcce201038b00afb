"""What a core costs: text → delivered between two of them, an idle one, its start, a search, the event stream.

A text is timed where it is sent: from asking the core to its report, which follows the commit on the peer's disk. The
sender's core runs in this process, the receiver's is `uzel start`; the figures through the local interface are those of
a program beside its core. Counterpart: `node_process`, the nodes between them.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from load import Figures
from node_process import NodeProcess, federation
from uzel.app.bench_node import Process
from uzel.core.conversation import Arrived
from uzel.core.messenger import Messenger
from uzel.core.works import keep
from uzel.identity import Identity
from uzel.local.core_client import CoreClient
from uzel.names import Uin
from uzel.net.loop import loop_factory
from uzel.store.profile import Profile
from uzel.store.tables import Tables

UZEL = str(Path(sys.executable).with_name("uzel"))
WARM = 20
STRANGER = 5
"""A number that nobody has: what is sent to it only waits."""
TOGETHER = 10_000
"""Texts in one commit while the profile to be searched is made."""


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which so much of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def acquainted(folder: Path, people: Sequence[Identity]) -> None:
    """Profiles `0` and `1` of these two, who have each other as contacts."""
    for number, (person, other) in enumerate((people, people[::-1])):
        with Profile.create(folder / str(number), person) as profile, profile.transaction() as db:
            profile.pins.pin_peer(other.uin, other.fingerprint, verified=True)
            Tables(db, profile.pins).people.add(other.uin, 0)


@contextmanager
def core(folder: Path, node: NodeProcess) -> Iterator[subprocess.Popen[bytes]]:
    """`uzel start`, once it takes requests."""
    command = [UZEL, "start", "--profile", str(folder), "--node", str(node.reference)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield process
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def texts(folder: Path, people: Sequence[Identity], nodes: int, seconds: float) -> Figures:
    """One text in flight, then as many as the outbox takes."""
    acquainted(folder, people)
    with (
        federation(folder / "nodes", list(people), nodes) as between,
        core(folder / "1", between[-1]),
        asyncio.Runner(loop_factory=loop_factory()) as runner,  # the loop of `uzel start`
    ):
        return runner.run(_texts(folder / "0", between[0], people[1].uin, seconds))


async def _texts(folder: Path, node: NodeProcess, to: Uin, seconds: float) -> Figures:
    taken: list[float] = []
    with Profile.open(folder) as profile:
        async with Messenger(profile, [node.reference]) as messenger:
            await messenger.wait_online(20)

            async def one() -> float:
                began = time.perf_counter()
                text = await messenger.send(to, "x" * 64)
                record = await messenger.wait_settled(text.number, 20)
                assert record is not None
                assert record.state == "delivered"
                return time.perf_counter() - began

            for _ in range(WARM):
                await one()
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                taken.append(await one())
            count, began = max(WARM, round(1000 * seconds)), time.perf_counter()
            queued = await asyncio.gather(*(messenger.send(to, "x" * 64) for _ in range(count)))
            await messenger.wait_settled(queued[-1].number, 60)
            rate = count / (time.perf_counter() - began)
    return {"p50 ms": 1000 * median(taken), "p99 ms": 1000 * quantile(taken, 0.99), "texts/s": rate}


def one_core(folder: Path, person: Identity, seconds: float) -> dict[str, Figures]:
    """A core alone at its node: how soon it is online, what it weighs, and how soon a program hears of something."""
    Profile.create(folder / "0", person).close()
    with ExitStack() as stack:
        (node,) = stack.enter_context(federation(folder / "nodes", [person], 1))
        began = time.perf_counter()
        process = stack.enter_context(core(folder / "0", node))
        client = stack.enter_context(CoreClient(folder / "0"))
        ready = time.perf_counter() - began
        while client.ask("GET", "/status")["node"] is None:
            time.sleep(0.002)
        online = time.perf_counter() - began
        idle = Process(process.pid).pss_kib() / 1024
        delay = _delays(folder / "0", client, seconds)
    return {
        "a core's start, s": {"takes requests": ready, "online": online},
        "an idle core": {"PSS, MiB": idle},
        "a text to its event, ms": {"p50": 1000 * median(delay), "p99": 1000 * quantile(delay, 0.99)},
    }


def _delays(folder: Path, client: CoreClient, seconds: float) -> list[float]:
    """From asking for a text to the event that tells of it, each once the last one came."""
    client.ask("POST", "/contacts", {"link": str(STRANGER)})
    came: list[float] = []
    heard = threading.Semaphore(0)

    def follow() -> None:
        with CoreClient(folder) as other, other.events() as events:
            for kind, _ in events:
                if kind in {"ready", "text"}:
                    came.append(time.perf_counter())
                    heard.release()
                if len(came) > most:
                    return

    most = max(WARM, round(100 * seconds))
    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    heard.acquire()
    asked = []
    for _ in range(most):
        asked.append(time.perf_counter())
        client.ask("POST", "/texts", {"to": STRANGER, "text": "x"})
        heard.acquire()
    follower.join(20)
    return [there - then for there, then in zip(came[1:], asked, strict=True)]


def search(folder: Path, person: Identity, texts_in_all: int) -> Figures:
    """A profile with so many short Russian and English texts in a hundred chats, made through the core's own works;
    then queries of one and two words, common and rare, and prefixes.
    """
    chance = random.Random(1)
    words = [_word(chance) for _ in range(20_000)]
    with Profile.create(folder / "0", person) as profile:
        tables = Tables(profile.connection, profile.pins)
        began = time.perf_counter()
        for first in range(0, texts_in_all, TOGETHER):
            with profile.transaction():
                for number in range(first, min(first + TOGETHER, texts_in_all)):
                    said = " ".join(words[int(chance.paretovariate(0.6)) % len(words)] for _ in range(8))
                    text = Arrived(number, number.to_bytes(16, "big"), said, None, number)
                    keep(tables, Uin(1 + number % 100), person.fingerprint, [text], lambda: b"", number)
                tables.journal.trim(TOGETHER)
        made = time.perf_counter() - began
        took = []
        for _ in range(300):
            query = " ".join(chance.sample(words[:2000], chance.choice((1, 2))))[: chance.choice((3, 5, 100))]
            began = time.perf_counter()
            tables.search.find(query, limit=50)
            took.append(time.perf_counter() - began)
    return {"p50 ms": 1000 * median(took), "p99 ms": 1000 * quantile(took, 0.99), "making it, s": made}


def _word(chance: random.Random) -> str:
    letters = chance.choice(("абвгдеёжзиклмнопрстуфхцчшыэюя", "abcdefghijklmnopqrstuvwxyz"))
    return "".join(chance.choices(letters, k=chance.randint(3, 10)))


def everything(folder: Path, people: Sequence[Identity], seconds: float) -> dict[str, Figures]:
    """All but the search, once."""
    table = {
        "cores, text → delivered, one node": texts(_new(folder, "one"), people[:2], 1, seconds),
        "cores, text → delivered, two nodes": texts(_new(folder, "two"), people[:2], 2, seconds),
    }
    return table | one_core(_new(folder, "alone"), people[0], seconds)


def _new(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir()
    return path


if __name__ == "__main__":
    someone = [Identity.generate(), Identity.generate()]
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(everything(Path(scratch), someone, float(sys.argv[1])), indent=1))
    if len(sys.argv) > 2:
        with tempfile.TemporaryDirectory() as scratch:
            print(json.dumps(search(Path(scratch), someone[0], int(sys.argv[2])), indent=1))
