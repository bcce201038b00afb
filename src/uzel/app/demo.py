"""The demo: a node and two people, three real processes on free loopback ports, and their story as it happens.

Nothing is pretended: the processes are those that `uzel node run` and the client library make. It succeeds only if
both logged in, one called, and every text was heard whole and reported delivered, both ways. Bounded in time; every
process it starts is ended by its id. Counterpart: `demo_person`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from uzel.app.demo_person import TEXTS
from uzel.errors import ExitCode
from uzel.faces.cli.running import run_until_signal
from uzel.names import ContactLink
from uzel.store.profile import Profile

PATIENCE = 60.0
"""Seconds for everything."""
Line = dict[str, object]
Told = TypeVar("Told")


class DemoFailedError(Exception):
    """Something that should have happened did not."""


def story(who: str, text: str) -> None:
    """Print one line of the story."""
    print(f"{who:>6}  {text}", flush=True)


@dataclass
class Heard:
    """What one person told: texts reported delivered, and texts heard, by name."""

    delivered: dict[str, object] = field(default_factory=dict)
    heard: dict[str, object] = field(default_factory=dict)


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
        state, alice_folder, bob_folder = (Path(folder) / name for name in ("node", "alice", "bob"))
        alice = await asyncio.to_thread(Profile.create, alice_folder)
        bob = await asyncio.to_thread(Profile.create, bob_folder)
        link = ContactLink(bob.identity.uin, bob.identity.fingerprint)
        for name, profile in (("Alice", alice), ("Bob", bob)):
            story(name, f"is number {int(profile.identity.uin)}, key {profile.identity.fingerprint}")
        async with _process("uzel", "node", "run", "--listen", "127.0.0.1:0", "--state", str(state)) as node:
            listening = await _next_line(node)
            address, fingerprint = _first(listening["control"]), str(listening["fingerprint"])
            story("Node", f"listens on {address}, key {fingerprint}")
            seen = asyncio.create_task(_what_the_node_saw(node))
            reference = f"{address},{fingerprint}"
            alice_told, bob_told = await _while_it_lives(node, _talk(alice_folder, bob_folder, link, reference))
            _check(alice_told, bob_told)
            _send(node, signal.SIGTERM)
            _tell_what_the_node_saw(await seen)
            if await node.wait() != 0:
                raise DemoFailedError("the node did not end cleanly")
    print("\nEvery text was delivered, both ways. The node carried bytes and could read none of them.")


async def _talk(alice: Path, bob: Path, link: ContactLink, node: str) -> tuple[Heard, Heard]:
    """Bob waits, Alice calls, both send everything; returns what each of them told."""
    alice_told, bob_told = Heard(), Heard()
    async with _person(bob, node, "answer") as answering:
        await _follow("Bob", answering, bob_told, until="online")
        async with _person(alice, node, str(link)) as calling:
            await asyncio.gather(
                _follow("Alice", calling, alice_told, until="done"),
                _follow("Bob", answering, bob_told, until="done"),
            )
    return alice_told, bob_told


async def _while_it_lives(node: asyncio.subprocess.Process, work: Coroutine[None, None, Told]) -> Told:
    """Do it, but not longer than the node lives."""
    working, living = asyncio.create_task(work), asyncio.create_task(node.wait())
    try:
        await asyncio.wait({working, living}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise DemoFailedError("the node ended by itself")
        return working.result()
    finally:
        for task in (working, living):
            task.cancel()
        await asyncio.gather(working, living, return_exceptions=True)


@asynccontextmanager
async def _process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A module of ours as a process, which does not outlive this block."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", *arguments, stdin=pipe, stdout=pipe, stderr=pipe, limit=1 << 20
    )
    try:
        yield process
    except BaseException:
        _send(process, signal.SIGTERM)
        raise
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            _send(process, signal.SIGKILL)
            await process.wait()


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """By its id: the process's own method would collect a dead child before asyncio does, and confuse it."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


@asynccontextmanager
async def _person(profile: Path, node: str, whom: str) -> AsyncIterator[asyncio.subprocess.Process]:
    async with _process("uzel.app.demo_person", str(profile), node, whom) as process:
        yield process


async def _next_line(process: asyncio.subprocess.Process) -> Line:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        assert process.stderr is not None
        words = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
        raise DemoFailedError(words[-1] if words else "a process ended without a word")
    parsed: Line = json.loads(line)
    return parsed


async def _follow(name: str, process: asyncio.subprocess.Process, told: Heard, *, until: str) -> None:
    event = ""
    while event != until:
        line = await _next_line(process)
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


async def _what_the_node_saw(node: asyncio.subprocess.Process) -> list[Line]:
    """Its whole log. Reading it to the end also keeps its pipe from filling."""
    assert node.stderr is not None
    return [json.loads(line) async for line in node.stderr if line.startswith(b"{")]


def _tell_what_the_node_saw(log: list[Line]) -> None:
    ended = [line for line in log if line["event"] == "conversation_ended"]
    if len(ended) != 1:
        raise DemoFailedError("the node did not see exactly one conversation")
    saw = ended[0]
    story("Node", f"saw {saw['caller']} send {saw['caller_bytes']} bytes and {saw['callee']} {saw['callee_bytes']}")
    story("Node", "saw no name, no key between them, and no text")


def _first(values: object) -> str:
    assert isinstance(values, list)
    return str(values[0])
