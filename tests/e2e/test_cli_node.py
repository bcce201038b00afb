"""`uzel node` and `uzel identity` as real processes: what they print, how they end, and why they refuse."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest

from e2e.cli_harness import RunningNode, uzel
from e2e.raw_client import RawClient, converse, exchange, u32
from e2e.raw_identity import identity
from uzel.names import Fingerprint

STRANGER = Fingerprint(bytes(range(32)))


# -- uzel node run ----------------------------------------------------------------------------------------------


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def check_announced(node: RunningNode, hosts: list[str]) -> None:
    assert list(node.announced) == ["event", "control", "data", "fingerprint"]
    assert node.announced["event"] == "listening"
    Fingerprint.parse(node.fingerprint)
    control = [str(written).rpartition(":") for written in node.announced["control"]]
    assert [host for host, _, _ in control] == hosts
    assert node.announced["data"] == [f"{host}:{int(port) + 1}" for host, _, port in control]
    for host, _, port in control:
        for each in (int(port), int(port) + 1):
            socket.create_connection((host.strip("[]"), each), timeout=5).close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_says_where_it_listens_and_stops_when_told(tmp_path: Path, number: signal.Signals) -> None:
    with RunningNode(tmp_path / "state") as node:
        check_announced(node, ["127.0.0.1"])
        assert node.end(number) == 0
        assert node.rest() == []
        assert [json.loads(line)["event"] for line in node.talk][-1] == "stopped"


def test_a_node_listens_on_ipv6_too_or_says_why_not(tmp_path: Path) -> None:
    addresses = ("127.0.0.1:0", "[::1]:0")
    if has_ipv6():
        with RunningNode(tmp_path / "state", listen=addresses) as node:
            check_announced(node, ["127.0.0.1", "[::1]"])
            first = node.fingerprint
            assert node.end() == 0
        with RunningNode(tmp_path / "state", listen=("localhost:0",)) as node:
            assert node.fingerprint == first
            assert node.end() == 0
    else:
        done = uzel("node", "run", "--listen", addresses[1], "--state", tmp_path / "state")
        assert done.returncode == 1
        assert "::1" in done.stderr


def test_a_second_signal_ends_a_drain_at_once(tmp_path: Path, known_identities: Path) -> None:
    state = shutil.copytree(known_identities, tmp_path / "state")
    with (
        RunningNode(state) as node,
        RawClient(identity(0), node.address) as caller,
        RawClient(identity(1), node.address) as callee,
        RawClient(identity(2), node.address) as other,
    ):
        ours, theirs = converse(caller.login(), callee.login())
        other.login()
        node.tell(signal.SIGTERM)
        node.talks_of('"event": "stopping"')
        caller.call(other.uin)
        caller.expect(0x05, u32(other.uin))  # no new calls …
        exchange(ours, theirs, "during the drain")  # … but what runs goes on
        assert node.process.poll() is None
        started = time.monotonic()
        assert node.end() == 0
        assert time.monotonic() - started < 10  # the drain time is 30 s


def test_an_idle_node_is_small(tmp_path: Path) -> None:
    with RunningNode(tmp_path / "state") as node:
        rollup = Path(f"/proc/{node.process.pid}/smaps_rollup").read_text(encoding="ascii")
        kibibytes = int(re.findall(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[0])
        assert kibibytes < 35 * 1024
        assert node.end() == 0


def refused(*arguments: object) -> str:
    """What a node says that does not start: one sentence, exit code 1, nothing on stdout."""
    done = uzel("node", "run", *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(said) == 1, done.stderr
    return said[0]


def test_a_node_that_cannot_start_says_why(tmp_path: Path) -> None:
    state = ("--state", tmp_path / "other")
    with RunningNode(tmp_path / "used") as node:
        assert node.written in refused("--listen", node.written, *state)
        assert "used" in refused("--listen", "127.0.0.1:0", "--state", tmp_path / "used")
        assert node.end() == 0
    assert "--listen" in refused(*state)
    assert "port is missing" in refused("--listen", "127.0.0.1", *state)
    assert "--state" in refused("--listen", "127.0.0.1:0")
    assert "not a node address" in refused("--listen", "127.0.0.1:0", *state, "--peer", "::1")
    for listen, words in (((), "nowhere"), ((65535,), "lies between"), ((80, 81), "twice"), ((80, 82, 80), "twice")):
        flags = [flag for port in listen for flag in ("--listen", f"127.0.0.1:{port}")]
        checked = uzel("node", "run", "--check-config", *flags)
        assert (checked.returncode, words in checked.stderr) == (1, True)
    config = tmp_path / "node.toml"
    assert "No such file" in refused("--listen", "127.0.0.1:0", *state, "--config", config)
    for text, said in (("[", "TOML"), ("[times]\nrang = 1", "times.rang"), ('peers = ["::1"]', "peers")):
        config.write_text(text, encoding="utf-8")
        checked = uzel("node", "run", "--check-config", "--config", config)
        assert (checked.returncode, checked.stdout) == (1, "")
        assert said in checked.stderr
    assert said in refused("--listen", "127.0.0.1:0", *state, "--config", config)


def test_settings_printed_are_settings_taken(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text(uzel("node", "print-config").stdout, encoding="utf-8")
    flags = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:80", "--listen", "[::1]:80")
    assert uzel("node", "run", "--check-config", "--config", config, *flags).returncode == 0
    config.write_text('listen = ["127.0.0.1:0"]\n', encoding="utf-8")
    with RunningNode(tmp_path / "state", "--config", config, listen=()) as node:
        check_announced(node, ["127.0.0.1"])
        assert node.end() == 0
        assert [line for line in node.talk if not line.startswith("{")] == []


# -- uzel identity ----------------------------------------------------------------------------------------------


def test_an_identity_is_made_once_and_shown(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "profile"
    made = uzel("identity", "new", env={"UZEL_PROFILE": str(folder)})
    assert made.returncode == 0
    assert "Back up" in made.stderr
    shown = uzel("identity", "show", "--profile", folder, "--json")
    values = json.loads(shown.stdout)
    assert list(values) == ["uin", "fingerprint", "link"]
    assert type(values["uin"]) is int
    assert values["link"] == f"uzel:{values['uin']}?key={values['fingerprint']}"
    for value in values.values():
        assert str(value) in made.stdout
    again = uzel("identity", "new", "--profile", folder)
    assert (again.returncode, again.stdout) == (1, "")
    assert "already" in again.stderr
    assert uzel("identity", "show", "--profile", folder, "--json").stdout == shown.stdout
    assert (folder / "profile.db").stat().st_mode & 0o777 == 0o600


def test_without_a_profile_it_is_the_users_own(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    missing = uzel("identity", "show", env=home)
    assert missing.returncode == 1
    assert str(tmp_path / "data" / "uzel") in missing.stderr
    assert uzel("identity", "new", env=home).returncode == 0
    assert (tmp_path / "data" / "uzel" / "profile" / "profile.db").exists()
