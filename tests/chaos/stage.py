"""Two linked nodes and a core at each, every one on a host of its own; each profile on a small disk, under a clock that
can be set.

The disks are tmpfs inside the network's own mount namespace, so they are gone with it; from outside they are reached
through /proc. The clock is libfaketime's: the machine's own is never touched, and what counts seconds goes on evenly.
Counterparts: `faults`, which breaks all this; `chaos`, which plays a script on it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from chaos.checks import Kept
from e2e.cli_harness import UZEL
from e2e.netns import Host, Impossible
from e2e.netns_processes import PORT, Field, Node, Started
from uzel.errors import StorageError, UzelError
from uzel.identity import Identity
from uzel.local.core_client import CoreClient
from uzel.names import ContactLink, Uin
from uzel.store.profile import Profile

ATTENDANT = Path(__file__).with_name("attendant.py")
NAMES = ("alice", "bob")
DISK = 512 * 1024 * 1024
"""Bytes of each profile's disk: room for everything that is said in an hour, some 18,000 texts of 14 kB on average."""
FAKETIME = "libfaketimeMT.so.1"
CLOCK = {
    "FAKETIME_CACHE_DURATION": "1",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    "NO_FAKE_STAT": "1",
}
"""A jump counts within a second; clocks that never jump in life do not here. The third keeps it from
slowing down every wait for a lock, tenfold for a long text."""


def faketime_library() -> str:
    """Where it lies. Raises `Impossible`."""
    found = sorted(Path("/usr/lib").glob(f"*/faketime/{FAKETIME}"))
    if not found:
        raise Impossible(f"{FAKETIME} is missing; as root: apt-get install faketime")
    return str(found[0])


class Side:
    """One person: a profile on its disk, the core on it, and the node that it uses."""

    def __init__(self, field: Field, folder: Path, made: Path, host: Host, node: Host) -> None:
        self.name = name = made.name
        self.host = host
        self.node_host = node
        with Profile.peek(made) as profile:
            self.link = ContactLink(profile.identity.uin, profile.identity.fingerprint)
        self._field = field
        self._clock = folder / f"clock-{name}"
        self._inside = folder / f"disk-{name}"
        self._inside.mkdir()
        host.namespace.run("mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "tmpfs", str(self._inside))
        self.disk = Path(f"/proc/{host.namespace.pid}/root{self._inside}")
        """The disk as it is seen from outside."""
        self.profile = self.disk / "profile"
        shutil.copytree(made, self.profile)
        self.jump(0)
        self.past: list[Started] = []
        """Cores that have ended."""
        self.core = self.start()
        self._reader = self.attendant()

    def start(self) -> Started:
        """`uzel start`, whether it comes to something or not."""
        faked = {"LD_PRELOAD": faketime_library(), "FAKETIME_TIMESTAMP_FILE": str(self._clock), **CLOCK}
        settings = [f"{name}={value}" for name, value in faked.items()]
        node = f"{self.node_host.ipv4}:{PORT}"
        program = ("env", *settings, *UZEL, "start", "--profile", self._inside / "profile", "--node", node)
        self.core = self._field.start(self.host, program)
        return self.core

    def attendant(self) -> Attendant:
        """Another program in the profile."""
        return self._field.own(Attendant(self.host, self._inside / "profile"))

    @property
    def is_up(self) -> bool:
        """Whether its core takes requests."""
        return self.core.process.poll() is None and bool(self.core.all("ready"))

    def revive(self) -> None:
        """Start the core if it has ended."""
        if self.core.process.poll() is not None:
            if not self.core.is_over:
                self.core.finish()
            self.past.append(self.core)
            self.start()

    def jump(self, seconds: int) -> None:
        """From here on its clock is that far from the machine's."""
        written = self._clock.with_suffix(".new")
        written.write_text(f"{seconds:+d}\n", encoding="ascii")
        os.replace(written, self._clock)

    def ask(self, method: str, path: str, **body: object) -> dict[str, object] | None:
        """What the core answers; None when it does not."""
        with suppress(UzelError), CoreClient(self.profile) as core:
            return core.ask(method, path, body or None)
        return None

    def texts(self, peer: Uin, *, whole: bool) -> list[Kept]:
        """All texts with the peer, as they stand on the disk; without their words unless `whole`.

        Raises `StorageError`.
        """
        return self._reader.texts(peer, whole=whole)


class Attendant(Started):
    """`attendant.py` on a side's disk."""

    def __init__(self, host: Host, profile: Path) -> None:
        super().__init__(host, [sys.executable, ATTENDANT, profile])

    def holds(self, how: str) -> bool:
        """Have it hold the profile (`write`, `read`); False when it could not."""
        return bool(self._asked({"do": how})["event"] == "holds")

    def texts(self, peer: Uin, *, whole: bool) -> list[Kept]:
        """See `Side.texts`."""
        said = self._asked({"do": "texts" if whole else "ids", "peer": int(peer)})
        if said["event"] == "refused":
            raise StorageError(said["reason"])
        return [Kept(*values) for values in said["texts"]]

    def _asked(self, wish: dict[str, object]) -> dict[str, Any]:
        self.events.clear()
        self._stdin.write(json.dumps(wish).encode() + b"\n")
        self._stdin.flush()
        self.waits_until("the attendant answers", lambda: bool(self.events))
        return self.events[0]

    def end(self) -> None:
        """Its standard input ends."""
        self._stdin.close()
        self.ends_well(0)


class Stage:
    """See the module's text. The field is the test's, and ends everything."""

    def __init__(self, field: Field, folder: Path) -> None:
        self.field = field
        for name in NAMES:
            Profile.create(folder / name, Identity.generate()).close()
        one, two = field.host("one", "198.51.100.1"), field.host("two", "203.0.113.2")
        hosts = field.host("alices", "198.51.100.11"), field.host("bobs", "203.0.113.12")
        self.nodes: list[Node] = [field.node(one), field.node(two, f"{one.ipv4}:{PORT}")]
        self.nodes[1].waits_linked(self.nodes[0])
        places = zip(NAMES, hosts, (one, two), strict=True)
        self.sides = [Side(field, folder, folder / name, host, node) for name, host, node in places]
        for side, other in (self.sides, self.sides[::-1]):
            side.core.waits_for("ready")
            assert side.ask("POST", "/contacts", link=str(other.link)) is not None

    def revive_node(self, number: int) -> None:
        """Start the node if it has ended."""
        node = self.nodes[number]
        if node.process.poll() is None:
            return
        if not node.is_over:
            node.finish()
        peers = () if number == 0 else (f"{self.nodes[0].host.ipv4}:{PORT}",)
        self.nodes[number] = self.field.node(node.host, *peers)

    def stop_cores(self) -> list[str]:
        """SIGTERM; what was wrong with how they end."""
        found = []
        for side in self.sides:
            side.core.process.send_signal(signal.SIGTERM)
            code = side.core.finish()
            if code != 0:
                found.append(f"the core of {side.name} ended with {code}: {''.join(side.core.talk[-5:])}")
        return found
