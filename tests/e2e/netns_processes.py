"""What runs on the hosts of `netns`: nodes, people who talk, a long way between two nodes, and any other command.

Each is a process that is ended by its id. A `Field` holds what one test starts and demands at its end that every
process still running stops when it is told to. Counterparts: `netns_client.py` and `netns_forwarder.py`, which run in
processes of their own.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from e2e.cli_harness import UZEL, environment, uzel
from e2e.netns import DEADLINE, Host, Network, until
from uzel.faces.cli.node_client import ask_node
from uzel.names import ContactLink
from uzel.node.config import Limits
from uzel.store.profile import Profile

HERE = Path(__file__).parent
PORT = 8935
SILENCE = 2.0
QUICK_TIMES = {
    "handshake": 3.0,
    "ring": 3.0,
    "data": 3.0,
    "ping_idle": SILENCE / 4,
    "silence": SILENCE,
    "shutdown": 0.5,
    "flush": 0.2,
    "link_relist": 1.0,
    "redial_first": 0.2,
    "redial_last": 0.5,
    "everyone_every": 0.5,
    "unknown": 0.2,
    "location_bad": 1.0,
    "hint_ring": 0.5,
}
"""So that what is lost shows itself soon, and what comes back is soon there."""
QUICK_LIMITS = {"learned_dials_per_minute": 6000, "giver_dials_per_minute": 6000, "lists_per_minute": 6000}


NOTHING: Mapping[str, float] = {}


class Started:
    """A process on a host. Its standard input is a pipe; its output is JSON, a line an object."""

    def __init__(self, host: Host, program: Sequence[object]) -> None:
        self.host = host
        self.is_over = False
        self.events: list[dict[str, Any]] = []
        self.talk: list[str] = []
        self.process = subprocess.Popen(
            host.namespace.command(*program),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment({"PYTHONPATH": str(HERE.parent)}),
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._stdin = self.process.stdin
        self._pipes: list[IO[bytes]] = [self.process.stdout, self.process.stderr]
        self._threads = [
            self._read(self.process.stdout, lambda line: self.events.append(json.loads(line))),
            self._read(self.process.stderr, self.talk.append),
        ]

    @staticmethod
    def _read(stream: IO[bytes], take: Callable[[str], None]) -> threading.Thread:
        def read() -> None:
            for line in stream:
                take(line.decode())

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def all(self, event: str, **values: object) -> list[dict[str, Any]]:
        """What it has told of this kind, with these values."""
        wanted = {"event": event, **values}
        return [told for told in list(self.events) if wanted.items() <= told.items()]

    def waits_for(self, event: str, times: int = 1, **values: object) -> dict[str, Any]:
        """Wait until it has told this so often; the last of them."""
        self.waits_until(f"{event} {values} × {times}", lambda: len(self.all(event, **values)) >= times)
        return self.all(event, **values)[-1]

    def waits_until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait until it holds, or this process ends."""

        def came_about() -> bool:
            return holds() or self.process.poll() is not None

        try:
            until(what, came_about)
            assert holds(), "it ended"
        except AssertionError as error:
            error.add_note(f"{self.host.name} told {self.events[-20:]} and said {''.join(self.talk[-20:])}")
            raise

    def kill(self) -> None:
        """SIGKILL: no time for anything. Its ports are free afterwards."""
        self.process.kill()
        self.finish()

    def end(self) -> None:
        """SIGTERM, upon which it ends as it should."""
        self.process.send_signal(signal.SIGTERM)
        self.ends_well(0, -signal.SIGTERM)

    def finish(self) -> int:
        """Its exit code, once it has ended and all that it told is read."""
        code = self.process.wait(DEADLINE)
        self.is_over = True
        for thread in self._threads:
            thread.join(DEADLINE)
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        for pipe in self._pipes:
            pipe.close()
        return code

    def ends_well(self, *codes: int) -> None:
        """It ends, with one of these exit codes, and nothing unexpected happened in it."""
        assert self.finish() in codes, "".join(self.talk)
        assert not any("Traceback" in line for line in self.talk), "".join(self.talk)


class Node(Started):
    """`uzel node run` with short times; it listens on every address of its host."""

    def __init__(self, host: Host, folder: Path, peers: Sequence[str], settings: Mapping[str, float]) -> None:
        self.folder = folder
        config = folder.with_suffix(".toml")
        config.write_text(_toml(settings), encoding="ascii")
        flags = ["--state", str(folder), "--config", str(config)]
        for address in (f"0.0.0.0:{PORT}", f"[::]:{PORT}"):
            flags += ["--listen", address]
        for peer in peers:
            flags += ["--peer", peer]
        super().__init__(host, [*UZEL, "node", "run", *flags])

    @property
    def fingerprint(self) -> str:
        return str(self.waits_for("listening")["fingerprint"])

    def status(self) -> dict[str, Any]:
        """What `uzel node status --json` prints."""
        self.waits_for("listening")
        answer = ask_node(self.folder, "status", DEADLINE)
        assert isinstance(answer, dict)
        return answer

    def peers(self) -> dict[str, dict[str, Any]]:
        """What `uzel node peers --json` prints, by address."""
        self.waits_for("listening")
        return {node["address"]: node for node in ask_node(self.folder, "peers", DEADLINE)}

    def knows(self, ip: str) -> bool:
        """Whether it may tell others of the node with this IP address and the usual port."""
        known = self.peers().get(f"{ip}:{PORT}")
        return known is not None and known["proven"]

    def is_linked(self, *others: Node) -> bool:
        """Whether links to all these nodes stand."""
        up = {link["fingerprint"] for link in self.status()["links"] if link["state"] == "up"}
        return up >= {other.fingerprint for other in others}

    def is_alone(self) -> bool:
        """Whether no link stands."""
        return not self.status()["links"]

    def waits_linked(self, *others: Node) -> None:
        """Wait until both sides of each link know it: the dialler does first."""
        self.waits_until("the nodes are linked", lambda: self.is_linked(*others))
        for other in others:
            other.waits_until("the link is known", lambda other=other: other.is_linked(self))  # type: ignore[misc]  # bound now

    def logged(self, reason: str) -> list[dict[str, Any]]:
        """The lines of its log with this reason."""
        lines = [json.loads(line) for line in list(self.talk)]
        return [line for line in lines if line.get("reason") == reason]

    def waits_logged(self, reason: str) -> dict[str, Any]:
        self.waits_until(f"the log says {reason}", lambda: bool(self.logged(reason)))
        return self.logged(reason)[-1]


def _toml(settings: Mapping[str, float]) -> str:
    given: dict[str, float] = {**QUICK_TIMES, **QUICK_LIMITS, **settings}
    sections: dict[str, list[str]] = {"times": [], "limits": []}
    for name, value in given.items():
        section = "limits" if name in Limits.__dataclass_fields__ else "times"
        sections[section].append(f"{name} = {str(value).lower()}")
    return "".join(f"[{section}]\n" + "\n".join(lines) + "\n" for section, lines in sections.items())


class Person:
    """Somebody's profile folder."""

    def __init__(self, folder: Path) -> None:
        with Profile.peek(folder) as profile:
            self.identity = profile.identity
        self.folder = folder
        self.uin = int(self.identity.uin)
        self.link = str(ContactLink(self.identity.uin, self.identity.fingerprint))


class Talker(Started):
    """A person at one of these nodes, with a program that can be told to say things.

    `pace` is how many seconds it takes to keep a text, `silence` how many end a connection; `roaming` lets it go to
    nodes that it was told of.
    """

    def __init__(
        self,
        host: Host,
        person: Person,
        *nodes: str,
        pace: float = 0.0,
        silence: float = SILENCE,
        roaming: bool = False,
    ) -> None:
        self.person = person
        told = {"profile": str(person.folder), "nodes": nodes, "pace": pace, "silence": silence, "roaming": roaming}
        super().__init__(host, [sys.executable, HERE / "netns_client.py", json.dumps(told)])

    def end(self) -> None:
        """Go offline: its standard input ends."""
        self._stdin.close()
        self.ends_well(0)

    def says(self, to: Person, count: int = 1, *, first: int = 0, size: int = 0) -> None:
        """Begin to say so many texts of this size, each with its number; the numbers start with `first`."""
        self._wish({"to": to.link, "first": first, "count": count, "size": size})

    def hangs_up(self) -> None:
        """End every conversation."""
        open_ones = len(self.all("open"))
        self._wish({})
        self.waits_for("closed", times=open_ones)

    def _wish(self, wish: dict[str, object]) -> None:
        self._stdin.write(json.dumps(wish).encode() + b"\n")
        self._stdin.flush()

    def waits_said(self, to: Person, last: int) -> None:
        """Wait until the text with this number, and so every one before it, was reported delivered."""
        self.waits_for("said", to=to.uin, last=last)

    def waits_heard(self, count: int) -> None:
        """Wait until it has kept so many texts, repeated ones included."""
        self.waits_until(f"{count} texts", lambda: len(self.all("text")) >= count)

    def heard_it_all(self, speaker: Person, count: int) -> None:
        """It has so many texts: new ones came in order, and within one conversation each came once and in order.

        The last has been reported, so it stands in the output; reading that may take a moment.
        """
        self.waits_for("text", number=count - 1, **{"from": speaker.uin})
        conversations: dict[int, list[int]] = {}
        heard: list[int] = []
        for told in self.all("text", **{"from": speaker.uin}):
            assert told["whole"], "a text came that was not said so"
            numbers = conversations.setdefault(told["conversation"], [])
            assert not numbers or numbers[-1] + 1 == told["number"], "not in order"
            numbers.append(told["number"])
            if told["number"] not in heard:
                heard.append(told["number"])
        assert heard == list(range(count))


_Any = TypeVar("_Any", bound=Started)


class Field:
    """The network of one test, and all that runs on it. Use it in a `with` block."""

    def __init__(self, folder: Path, people: Path) -> None:
        self.network = Network(folder)
        self._folder = folder
        self._people = people
        self._running: list[Started] = []

    def host(self, name: str, *addresses: str) -> Host:
        return self.network.host(name, *addresses)

    def start(self, host: Host, program: Sequence[object]) -> Started:
        """Any other program, on this host; every node listens by then."""
        self._nodes_listen()
        return self.own(Started(host, program))

    def own(self, started: _Any) -> _Any:
        """Have it end with the test, unless it has ended before."""
        self._running.append(started)
        return started

    def person(self, name: str) -> Person:
        """This person's own profile, as new."""
        folder = self._folder / f"profile-{name}"
        if not folder.exists():
            shutil.copytree(self._people / name, folder)
        return Person(folder)

    def node(self, host: Host, *peers: str, state: str = "", settings: Mapping[str, float] = NOTHING) -> Node:
        """A node that begins to run on this host; on the same state folder again when one ran here before."""
        return self.own(Node(host, self._folder / f"state-{state or host.name}", peers, settings))

    def talker(self, host: Host, name: str, *nodes: str, **how: Any) -> Talker:
        """This person, going online from this host; every node listens by then."""
        self._nodes_listen()
        return self.own(Talker(host, self.person(name), *nodes, **how))

    def listener(self, host: Host, name: str, node: str) -> Started:
        """This person's `uzel listen`, once online."""
        flags = ("--profile", self.person(name).folder, "--node", node, "--json")
        listener = self.start(host, [*UZEL, "listen", *flags])
        listener.waits_for("online")
        return listener

    def send(self, host: Host, name: str, node: str, to: Person, text: str) -> dict[str, Any]:
        """What this person's `uzel send` prints."""
        flags = ("--profile", self.person(name).folder, "--node", node, "--json", "--wait", "delivered")
        done = uzel("send", *flags, to.link, text, program=host.namespace.command(*UZEL))
        shown = json.loads(done.stdout)
        assert isinstance(shown, dict)
        return shown

    def forwarder(self, host: Host, listen: str, to: str, delay: float) -> None:
        """A way of so many seconds, from an address of this host to another node."""
        self.own(Started(host, [sys.executable, HERE / "netns_forwarder.py", listen, to, delay]))

    def _nodes_listen(self) -> None:
        for started in self._running:
            if isinstance(started, Node) and not started.is_over:
                started.waits_for("listening")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self.network, contextlib.ExitStack() as stack:
            for started in self._running:
                if not started.is_over:
                    stack.callback(started.kill)
                    if kind is None:
                        stack.callback(started.end)
