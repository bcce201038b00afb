"""The program `uzel` as a real process: run to its end, or followed line by line while it runs.

Nothing of the tester's environment reaches it but what a test names. Every process is ended by its id when its
`with` block ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

DEADLINE = 20.0
"""Seconds that any single wait may last."""
UZEL = (str(Path(sys.executable).with_name("uzel")),)


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, without what `uzel` itself would read from it, and with what was given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UZEL_")}
    return {**kept, "XDG_CONFIG_HOME": "/nonexistent", **(given or {})}


def uzel(
    *arguments: object,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    program: Sequence[str] = UZEL,
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end. No command ever shows a traceback."""
    command = [*program, *map(str, arguments)]
    done = subprocess.run(
        command, input=stdin, capture_output=True, env=environment(env), cwd=cwd, timeout=DEADLINE, check=False
    )
    shown = subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in shown.stderr, shown.stderr
    return shown


class Running:
    """A command that runs on. Its lines are read as they come, unless `stdout` names a descriptor of the test's own."""

    program: Sequence[str] = UZEL

    def __init__(
        self,
        *arguments: object,
        stdout: int | None = None,
        group: bool = False,
        program: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [*(program or self.program), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            env=environment(env),
            start_new_session=group,
        )
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.talk: list[str] = []
        assert self.process.stderr is not None
        self._threads = [self._read(self.process.stderr, self.talk.append)]
        if self.process.stdout is not None:
            self._threads.append(self._read(self.process.stdout, self.lines.put, end=True))

    def _read(self, stream: IO[bytes], take: Any, *, end: bool = False) -> threading.Thread:
        def read() -> None:
            for line in stream:
                take(line.decode())
            if end:
                take(None)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def line(self) -> str:
        """The next line of stdout."""
        line = self.lines.get(timeout=DEADLINE)
        assert line is not None, f"it ended, saying {self.talk}"
        return line

    def event(self) -> dict[str, Any]:
        """The next line of stdout, which is one JSON object."""
        event = json.loads(self.line())
        assert isinstance(event, dict)
        return event

    def until(self, kind: str) -> dict[str, Any]:
        """The next event of this kind; others before it are dropped."""
        while (event := self.event())["event"] != kind:
            pass
        return event

    def talks_of(self, words: str) -> None:
        """Wait until a line of stderr holds these words."""
        deadline = time.monotonic() + DEADLINE
        while not any(words in line for line in list(self.talk)):
            assert time.monotonic() < deadline, f"never said: {words}; but {self.talk}"
            time.sleep(0.002)

    def rest(self) -> list[str]:
        """What stdout still says until its end."""
        found = []
        while (line := self.lines.get(timeout=DEADLINE)) is not None:
            found.append(line)
        return found

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code, once everything it said was read."""
        code = self.process.wait(DEADLINE)
        for thread in self._threads:
            thread.join(DEADLINE)
        assert not any("Traceback" in line for line in self.talk), self.talk
        return code

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.tell(number)
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE)
        for thread in self._threads:
            thread.join(DEADLINE)
        for stream in (self.process.stdout, self.process.stderr):
            with contextlib.suppress(AttributeError):
                stream.close()  # type: ignore[union-attr]  # None where the descriptor is the test's own


class RunningNode(Running):
    """`uzel node run` on free loopback ports, once it listens."""

    def __init__(self, state: Path, *arguments: object, listen: Sequence[str] = ("127.0.0.1:0",)) -> None:
        flags = [flag for address in listen for flag in ("--listen", address)]
        super().__init__("node", "run", *flags, "--state", state, *arguments)
        try:
            self.announced = self.event()
        except BaseException:
            self.__exit__()
            raise
        self.written = str(self.announced["control"][0])
        self.fingerprint = str(self.announced["fingerprint"])
        host, _, port = self.written.rpartition(":")
        self.address = (host.strip("[]"), int(port))
