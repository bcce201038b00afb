"""`uzel run`: a private node on loopback, Echo at it, and a core with the page for a person who has never been here.

All of it is kept in one folder, so it is the same people the next time; a port that somebody took meanwhile is stepped
over. The private node is a stopgap: once the person names another, both they and Echo are there instead. The one line
on stdout is the page's address; logs go to files in the folder. No process outlives this one. Counterparts: `echo`;
`core_process`; `demo_process`, which keeps the processes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import shutil
import signal
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from uzel.app.core_page import PagePlan
from uzel.app.core_process import RunningCore, running_core
from uzel.app.demo_process import DemoFailedError, Line, child, next_line, send_signal
from uzel.core.messenger import Messenger
from uzel.core.own_nodes import NODES, STOPGAP, remembered_roaming, without_stopgap
from uzel.errors import ExitCode, InvalidNameError, ProfileHeldError
from uzel.faces.cli.browser import LOOK_EVERY, PATIENCE, leading_file
from uzel.faces.cli.config_file import page_settings
from uzel.faces.cli.options import PROFILE, run_folder
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
    home = run_folder(folder).absolute()
    make_private_folder(home)
    try:
        with _profile(home / PROFILE) as profile:
            shown = browser and sys.stdout is not None and sys.stdout.isatty()
            run_until_signal(_run(home, profile, browser=shown), loop_factory())
    except ProfileHeldError as error:
        raise ProfileHeldError(f"{error.detail}; if Uzel runs already, its page opens with: {_opens(home)}") from None
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
    async with _node(home) as (node, reference):
        nodes, is_new = _nodes(profile, reference, _before(home))
        write_atomically(home / NODE_FILE, f"{reference.address}\n".encode())
        roaming = remembered_roaming(profile)
        async with running_core(profile, nodes, roaming=roaming, plan=PagePlan(page_settings())) as core:

            async def ready(echo: ContactLink) -> None:
                if is_new:  # Echo is there from the first day, and gone for good once the person wants
                    await core.messenger.people.add(ContactLink(echo.uin, echo.fingerprint, name=ECHO))
                await _show(home, core, browser=browser)

            await _until_asked(core, [_life(node), _echo(home, core.messenger, ready)])


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


async def _echo(home: Path, core: Messenger, ready: Callable[[ContactLink], Coroutine[Any, Any, None]]) -> None:
    """Echo, at the person's nodes: begun anew when those are changed. Until it ends by itself; `ready` is done beside
    it, once.
    """
    showing: asyncio.Task[None] | None = None
    try:
        while True:
            nodes = core.nodes
            async with _process(home / "echo.log", "uzel.app.echo", str(home / "echo"), *map(str, nodes)) as started:
                if showing is None:
                    showing = asyncio.create_task(ready(ContactLink.parse(str(started.said["link"]))))
                ends = [asyncio.create_task(_life(started)), asyncio.create_task(_other_nodes(core, nodes))]
                try:
                    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                    if ends[0].done():
                        return
                finally:
                    await _given_up(ends)
    finally:
        await _given_up([] if showing is None else [showing])


async def _other_nodes(core: Messenger, nodes: Sequence[NodeReference]) -> None:
    """Until the person uses other nodes than these."""
    while True:
        upcoming = core.ledger.upcoming()
        if core.nodes != nodes:
            return
        await upcoming.wait()


async def _life(started: Started) -> None:
    await started.process.wait()


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
    """The person's nodes: those that were chosen, or else the private one, which may have moved; and whether there were
    none before.
    """
    with profile.transaction() as db:
        options = Options(db)
        known = [NodeReference.parse(text) for text in options.get(NODES)]
        moved = [private if node.address in {before, private.address} else node for node in known] or [private]
        options.set(STOPGAP, str(private.address))
        nodes = without_stopgap(moved, str(private.address))
        options.set(NODES, [str(node) for node in nodes])
    return nodes, not known


async def _show(home: Path, core: RunningCore, *, browser: bool) -> None:
    assert core.page is not None
    address = core.page.new_address().value
    put(f"{address}\n")
    say(_words(home))
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


async def _until_asked(core: RunningCore, lives: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Until the core is asked to end. Raises `DemoFailedError` when one of these ends before."""
    asked = asyncio.create_task(core.asked_to_end.wait())
    living = [asyncio.create_task(life) for life in lives]
    try:
        await asyncio.wait({asked, *living}, return_when=asyncio.FIRST_COMPLETED)
        for life in living:
            if life.done():
                await life  # which says why
                raise DemoFailedError("the node or Echo ended by itself")
    finally:
        await _given_up([asked, *living])


async def _given_up(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _words(home: Path) -> str:
    return (
        "Uzel runs. Open the address above in a browser on this machine: it lets one browser in, once, within five "
        f"minutes.\nAnother one: {_opens(home)}\n"
        "Echo, in your list, answers what you write. Everything is on this machine. To talk with others, choose a node "
        f"in the\nsettings (or run one: {_program()} node run --help), then give a friend an invite or your link.\n"
        "Ctrl-C ends everything; what you wrote is there the next time."
    )


def _opens(home: Path) -> str:
    """What opens the page once more, as one types it here."""
    return f"{_program()} web --profile {shlex.quote(str(home / PROFILE))}"


def _program() -> str:
    """This very program, as one types it here: it need not be where the shell looks."""
    own = Path(sys.argv[0]).absolute()
    found = shutil.which("uzel")
    if own.name != "uzel" or (found is not None and Path(found).samefile(own)):
        return "uzel"
    return shlex.quote(str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own))
