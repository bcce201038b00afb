"""The demo: two nodes and two people, four real processes on free loopback ports, and their story as it happens.

Nothing is pretended: the processes are those that `uzel node run` and the client library make, and what is told of
the nodes is what `uzel node status` and their logs say. It succeeds only if the nodes linked, both people logged in,
one called across the link, every text was heard whole and reported delivered, both ways, and what one node took from
its person is what the other gave to its own. Bounded in time; no process outlives it. Counterpart: `demo_person`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from uzel.app.demo_person import LONG_BYTES, TEXTS
from uzel.app.demo_process import DemoFailedError, Line, child, next_line, send_signal, while_they_live
from uzel.errors import ExitCode, UzelError
from uzel.faces.cli.node_client import ask_node
from uzel.faces.cli.running import run_until_signal
from uzel.identity import Identity
from uzel.names import ContactLink
from uzel.store.profile import Profile

PATIENCE = 60.0
"""Seconds for everything."""
ANSWER = 10.0
"""Seconds for a node to tell how it is."""
LOOK = 0.02
"""Seconds between looks at whether the nodes are linked."""
STAGES = {"hint": "a node that holds hints", "everyone": "the nodes it has links to", "cache": "its cache"}


def story(who: str, text: str) -> None:
    """Print one line of the story."""
    print(f"{who:>6}  {text}", flush=True)


@dataclass
class Heard:
    """What one person told: texts reported delivered, and texts heard, by name."""

    delivered: dict[str, object] = field(default_factory=dict)
    heard: dict[str, object] = field(default_factory=dict)


@dataclass
class Node:
    """A running node of the demo."""

    name: str
    state: Path
    process: asyncio.subprocess.Process
    reference: str
    log: asyncio.Task[list[Line]]

    async def status(self) -> Line:
        """What `uzel node status` shows."""
        try:
            said: Line = await asyncio.to_thread(ask_node, self.state, "status", ANSWER)
        except UzelError as error:
            raise DemoFailedError(f"{self.name} does not tell how it is: {error}") from None
        return said

    async def end(self) -> Line:
        """Stop it and return the one conversation that its log tells of."""
        send_signal(self.process, signal.SIGTERM)
        log = await self.log
        if await self.process.wait() != 0:
            raise DemoFailedError(f"{self.name} did not end cleanly")
        ended = [line for line in log if line["event"] == "conversation_ended"]
        if len(ended) != 1:
            raise DemoFailedError(f"{self.name} did not see exactly one conversation")
        return ended[0]


def run_demo() -> int:
    """Run it; returns the exit code."""
    try:
        run_until_signal(asyncio.wait_for(_demo(), PATIENCE))
    except TimeoutError:
        print(f"The demo did not end within {PATIENCE:.0f} s.", file=sys.stderr)
        return ExitCode.NETWORK
    except DemoFailedError as error:
        print(f"The demo failed: {error}", file=sys.stderr)
        return ExitCode.UNEXPECTED
    return ExitCode.DONE


async def _demo() -> None:
    with tempfile.TemporaryDirectory(prefix="uzel-demo-") as folder:
        alice_folder, bob_folder = Path(folder) / "alice", Path(folder) / "bob"
        alice = await asyncio.to_thread(_new_person, alice_folder)
        bob = await asyncio.to_thread(_new_person, bob_folder)
        for name, identity in (("Alice", alice), ("Bob", bob)):
            story(name, f"is number {int(identity.uin)}, key {identity.fingerprint}")
        async with AsyncExitStack() as running:
            a = await running.enter_async_context(_node("Node A", Path(folder) / "a"))
            b = await running.enter_async_context(_node("Node B", Path(folder) / "b", "--peer", a.reference))
            talk = _link_and_talk(a, b, alice_folder, bob_folder, ContactLink(bob.uin, bob.fingerprint))
            alice_told, bob_told = await while_they_live([a.process, b.process], talk, "a node")
            _check(alice_told, bob_told)
            _tell_what_the_nodes_saw(await a.end(), await b.end())
    print("\nEvery text was delivered, both ways. The nodes carried bytes and could read none of them.")


def _new_person(folder: Path) -> Identity:
    with Profile.create(folder) as made:
        return made.identity


@asynccontextmanager
async def _node(name: str, state: Path, *arguments: str) -> AsyncIterator[Node]:
    async with child("uzel", "node", "run", "--listen", "127.0.0.1:0", "--state", str(state), *arguments) as process:
        listening = await next_line(process)
        address, fingerprint = str(listening["control"][0]), str(listening["fingerprint"])
        story(name, f"listens on {address}, key {fingerprint}")
        log = asyncio.create_task(_log_of(process))
        try:
            yield Node(name, state, process, f"{address},{fingerprint}", log)
        finally:
            log.cancel()


async def _log_of(node: asyncio.subprocess.Process) -> list[Line]:
    """Its whole log. Reading it to the end also keeps its pipe from filling."""
    assert node.stderr is not None
    return [json.loads(line) async for line in node.stderr if line.startswith(b"{")]


async def _link_and_talk(a: Node, b: Node, alice: Path, bob: Path, link: ContactLink) -> tuple[Heard, Heard]:
    await _linked(b, a)
    heard = await _talk(a, b, alice, bob, link)
    _tell_how_it_went_across(await a.status())
    return heard


async def _linked(dialler: Node, other: Node) -> None:
    address, _, fingerprint = other.reference.partition(",")
    while True:
        for link in (await dialler.status())["links"]:
            if link["state"] == "up" and link["fingerprint"] == fingerprint:
                story(dialler.name, f"is linked with {other.name} at {address}, whose key it was told")
                return
        await asyncio.sleep(LOOK)


async def _talk(a: Node, b: Node, alice: Path, bob: Path, link: ContactLink) -> tuple[Heard, Heard]:
    """Bob waits at one node, Alice calls from the other, both send everything; returns what each of them told."""
    alice_told, bob_told = Heard(), Heard()
    async with child("uzel.app.demo_person", str(bob), b.reference, "answer") as answering:
        await _follow("Bob", answering, bob_told, until="online")
        async with child("uzel.app.demo_person", str(alice), a.reference, str(link)) as calling:
            await asyncio.gather(
                _follow("Alice", calling, alice_told, until="done"),
                _follow("Bob", answering, bob_told, until="done"),
            )
    return alice_told, bob_told


async def _follow(name: str, process: asyncio.subprocess.Process, told: Heard, *, until: str) -> None:
    event = ""
    while event != until:
        line = await next_line(process)
        event = str(line["event"])
        _tell(name, event, line, told)


def _tell(name: str, event: str, line: Line, told: Heard) -> None:
    match event:
        case "online":
            story(name, f"is online at {line['node']}")
        case "calling":
            story(name, f"calls {line['whom']}")
        case "called":
            story(name, f"is called by {line['by']}, and accepts")
        case "talking":
            known = "verified by contact link" if line["verified"] else "trusted on first use"
            story(name, f"talks with {line['with_']} ({known}): {line['version']}, {line['group']}, {line['cipher']}")
        case "delivered":
            told.delivered[str(line["what"])] = line["digest"]
            story(name, f"sent {line['what']} ({line['bytes']} bytes): delivered in {line['ms']} ms")
        case "heard":
            told.heard[str(line["what"])] = line["digest"]
        case "failed":
            raise DemoFailedError(str(line["error"]))


def _check(alice: Heard, bob: Heard) -> None:
    for speaker, listener in ((alice, bob), (bob, alice)):
        if set(speaker.delivered) != set(TEXTS) or speaker.delivered != listener.heard:
            raise DemoFailedError("a text was not heard as it was sent")


def _tell_how_it_went_across(status: Line) -> None:
    """From what the caller's node says of itself: how it found the callee, and what its link carried."""
    searches, hits = status["searches"], status["cache"]["hits"]
    answered = [stage for stage in STAGES if searches.get(f"answered_by_{stage}")]
    if answered:
        story("Node A", f"asked where the callee is: {STAGES[answered[0]]} answered")
    elif hits and searches.get("hints_received"):
        story("Node A", "knew from a hint that the callee is at Node B: it did not have to ask")
    else:
        raise DemoFailedError("the caller's node did not look for the callee")
    came, went = (sum(link[way] for link in status["links"]) for way in ("bytes_in", "bytes_out"))
    if min(came, went) < LONG_BYTES:
        raise DemoFailedError("the conversation did not go over the link")
    story("Node A", f"sent {went} bytes over the link to Node B, and got {came}")


def _tell_what_the_nodes_saw(by_a: Line, by_b: Line) -> None:
    """From their logs. The last bytes of who hangs up second may find nobody to take them."""
    for taken, given in ((by_a["client_sent"], by_b["client_got"]), (by_b["client_sent"], by_a["client_got"])):
        if not LONG_BYTES < given <= taken:
            raise DemoFailedError("a node did not pass on what the other was given")
    story("Nodes", f"saw {by_a['client_sent']} bytes go one way and {by_b['client_sent']} the other")
    story("Nodes", "saw no name, no key between the two, and no text")
