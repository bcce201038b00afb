"""Gives a bot's function the texts that come, and its answers to the core.

Rules: within a chat one text after the other, in order; several chats at a time. A function that fails is called again
with growing delay, a bounded number of times; then the text is left as it is, named in the log by its number, and given
again when the bot starts anew. Nothing that a function or the core does ends the work, but its cancelling. What was
said is never logged. Counterparts: `desk.Desk`; `bot`, which runs this.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from uzel.bot.desk import Desk
from uzel.bot.settings import BotSettings
from uzel.bot.text import Text
from uzel.errors import NoRequestError, NotAContactError, NoTextError, TextStateError, UzelError

PAGE = 50
"""Texts that are asked for at a time."""
Function = Callable[[Text], Any]
"""A bot's function: plain or async, gives an answer or None."""
Result = TypeVar("Result")
logger = logging.getLogger("uzel.bot")


def note(event: str, level: int = logging.INFO, **fields: object) -> None:
    """One line of the log."""
    logger.log(level, event, extra={"event": event, "fields": fields})


class Worker:
    """See the module's text. `run` it once."""

    def __init__(self, desk: Desk, function: Function, settings: BotSettings, *, let_in: bool) -> None:
        self._desk = desk
        self._function = function
        self._settings = settings
        self._let_in = let_in
        self._after = 0
        self._chats: dict[int, deque[Text]] = {}
        self._held = 0
        self._more = False
        self._look = asyncio.Event()
        self._places = asyncio.Semaphore(settings.at_once)

    async def run(self) -> None:
        """Work until cancelled."""
        self._after = await self._surely(self._desk.begin)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            while True:
                await self._look.wait()
                self._look.clear()
                await self._take_in(tasks)

    # -- What comes -------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        failures = 0
        while True:
            try:
                async with aclosing(self._desk.news()) as news:
                    async for kind in news:
                        failures = 0
                        if kind in {"anything", "text"}:
                            self._look.set()
                        if self._let_in and kind in {"anything", "request"}:
                            await self._let_in_all()
            except UzelError as error:
                note("core_away", logging.WARNING, reason=str(error.reason))
            failures += 1
            await asyncio.sleep(self._settings.delay(failures))

    async def _let_in_all(self) -> None:
        for uin in await self._desk.knocked():
            with suppress(NoRequestError):  # a person was quicker
                await self._desk.let_in(uin)
                note("let_in")

    async def _take_in(self, tasks: asyncio.TaskGroup) -> None:
        self._more = False
        while True:
            texts = await self._surely(lambda: self._desk.unhandled(self._after, PAGE))
            for text in texts:
                self._after = text.number
                self._held += 1
                chat = self._chats.setdefault(text.sender, deque())
                chat.append(text)
                if len(chat) == 1:
                    tasks.create_task(self._work_on(text.sender))
            if len(texts) < PAGE:
                return
            if self._held >= self._settings.waiting:
                self._more = True
                return

    # -- The work ---------------------------------------------------------------------------------------------

    async def _work_on(self, sender: int) -> None:
        """One chat, until nothing of it is left; a text stays in its place until it is done with."""
        chat = self._chats[sender]
        while chat:
            await self._do(chat[0])
            chat.popleft()
            self._held -= 1
            if self._more and self._held < self._settings.waiting:
                self._look.set()
        del self._chats[sender]

    async def _do(self, text: Text) -> None:
        for tried in range(1, self._settings.tries + 1):
            text.answers = []
            try:
                async with self._places:
                    await self._call(text)
            except asyncio.CancelledError as error:
                if _is_cancelled():
                    raise
                self._failed(text, error, tried)
            except Exception as error:  # noqa: BLE001 - whatever a function raises, the bot goes on
                self._failed(text, error, tried)
            else:
                await self._answer(text)
                return
            if tried < self._settings.tries:
                await asyncio.sleep(self._settings.delay(tried))
        note("left", logging.ERROR, number=text.number)

    async def _call(self, text: Text) -> None:
        if inspect.iscoroutinefunction(self._function):
            async with asyncio.timeout(self._settings.patience):
                said = await self._function(text)
        else:
            said = await asyncio.to_thread(_plainly, self._function, text)
            if inspect.isawaitable(said):
                async with asyncio.timeout(self._settings.patience):
                    said = await said
        if isinstance(said, str):
            text.add(said)
        elif said is not None:
            raise TypeError(f"the function gave a {type(said).__name__}; a str or None is an answer")

    @staticmethod
    def _failed(text: Text, error: BaseException, tried: int) -> None:
        """Kind and place, not the error's own words: they may hold what was said."""
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].name}:{frames[-1].lineno}" if frames else "nowhere"
        note(
            "function_failed", logging.WARNING, number=text.number, tried=tried, kind=type(error).__name__, place=place
        )

    async def _answer(self, text: Text) -> None:
        answers = text.answers
        try:
            await self._surely(lambda: self._desk.answer(text.number, answers))
        except NotAContactError:
            note("not_a_contact", logging.WARNING, number=text.number)
            with suppress(TextStateError, NoTextError):
                await self._surely(lambda: self._desk.answer(text.number, []))
        except (TextStateError, NoTextError):
            # Acknowledged already: by this very request, whose own answer was lost, or by another program; or deleted.
            note("done_already", number=text.number)
        else:
            note("answered", number=text.number, answers=len(answers))

    async def _surely(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Ask until the core answers. Raises `TextStateError`, `NoTextError`, `NotAContactError`: those are answers."""
        failures = 0
        while True:
            try:
                return await ask()
            except (TextStateError, NoTextError, NotAContactError):
                raise
            except UzelError as error:
                failures += 1
                note("core_away", logging.WARNING, reason=str(error.reason))
            await asyncio.sleep(self._settings.delay(failures))


def _plainly(function: Function, text: Text) -> Any:
    try:
        return function(text)
    except StopIteration as error:  # no future can carry it
        raise RuntimeError("StopIteration") from error


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
