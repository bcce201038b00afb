"""The bot itself: its profile, its function, its life.

Where a core runs on the profile the bot attaches to it; else it holds the profile and runs the core itself. One profile
has one bot that answers. Counterparts: `worker`, which does the work; `own_core` and `running_core`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from uzel.bot.desk import Desk
from uzel.bot.own_core import OwnCore
from uzel.bot.running_core import RunningCore
from uzel.bot.settings import BotSettings
from uzel.bot.worker import Function, Worker
from uzel.errors import BotHeldError, ProfileError, ProfileHeldError, QueuedError, TextStateError, UzelError
from uzel.local.core_client import failure_of
from uzel.local.core_socket import core_runs
from uzel.names import ContactLink, NodeReference
from uzel.net.loop import loop_factory
from uzel.node.log import log_to_stderr
from uzel.store.files import read_start
from uzel.store.profile import Profile
from uzel.store.profile_lock import holding
from uzel.store.profile_names import holds_profile

BOT_LOCK = "bot.lock"
"""The file in the profile's folder that the bot which answers holds."""
MOST_PASSPHRASE = 4096
"""Bytes that are read of a passphrase's file."""
AnyFunction = TypeVar("AnyFunction", bound=Function)


class Bot:
    """A bot on the profile in this folder; `nodes` are HOST:PORT[,FINGERPRINT], remembered, and not used where a core
    runs already.

    passphrase_file: a file of mode 0600 whose first line is the profile's passphrase.
    create: make a profile where there is none.
    let_in: strangers who knock become contacts by themselves, so that the bot answers everybody.

    `run` it, or use it as an async context manager and `await serve()` or `send(…)` within.
    """

    def __init__(
        self,
        profile: str | Path,
        *nodes: str,
        passphrase_file: str | Path | None = None,
        create: bool = False,
        let_in: bool = False,
        settings: BotSettings | None = None,
    ) -> None:
        self._folder = Path(profile)
        self._nodes = nodes
        self._passphrase_file = None if passphrase_file is None else Path(passphrase_file)
        self._create = create
        self._let_in = let_in
        self._settings = settings or BotSettings()
        self._function: Function | None = None
        self._desk: Desk | None = None
        self._held = AsyncExitStack()

    def on_text(self, function: AnyFunction) -> AnyFunction:
        """Have this function, plain or async, given every text. What it returns is the answer, None is none."""
        self._function = function
        return function

    # -- Life -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Raises `InvalidNameError` for a node that is none; `ProfileError`, `ConfigError`, `StorageError`,
        `NotYourCoreError`, `CoreSilentError`.
        """
        nodes = [NodeReference.parse(node) for node in self._nodes]
        if core_runs(self._folder):
            self._desk = RunningCore(self._folder)
        else:
            self._desk = await OwnCore.start(self._open(), nodes)
        self._held.push_async_callback(self._desk.close)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._desk = None
        await self._held.aclose()

    async def serve(self) -> None:
        """Answer until cancelled. Raises `BotHeldError` when another bot answers on this profile."""
        if self._function is None:
            raise ValueError("the bot has no function: decorate one with @bot.on_text")
        with self._alone():
            await Worker(self._at_work(), self._function, self._settings, let_in=self._let_in).run()

    def run(self) -> None:
        """Answer until SIGTERM (exit code 0) or Ctrl-C (130): what an error is, and what to do, goes to stderr.

        Once it is ready it prints one line, `{"event":"ready","uin":N,"link":"…"}`; its log goes to stderr.
        """
        log_to_stderr()
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                number = runner.run(self._until_signal())
        except UzelError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(error.exit_code)
        sys.exit(0 if number == signal.SIGTERM else 128 + number)

    # -- Texts ------------------------------------------------------------------------------------------------

    async def link(self) -> ContactLink:
        """The bot's own contact link: give it to those who shall write to it."""
        return await self._at_work().link()

    async def send(self, to: int | str | ContactLink, text: str) -> int:
        """Queue a text, for a number or a contact link; who is no contact becomes one. Returns its number: it is on
        disk. In a function that may be run again it may be sent again: answers are not.

        Raises `InvalidNameError`, `SelfContactError`, `PeerKeyChangedError`, `TextTooLongError`, `StorageError`, and
        when the core is away `NoCoreError`, `CoreSilentError`.
        """
        link = to if isinstance(to, ContactLink) else ContactLink.parse(str(to))
        return await self._at_work().send(link, text)

    async def delivered(self, number: int, timeout: float = 30.0) -> None:
        """Wait until a text is delivered, so many seconds. Raises `QueuedError` when it is not yet, and why when it
        failed; `NoTextError` when it is gone.
        """
        state, reason = await self._at_work().settled(number, timeout)
        match state:
            case "delivered":
                return
            case "failed":
                raise failure_of(reason)
            case "queued" | "sending":
                raise QueuedError
        raise TextStateError(state)

    # -- Inside -----------------------------------------------------------------------------------------------

    def _at_work(self) -> Desk:
        if self._desk is None:
            raise ValueError("the bot does not run: use it within `async with`, or in its function")
        return self._desk

    def _open(self) -> Profile:
        passphrase = self._passphrase()
        if self._create and not holds_profile(self._folder):
            profile = Profile.create(self._folder, passphrase=None if passphrase is None else passphrase())
            shown = shlex.quote(str(self._folder))
            sys.stderr.write(f"A new profile. Back it up: uzel profile backup FILE --profile {shown}\n")
            return profile
        return Profile.open(self._folder, passphrase=passphrase)

    def _passphrase(self) -> Callable[[], str] | None:
        file = self._passphrase_file
        if file is None:
            return None

        def read() -> str:
            line = read_start(file, MOST_PASSPHRASE).split(b"\n", 1)[0].removesuffix(b"\r")
            try:
                return line.decode()
            except UnicodeDecodeError:
                raise ProfileError(f"{file} is not valid UTF-8") from None

        return read

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with ExitStack() as held:
            try:
                held.enter_context(holding(self._folder / BOT_LOCK))
            except ProfileHeldError as error:
                raise BotHeldError(error.detail) from None
            yield

    async def _until_signal(self) -> int:
        """Serve; the number of the signal that ended it. A second one ends the process at once."""
        loop = asyncio.get_running_loop()
        stopped: asyncio.Future[int] = loop.create_future()

        def stop(number: int) -> None:
            if stopped.done():
                os._exit(128 + number)
            stopped.set_result(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
        async with self:
            link = await self.link()
            ready = {"event": "ready", "uin": int(link.uin), "link": str(link)}
            with suppress(OSError):
                print(json.dumps(ready), flush=True)
            work = loop.create_task(self.serve())
            ends: list[asyncio.Future[Any]] = [work, stopped]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not stopped.done():
                await work  # it says what is wrong
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
        return await stopped
