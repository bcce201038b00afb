"""Persist, then answer: no report and no accepted `send` leaves before its commit is synced, seen by strace.

kill -9 cannot show it, for the kernel keeps what a killed process wrote. One core is traced; a Uzel, a base peer and a
program of its own ask it for something, one text at a time. The same with a core that does not sync must be found out.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos.tracing import CALLS, LARGE, judge, steps
from e2e.cli_harness import UZEL, Running, RunningNode, environment
from e2e.netns import command
from uzel.client import Client
from uzel.identity import Identity
from uzel.local.core_client import CoreClient
from uzel.names import ContactLink, Uin
from uzel.store.profile import Profile

TEXTS = 8
LAX = (sys.executable, str(Path(__file__).with_name("lax_core.py")))
TEXT = "x" * LARGE


def made(folder: Path) -> ContactLink:
    with Profile.create(folder, Identity.generate()) as profile:
        return ContactLink(profile.identity.uin, profile.identity.fingerprint)


@contextmanager
def traced(program: Sequence[str], folder: Path, node: str, trace: Path) -> Iterator[None]:
    """A core under strace, once it is ready; it ends, and then the trace is whole."""
    strace = (command("strace", "strace"), "-f", "-yy", "-s", "0", "-e", f"trace={','.join(CALLS)}", "-o", str(trace))
    process = subprocess.Popen(
        [*strace, *program, "start", "--profile", str(folder), "--node", node],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=environment({"UV_USE_IO_URING": "0"}), start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert b"ready" in process.stdout.readline()
        yield
        with CoreClient(folder) as core:
            core.ask("POST", "/stop")
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
        process.stdout.close()  # type: ignore[union-attr]


def say(core: CoreClient, to: ContactLink) -> None:
    """One text after the other, each delivered before the next."""
    for _ in range(TEXTS):
        number = core.ask("POST", "/texts", {"to": int(to.uin), "text": TEXT})["number"]
        assert core.ask("GET", f"/texts/{number}/wait", timeout=40)["state"] == "delivered"


async def say_as_base_peer(folder: Path, node: str, to: ContactLink) -> None:
    async with Client.open(folder, node) as client:
        conversation = await client.call(str(to))
        for _ in range(TEXTS):
            await conversation.send(TEXT)
        await conversation.close()


def everything_asked(program: Sequence[str], folder: Path, node: RunningNode) -> Path:
    """A core is told texts by a Uzel and by a base peer, and asked to send some; the trace of it."""
    traced_link, uzel, base = (made(folder / name) for name in ("traced", "uzel", "base"))
    trace = folder / "trace"
    with (
        traced(program, folder / "traced", node.written, trace),
        CoreClient(folder / "traced") as core,
        Running("start", "--profile", folder / "uzel", "--node", node.written) as other,
    ):
        for link in (uzel, base, ContactLink(Uin(5))):
            core.ask("POST", "/contacts", {"link": str(link)})
        other.until("ready")
        with CoreClient(folder / "uzel") as peer:
            peer.ask("POST", "/contacts", {"link": str(traced_link)})
            say(peer, traced_link)
        assert other.end() == 0
        asyncio.run(say_as_base_peer(folder / "base", node.written, traced_link))
        for _ in range(TEXTS):  # to somebody who is not there, so that nothing else is written meanwhile
            core.ask("POST", "/texts", {"to": 5, "text": TEXT})
    return trace


@pytest.mark.timeout(180)
@pytest.mark.parametrize("program", [UZEL, LAX], ids=["as it is", "not syncing"])
def test_every_answer_follows_the_sync_of_its_commit(program: tuple[str, ...], tmp_path: Path) -> None:
    with RunningNode(tmp_path / "node") as node:
        data = node.announced["data"][0]
        trace = everything_asked(program, tmp_path, node)
        assert node.end() == 0
    with trace.open(encoding="utf-8", errors="replace") as lines:
        verdict = judge(lines, "/traced/profile.db-wal", [f"->{data}]", "/traced/api.sock"])
    assert sorted(verdict.answers.values()) == [TEXTS] * 3, verdict
    if program == UZEL:
        assert verdict.unsynced == []
    else:
        assert len(verdict.unsynced) == 3 * TEXTS


LOG = "7</p/profile.db-wal>"
READ = f'1 read(9<TCP:[a->b]>, ""..., 65536) = {LARGE}'
SEND = '1 write(9<TCP:[a->b]>, ""..., 39) = 39'
WRITTEN = f'2 pwrite64({LOG}, ""..., 4096, 0) = 4096'
SYNCED = f"2 fdatasync({LOG}) = 0"
BEGUN = f"2 fdatasync({LOG} <unfinished ...>"
RETURNED = "2 <... fdatasync resumed>) = 0"


@pytest.mark.parametrize(
    ("lines", "unsynced"),
    [
        ((READ, WRITTEN, SYNCED, SEND), 0),
        ((READ, WRITTEN, BEGUN, RETURNED, SEND), 0),
        ((READ, WRITTEN, BEGUN, SEND, RETURNED), 1),
        ((READ, WRITTEN, SEND, SYNCED), 1),
        ((READ, SYNCED, WRITTEN, SEND), 1),
        ((WRITTEN, SYNCED, READ, SEND), 1),
        ((READ, WRITTEN, SYNCED, WRITTEN, SEND), 1),
        ((READ, WRITTEN, SYNCED.replace("= 0", "= -1 EIO (Input/output error)"), SEND), 1),
        ((READ, SEND), 1),
    ],
)
def test_the_judge_sees_what_is_not_synced(lines: Sequence[str], unsynced: int) -> None:
    verdict = judge(lines, "/profile.db-wal", ["->b]"])
    assert (verdict.answers, len(verdict.unsynced)) == ({"TCP:[a->b]": 1}, unsynced)


def test_calls_that_were_interrupted_have_two_ends() -> None:
    assert [(step.call, step.result) for step in steps([BEGUN, WRITTEN.replace("2 p", "3 p"), RETURNED])] == [
        ("fdatasync", None), ("pwrite64", None), ("pwrite64", 4096), ("fdatasync", 0),
    ]  # fmt: skip
