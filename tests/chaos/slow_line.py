"""Much to say to somebody with a thin line: two linked nodes, and between the second and its user so many bits
a second.

The line passes TCP on and reads only as fast as it writes, with small buffers, so that what does not fit through waits
at the node (D25), unless the sender waits for reports (D28). It counts the connections that were made through it: a
conversation that ended would show as another one. Counterparts: `test_slow_line`; `run`, which has time for more.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.cli_harness import UZEL, Running, RunningNode
from uzel.errors import Reason
from uzel.faces.cli.node_client import ask_node
from uzel.identity import Identity
from uzel.local.core_client import CoreClient
from uzel.names import ContactLink
from uzel.store.profile import Profile
from uzel.store.tables import Tables

BUFFER = 16 * 1024
"""Bytes that the line asks the kernel to hold, and takes at a time."""
SEGMENT = 1400
"""Bytes, as on a real line."""
TEXT = 50_000
"""Bytes of one text."""
RECKLESS = (sys.executable, str(Path(__file__).with_name("reckless_core.py")))
"""A core that takes the window for boundless."""


class SlowLine:
    """Passes connections on to a node's two ports, from two ports of its own; `bits` a second towards the user."""

    def __init__(self, control: tuple[str, int], bits: float) -> None:
        self._to = control
        self._bits = bits
        self.connections = [0, 0]
        """Made to the control port, and to the data port."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="slow line", daemon=True)
        self._thread.start()
        self.port: int = self._do(self._listen())

    def _do(self, work: object) -> int:
        assert asyncio.iscoroutine(work)
        return int(asyncio.run_coroutine_threadsafe(work, self._loop).result(10) or 0)

    async def _listen(self) -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = int(probe.getsockname()[1])
            with contextlib.suppress(OSError):
                self._servers = [await self._serve(port, 0), await self._serve(port + 1, 1)]
                return port

    async def _serve(self, port: int, which: int) -> asyncio.Server:
        async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections[which] += 1
            with contextlib.suppress(OSError):
                there, back = await self._reach(which)
                ways = (self._carry(reader, back, 0.0), self._carry(there, writer, 8 / self._bits))
                tasks = [asyncio.ensure_future(way) for way in ways]
                try:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                    for end in (writer, back):
                        end.transport.abort()
                        with contextlib.suppress(OSError):
                            await end.wait_closed()

        return await asyncio.start_server(passed, "127.0.0.1", port)

    async def _reach(self, which: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Small segments and a small window: else the node's own kernel would hold megabytes."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        sock.setblocking(False)
        await self._loop.sock_connect(sock, (self._to[0], self._to[1] + which))
        return await asyncio.open_connection(sock=sock, limit=BUFFER)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, each: float) -> None:
        free = self._loop.time()
        while data := await reader.read(BUFFER):
            writer.write(data)
            await writer.drain()
            free = max(free, self._loop.time()) + len(data) * each
            await asyncio.sleep(free - self._loop.time())

    def close(self) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Texts that were queued and that were delivered in time; conversations that ended meanwhile, and those
    that the node ended because too much waited in it; seconds.
    """

    queued: int
    delivered: int
    ended: int
    refused: int
    seconds: float


@contextmanager
def _core(folder: Path, node: str, program: Sequence[str] = UZEL) -> Iterator[CoreClient]:
    with Running("start", "--profile", folder, "--node", node, program=program) as running:
        running.until("ready")
        with CoreClient(folder, 60.0) as core:
            yield core
        assert running.end() == 0


def send_much(folder: Path, size: int, bits: float, held: int, patience: float, program: Sequence[str]) -> Outcome:
    """Queue `size` bytes of texts to somebody behind such a line; `held` is what a node holds for one conversation
    (D25), `program` the sender's. Ends after `patience` seconds at the latest.
    """
    config = folder / "node.toml"
    config.write_text(f"[limits]\nheld_per_conversation = {held}\n", encoding="ascii")
    _, bob = _acquainted(folder)
    with (
        RunningNode(folder / "one", "--config", config) as one,
        RunningNode(folder / "two", "--config", config, "--peer", f"{one.written},{one.fingerprint}") as two,
        contextlib.closing(SlowLine(two.address, bits)) as line,
        _core(folder / "alice", one.written, program) as core,
    ):
        numbers = [_queue(core, bob, number) for number in range(size // TEXT)]
        began = time.monotonic()
        with _core(folder / "bob", f"127.0.0.1:{line.port}"):
            _wait(core, numbers[0], began + patience)
            first = line.connections[1]
            _wait(core, numbers[-1], began + patience)
            seconds, ended = time.monotonic() - began, line.connections[1] - first
            refused = ask_node(folder / "two", "status", 20.0)["refusals"].get(str(Reason.HELD_FULL), 0)
            states = [core.ask("GET", f"/texts/{number}")["state"] for number in numbers]
        return Outcome(len(numbers), states.count("delivered"), ended, refused, seconds)


def _acquainted(folder: Path) -> tuple[ContactLink, ContactLink]:
    """Two profiles that have each other as contacts."""
    people = {name: Identity.generate() for name in ("alice", "bob")}
    for name, other in (("alice", "bob"), ("bob", "alice")):
        with Profile.create(folder / name, people[name]) as profile, profile.transaction() as db:
            profile.pins.pin_peer(people[other].uin, people[other].fingerprint, verified=True)
            Tables(db, profile.pins).people.add(people[other].uin, 0)
    alice, bob = people.values()
    return ContactLink(alice.uin, alice.fingerprint), ContactLink(bob.uin, bob.fingerprint)


def _wait(core: CoreClient, number: int, until: float) -> None:
    """Until the text is delivered, or the time is up."""
    state = ""
    while state != "delivered" and (left := until - time.monotonic()) > 0:
        state = core.ask("GET", f"/texts/{number}/wait?timeout={min(left, 30.0):.1f}")["state"]


def _queue(core: CoreClient, to: ContactLink, number: int) -> int:
    text = f"{number} ".ljust(TEXT, "x")
    return int(core.ask("POST", "/texts", {"to": int(to.uin), "text": text})["number"])
