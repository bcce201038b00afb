"""A client in a process of its own. What to do comes as JSON lines on standard input; when that ends, so does it.

It is a program as people write them with the library: it takes every call, keeps every text (as a line of its
output) before it acknowledges it, and calls again when a conversation ends with something left to say. Its times are
short. Counterpart, which starts it, tells it and reads it: `netns_processes.Talker`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from typing import Any

from uzel.client import Client, ClientSettings, Conversation, WentOffline, WentOnline
from uzel.errors import UzelError
from uzel.session.keepalive import KeepaliveTimes
from uzel.session.redial import RedialTimes

PAUSE = 0.1
"""Seconds between two tries to call."""


def quick(silence: float, *, roaming: bool) -> ClientSettings:
    """Short times; a connection that is silent for so many seconds is ended."""
    return ClientSettings(
        roaming=roaming,
        handshake=3.0,
        login=3.0,
        call=6.0,
        data_connect=2.0,
        first_byte=3.0,
        conversation_handshake=3.0,
        busy_ping=1.0,
        keepalive=KeepaliveTimes(silence / 4, silence),
        redial=RedialTimes(first=0.2, last=0.5, short=0.001),
    )


def tell(event: str, **values: object) -> None:
    print(json.dumps({"event": event, **values}), flush=True)


class Program:
    """What the client does, and who it talks to."""

    def __init__(self, client: Client, pace: float) -> None:
        self._client = client
        self._pace = pace
        self._numbers: dict[Conversation, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        client.on_event = self._on_event

    @staticmethod
    def _on_event(event: WentOnline | WentOffline) -> None:
        if isinstance(event, WentOnline):
            tell("online", node=str(event.node))
        else:
            tell("offline", reason=event.reason)

    def go(self, what: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(task := asyncio.get_running_loop().create_task(what))
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()

    async def take_calls(self) -> None:
        """Take every call."""
        async for call in self._client.calls():
            self.go(self._take(call.accept(), call.uin))

    async def _take(self, accepted: Coroutine[Any, Any, Conversation], uin: int) -> None:
        try:
            self._read(await accepted)
        except UzelError as error:
            tell("missed", **{"from": uin}, reason=error.reason)

    def _read(self, conversation: Conversation) -> None:
        """Have it read, once."""
        if conversation not in self._numbers:
            self._numbers[conversation] = number = len(self._numbers)
            self.go(self._keep_texts(conversation, number))

    async def _keep_texts(self, conversation: Conversation, number: int) -> None:
        who = {"conversation": number, "from": int(conversation.peer.uin)}
        tell("open", **who)
        async for text in conversation:
            number = int(text.text.split()[0])
            tell("text", **who, number=number, whole=text.text == numbered(number, len(text.text)))
            await asyncio.sleep(self._pace)
            text.acknowledge()
        tell("closed", **who, reason=conversation.end_reason)

    async def hang_up(self) -> None:
        """End every conversation."""
        for conversation in list(self._numbers):
            await conversation.close()

    async def _call(self, to: str) -> Conversation:
        """Call until somebody answers; the test's patience is the bound."""
        while True:
            try:
                conversation = await self._client.call(to)
            except UzelError as error:
                tell("uncalled", reason=error.reason)
                await asyncio.sleep(PAUSE)
            else:
                self._read(conversation)
                return conversation

    async def say(self, to: str, numbers: range, size: int) -> None:
        """Say these, and tell when the last was reported: then so were all before it (section 6).

        What a conversation leaves unreported is said by the library in the next one, first and in order (D27).
        """
        left = list(reversed(numbers))
        last = left.pop(0)
        while True:
            conversation = await self._call(to)
            try:
                while left:
                    conversation.reply(numbered(left[-1], size))
                    left.pop()
                await conversation.send(numbered(last, size))
            except UzelError as error:
                tell("interrupted", reason=error.reason, left=len(left))
                await asyncio.sleep(PAUSE)
            else:
                tell("said", to=int(conversation.peer.uin), last=last)
                return


def numbered(number: int, size: int) -> str:
    """The text with this number, of this size."""
    return f"{number} ".ljust(size, "x")


async def main(told: str) -> None:
    options = json.loads(told)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    settings = quick(options["silence"], roaming=options["roaming"])
    async with Client.open(options["profile"], *options["nodes"], settings=settings) as client:
        program = Program(client, options["pace"])
        program.go(program.take_calls())
        while line := await lines.readline():
            wish = json.loads(line)
            if "to" in wish:
                program.go(program.say(wish["to"], range(wish["first"], wish["first"] + wish["count"]), wish["size"]))
            else:
                program.go(program.hang_up())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
