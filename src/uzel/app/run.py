"""`uzel run`: a private node on loopback, Echo at it, and a core with the page for a person who has never been here.

All of it is kept in one folder, so it is the same people the next time; a port that somebody took meanwhile is stepped
over. A node that the person chose in the page stays chosen: the private one only takes its own place. The one line on
stdout is the page's address; logs go to files in the folder. No process outlives this one. Counterparts: `echo`;
`core_process`; `demo_process`, which keeps the processes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import signal
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import platformdirs

from uzel.app.core_page import PagePlan
from uzel.app.core_process import RunningCore, running_core
from uzel.app.demo_process import DemoFailedError, Line, child, next_line, send_signal
from uzel.core.own_nodes import NODES, remembered_roaming
from uzel.errors import ExitCode, InvalidNameError
from uzel.faces.cli.browser import LOOK_EVERY, PATIENCE, leading_file
from uzel.faces.cli.config_file import page_settings
from uzel.faces.cli.output import put, say
from uzel.faces.cli.profiles import open_profile
from uzel.faces.cli.running import run_until_signal, stop_on_signals
from uzel.faces.web import Sessions
from uzel.names import ContactLink, NodeAddress, NodeReference
from uzel.net.loop import loop_factory
from uzel.node.log import JsonFormatter
from uzel.store.files import PRIVATE_FILE, make_private_folder, read_start, storage_errors, write_atomically
from uzel.store.options import Options
from uzel.store.profile import Profile, has_profile

ECHO = "Echo"
NODE_FILE = "node.address"
"""Where the private node listened last: it does again, so that what was pinned and given away stays true."""
GOODBYE = 10.0
"""Seconds in which each process may end in order."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that listens, and what it said first."""

    process: asyncio.subprocess.Process
    said: Line


def run_all(folder: Path | None, *, browser: bool) -> int:
    """Run it; returns the exit code. Raises `StoppedError`, and what a profile or the disk refuses."""
    stop_on_signals()
    home = (folder or Path(platformdirs.user_data_dir("uzel")) / "run").absolute()
    make_private_folder(home)
    try:
        with _profile(home / "profile") as profile:
            shown = browser and sys.stdout is not None and sys.stdout.isatty()
            run_until_signal(_run(home, profile, browser=shown), loop_factory())
    except DemoFailedError as error:
        say(f"uzel run: {error}; what happened is in {home}/*.log")
        return ExitCode.UNEXPECTED
    return ExitCode.DONE


def _profile(folder: Path) -> Profile:
    """The person's, held; a passphrase that they set in the page is asked for."""
    if has_profile(folder):
        return open_profile(folder, None, "uzel run")
    return Profile.create(folder, program="uzel run")


async def _run(home: Path, profile: Profile, *, browser: bool) -> None:
    _log_to(home / "core.log")
    async with _node(home) as (node, reference), _echo(home, reference) as echo:
        nodes, is_new = _nodes(profile, reference, _before(home))
        write_atomically(home / NODE_FILE, f"{reference.address}\n".encode())
        roaming = remembered_roaming(profile)
        async with running_core(profile, nodes, roaming=roaming, plan=PagePlan(page_settings())) as core:
            if is_new:
                await _know_echo(core, ContactLink.parse(str(echo.said["link"])))
            await _while_all_live(core, [node, echo], _show(home, core, browser=browser))


# -- What runs beside it ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _node(home: Path) -> AsyncIterator[tuple[Started, NodeReference]]:
    """The private node, where it was the last time, if nobody else is there."""
    before = _before(home)
    for listen in [str(before), "127.0.0.1:0"] if before else ["127.0.0.1:0"]:
        if not listen.endswith(":0") and not await asyncio.to_thread(_is_free, NodeAddress.parse(listen)):
            continue
        arguments = ("uzel", "node", "run", "--listen", listen, "--state", str(home / "node"))
        async with _process(home / "node.log", *arguments) as started:
            address = NodeAddress.parse(str(started.said["control"][0]))
            yield started, NodeReference.parse(f"{address},{started.said['fingerprint']}")
            return
    raise DemoFailedError("the node has no port to listen on")


@asynccontextmanager
async def _echo(home: Path, node: NodeReference) -> AsyncIterator[Started]:
    async with _process(home / "echo.log", "uzel.app.echo", str(home / "echo"), str(node)) as started:
        yield started


@asynccontextmanager
async def _process(log: Path, module: str, *arguments: str) -> AsyncIterator[Started]:
    async with child(module, *arguments, apart=True) as process:
        writing = asyncio.create_task(_keep_log(process, log))
        try:
            yield Started(process, await next_line(process))
        finally:
            send_signal(process, signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), GOODBYE)
            except TimeoutError:
                send_signal(process, signal.SIGKILL)
            await asyncio.gather(writing, return_exceptions=True)


async def _keep_log(process: asyncio.subprocess.Process, log: Path) -> None:
    """Reading it to the end also keeps the pipe from filling."""
    assert process.stderr is not None
    with _new_file(log) as file:
        async for line in process.stderr:
            file.write(line.decode(errors="replace"))
            file.flush()


def _new_file(path: Path) -> TextIO:
    with storage_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE)
        return os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace")


def _log_to(path: Path) -> None:
    handler = logging.StreamHandler(_new_file(path))
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _before(home: Path) -> NodeAddress | None:
    """Where the private node was the last time."""
    path = home / NODE_FILE
    if not path.exists():
        return None
    try:
        return NodeAddress.parse(read_start(path, 100).decode("ascii", "replace").strip())
    except InvalidNameError:
        return None


def _is_free(address: NodeAddress) -> bool:
    """Whether both ports of a node can be had: control, and data behind it."""
    for port in (address.port, address.port + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address.host, port))
            except OSError:
                return False
    return True


# -- The person's core ------------------------------------------------------------------------------------------------


def _nodes(
    profile: Profile, private: NodeReference, before: NodeAddress | None
) -> tuple[Sequence[NodeReference], bool]:
    """The person's nodes: those that were chosen, in which the private one has moved, or the private one alone; and
    whether there were none before.
    """
    with profile.transaction() as db:
        options = Options(db)
        known = [NodeReference.parse(text) for text in options.get(NODES)]
        nodes = [private if node.address in {before, private.address} else node for node in known] or [private]
        options.set(NODES, [str(node) for node in nodes])
    return nodes, not known


async def _know_echo(core: RunningCore, link: ContactLink) -> None:
    """Echo is there from the first day, and gone for good once the person wants."""
    await core.messenger.people.add(ContactLink(link.uin, link.fingerprint, name=ECHO))


async def _show(home: Path, core: RunningCore, *, browser: bool) -> None:
    assert core.page is not None
    address = core.page.new_address().value
    put(f"{address}\n")
    say(_words(home / "profile"))
    if browser and not await _open(home, address, core.page):
        say("No browser opened the page: open the address above in one yourself.")


async def _open(home: Path, address: str, page: Sessions) -> bool:
    """As `uzel.faces.cli.browser.open_page`, on the loop."""
    before = {device.id for device in page.devices()}
    with leading_file(home, address) as url:
        if not await asyncio.to_thread(webbrowser.open, url):
            return False
        for _ in range(round(PATIENCE / LOOK_EVERY)):
            if {device.id for device in page.devices()} - before:
                return True
            await asyncio.sleep(LOOK_EVERY)
    return False


async def _while_all_live(core: RunningCore, processes: Sequence[Started], work: Coroutine[Any, Any, None]) -> None:
    """Until the core is asked to end. Raises `DemoFailedError` when a process ends before."""
    showing = asyncio.create_task(work)
    asked = asyncio.create_task(core.asked_to_end.wait())
    living = [asyncio.create_task(each.process.wait()) for each in processes]
    try:
        await asyncio.wait({asked, *living}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            raise DemoFailedError("the node or Echo ended by itself")
    finally:
        for task in (showing, asked, *living):
            task.cancel()
        await asyncio.gather(showing, asked, *living, return_exceptions=True)


def _words(profile: Path) -> str:
    shown = shlex.quote(str(profile))
    return (
        "Uzel runs. Open the address above in a browser on this machine: it lets one browser in, once, within five "
        f"minutes.\nAnother one: uzel web --profile {shown}\n"
        "Echo, in your list, answers what you write. Everything is on this machine. To talk with others, choose a node "
        "in the\nsettings (or run one: uzel node run --help), then give a friend an invite or your link.\n"
        "Ctrl-C ends everything; what you wrote is there the next time."
    )
