"""A network of the test's own: hosts with addresses, names and cables, out of Linux network namespaces.

Every host is a namespace that a process holds, and that is gone with it. The holder ends when its standard input does,
so nothing is left over when a test fails, nor when the tests themselves are killed. All hosts hang on one switch (a
bridge in a namespace of its own) and share one hosts file. Root makes the namespaces as they are; anybody else makes
them inside a user namespace (`unshare --user --map-root-user`), where the same commands work. Where neither does,
`Impossible` says what is missing and what to do about it.

What runs on a host: `netns_processes`.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

DEADLINE = 20.0
"""Seconds until something that must come about counts as failed."""
PACKAGES = {
    "ip": "iproute2",
    "nft": "nftables",
    **dict.fromkeys(("unshare", "nsenter", "setpriv", "mount"), "util-linux or mount"),
}
"""The Debian packages of the commands that all this needs."""
HOLD_SWITCH = """
mount --bind "$1" /etc/hosts
[ ! -e /etc/nsswitch.conf ] || mount --bind "$2" /etc/nsswitch.conf
echo held
exec cat
"""
"""The second mount keeps names from being asked of a service outside (`resolve`), which knows no such hosts."""
HOLD_HOST = "echo held; exec cat"
CARD = "eth0"


class Impossible(Exception):  # noqa: N818 - it is what the tests say, not a fault of theirs
    """Network namespaces cannot be made here."""


def until(what: str, holds: Callable[[], bool], pause: float = 0.01) -> None:
    """Wait until it holds; `AssertionError` when it does not within the deadline."""
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, f"never came about: {what}"
        time.sleep(pause)


def command(name: str, package: str = "") -> str:
    """Where a command lies; those of the administrator are often not on a user's own path. Raises `Impossible`."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        raise Impossible(f"the command {name} is missing; as root: apt-get install {package or PACKAGES[name]}")
    return found


def run(*arguments: str, stdin: str = "") -> str:
    """Run one command to its end; what it printed."""
    done = subprocess.run(arguments, input=stdin, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}{stdin}"
    return done.stdout


class Namespace:
    """One network namespace, and the process that holds it."""

    def __init__(self, *hold: str, inside: Sequence[str] = ()) -> None:
        self._inside = inside
        self._holder = subprocess.Popen(
            hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "held\n":
            _, said = self._holder.communicate(timeout=DEADLINE)
            raise Impossible(f"{' '.join(hold[:4])} …: {said.strip()}")

    @property
    def pid(self) -> int:
        return self._holder.pid

    def command(self, *arguments: object) -> list[str]:
        """What runs a command in here. It is killed when the thread that started it ends."""
        entered = [command("nsenter"), "--target", str(self.pid), *self._inside, "--"]
        return [*entered, command("setpriv"), "--pdeathsig", "KILL", *map(str, arguments)]

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Run one command in here to its end; what it printed."""
        return run(*self.command(command(arguments[0]), *arguments[1:]), stdin=stdin)

    def ip(self, *lines: str) -> None:
        """Several `ip` commands in one go."""
        self.run("ip", "-batch", "-", stdin="\n".join(lines))

    def nft(self, rules: str) -> None:
        self.run("nft", "-f", "-", stdin=rules)

    def close(self) -> None:
        self._holder.communicate(timeout=DEADLINE)


def _ways() -> list[tuple[str, ...]]:
    """The ways to make namespaces, the plain one first: flags of `unshare`."""
    user = ("--user", "--map-root-user")
    return [(), user] if os.geteuid() == 0 else [user]


class Network:
    """A switch, and the hosts on it. Use it in a `with` block; it raises `Impossible`."""

    def __init__(self, folder: Path) -> None:
        self._hosts_file = folder / "hosts"
        self._hosts_file.write_text("127.0.0.1 localhost\n::1 localhost\n", encoding="ascii")
        self._switch_file = folder / "nsswitch.conf"
        self._switch_file.write_text("passwd: files\ngroup: files\nhosts: files\n", encoding="ascii")
        self.hosts: dict[str, Host] = {}
        for name in PACKAGES:
            command(name)
        with contextlib.ExitStack() as stack:
            self._flags, self._switch = self._make_switch()
            stack.callback(self._switch.close)
            self._switch.ip("link set lo up", "link add switch type bridge", "link set switch up")
            self._stack = stack.pop_all()

    def _make_switch(self) -> tuple[tuple[str, ...], Namespace]:
        """The first way that works."""
        refused = []
        files = (str(self._hosts_file), str(self._switch_file))
        for way in _ways():
            user = ("--user", "--preserve-credentials") if way else ()
            unshare = (command("unshare"), *way, "--net", "--mount")
            try:
                switch = Namespace(*unshare, "sh", "-ec", HOLD_SWITCH, "sh", *files, inside=(*user, "--net", "--mount"))
            except Impossible as error:
                refused.append(str(error))
            else:
                return user, switch
        raise Impossible(
            f"the tests of real networks need network namespaces, and this system refuses them ({'; '.join(refused)}). "
            "Run them as root, or let users make namespaces: sysctl -w user.max_user_namespaces=10000, and "
            "kernel.unprivileged_userns_clone=1 (Debian) or kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); "
            "a container needs the capabilities SYS_ADMIN and NET_ADMIN for it."
        )

    def host(self, name: str, *addresses: str) -> Host:
        """A new host with these IPv4 and IPv6 addresses, known to all by its name; all others are on its wire."""
        inside = (*self._flags, "--net", "--mount")
        entered = (command("nsenter"), "--target", str(self._switch.pid), *self._flags, "--mount", "--")
        held = Namespace(*entered, command("unshare"), "--net", "sh", "-ec", HOLD_HOST, inside=inside)
        self._stack.callback(held.close)
        self._switch.ip(
            f"link add {name} type veth peer name {CARD} netns {held.pid}",
            f"link set {name} gso_max_segs 1 master switch up",
        )
        routes = [f"route add {everywhere} dev {CARD}" for everywhere in _everywhere(addresses)]
        held.ip(
            "link set lo up",
            f"link set {CARD} gso_max_segs 1 up",  # packets as they are on a real wire, for those that are dropped
            *(f"address add {address} dev {CARD}{' nodad' * (':' in address)}" for address in addresses),
            *routes,
        )
        self.name(name, *addresses)
        self.hosts[name] = host = Host(self, name, addresses, held)
        return host

    def name(self, name: str, *addresses: str) -> None:
        """From here on the name means these addresses, and no others."""
        lines = self._hosts_file.read_text(encoding="ascii").splitlines()
        kept = [line for line in lines if line.split()[1:] != [name]]
        added = [f"{address} {name}" for address in addresses]
        self._hosts_file.write_text("\n".join([*kept, *added, ""]), encoding="ascii")

    def pull(self, *hosts: Host) -> None:
        """Pull their cables out of the switch."""
        self._switch.ip(*(f"link set {host.name} down" for host in hosts))

    def put_back(self, *hosts: Host) -> None:
        """Put their cables in again."""
        self._switch.ip(*(f"link set {host.name} up" for host in hosts))

    @contextlib.contextmanager
    def parted(self, some: Sequence[Host], others: Sequence[Host]) -> Iterator[None]:
        """Between these and those nothing passes, and nobody is told; it heals at the end of the block."""
        for side, beyond in ((some, others), (others, some)):
            foreign = [address for host in beyond for address in host.addresses]
            for host in side:
                host.namespace.nft(_dropping("parted", [f"{_saddr(address)} counter drop" for address in foreign]))
        yield
        for host in (*some, *others):
            host.namespace.nft("delete table inet parted")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class Host:
    """One machine on the network."""

    def __init__(self, network: Network, name: str, addresses: Sequence[str], namespace: Namespace) -> None:
        self.name = name
        self.addresses = tuple(addresses)
        self.namespace = namespace
        self._network = network

    @property
    def ipv4(self) -> str:
        """Its first IPv4 address."""
        return next(address for address in self.addresses if ":" not in address)

    @property
    def ipv6(self) -> str:
        """Its first IPv6 address, in the brackets that a port needs."""
        return next(f"[{address}]" for address in self.addresses if ":" in address)

    @contextlib.contextmanager
    def unplugged(self) -> Iterator[None]:
        """Its cable is out during the block."""
        self._network.pull(self)
        yield
        self._network.put_back(self)

    def prefers(self, *addresses: str) -> None:
        """From here on new connections come from these, unless they are bound to another."""
        routes = ((everywhere, address) for address in addresses for everywhere in _everywhere([address]))
        self.namespace.ip(*(f"route replace {everywhere} dev {CARD} src {address}" for everywhere, address in routes))

    def lose(self, percent: int) -> None:
        """Drop so many of a hundred packets that come in."""
        rule = f'iifname "{CARD}" numgen random mod 100 < {percent} counter name lost drop'
        self.namespace.nft(_dropping("loss", [rule], counters=("lost",)))

    def lost(self) -> int:
        """How many packets `lose` has dropped."""
        return self._counted("loss", "lost")

    def watch_dials(self, of: Mapping[str, str]) -> None:
        """From here on count the SYNs that go out, by a name for each network (`10.0.0.0/8`) or address."""
        rules = [f"{_daddr(to)} tcp flags & (syn | ack) == syn counter name {name}" for name, to in of.items()]
        counters = "\n".join(f"counter {name} {{ }}" for name in of)
        chain = "type filter hook output priority 0;\n" + "\n".join(rules)
        self.namespace.nft(f"table inet dials {{\n{counters}\nchain out {{\n{chain}\n}}\n}}\n")

    def dials(self, name: str) -> int:
        """How many SYNs went there."""
        return self._counted("dials", name)

    def _counted(self, table: str, name: str) -> int:
        found = re.search(r"packets (\d+)", self.namespace.run("nft", "list", "counter", "inet", table, name))
        assert found is not None
        return int(found[1])


def _everywhere(addresses: Sequence[str]) -> list[str]:
    return sorted({"::/0" if ":" in address else "0.0.0.0/0" for address in addresses})


def _dropping(table: str, rules: Sequence[str], *, counters: Sequence[str] = ()) -> str:
    """A table of rules for what comes in."""
    named = "\n".join(f"counter {name} {{ }}" for name in counters)
    chain = "type filter hook input priority 0;\n" + "\n".join(rules)
    return f"table inet {table} {{\n{named}\nchain in {{\n{chain}\n}}\n}}\n"


def _saddr(address: str) -> str:
    return f"ip{'6' * (':' in address)} saddr {address}"


def _daddr(network: str) -> str:
    return f"ip{'6' * (ipaddress.ip_network(network).version == 6)} daddr {network}"
